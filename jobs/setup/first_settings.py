"""What `culling quickstart` chooses for a newcomer: a camera's name, settings for a clip, and the
crontab's line."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Container
from pathlib import Path
from typing import Any

from jobs.config.settings import CAMERA_NAME, CameraConfig
from jobs.errors import UsageError
from streams.base import SourceInfo

SHORT_S = 3600.0
"""A recording shorter than this is a clip: at a frame a second there is little to choose from."""
CLIP_FRAMES = 900
"""How many frames are taken from a clip that has as many."""
MOST_FPS = 10.0
"""More frames a second show the same things again."""
CLIP_BUDGET = "4 min"
"""What a clip's night may cost. The default is a share of full training on a whole day."""
CLIP_KEEP_SHARE = 0.25
"""The share of a clip's frames that is kept: the others show nearly the same."""
NIGHTLY_AT = "30 2 * * *"
"""After midnight, and not on the hour, when everything else runs."""


def name_for(source: str, taken: Container[str]) -> str:
    """A camera's name made of its source: the file's or host's, in the letters that names have;
    with a number where another camera has it."""
    bare = re.sub(r"^[a-z0-9+.-]+:(//)?", "", source.strip(), flags=re.IGNORECASE)
    has_host = bare != source.strip()
    bare = re.sub(r"^[^/@]*@", "", bare).split("?")[0].rstrip("/")  # no user, password or token
    last = bare.rsplit("/", 1)[-1]
    stem = last if has_host and last == bare else Path(last).stem
    base = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:24] or "camera"
    name, number = base, 2
    while name in taken:
        name, number = f"{base}-{number}", number + 1
    if not CAMERA_NAME.fullmatch(name):
        message = f"{source}: give the camera a name, --name yard"
        raise UsageError(message)
    return name


def clip_settings(info: SourceInfo, *, is_live: bool, budget: str | None) -> dict[str, Any]:
    """What a clip of minutes needs that a camera's whole day does not; for all else only the budget
    that was asked for, if any."""
    length_s = info.duration_s
    if is_live or not length_s or length_s >= SHORT_S:
        return {} if budget is None else {"culling": {"budget": budget}}
    fps = min(CLIP_FRAMES / length_s, MOST_FPS, info.rate_fps or MOST_FPS)
    frames = max(1, int(fps * length_s))
    keep = max(8, round(CLIP_KEEP_SHARE * frames))
    return {"fps": _round(fps), "culling": {"budget": budget or CLIP_BUDGET, "keep": keep}}


def clip_words(settings: dict[str, Any], info: SourceInfo) -> str:
    """What was chosen, and why, in one line."""
    return (
        f"it is {info.duration_s or 0:,.0f} s long, so the camera gets fps: {settings['fps']:g}, "
        f"keep: {settings['culling']['keep']} and a budget of {settings['culling']['budget']}; a "
        "camera that sees whole days needs none of the three"
    )


def how_it_goes_on(camera: CameraConfig, config: Path, *, live: bool) -> str:
    """How further nights come about, in words."""
    config = config.absolute()
    if live:
        return (
            f"`{shlex.join(['culling', 'run', '--config', str(config)])}` watches the camera and "
            f"runs a night every day at {camera.schedule}."
        )
    return f"The crontab's line for a night every day: {crontab_line(camera.name, config)}"


def crontab_line(name: str, config: Path) -> str:
    """A night every day by cron, which knows neither this folder nor this shell's PATH."""
    program = shutil.which("culling") or os.path.abspath(sys.argv[0])
    parts = [program, "retrain", name, "--config", str(config)]
    return f"{NIGHTLY_AT} {shlex.join(parts)}".replace("%", r"\%")


def _round(value: float) -> float:
    return float(f"{value:.2g}")
