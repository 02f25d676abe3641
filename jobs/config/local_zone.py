"""Time zones by their names, and this machine's, however it is told."""

from __future__ import annotations

import io
import logging
import os
import struct
from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from tzlocal import get_localzone

logger = logging.getLogger(__name__)


def time_zone(name: str | None) -> tzinfo:
    """A time zone by its name, such as Europe/Berlin, or this machine's. Raises `ValueError`."""
    if name is None:
        return local_zone()
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        message = "must be a time zone such as Europe/Berlin or UTC"
    raise ValueError(message)


def local_zone() -> tzinfo:
    """The zone of TZ or of the system. TZ may also be a rule, such as UTC0 or
    CET-1CEST,M3.5.0,M10.5.0/3; of what is neither, the C library makes the offset."""
    try:
        return get_localzone()
    except (OSError, ValueError, KeyError):
        rule = os.environ.get("TZ", "").removeprefix(":")
    try:
        return zone_of_rule(rule)
    except (OSError, ValueError, KeyError, struct.error):
        offset = datetime.now().astimezone().tzinfo
    logger.warning("TZ is no time zone: the times of schedules are in %s", offset)
    assert offset is not None
    return offset


def zone_of_rule(rule: str) -> tzinfo:
    """The zone of a POSIX rule, by way of a zone file that holds nothing else (RFC 9636).
    Raises `ValueError`."""
    if not rule or "\n" in rule:
        message = "no rule"
        raise ValueError(message)
    counts = struct.pack(">6l", 0, 0, 0, 0, 1, 4)
    block = b"TZif2" + bytes(15) + counts + struct.pack(">lBB", 0, 0, 0) + b"UTC\0"
    data = block + block + b"\n" + rule.encode("ascii") + b"\n"
    return ZoneInfo.from_file(io.BytesIO(data), key=rule)
