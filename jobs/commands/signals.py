"""What SIGTERM and SIGHUP do to a command."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


class TerminatedError(KeyboardInterrupt):
    """SIGTERM or SIGHUP: like Ctrl-C, but from the program or terminal that looks after this
    process."""


def on_sigterm(work: Callable[[], None]) -> None:
    """From now on, SIGTERM calls `work` at any point of the program; child processes just end. So
    does SIGHUP, unless `nohup` has it ignored: the terminal is gone, and the work is left in
    order."""
    own_pid = os.getpid()

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() != own_pid:
            os._exit(128 + number)
        work()

    signal.signal(signal.SIGTERM, handle)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, handle)


def terminate() -> None:
    """End as by Ctrl-C, so that a night is noted as interrupted."""
    raise TerminatedError
