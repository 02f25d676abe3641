"""The start of a process, which no signal is to break into."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from multiprocessing import resource_tracker
from types import FrameType


@contextlib.contextmanager
def undisturbed_start() -> Iterator[None]:
    """A process that starts in here keeps Ctrl-C and SIGHUP masked, and its own workers too: a
    terminal sends them to all of them, but it is for their parent to end them.

    The parent's own signals wait until it has started: the mask does not hold them up,
    for another thread may take them, and a child whose parent breaks off in the middle of telling
    it what to do ends with a traceback.
    """
    resource_tracker.ensure_running()  # its start would lift the mask
    came: list[tuple[int, FrameType | None]] = []
    # A signal that is ignored stays so: a shell starts a script's background jobs with SIGINT
    # ignored, so that Ctrl-C ends the script's foreground only. SIGTERM ends such a job.
    in_main = threading.current_thread() is threading.main_thread()  # no other is interrupted
    handlers = {
        number: handler
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if in_main and callable(handler := signal.getsignal(number))
    }
    for handled in handlers:
        signal.signal(handled, lambda *arguments: came.append(arguments))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for handled, handler in handlers.items():
            signal.signal(handled, handler)
        for number, frame in came:
            handlers[signal.Signals(number)](number, frame)
