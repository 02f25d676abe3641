"""Why a camera cannot be reached, in plain words and without its address.

PyAV puts the whole URL, with its password, into every exception's text, and an exception raised
while another is handled keeps that one as its `__context__`. So calls into PyAV, urllib and yt-dlp
go through `guarded`, which reads what was raised, drops it, and raises its own.
"""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Callable
from http.client import HTTPException
from typing import TypeVar
from urllib.error import HTTPError, URLError

import av

from streams.base import ConnectionFailedError

T = TypeVar("T")

REFUSED = "refused"
NO_HOST = "no such host"
UNREACHABLE = "unreachable"
TIMED_OUT = "timed out"
WRONG_PASSWORD = "wrong password"
FORBIDDEN = "forbidden"
NOT_FOUND = "not found"
SERVER_ERROR = "server error"
NOT_VIDEO = "not a video"
ENDED = "ended"
BROKEN = "broken off"
NO_DEVICE = "no such device"
NO_STREAM = "no stream on this page"
NOT_WEB = "not a web address"

ADVICE = {
    REFUSED: "nothing listens there: is the camera on, and is the port right?",
    NO_HOST: "the host's name is not known: check its spelling and the network",
    UNREACHABLE: "no way to the host: check the cable and the network",
    TIMED_OUT: "no answer within the time-out: is the camera on, can this machine reach it?",
    WRONG_PASSWORD: "answered 401: check user and password",
    FORBIDDEN: "answered 403: the address has expired, or this user may not watch",
    NOT_FOUND: "answered 404: the host is right, the path after it is not",
    SERVER_ERROR: "the server failed or wants something else: see its own log",
    NOT_VIDEO: "what comes back is no video, playlist or image: check the path",
    ENDED: "the stream came to its end",
    BROKEN: "the connection broke: see the camera and the network",
    NO_STREAM: "yt-dlp found no video there: open the page in a browser and see if it plays",
    NOT_WEB: "it leads to something else than http or https, which is not opened",
    NO_DEVICE: "no camera there, or another program has it: see `ls /dev/video*`",
}
"""Every reason there is, and what to do about it."""

LASTING = frozenset(
    {WRONG_PASSWORD, FORBIDDEN, NOT_FOUND, NOT_VIDEO, NO_DEVICE, NO_STREAM, NOT_WEB}
)
"""Reasons that seldom go away by themselves; and many cameras lock out who asks too often."""

NEARLY = 0.9
"""FFmpeg reports some time-outs as invalid data: a failure after this share of the limit is one."""


class NotWebError(ValueError):
    """An address leads, or is led, to something else than http or https."""


_BY_CLASS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str], ...] = (
    (NotWebError, NOT_WEB),
    (av.error.HTTPUnauthorizedError, WRONG_PASSWORD),
    (av.error.HTTPForbiddenError, FORBIDDEN),
    (av.error.HTTPNotFoundError, NOT_FOUND),
    ((av.error.HTTPServerError, av.error.HTTPClientError), SERVER_ERROR),
    (ConnectionRefusedError, REFUSED),
    ((TimeoutError, av.error.ExitError), TIMED_OUT),
    (socket.gaierror, NO_HOST),
    ((av.error.EOFError, EOFError), ENDED),
    (av.error.InvalidDataError, NOT_VIDEO),
    ((av.error.DemuxerNotFoundError, av.error.DecoderNotFoundError), NOT_VIDEO),
    ((FileNotFoundError, PermissionError), NO_DEVICE),
)
_BY_STATUS = {401: WRONG_PASSWORD, 403: FORBIDDEN, 404: NOT_FOUND, 410: NOT_FOUND}
_NO_WAY = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN})

FAILURES = (av.error.FFmpegError, OSError, HTTPException, ValueError, EOFError)
"""What PyAV, urllib and sockets raise when a connection fails."""


def reason_of(exc: BaseException) -> str:
    """The plain word for what a library raised; its text is never looked at."""
    if isinstance(exc, HTTPError):
        return reason_of_status(exc.code)
    if isinstance(exc, URLError):
        return reason_of(exc.reason) if isinstance(exc.reason, BaseException) else BROKEN
    for kinds, reason in _BY_CLASS:
        if isinstance(exc, kinds):
            return reason
    if isinstance(exc, OSError) and exc.errno in _NO_WAY:
        return UNREACHABLE
    return BROKEN


def reason_of_status(status: int) -> str:
    """The plain word for an HTTP status that is an error."""
    return _BY_STATUS.get(status, SERVER_ERROR)


def failure(where: str, reason: str, advice: str | None = None) -> ConnectionFailedError:
    """The error for `reason`; `where` names the camera and the redacted address."""
    return ConnectionFailedError(f"{where}: {reason}; {advice or ADVICE[reason]}", reason=reason)


def guarded(
    where: str,
    action: Callable[[], T],
    *,
    limit_s: float | None = None,
    otherwise: str = NOT_VIDEO,
) -> T:
    """What `action` returns; if it fails, a `ConnectionFailedError` that remembers nothing.

    `limit_s` is the time-out the action runs under; `otherwise` the reason where the data made
    no sense (once a connection has worked, it is broken, not something else).
    """
    began_s = time.monotonic()
    try:
        return action()
    except FAILURES as exc:
        reason = reason_of(exc)
    reason = otherwise if reason == NOT_VIDEO else reason
    if limit_s is not None and time.monotonic() - began_s >= NEARLY * limit_s:
        reason = TIMED_OUT
    raise failure(where, reason)  # outside of the handler: no __context__, no URL
