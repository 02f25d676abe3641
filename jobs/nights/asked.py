"""A night that a person asks for: it waits in the queue of `culling run`, like one of the
schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from jobs.bucket.courier import give_away
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import UsageError

BY_HAND = "by hand"
"""The reason of such a night."""

Answer = Literal["asked", "waits", "runs"]


def ask_for_night(config: Config, camera: str, store: Store, *, now: datetime) -> Answer:
    """Ask for a night of this camera now. One that waits already, or runs, is not asked for
    again; one that waits for its next try is asked for anew."""
    if camera not in config.cameras:
        message = f"there is no camera {camera!r}"
        raise UsageError(message)
    dues = store.dues
    if dues.all(camera, state="running"):
        return "runs"
    if any(due.not_before <= now for due in dues.all(camera, state="queued")):
        return "waits"
    give_away(config, camera)
    return "asked" if dues.ask(camera, now, reason=BY_HAND) else "waits"
