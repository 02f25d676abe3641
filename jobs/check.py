"""`culling check`: opens every stream and every model; says what is wrong and how to mend it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from jobs.detectors import configured_detector
from jobs.errors import EXIT_DONE, EXIT_STREAM, describe, exit_code
from jobs.settings import CameraConfig, Config
from models.classes import ClassMap
from streams.base import SourceUnreadableError

logger = logging.getLogger(__name__)

STREAM_TIMEOUT_S = 30.0
"""A camera that has not given a frame by then counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at; `exit_code` is 0 where all is well."""

    camera: str
    part: str
    detail: str
    exit_code: int = EXIT_DONE

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
    first_frame: Callable[[CameraConfig], str] | None = None,
) -> dict[str, Finding]:
    """Each camera's first frame, by name. One that hangs is left behind in its thread."""
    look = first_frame or _first_frame
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
    detail = (
        f"camera {camera.name!r}: no frame from {camera.source_shown} in {timeout_s:g} s: is the "
        "camera on, and can this machine reach it?"
    )
    return Finding(camera=camera.name, part="stream", detail=detail, exit_code=EXIT_STREAM)


def _look(camera: CameraConfig, part: str, look: Callable[[CameraConfig], str]) -> Finding:
    try:
        return Finding(camera=camera.name, part=part, detail=look(camera))
    except Exception as error:  # the boundary: whatever is wrong with one must not hide the others
        logger.debug("camera %s: %s", camera.name, part, exc_info=error)
        return Finding(
            camera=camera.name, part=part, detail=describe(error), exit_code=exit_code(error)
        )


def _first_frame(camera: CameraConfig) -> str:
    from streams.open import open_source

    with open_source(camera.source, camera=camera.name) as source:
        frame = next(source.frames(), None)
        info = source.info
    if frame is None:
        message = f"camera {camera.name!r}: {info.location} holds no frame: give it another source"
        raise SourceUnreadableError(message)
    return f"{info.kind}, {info.width_px}×{info.height_px}, {info.location}"


def _check_student(camera: CameraConfig) -> str:
    names = configured_detector(camera.student, device="cpu").torch_detector().class_names
    return f"{camera.student.weights} ({len(names)} classes)"


def _check_teacher(camera: CameraConfig) -> str:
    names = configured_detector(camera.teacher, device="cpu")().class_names
    ClassMap.from_config(camera.classes).check(names)
    return f"{camera.teacher.weights} ({len(names)} classes)"
