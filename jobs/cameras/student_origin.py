"""Where a camera's student comes from: bootstrapped, trained on COCO, on synthetic streets, or not
trained at all."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from culling_pipeline.report.words import count
from jobs.cameras.detectors import weights_path, why_untrained
from jobs.config.settings import CameraConfig
from jobs.config.weights import PTH_SUFFIXES, StudentSettings
from models.files import load_meta
from models.registry import ModelRegistry
from models.versions import ORIGIN_META, PARENT

BOOTSTRAP, COCO = "bootstrap", "coco"
"""How a version was made, as its meta says under `ORIGIN_META`."""
OWN = "of your own making: the file does not say what it was trained on"
_OF_WHAT = {
    BOOTSTRAP: "bootstrapped: taught by the teacher on frames of your cameras",
    COCO: "trained on COCO by `culling pretrain`",
}


def origin_in_words(registry: ModelRegistry, camera: CameraConfig) -> str:
    """Where the student in use comes from, or the configured one if none is in use yet."""
    version = registry.incumbent(camera.name)
    if version is None:
        return _of_weights(camera.student)
    untrained = registry.untrained(camera.name, version)
    if untrained is not None:
        return f"{version} is in use, {_untrained(untrained)}"
    first, nights = version, 0
    while (parent := registry.parent(camera.name, first)) is not None:
        if registry.meta(camera.name, first).get(ORIGIN_META) is not None:
            break
        if parent not in registry.all_versions(camera.name):
            return f"{version} is in use, after at least {count(nights + 1, 'night')}"
        first, nights = parent, nights + 1
    meta = registry.meta(camera.name, first)
    root = _OF_WHAT.get(str(meta.get(ORIGIN_META))) or _of_parent(camera, meta.get(PARENT))
    after = f", then {count(nights, 'night')} on this camera" if nights else ""
    return f"{version} is in use, {root}{after}"


def _of_parent(camera: CameraConfig, parent: object) -> str:
    """Of a version that was made of configured weights."""
    try:
        return _of_weights(camera.student.changed(weights=str(parent)))
    except ValidationError:  # weights that these settings no longer fit
        return OWN


def _of_weights(settings: StudentSettings) -> str:
    reason = settings.untrained
    if reason is None and not settings.weights.startswith("builtin:"):
        reason = _said_untrained(settings)
    if reason is not None:
        return _untrained(reason)
    if settings.published is not None:
        return f"trained on COCO by others ({settings.published.box_ap:g} box AP, as published)"
    if settings.weights.startswith("builtin:"):
        return "trained on synthetic streets only"
    if settings.suffix in PTH_SUFFIXES or not Path(settings.weights).exists():
        return OWN
    said = str(load_meta(weights_path(settings.weights)).get(ORIGIN_META))
    return _OF_WHAT.get(said, OWN)


def _said_untrained(settings: StudentSettings) -> str | None:
    return why_untrained(settings) if Path(settings.weights).exists() else None


def _untrained(reason: str) -> str:
    return (
        f"untrained: {reason}; nights take frames evenly in time until one has made a better "
        "student, `culling bootstrap` makes a first one"
    )
