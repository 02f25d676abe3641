"""What a command does where its output ends: a terminal that knows no UTF-8, a pipe that closes."""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO

PLAIN = {"…": "...", "→": "->", "·": ".", "×": "x", "█": "#", "≥": ">=", "≤": "<=", "≈": "~"} | {
    **dict.fromkeys("–—−‐", "-"),
    **dict.fromkeys("“”„″", '"'),
    **dict.fromkeys("‘’′", "'"),
    "±": "+-",
}
"""What stands for a sign that the terminal does not know; others are written as \\u…."""

_HANDLER = "culling_plain"


def write_what_can_be_shown() -> None:
    """From now on, no sign makes an output fail: a finished night must not end with an error
    because the terminal cannot show its summary."""
    codecs.register_error(_HANDLER, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def _plain(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    encoding = error.encoding if error.encoding != "charmap" else "ascii"
    shown = "".join(PLAIN.get(sign) or _as_escape(sign, encoding) for sign in signs)
    return shown, error.end


def _as_escape(sign: str, encoding: str) -> str:
    return sign.encode(encoding, "backslashreplace").decode("ascii", "replace")


def is_closed_pipe(error: BaseException | None) -> bool:
    """Whether the reader of our output has gone."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE


def write_to_nobody() -> None:
    """What is still to be written goes nowhere, so that the interpreter's end does not fail."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None and not _takes(stream):
                os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _takes(stream: TextIO) -> bool:
    try:
        stream.flush()
    except (OSError, ValueError):
        return False
    return True
