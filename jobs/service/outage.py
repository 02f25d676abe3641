"""Times in which the database or the disk is away: the service waits, and says so once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.database.connection import StoreError
from jobs.errors import ConfigError, describe

logger = logging.getLogger(__name__)

AWAY = (StoreError, ConfigError, OSError)
"""What an outage looks like. A server that starts again may refuse its users for a while, which at
the start of the program is a fault of the configuration."""


class Outage:
    """Work inside `bridged` may fail because the database or the disk is away. The first failure is
    logged, and the first success after it."""

    def __init__(self, consequence: str, back: str) -> None:
        self._consequence, self._back = consequence, back
        self._since_s: float | None = None

    @contextmanager
    def bridged(self) -> Iterator[None]:
        """Leave the work undone if it cannot be done now; the caller tries it again."""
        try:
            yield
        except AWAY as error:
            if self._since_s is None:
                self._since_s = time.monotonic()
                logger.warning("%s: %s", describe(error), self._consequence)
                logger.debug("away", exc_info=error)
            return
        if self._since_s is not None:
            away_s = time.monotonic() - self._since_s
            self._since_s = None
            logger.info("%s after %.0f s", self._back, away_s)
