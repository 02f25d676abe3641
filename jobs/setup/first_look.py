"""A camera that somebody wants to add, seen before it is added: its picture, and what its teacher
finds in it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from jobs.config.settings import CameraConfig
from jobs.setup.add import Request, look_at, plan_camera
from jobs.setup.probing import advice, figures
from streams.base import redact_url

if TYPE_CHECKING:
    from models.boxes.detections import Detections

SURE = 0.5
"""Boxes of at least this score are shown."""
PASSWORDS = "passwords"
"""Where in `data_dir` a camera's password lies if a page has added the camera."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What there is to see. `found` counts the teacher's boxes by its own class names, `known` are
    all of them (none where the teacher is not there yet, `why_not` says why)."""

    request: Request
    source: str
    figures: dict[str, str]
    advice: tuple[str, ...]
    jpeg: bytes
    found: dict[str, int]
    known: tuple[str, ...]
    why_not: str


def first_look(request: Request, *, device: str = "cpu") -> FirstLook:
    """Open the camera and ask its teacher; nothing is written."""
    from culling_pipeline.day.frame_files import as_jpeg
    from streams.mask import covered

    planned = plan_camera(request)
    probe, camera = look_at(planned, request), planned.camera
    image = probe.image.copy()
    image[covered(camera.mask, *image.shape[:2])] = 0
    why_not, known = _not_there(camera), tuple[str, ...]()
    found: dict[str, int] = {}
    if not why_not:
        image, found, known = _asked(camera, image, device)
    return FirstLook(
        request=request,
        source=redact_url(planned.source),
        figures=figures(probe),
        advice=tuple(advice(camera, probe)),
        jpeg=as_jpeg(image),
        found=found,
        known=known,
        why_not=why_not,
    )


def password_file(request: Request) -> Path | None:
    """Where the address's password is to be kept; None if it has none."""
    planned = plan_camera(request)
    if not planned.taken.variables:
        return None
    return planned.config.data_dir / PASSWORDS / request.name


def _not_there(camera: CameraConfig) -> str:
    """Why the teacher cannot be asked yet; empty if it can. A page downloads nothing: that takes
    minutes."""
    from jobs.cameras.detectors import weights_path  # brings torch
    from jobs.cameras.nets import nets_of

    nets = nets_of(camera)
    if not nets.has_detector:
        return f"what {nets.teacher} finds is shown by `culling check`"
    weights = nets.teacher_weights
    if weights_path(weights).exists():
        return ""
    entry = camera.teacher.published
    what = weights if entry is None else entry.described()
    return f"the teacher, {what}, is not on this machine yet: `culling check --download` fetches it"


def _asked(
    camera: CameraConfig, image: NDArray[np.uint8], device: str
) -> tuple[NDArray[np.uint8], dict[str, int], tuple[str, ...]]:
    """The picture with the teacher's boxes, how many of each of its classes, and all of them."""
    from culling_pipeline.tasks.boxes.drawing import painted
    from jobs.cameras.nets import nets_of

    teacher = nets_of(camera).open_teacher((image.shape[0], image.shape[1]), device=device)()
    (said,) = teacher.predict([image])
    sure: Detections = said.above(SURE)
    names = tuple(teacher.class_names)
    counts = Counter(names[label] for label in sure.labels)
    return painted(image, sure, names), dict(counts.most_common()), names
