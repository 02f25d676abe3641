"""Asking a web server, with password and time-out, and telling what kind of thing answers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage
from pathlib import PurePosixPath
from typing import Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request

from streams.address import Address
from streams.failures import NOT_VIDEO, NotWebError, failure, guarded
from streams.requests import Answered, Watch, opener_for

Kind = Literal["hls", "mjpeg", "image", "video", "page"]

USER_AGENT = "culling-pipeline"

PLAYLIST_TYPES = frozenset({"application/vnd.apple.mpegurl", "application/x-mpegurl"})
SUFFIXES: Mapping[str, Kind] = {
    ".m3u8": "hls",
    ".mjpg": "mjpeg",
    ".mjpeg": "mjpeg",
    ".jpg": "image",
    ".jpeg": "image",
    ".png": "image",
}
HEAD_BYTES = 1024
PLAYLIST_BYTES = 16 * 1024 * 1024
"""A day of segments of two seconds is about 5 MB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What kind of thing a web address holds; `recorded` where a video says how long it is."""

    kind: Kind
    recorded: bool = False
    modified_at: datetime | None = None


def is_web(address: Address) -> bool:
    """Whether it is http or https, with a host: nothing else is ever asked for, whoever says so."""
    try:
        parts = urlsplit(address.secret)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def ask(
    address: Address,
    *,
    where: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> Answered:
    """GET: the open response, to be closed by the caller. Raises `ConnectionFailedError`.

    The head is there within `timeout_s`, redirects and all. Basic and digest authentication are
    answered; the password is cut out of the URL before it is used.
    """
    watch = Watch()

    def get() -> Answered:
        if not is_web(address):
            raise NotWebError
        sent = {"User-Agent": USER_AGENT, **(headers or {})}
        request = Request(address.without_login, headers=sent)
        try:
            with watch.step(timeout_s):
                response = opener_for(address, watch).open(request, timeout=timeout_s)
        except HTTPError as exc:
            exc.close()
            watch.close()
            raise
        except BaseException:
            watch.close()
            raise
        return Answered(response, watch)

    return guarded(where, get, limit_s=timeout_s)


def read_some(response: Answered, most_bytes: int, *, where: str, timeout_s: float) -> bytes:
    """What there is now, at most so much; nothing at the end."""
    return guarded(where, lambda: response.read_some(most_bytes, timeout_s), limit_s=timeout_s)


def read_whole(response: Answered, most_bytes: int, *, where: str, timeout_s: float) -> bytes:
    """All of it within `timeout_s`; more than `most_bytes` is refused."""
    data = guarded(where, lambda: response.read_whole(most_bytes + 1, timeout_s), limit_s=timeout_s)
    if len(data) > most_bytes:
        raise failure(where, NOT_VIDEO, f"more than {most_bytes // 1024**2} MiB come back for it")
    return data


def sniff(
    address: Address,
    *,
    where: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One GET, of which only the head is read: by content type, name and first bytes."""
    with closing(ask(address, where=where, timeout_s=timeout_s, headers=headers)) as response:
        message, final_url = response.headers, response.url
        if message.get_content_type() == "multipart/x-mixed-replace":
            return Answer("mjpeg")
        head = read_some(response, HEAD_BYTES, where=where, timeout_s=timeout_s)
    return Answer(
        _kind_of(message, final_url, head),
        recorded=_is_recorded(message),
        modified_at=_modified_at(message),
    )


def fetch_text(
    address: Address,
    *,
    where: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> tuple[str, str]:
    """A playlist and where it finally came from (after redirects)."""
    with closing(ask(address, where=where, timeout_s=timeout_s, headers=headers)) as response:
        data = read_whole(response, PLAYLIST_BYTES, where=where, timeout_s=timeout_s)
        return data.decode("utf-8", "replace"), response.url


def _kind_of(message: HTTPMessage, url: str, head: bytes) -> Kind:
    content_type = message.get_content_type()
    if content_type in PLAYLIST_TYPES or head.lstrip(b"\xef\xbb\xbf").startswith(b"#EXTM3U"):
        return "hls"
    if content_type.startswith("image/") or head.startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return "image"
    if content_type.startswith("video/"):
        return "video"
    if content_type in ("text/html", "application/xhtml+xml"):
        return "page"
    return SUFFIXES.get(PurePosixPath(urlsplit(url).path).suffix.lower(), "video")


def _is_recorded(message: HTTPMessage) -> bool:
    return message.get("Content-Length") is not None or message.get("Accept-Ranges") == "bytes"


def _modified_at(message: HTTPMessage) -> datetime | None:
    try:
        moment = parsedate_to_datetime(message.get("Last-Modified", ""))
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):  # no date, or none that there can be
        return None
