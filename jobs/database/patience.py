"""A night that loses its database waits for it: hours of work are not lost in a restart."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from jobs.database.connection import AwayError
from jobs.database.processes import LEASE
from jobs.errors import describe

logger = logging.getLogger(__name__)

PATIENCE_S = LEASE.total_seconds()
"""After this, another machine may take the night up."""
PAUSE_S = 2.0

_Result = TypeVar("_Result")


def patiently(work: Callable[[], _Result]) -> _Result:
    """Do the work. While the database is away, wait and try again: the work must do no harm if it
    is done twice, for the answer to the first try may be what was lost."""
    try:
        return work()
    except AwayError as error:
        logger.warning("%s: the night waits for it, up to %.0f s", describe(error), PATIENCE_S)
    began_s = time.monotonic()
    while True:
        waited_s = time.monotonic() - began_s
        try:
            result = work()
        except AwayError:
            if waited_s >= PATIENCE_S:
                raise
            time.sleep(PAUSE_S)
        else:
            logger.warning("the database is back after %.0f s: the night goes on", waited_s)
            return result
