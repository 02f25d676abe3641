"""`culling pretrain` for real: two processes of torchrun on a tiny set in COCO's layout, killed
and gone on with."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks.testbed.tiny import environment
from jobs.cli import run
from models.boxes.student import load_detector
from models.versions import ORIGIN_META
from tests.integration.coco import write_coco

SMALL = "--width 0.125 --from-scratch --min-side 64 --max-side 96 --loaders 0 --device cpu"


def torchrun(folder: Path, schedule: str) -> subprocess.Popen[str]:
    """Two processes, as an operator starts them."""
    start = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    asked = ["-m", "jobs.cli", "pretrain", "--coco", str(folder / "coco"), *SMALL.split()]
    return subprocess.Popen(
        [
            sys.executable,
            *start,
            *asked,
            "--epochs",
            "6",
            "--save-minutes",
            "0",
            "--json",
            "--schedule",
            schedule,
        ],
        cwd=folder,
        env={**environment(), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_all(running: subprocess.Popen[str]) -> None:
    """torchrun and its processes, by force, all before any of them can say anything."""
    parent = psutil.Process(running.pid)
    for process in (parent, *parent.children(recursive=True)):
        process.kill()
    running.communicate()


@pytest.mark.timeout(1300)  # as long as a busy machine takes
@pytest.mark.parametrize("schedule", ["dap"])
def test_two_processes_killed_and_gone_on_with(tmp_path: Path, schedule: str) -> None:
    write_coco(tmp_path / "coco")
    checkpoint = tmp_path / "student-coco.checkpoint"
    first = torchrun(tmp_path, schedule)
    deadline_s = time.monotonic() + 600
    while not checkpoint.exists() and first.poll() is None and time.monotonic() < deadline_s:
        time.sleep(0.02)
    kill_all(first)
    assert checkpoint.exists()
    assert not (tmp_path / "student-coco.safetensors").exists()

    again = torchrun(tmp_path, schedule)
    out, told = again.communicate(timeout=600)
    assert again.returncode == 0, told
    assert told.count(f"going on from {checkpoint.name}: epoch ") == 1
    assert json.loads(out) == {"weights": "student-coco.safetensors", "pictures": 8, "val": None}
    student = load_detector(tmp_path / "student-coco.safetensors")
    assert student.class_names == ("person", "car", "bicycle")
    meta = json.loads((tmp_path / "student-coco.json").read_text())
    assert meta[ORIGIN_META] == "coco"
    assert meta["recipe"]["processes"] == 2
    assert meta["recipe"]["schedule"] == schedule


def test_what_is_wrong_with_the_folder_is_one_line_and_code_2(tmp_path: Path) -> None:
    out = tmp_path / "s.safetensors"
    asked = ["pretrain", "--coco", str(tmp_path), "--out", str(out), *SMALL.split()]
    assert run(asked) == 2
    write_coco(tmp_path / "coco", count=2)
    asked[2] = str(tmp_path / "coco")
    assert run([*asked, "--epochs", "1"]) == 0
    for picture in (tmp_path / "coco" / "train2017").iterdir():
        picture.unlink()
    out.with_suffix(".checkpoint").unlink()
    assert run([*asked, "--epochs", "1"]) == 2
