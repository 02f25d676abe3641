"""A made-up recorder: trees of little segments, named as real recorders name theirs."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.unit.clips import constant_rate, write_clip

BERLIN = ZoneInfo("Europe/Berlin")
SEGMENT_S = 10
LONG_AGO_S = 1_700_000_000.0
"""When the files were last written, so that none seems to be growing."""


def segment_file(folder: Path, *, length_s: int = SEGMENT_S, suffix: str = "mp4") -> Path:
    """A clip of five frames a second with a keyframe every two seconds, to be copied."""
    path = folder / f"segment-{length_s}.{suffix}"
    folder.mkdir(parents=True, exist_ok=True)
    write_clip(path, constant_rate(length_s * 5, step_ms=200), keyframes=10)
    os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    return path


def put(clip: Path, path: Path, *, written_s: float = LONG_AGO_S) -> Path:
    """A copy of the clip at this path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    shutil.copyfile(clip, path)
    os.utime(path, (written_s, written_s))
    return path


def link(clip: Path, path: Path) -> Path:
    """The clip itself under this name: thousands of them take no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(clip, path)
    return path


def frigate_path(root: Path, camera: str, start: datetime) -> Path:
    """As Frigate has it, in UTC."""
    start = start.astimezone(UTC)
    return root / f"{start:%Y-%m-%d}" / f"{start:%H}" / camera / f"{start:%M.%S}.mp4"


def frigate_tree(
    root: Path, clip: Path, *, camera: str, first: datetime, count: int, step_s: float = SEGMENT_S
) -> list[Path]:
    """So many segments, one after the other."""
    return [
        link(clip, frigate_path(root, camera, first + timedelta(seconds=step_s * number)))
        for number in range(count)
    ]
