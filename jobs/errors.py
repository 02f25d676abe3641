"""Which error ends `culling` with which exit code, and the one line that describes it."""

from __future__ import annotations

import errno
import shutil
from functools import cache
from pathlib import Path

from streams.secret_places import redact_text

EXIT_DONE = 0
EXIT_USAGE = 2
EXIT_STREAM = 3
EXIT_MODEL = 4
EXIT_NIGHT = 5
EXIT_INTERRUPTED = 130
EXIT_CLOSED = 141
"""As a shell says of programs that SIGPIPE ended."""

OUR_PACKAGES = ("streams", "models", "culling_pipeline", "jobs")

NIGHT_NEEDS_BYTES = 2 * 1024**3
"""Free space that one camera's night (frames, labels, two models) surely fits in."""


class ConfigError(Exception):
    """The configuration cannot be used; the message lists every problem, one a line."""


class UsageError(Exception):
    """A command was asked for something that does not exist, such as an unknown camera."""


class NightError(Exception):
    """A night failed; the old model stays in use."""


@cache
def exit_codes() -> dict[type[BaseException], int]:
    """The most specific class that matches decides; `Exception` is what nobody expected."""
    # Only a failing command loads these, and numpy with them.
    from culling_pipeline.errors import CullingError
    from culling_pipeline.tasks.boxes.coco_files import DatasetError
    from models.errors import ModelError
    from streams.base import StreamError

    return {
        ConfigError: EXIT_USAGE,
        UsageError: EXIT_USAGE,
        DatasetError: EXIT_USAGE,
        StreamError: EXIT_STREAM,
        ModelError: EXIT_MODEL,
        NightError: EXIT_NIGHT,
        CullingError: EXIT_NIGHT,
        OSError: EXIT_NIGHT,
        KeyboardInterrupt: EXIT_INTERRUPTED,
        Exception: EXIT_NIGHT,
    }


def exit_code(error: BaseException) -> int:
    """The exit code for an error, by the nearest of its base classes in `exit_codes`.

    A full disk always gives the exit code of a failed night, whatever part raised it.
    """
    if disk_full_cause(error) is not None:
        return EXIT_NIGHT
    codes = exit_codes()
    return next((codes[base] for base in type(error).__mro__ if base in codes), 1)


def describe(error: BaseException, *, data_dir: Path | None = None) -> str:
    """The message for the operator: what happened and, if it is not said yet, what to do.

    Passwords in addresses are cut out of every message.
    """
    full = disk_full_cause(error)
    if full is not None:
        return redact(_describe_full_disk(full, data_dir))
    if isinstance(error, KeyboardInterrupt):
        return "interrupted: run the same command again to go on where it stopped"
    text = str(error)
    if not is_expected(error):
        text = f"unexpected {type(error).__name__}: {text} (--debug shows where)"
    return redact(text)


def disk_full_cause(error: BaseException) -> OSError | None:
    """The `OSError` in this error's chain of causes that says the disk (or quota) is full."""
    return disk_cause(error, errno.ENOSPC, errno.EDQUOT)


def disk_cause(error: BaseException, *numbers: int) -> OSError | None:
    """The `OSError` in this error's chain of causes that has one of these numbers."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in numbers:
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def redact(text: str) -> str:
    """The text without the user name and password of any address in it, and without any secret
    that this process knows."""
    return redact_text(text)


def is_expected(error: BaseException) -> bool:
    """Whether we wrote the message for people; for other errors the class is named too."""
    ours = type(error).__module__.partition(".")[0] in OUR_PACKAGES
    return ours or isinstance(error, OSError)


def _describe_full_disk(error: OSError, data_dir: Path | None) -> str:
    where = Path(error.filename) if isinstance(error.filename, str) else data_dir
    if where is None:
        where = Path.cwd()
    free_mib = _free_bytes(where) // 1024**2
    return (
        f"the disk is full at {where} ({free_mib} MiB free; a camera's night needs about "
        f"{NIGHT_NEEDS_BYTES // 1024**2} MiB): free some space or set data_dir to a larger disk, "
        "then run the same command again; it goes on where it stopped"
    )


def _free_bytes(path: Path) -> int:
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free
