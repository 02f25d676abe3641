"""`culling check`: opens every stream and every model; says what is wrong and how to mend it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

from jobs.config.settings import CameraConfig, Config
from jobs.config.weights import StudentSettings, TeacherSettings
from jobs.errors import EXIT_DONE, EXIT_STREAM, describe, exit_code, redact
from jobs.nights.detectors import configured_detector, weights_in_words
from jobs.setup.probing import (
    WATCHED_SHARE,
    advice,
    found_in_words,
    found_to_dict,
    probe_camera,
    too_late,
)
from models.classes import ClassMap

if TYPE_CHECKING:
    from streams.probe import Probe

logger = logging.getLogger(__name__)

STREAM_TIMEOUT_S = 30.0
"""A camera that has not given a frame by then counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `exit_code` is 0 where all is well, `found` what a stream is
    (`jobs.setup.probing.found_to_dict`)."""

    camera: str
    part: str
    detail: str
    exit_code: int = EXIT_DONE
    found: dict[str, object] | None = None

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def check_config(config: Config, *, timeout_s: float = STREAM_TIMEOUT_S) -> list[Finding]:
    """Look at every camera's stream (all at once) and then at its models, one by one."""
    streams = check_streams(list(config.cameras.values()), timeout_s=timeout_s)
    findings = []
    for camera in config.cameras.values():
        findings.append(streams[camera.name])
        findings.append(_look(camera, "student", _check_student))
        findings.append(_look(camera, "teacher", _check_teacher))
    return findings


def worst_exit_code(findings: Sequence[Finding]) -> int:
    """0 if all is well, else the highest."""
    return max((finding.exit_code for finding in findings), default=EXIT_DONE)


def check_streams(
    cameras: Sequence[CameraConfig],
    *,
    timeout_s: float,
    look: Callable[[CameraConfig], Probe | str] | None = None,
) -> dict[str, Finding]:
    """What each camera's stream is, by name. One that hangs is left behind in its thread."""
    look = look or partial(probe_camera, watched_s=timeout_s / WATCHED_SHARE)
    results: queue.Queue[Finding] = queue.Queue()
    for camera in cameras:
        threading.Thread(
            target=lambda camera=camera: results.put(_look(camera, "stream", look)), daemon=True
        ).start()
    deadline_s = time.monotonic() + timeout_s
    found: dict[str, Finding] = {}
    while len(found) < len(cameras):
        try:
            finding = results.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        found[finding.camera] = finding
    for camera in cameras:
        if camera.name not in found:
            found[camera.name] = _too_late(camera, timeout_s)
    return found


def _too_late(camera: CameraConfig, timeout_s: float) -> Finding:
    detail = too_late(camera, timeout_s)
    return Finding(camera=camera.name, part="stream", detail=detail, exit_code=EXIT_STREAM)


def _look(camera: CameraConfig, part: str, look: Callable[[CameraConfig], Probe | str]) -> Finding:
    try:
        seen = look(camera)
    except Exception as error:  # the boundary: whatever is wrong with one must not hide the others
        logger.debug("camera %s: %s", camera.name, part, exc_info=error)
        detail = "; ".join([describe(error), *(advice(camera, None) if part == "stream" else ())])
        return Finding(camera=camera.name, part=part, detail=detail, exit_code=exit_code(error))
    if isinstance(seen, str):
        return Finding(camera=camera.name, part=part, detail=seen)
    words = f"{found_in_words(seen)}, {redact(seen.info.location)}"
    detail = "; ".join([words, *advice(camera, seen)])
    return Finding(camera=camera.name, part=part, detail=detail, found=found_to_dict(seen))


def _check_student(camera: CameraConfig) -> str:
    return f"{weights_in_words(camera.student)} ({len(_names(camera.student))} classes)"


def _check_teacher(camera: CameraConfig) -> str:
    names = _names(camera.teacher)
    ClassMap.from_config(camera.classes).check(names)
    return f"{weights_in_words(camera.teacher)} ({len(names)} classes)"


def _names(settings: StudentSettings | TeacherSettings) -> Sequence[str]:
    """The detector's classes: it is opened, but for what would have to be downloaded first."""
    opener = configured_detector(settings, device="cpu")
    entry = opener.published
    if entry is not None and not opener.path.is_file():
        return entry.class_names
    is_student = isinstance(settings, StudentSettings)
    return (opener.torch_detector() if is_student else opener()).class_names
