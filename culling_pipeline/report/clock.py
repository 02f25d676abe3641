"""The clock by which people are told times: that of a camera, with the name of its zone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Self


@dataclass(frozen=True, slots=True)
class Clock:
    """A time zone and its name. A moment without a zone is one of UTC."""

    zone: tzinfo = UTC
    name: str = "UTC"

    @classmethod
    def of(cls, zone: tzinfo) -> Self:
        """The clock of this zone, named as the zone is."""
        return cls(zone, str(zone))

    def local(self, moment: datetime) -> datetime:
        """The moment by this clock."""
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
        return aware.astimezone(self.zone)

    def time(self, moment: datetime) -> str:
        """The time of day to the second, without the zone."""
        return f"{self.local(moment):%H:%M:%S}"

    def hour(self, moment: datetime) -> int:
        """The hour of the day, 0 to 23."""
        return self.local(moment).hour

    def stamp(self, moment: datetime, *, seconds: bool = False) -> str:
        """Day and time to the minute or second, and the zone's name."""
        time = "%H:%M:%S" if seconds else "%H:%M"
        return f"{self.local(moment):%Y-%m-%d {time}} {self.name}"

    def marks(
        self, span: tuple[float, float], ticks: Callable[[float, float], Sequence[float]]
    ) -> list[tuple[float, str]]:
        """Marks of an axis of seconds since 1970 and their times, at moments that are round by this
        clock; `ticks` says which are round."""
        offset = self.local(datetime.fromtimestamp(span[0], UTC)).utcoffset()
        ahead = 0.0 if offset is None else offset.total_seconds()
        at = [tick - ahead for tick in ticks(span[0] + ahead, span[1] + ahead)]
        return [(tick, f"{self.local(datetime.fromtimestamp(tick, UTC)):%H:%M}") for tick in at]


UTC_CLOCK = Clock()
