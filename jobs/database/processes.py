"""Which process works on a row, on this machine or another, and whether it still lives."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

LEASE = timedelta(minutes=5)
"""A process of another machine counts as dead if it has not renewed its lease for this time."""
RENEW_S = 60.0


def this_process() -> dict[str, Any]:
    """How the store names this process."""
    pid = os.getpid()
    return {"pid": pid, "process": process_token(pid), "host": socket.gethostname()}


def holds(row: Any) -> bool:
    """Whether the row names this process."""
    return {"pid": row.pid, "process": row.process, "host": row.host} == this_process()


def held(table: sa.Table) -> sa.ColumnElement[bool]:
    """The rows that name this process."""
    return sa.and_(*(table.c[name] == value for name, value in this_process().items()))


def is_at_work(row: Any, now: datetime) -> bool:
    """Whether the process that the row names may still work: on this machine, if it lives; on
    another, while its lease runs (`now` is UTC without its zone)."""
    if row.host == socket.gethostname():
        return row.pid is not None and _lives(row.pid, row.process)
    return row.lease_until is not None and bool(now < row.lease_until)


def process_token(pid: int) -> str:
    """Boot id and start time of a process (Linux), else an empty string."""
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return f"{boot_id}:{status.rpartition(')')[2].split()[19]}"


def _lives(pid: int, process: str) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, under another user
    now = process_token(pid)
    return not process or not now or now == process
