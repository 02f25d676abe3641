"""The student in use on a camera: the version that nights have made, or the one to begin with."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from jobs.cameras.nets import nets_of
from jobs.config.settings import CameraConfig
from models.files import load_meta
from models.registry import ModelRegistry
from models.versions import UNTRAINED_META

START = "start"
"""The version a camera begins with: the configured student, with the camera's classes and size."""


def ensure_incumbent(
    registry: ModelRegistry,
    camera: CameraConfig,
    *,
    size: tuple[int, int],
    device: str,
    on_start: Callable[[str], None] = lambda _: None,
) -> Path:
    """The folder of the student in use. On a camera's first night, or after its classes or its task
    have changed, a student is first fitted to the camera's classes and size."""
    nets, version = nets_of(camera), registry.incumbent(camera.name)
    known = None if version is None else registry.path(camera.name, version)
    if known is not None and not nets.made(load_meta(known)):
        on_start(f"the task is now {camera.task}: {version} has another, so a new student begins")
        known = version = None
    if known is not None:
        if nets.fits(known):
            return known
        on_start(f"the classes are now {', '.join(camera.class_names)}: starting from {version}'s")
    student, untrained = nets.first(size, device=device, known=known)
    name = _free_start(registry.all_versions(camera.name))
    meta = student.meta(
        parent=version or nets.student_weights,
        created_at=datetime.now(UTC).isoformat(),
        settings=camera.fingerprint,
        full_size=list(size),
        scale=1.0,
        **({} if untrained is None else {UNTRAINED_META: untrained}),
    )
    registry.add(camera.name, name, student.model.state_dict(), meta)
    registry.promote(camera.name, name)
    return registry.path(camera.name, name)


def _free_start(taken: list[str]) -> str:
    """A free name for a version that no night has made. Pruning leaves gaps, so versions are not
    counted."""
    number, name = 1, START
    while name in taken:
        number, name = number + 1, f"{START}-{number}"
    return name
