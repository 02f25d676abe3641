"""The fault table's last row: the disk is full while `culling ingest` stores a camera's frames."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.testbed.servers import web
from benchmarks.testbed.servers.clips import RATE_FPS, jpeg, moving_picture
from benchmarks.testbed.servers.web import WebServer
from benchmarks.testbed.tiny import start_model_mib
from jobs.disk.budget import GB

FAULT = "disk full"
FLOOR_MB = 2
LASTS_S, WELL_S, GIVEN_UP_S = 15.0, 8.0, 120.0
LOOKS_EVERY_S = 1.0
"""How often the free space is looked at: what noticing is held against."""
RECOVERY_S = 3.0


def measure() -> dict[str, Any]:
    """A row like the others; needs root, for a small disk of its own."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, disk = Path(scratch), Path(scratch) / "data"
        disk.mkdir()
        _mount("-t", "tmpfs", "-o", f"size={start_model_mib() + 5}m", "culling-bench", str(disk))
        site = WebServer()
        pictures = [jpeg(moving_picture(8 * k)) for k in range(40)]
        site.paths["/video"] = web.mjpeg(pictures, rate_fps=RATE_FPS)
        _configure(folder, site.url("/video"))
        command = [sys.executable, "-m", "jobs.cli", "ingest", "--config", f"{folder}/config.yaml"]
        with (folder / "said").open("w") as said:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
        try:
            return _row(folder, disk, psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()
            site.kill()
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _configure(folder: Path, url: str) -> None:
    camera = {"source": url, "fps": RATE_FPS, "classes": ["person", "car"]}
    floor = {"min_free_gb": FLOOR_MB * 1e6 / GB}
    content = {"data_dir": "data", "disk": floor, "cameras": {"yard": camera}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))


def _row(folder: Path, disk: Path, process: psutil.Process) -> dict[str, Any]:
    _await(lambda: bool(_frames(disk)))
    before_mib = process.memory_info().rss / 2**20
    struck_s = _await(lambda: shutil.disk_usage(disk).free < FLOOR_MB * 1e6)
    stored = _frames(disk)
    noticed_s = _await(lambda: "no frame is stored" in (folder / "said").read_text())
    time.sleep(LASTS_S)
    count, mended_s = _frames(disk), time.monotonic()
    _mount("-o", "remount,size=256m", str(disk))
    came_s = _await(lambda: _frames(disk) > count)
    stored = _frames(disk) - stored
    time.sleep(WELL_S)
    sent = round((came_s - struck_s) * RATE_FPS)
    row = {
        "fault": FAULT,
        "shown": "live; the log: no frame is stored until there is room",
        "noticed_s": round(noticed_s - struck_s, 2),
        "noticed_limit_s": 3 * LOOKS_EVERY_S,
        "lasted_s": round(mended_s - struck_s, 1),
        "recovered_s": round(came_s - mended_s, 2),
        "of_it_pausing_s": 0.0,
        "recovered_limit_s": RECOVERY_S,
        "frames_sent": sent,
        "frames_lost": max(0, sent - stored),
        "lost_after": round((came_s - mended_s) * RATE_FPS),
        "rss_before_mib": round(before_mib, 1),
        "rss_after_mib": round(process.memory_info().rss / 2**20, 1),
    }
    row["within_limits"] = (
        row["noticed_s"] <= row["noticed_limit_s"] and row["recovered_s"] <= RECOVERY_S
    )
    return row


def _lines(disk: Path) -> list[dict[str, Any]]:
    found = []
    for path in disk.glob("days/yard/*/daybook.jsonl"):
        found += [
            json.loads(line) for line in path.read_text().splitlines(True) if line[-1] == "\n"
        ]
    return found


def _frames(disk: Path) -> int:
    return sum("event" not in line for line in _lines(disk))


def _await(holds: Callable[[], bool]) -> float:
    """The moment at which it first holds."""
    until_s = time.monotonic() + GIVEN_UP_S
    while not holds():
        if time.monotonic() > until_s:
            message = f"{FAULT}: it did not happen within {GIVEN_UP_S:g} s"
            raise TimeoutError(message)
        time.sleep(0.05)
    return time.monotonic()


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
