"""A camera's model versions as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from culling_pipeline.records import Accuracy
from jobs.commands.listing import Listing, Name


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
    before, after = (Accuracy.model_validate(metrics[at]) for at in ("before", "after"))
    return f"{before.score.value:.3f} → {after.score.value:.3f}"
