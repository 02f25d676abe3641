"""A camera's model versions as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jobs.cameras.versions import accuracy_words
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
            accuracy_words(row["metrics"]),
            "–" if row["scale"] is None else f"{row['scale']:.2f}",
            f"{sum(ledger.values()):,.0f}" if ledger else "–",
            row["code_version"] or "–",
            "damaged" if row["error"] else "pinned" if row["pinned"] else "",
        )
    return table
