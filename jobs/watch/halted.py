"""Cameras that cannot be watched for now, such as one whose student cannot be opened: why, since
when, and when they are tried again."""

from __future__ import annotations

import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from jobs.errors import describe
from jobs.watch.watching import Condition
from streams.live.backoff import Backoff
from streams.live.outlet import LiveCounts

logger = logging.getLogger(__name__)

HALTED = "halted"
"""The state of such a camera, beside those of `streams.live.health`."""

FIRST_S, LONGEST_S = 5.0, 60.0
"""Pauses between two tries double from the first to the second."""


@dataclass(frozen=True, slots=True)
class Halt:
    """What is wrong with a camera, what is shown of it, and when to try again."""

    error: Exception
    condition: Condition
    again_s: float


class Halts:
    """The cameras that are halted, by name. One stays here until it has been watched again."""

    def __init__(self) -> None:
        self._halts: dict[str, Halt] = {}
        self._pauses: dict[str, Backoff] = {}

    def add(self, name: str, error: Exception) -> Halt:
        """One that has failed, or has failed again. The log says each reason once."""
        reason = " ".join(describe(error).split())
        known = self._halts.get(name)
        if known is None or _plain(known.condition.reason) != _plain(reason):
            logger.warning("camera %s: not watched for now: %s", name, reason)
            logger.debug("camera %s", name, exc_info=error)
        since = datetime.now(UTC) if known is None else known.condition.since
        pause_s = self._pauses.setdefault(name, Backoff(FIRST_S, LONGEST_S)).pause_s()
        condition = Condition(HALTED, since, reason, LiveCounts())
        halt = self._halts[name] = Halt(error, condition, time.monotonic() + pause_s)
        return halt

    def of(self, name: str) -> Halt | None:
        """Why this camera is halted, or is being tried again."""
        return self._halts.get(name)

    def end(self, name: str) -> None:
        """It is watched again."""
        self._halts.pop(name, None)
        self._pauses.pop(name, None)
        logger.info("camera %s: watched again", name)

    def keep_only(self, names: set[str]) -> None:
        """Forget all others."""
        self._halts = {name: halt for name, halt in self._halts.items() if name in names}
        self._pauses = {name: pause for name, pause in self._pauses.items() if name in names}


def _plain(reason: str) -> str:
    """Without its figures: a full disk is as full each time, but for a few MiB."""
    return re.sub(r"\d+", "", reason)
