"""What a process inherits, made the same for every run of the tests: from a terminal, a script's
background, cron or CI, under any user, zone and language.

Processes that tests start inherit it in turn. A test of one of these things sets it itself.
"""

from __future__ import annotations

import os
import signal
import time

OURS = ("CULLING_NEEDS_", "CULLING_SHARED_DATA", "CULLING_KILLS")
"""What the tests themselves are told by; all else that the program reads is dropped."""

DROPPED = (
    *("CULLING_", "XDG_", "AWS_", "PG", "RAY_"),
    *("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "CLICOLOR", "PY_COLORS", "TTY_"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "FTP_PROXY"),
    *("LC_", "LANGUAGE", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONWARNINGS"),
    *("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_"),
)
"""Variables that begin so (in either case) would change what the program or a library does."""

GIVEN = {"LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb"}
USUAL_SIGNALS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)


def settle() -> None:
    """Bring this process into the defined state; before anything reads the environment."""
    for name in [name for name in os.environ if _is_dropped(name.upper())]:
        del os.environ[name]
    os.environ.update(GIVEN)
    time.tzset()
    os.umask(0o022)
    _restore_signals()


def _is_dropped(name: str) -> bool:
    return name.startswith(DROPPED) and not name.startswith(OURS)


def _restore_signals() -> None:
    """A shell starts a script's background jobs with SIGINT ignored, `nohup` with SIGHUP; both
    are inherited, by Python and by every process it starts."""
    for number in USUAL_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            usual = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
            signal.signal(number, usual)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, USUAL_SIGNALS)
