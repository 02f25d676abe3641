"""The benchmark of forgetting: what its table says of the rows."""

from __future__ import annotations

from benchmarks.book import Row
from benchmarks.forgetting import table


def row(arm: str, after: int, of: int, map50: float) -> Row:
    return {"seed": 5, "arm": arm, "after": after, "of": of, "map50": map50}


def test_what_was_lost_on_the_first_day() -> None:
    rows = [row("once", 0, 0, 0.6), row("once", 1, 1, 0.5)]
    rows += [row("alone", 0, 0, 0.6), row("alone", 1, 0, 0.53), row("alone", 1, 1, 0.7)]
    rows += [row("replay", 0, 0, 0.6)]
    found = table(rows)
    assert "after 2 nights" in found
    assert "| once | 1 | 0.55 | 0.6 | 0.6 | +0.0 |" in found
    assert "| alone | 1 | 0.65 | 0.6 | 0.53 | -7.0 |" in found
    assert "| replay | 1 | 0.6 | 0.6 | – | – |" in found, "its second night is not done yet"
