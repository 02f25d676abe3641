"""Twelve cameras of mixed kinds through `culling ingest`, for half an hour.

    python -m benchmarks.soak --minutes 30

Real servers: six RTSP cameras (one of them by UDP), two MJPEG, two HLS, two snapshot addresses; one
RTSP server is killed for a minute in the middle, one stopped for half a minute. Afterwards every
second of every camera is accounted for from its daybook: a frame, scored or passed over by the
gate; dropped by this machine; or the camera down. Memory, open files and threads of the process are
looked at on the way. Writes benchmarks/results/soak.json and soak.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import yaml

from benchmarks.book import markdown
from benchmarks.testbed.live import RtspServer
from benchmarks.testbed.servers import web
from benchmarks.testbed.servers.clips import jpeg, moving_picture, write_h264, write_hls
from benchmarks.testbed.servers.web import LivePlaylist, WebServer, fixed
from culling_pipeline.day.daybook import UP

RESULTS = Path(__file__).parent / "results"
LOOK_S = 10.0
WARM_S = 300.0
"""Memory is compared from then on."""
LATE_S = 1.6
"""Two frames a second apart may come this far apart without one missing: HLS comes in bursts, and a
sampled moment is that of a picture."""


@contextmanager
def cameras(folder: Path, minutes: float) -> Iterator[tuple[dict[str, str], list[RtspServer]]]:
    """Address by name, and the RTSP servers."""
    with ExitStack() as stack:
        clip = write_h264(folder / "cam.h264", seconds=30)
        servers = [RtspServer(clip) for _ in range(6)]
        for server in servers:
            stack.callback(server.kill)
        urls = {f"rtsp-{k}": server.url() for k, server in enumerate(servers)}
        pictures = [jpeg(moving_picture(8 * k)) for k in range(40)]
        site = WebServer()
        stack.callback(site.kill)
        for k in range(2):
            site.paths[f"/video{k}"] = web.mjpeg(pictures, rate_fps=10)
            site.paths[f"/now{k}.jpg"] = web.pictures_in_turn(pictures)
            urls |= {f"mjpeg-{k}": site.url(f"/video{k}"), f"shot-{k}": site.url(f"/now{k}.jpg")}
        segments = folder / "segments"
        names = write_hls(segments, seconds=round(60 * minutes) + 120)
        for name in names:
            site.paths[f"/{name}"] = fixed("video/mp2t", (segments / name).read_bytes())
        for k in range(2):
            site.paths[f"/live{k}.m3u8"] = LivePlaylist(names)
            urls[f"hls-{k}"] = site.url(f"/live{k}.m3u8")
        yield urls, servers


def configure(folder: Path, urls: dict[str, str]) -> None:
    """Default settings, but for one camera by UDP and one with the gate."""
    own: dict[str, dict[str, Any]] = {name: {"source": url} for name, url in urls.items()}
    own["rtsp-5"]["live"] = {"transport": "udp"}
    own["mjpeg-0"]["culling"] = {"gate": {"every": 5}}
    defaults = {"classes": ["person", "car", "bicycle"]}
    content = {"data_dir": "data", "workers": 2, "defaults": defaults, "cameras": own}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))


def watch(
    process: psutil.Process, minutes: float, happenings: dict[float, Callable[[], None]]
) -> list[dict[str, float]]:
    """Look at the process until it ends; let happen what is to happen at its time (seconds)."""
    began_s, looks, due = time.monotonic(), [], sorted(happenings)
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        now_s = time.monotonic() - began_s
        while due and due[0] <= now_s:
            happenings[due.pop(0)]()
        try:
            looks.append(
                {
                    "at_s": now_s,
                    "rss_mib": process.memory_info().rss / 2**20,
                    "files": process.num_fds(),
                    "threads": process.num_threads(),
                    "cpu_s": sum(process.cpu_times()[:2]),
                }
            )
        except psutil.Error:
            break
        time.sleep(min(LOOK_S, max(0.2, (due[0] - now_s) if due else LOOK_S)))
        if now_s > 60 * minutes + 120:
            process.kill()
    return looks


def account(folder: Path, name: str) -> dict[str, Any]:
    """Where each second of a camera went, from its daybooks."""
    lines = [
        json.loads(line)
        for path in sorted((folder / "data" / "days" / name).glob("*/daybook.jsonl"))
        for line in path.read_text().splitlines()
    ]
    frames = [line for line in lines if "event" not in line]
    events = [line for line in lines if "event" in line]
    seen_s = [datetime.fromisoformat(line["at"]).timestamp() for line in frames]
    start_s, stop_s = (
        datetime.fromisoformat(next(e for e in order if e["event"] == what)["at"]).timestamp()
        for order, what in ((events, "start"), (events[::-1], "stop"))
    )
    down = down_times(events, stop_s)
    down_s = sum(b - a for a, b in down)
    dropped = sum(e["count"] for e in events if e["event"] == "dropped")
    missing = 0.0
    for a, b in zip([start_s, *seen_s], [*seen_s, stop_s], strict=True):
        if b - a > LATE_S:
            excused_s = sum(max(0.0, min(b, y) - max(a, x)) for x, y in down)
            missing += max(0, round(b - a - excused_s) - 1)
    return {
        "camera": name,
        "seconds": round(stop_s - start_s),
        "frames": len(frames),
        "scored": sum(not line.get("inherited", False) for line in frames),
        "gated": sum(line.get("inherited", False) for line in frames),
        "down_s": round(down_s, 1),
        "dropped": dropped,
        "unaccounted": max(0.0, missing - dropped),
        "stored": len(list((folder / "data" / "days" / name).glob("*/frames/*.jpg"))),
    }


def down_times(events: list[dict[str, Any]], stop_s: float) -> list[tuple[float, float]]:
    """From when to when the camera gave no pictures; a stall is noticed five seconds after it
    began, and counts from its beginning."""
    found, since = [], None
    for event in events:
        if event["event"] != "state":
            continue
        at_s = datetime.fromisoformat(event["at"]).timestamp()
        up = event["state"] in UP
        if not up and since is None:
            since = at_s - (5.5 if event["state"] == "stalled" else 1.5)
        elif up and since is not None:
            found.append((since, at_s + 1.0))
            since = None
    return found if since is None else [*found, (since, stop_s)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with cameras(folder, args.minutes) as (urls, servers):
            configure(folder, urls)
            command = [sys.executable, "-m", "jobs.cli", "ingest", "--json"]
            command += ["--for", f"{args.minutes:g}m", "--config", str(folder / "config.yaml")]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            middle_s = 30 * args.minutes
            happenings = {
                middle_s: servers[0].kill,
                middle_s + 60: lambda: servers[0].start(folder / "cam.h264"),
                middle_s + 90: servers[1].stop,
                middle_s + 120: servers[1].go_on,
            }
            looks = watch(psutil.Process(process.pid), args.minutes, happenings)
            said = json.loads(process.communicate()[0])
        rows = [account(folder, name) for name in urls]
    end_s = 60 * args.minutes
    warm = [look for look in looks if min(WARM_S, end_s / 3) <= look["at_s"] < end_s]
    result = {
        "minutes": args.minutes,
        "cameras": rows,
        "said": said["cameras"],
        "rss_mib": {"warm": warm[0]["rss_mib"], "end": warm[-1]["rss_mib"]},
        "files": {"warm": warm[0]["files"], "end": warm[-1]["files"]},
        "threads": {"warm": warm[0]["threads"], "end": warm[-1]["threads"]},
        "cores": looks[-1]["cpu_s"] / looks[-1]["at_s"],
        "looks": looks,
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "soak.json").write_text(json.dumps(result, indent=1) + "\n")
    shown = {k: result[k] for k in ("rss_mib", "files", "threads", "cores")}
    text = markdown(rows) + f"\nThe process: {json.dumps(shown)}\n"
    (RESULTS / "soak.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
