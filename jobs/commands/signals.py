"""What SIGTERM does to a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


class TerminatedError(KeyboardInterrupt):
    """SIGTERM: like Ctrl-C, but from the program that looks after this process."""


def on_sigterm(work: Callable[[], None]) -> None:
    """From now on, SIGTERM calls `work` at any point of the program; child processes just end."""
    own_pid = os.getpid()

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() != own_pid:
            os._exit(128 + number)
        work()

    signal.signal(signal.SIGTERM, handle)


def terminate() -> None:
    """End as by Ctrl-C, so that a night is noted as interrupted."""
    raise TerminatedError
