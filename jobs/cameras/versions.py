"""A camera's model versions, and which is in use: shown to a person and changed by one, in a
command or on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from culling_pipeline.records.base import STORED
from culling_pipeline.records.scores import Accuracy
from jobs.errors import UsageError
from models.errors import WeightsError

if TYPE_CHECKING:
    from models.registry import ModelRegistry


SHOWN = (
    "parent",
    "created_at",
    "run_id",
    "frames",
    "settings",
    "scale",
    "metrics",
    "promoted",
    "ledger_s",
    "code_version",
)
"""Keys of a version's meta; None where an older release, or a `start`, does not have them."""


def version_rows(registry: ModelRegistry, camera: str) -> list[dict[str, Any]]:
    """One object per version, the oldest first; `error` names a damaged meta."""
    incumbent, pinned = registry.incumbent(camera), registry.pinned(camera)
    rows = []
    for version in registry.all_versions(camera):
        try:
            meta, error = registry.meta(camera, version), None
        except WeightsError as exc:
            meta, error = {}, str(exc)
        rows.append(
            {
                "version": version,
                "in_use": version == incumbent,
                "pinned": version in pinned,
                **{key: meta.get(key) for key in SHOWN},
                "error": error,
            }
        )
    return sorted(rows, key=lambda row: (row["created_at"] or "", row["version"]))


def accuracy_words(metrics: dict[str, Any] | None) -> str:
    """The figure of the old and of the new student, from a version's meta."""
    if not metrics:
        return "–"
    before, after = (
        Accuracy.model_validate(metrics[at], context=STORED) for at in ("before", "after")
    )
    return f"{before.score.value:.3f} → {after.score.value:.3f}"


@dataclass(frozen=True, slots=True)
class Switch:
    """A version put to work, and the one that was in use before (None: none, or the note of it was
    damaged)."""

    camera: str
    before: str | None
    now: str


def roll_back(registry: ModelRegistry, camera: str, version: str | None = None) -> Switch:
    """Put a version to work: the parent of the one in use, or the one that is named."""
    if version is None:
        before = registry.incumbent(camera)
        version = _parent(registry, camera, before)
        _replace(registry, camera, version, instead_of=before)
        return Switch(camera, before, version)
    require_version(registry, camera, version)
    before = _incumbent_or_none(registry, camera)
    registry.promote(camera, version)
    return Switch(camera, before, version)


def undo(registry: ModelRegistry, switch: Switch) -> Switch:
    """Put back what a switch has replaced, unless a night has put another version to work since."""
    if switch.before is None:
        message = f"camera {switch.camera!r}: no version was in use before: name one"
        raise UsageError(message)
    require_version(registry, switch.camera, switch.before)
    _replace(registry, switch.camera, switch.before, instead_of=switch.now)
    return Switch(switch.camera, switch.now, switch.before)


def set_pin(registry: ModelRegistry, camera: str, version: str, *, pinned: bool) -> None:
    """Keep a version for ever, or let it be removed when it is old."""
    require_version(registry, camera, version)
    (registry.pin if pinned else registry.unpin)(camera, version)


def require_version(registry: ModelRegistry, camera: str, version: str) -> None:
    """Raise `UsageError` if the camera has no such version."""
    versions = registry.all_versions(camera)
    if version not in versions:
        known = ", ".join(versions) or "none"
        message = f"camera {camera!r} has no version {version!r}; there are: {known}"
        raise UsageError(message)


def _replace(registry: ModelRegistry, camera: str, version: str, *, instead_of: str | None) -> None:
    if not registry.promote(camera, version, instead_of=instead_of):
        message = f"camera {camera!r}: a night put another model to work just now: look again"
        raise UsageError(message)


def _incumbent_or_none(registry: ModelRegistry, camera: str) -> str | None:
    """A damaged pointer must not prevent its repair."""
    try:
        return registry.incumbent(camera)
    except WeightsError:
        return None


def _parent(registry: ModelRegistry, camera: str, incumbent: str | None) -> str:
    versions = registry.all_versions(camera)
    if incumbent is None:
        message = f"camera {camera!r} has no model in use yet: run `culling retrain {camera}`"
        raise UsageError(message)
    parent = registry.parent(camera, incumbent)
    if parent in versions:
        assert parent is not None
        return parent
    message = (
        f"camera {camera!r}: {incumbent} has no parent to go back to; name one of: "
        f"{', '.join(versions)}"
    )
    raise UsageError(message)
