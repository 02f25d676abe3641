"""A night on a machine of its own: what it shares with others is nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobs.database.store import NightJournal

if TYPE_CHECKING:
    from culling_pipeline.night.inputs import Journal
    from culling_pipeline.records.night import AnyNight


class NightSharing:
    """What a night shares: nothing."""

    def __init__(self, journal: NightJournal) -> None:
        self.journal: Journal = journal

    def begin(self) -> None:
        """Bring what it needs."""

    def publish(self, record: AnyNight) -> None:
        """Send what is to stay of it."""

    def over(self, record: AnyNight) -> None:
        """Remove what is not."""
