"""Asking a web server, with password and time-out, and telling what kind of thing answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPMessage, HTTPResponse
from pathlib import PurePosixPath
from typing import Literal
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    BaseHandler,
    HTTPBasicAuthHandler,
    HTTPDigestAuthHandler,
    HTTPPasswordMgrWithDefaultRealm,
    Request,
    build_opener,
)

from streams.address import Address
from streams.failures import guarded

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
PLAYLIST_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What kind of thing a web address holds; `recorded` where a video says how long it is."""

    kind: Kind
    recorded: bool = False
    modified_at: datetime | None = None


def ask(
    address: Address,
    *,
    where: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> HTTPResponse:
    """GET: the open response, to be closed by the caller. Raises `ConnectionFailedError`.

    Each wait for data is bounded by `timeout_s`. Basic and digest authentication are answered;
    the password is cut out of the URL before it is used.
    """
    request = Request(address.without_login, headers={"User-Agent": USER_AGENT, **(headers or {})})
    opener = build_opener(*_answers_to_401(address))

    def get() -> HTTPResponse:
        try:
            response: HTTPResponse = opener.open(request, timeout=timeout_s)
        except HTTPError as exc:
            exc.close()
            raise
        return response

    return guarded(where, get, limit_s=timeout_s)


def _answers_to_401(address: Address) -> list[BaseHandler]:
    if address.login is None:
        return []
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, address.without_login, *address.login)
    return [HTTPDigestAuthHandler(passwords), HTTPBasicAuthHandler(passwords)]


def read(where: str, action: Callable[[], bytes], *, timeout_s: float) -> bytes:
    """What `action` reads from a response, its errors translated."""
    return guarded(where, action, limit_s=timeout_s)


def sniff(
    address: Address,
    *,
    where: str,
    timeout_s: float,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One GET, of which only the head is read: by content type, name and first bytes."""
    with closing(ask(address, where=where, timeout_s=timeout_s, headers=headers)) as response:
        message, final_url = response.headers, response.geturl()
        if message.get_content_type() == "multipart/x-mixed-replace":
            return Answer("mjpeg")
        head = read(where, lambda: response.read1(HEAD_BYTES), timeout_s=timeout_s)
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
        data = read(where, lambda: response.read(PLAYLIST_BYTES), timeout_s=timeout_s)
        return data.decode("utf-8", "replace"), response.geturl()


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
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
