"""A camera's model versions as JSON and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from culling_pipeline.records import STORED, Accuracy
from jobs.commands.listing import Listing, Name
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


def versions_table(rows: Sequence[dict[str, Any]]) -> Listing:
    """The same as a table."""
    table = Listing(
        "", "version", "parent", "frames", "before → after", "scale", "seconds", "code", ""
    )
    for row in rows:
        ledger = row["ledger_s"]
        table.add_row(
            "*" if row["in_use"] else "",
            Name(row["version"]),
            Name(row["parent"] or "–"),
            str(row["frames"]["count"]) if row["frames"] else "–",
            _accuracy(row["metrics"]),
            "–" if row["scale"] is None else f"{row['scale']:.2f}",
            f"{sum(ledger.values()):,.0f}" if ledger else "–",
            row["code_version"] or "–",
            "damaged" if row["error"] else "pinned" if row["pinned"] else "",
        )
    return table


def _accuracy(metrics: dict[str, Any] | None) -> str:
    if not metrics:
        return "–"
    before, after = (
        Accuracy.model_validate(metrics[at], context=STORED) for at in ("before", "after")
    )
    return f"{before.score.value:.3f} → {after.score.value:.3f}"
