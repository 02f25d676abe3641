"""Which days of a folder's pictures are taken."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from typing import Literal

ALLOWED = (
    "last, all, a day such as 2026-01-31, or the first and the last of them, 2026-01-30..2026-02-05"
)


@dataclass(frozen=True, slots=True)
class Days:
    """`all`; `last`, the last day that is over; or those from `first` to `last_day`."""

    which: Literal["all", "last", "range"] = "all"
    first: date = date.min
    last_day: date = date.max

    def chosen(self, there: Collection[date], today: date) -> set[date]:
        """Which of the days that there are pictures of are taken. If only today has some, `last`
        is today."""
        if self.which != "last":
            return {day for day in there if self.first <= day <= self.last_day}
        over = [day for day in there if day < today]
        return {max(over or there)} if there else set()

    def __str__(self) -> str:
        if self.which != "range":
            return self.which
        if self.first == self.last_day:
            return self.first.isoformat()
        return f"{self.first.isoformat()}..{self.last_day.isoformat()}"


def parse_days(text: str) -> Days:
    """Raises `ValueError`, whose text says what is allowed."""
    if text in ("all", "last"):
        return Days("all" if text == "all" else "last")
    first, dots, last = text.partition("..")
    try:
        days = date.fromisoformat(first.strip()), date.fromisoformat((last or first).strip())
    except ValueError:
        days = None
    if days is None or (dots and not last):
        message = f"must be {ALLOWED}"
        raise ValueError(message)
    if days[1] < days[0]:
        message = f"must not end ({days[1]}) before it begins ({days[0]})"
        raise ValueError(message)
    return Days("range", *days)
