"""`culling detect`: runs a camera's student on a recording, a folder of images or any other
source."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.run.progress import Progress
from jobs.bucket.sharing import open_registry
from jobs.cameras.detectors import pick_device
from jobs.cameras.nets import require_task
from jobs.cameras.sources import open_camera, picture_options
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig, Config
from jobs.errors import UsageError
from jobs.exports.export import version_to_use
from jobs.exports.video import VideoWriter
from streams.base import Frame, FrameSource, SourceUnreadableError
from streams.recorded.days import Days
from streams.sampler import Sampler

VIDEO_SUFFIX = ".mp4"
SHOWN_S = 0.2
"""How long each picture is shown in a video of a source that has them more seldom than one a
second, such as a folder of some weeks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the command was asked for. `every_s`: 0 takes every frame, None samples as the camera
    does; `frames` is the most that are taken."""

    output: Path | None = None
    on_line: Callable[[dict[str, Any]], None] | None = None
    on_picture: Callable[[NDArray[np.uint8]], None] | None = None
    """Is given each frame with what was found drawn on it (H×W×3 uint8 RGB)."""
    every_s: float | None = None
    frames: int | None = None
    version: str | None = None
    force: bool = False


def detect(config: Config, name: str, source: str, wanted: Wanted, *, progress: Progress) -> int:
    """Draw what the camera's student finds in `source`, report it frame by frame, or both; returns
    the number of frames. Mask, ignore zones and score threshold are the camera's."""
    camera = config.cameras[name]
    _check_output(wanted.output, force=wanted.force)
    registry = open_registry(config, [name])
    version = version_to_use(registry, name, wanted.version)
    task, path = task_of(camera), registry.path(name, version)
    require_task(camera, version, path)
    looking = task.student_opener(path, device=pick_device(config.device))()
    every_s = camera.sample_interval_s if wanted.every_s is None else wanted.every_s
    done = 0
    with ExitStack() as stack:
        opened = stack.enter_context(_open(camera, source))
        video = None
        if wanted.output is not None:
            video = stack.enter_context(VideoWriter(wanted.output))
        total = _expected(opened, every_s, wanted.frames)
        advance = stack.enter_context(progress.stage(f"{version} on {opened.info.location}", total))
        for frame in _frames(opened, every_s, wanted.frames):
            found = task.at_threshold(looking.predict([frame.image])[0])
            if video is not None or wanted.on_picture is not None:
                shown = task.painted(frame.image, found, looking.class_names)
            if video is not None:
                video.add(shown, done * SHOWN_S if _is_slow(opened) else frame.time_s)
            if wanted.on_picture is not None:
                wanted.on_picture(shown)
            if wanted.on_line is not None:
                wanted.on_line(as_line(frame, task.said(found, looking.class_names)))
            done += 1
            advance(1)
        if not done:
            message = f"camera {name!r}: {opened.info.location}: no frame came from it"
            raise SourceUnreadableError(message)
    return done


def as_line(frame: Frame, said: dict[str, Any]) -> dict[str, Any]:
    """One frame as JSON: its times, its size, and what the student says: boxes in pixels, best
    first, or a count."""
    return {
        "time_s": round(frame.time_s, 3),
        "wall_time": frame.wall_time.isoformat(),
        "width_px": frame.image.shape[1],
        "height_px": frame.image.shape[0],
        **said,
    }


def _check_output(output: Path | None, *, force: bool) -> None:
    if output is None:
        return
    if output.suffix != VIDEO_SUFFIX:
        message = f"--output {output}: must end in {VIDEO_SUFFIX}"
        raise UsageError(message)
    if not output.parent.is_dir():
        message = f"--output {output}: there is no folder {output.parent}: make it first"
        raise UsageError(message)
    if output.exists() and not force:
        message = f"{output}: exists already: --force replaces it, --output names another"
        raise UsageError(message)


def _open(camera: CameraConfig, source: str) -> FrameSource:
    """The source with the camera's mask blackened."""
    live = camera.live.to_options(must_answer=True)
    pictures = replace(picture_options(camera), days=Days())  # it may be another folder
    return open_camera(camera.changed(source=source), live=live, pictures=pictures)


def _is_slow(source: FrameSource) -> bool:
    rate_fps = source.info.rate_fps
    return source.info.duration_s is not None and rate_fps is not None and rate_fps < 1


def _frames(source: FrameSource, every_s: float, most: int | None) -> Iterator[Frame]:
    for number, frame in enumerate(source.frames(Sampler(every_s) if every_s else None), start=1):
        yield frame
        if number == most:
            return


def _expected(source: FrameSource, every_s: float, most: int | None) -> int | None:
    """How many frames will come, if the source knows."""
    info, count = source.info, source.expected(every_s) if every_s else None
    if info.duration_s is not None and info.rate_fps:
        pictures = max(1, round(info.duration_s * info.rate_fps))
        count = pictures if count is None else min(count, pictures)
    known = [number for number in (count, most) if number is not None]
    return min(known) if known else None
