"""One request to a web server: http and https only, and each step of it within its time.

A socket's time-out bounds each wait. A server that sends a byte now and then would hold us for
hours, so each step also has a timer, which shuts the connection.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urljoin, urlsplit
from urllib.request import (
    AbstractHTTPHandler,
    BaseHandler,
    HTTPBasicAuthHandler,
    HTTPDefaultErrorHandler,
    HTTPDigestAuthHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPPasswordMgrWithDefaultRealm,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)

from streams.address import Address
from streams.failures import NotWebError

CHUNK_BYTES = 65536

OURS_ALONE = frozenset({"authorization", "cookie", "referer", "origin", "proxy-authorization"})
"""Headers that another host, to which a server sends us on, is not to see."""


class Watch:
    """The connections of one request, and whether a step of it took too long."""

    def __init__(self) -> None:
        self._connections: list[socket.socket] = []
        self.expired = False

    def connect(
        self, address: tuple[str, int], timeout_s: float, source: Any = None
    ) -> socket.socket:
        """A connection to the first of the host's addresses that answers, all in this time."""
        until_s, failed = time.monotonic() + timeout_s, OSError("the host has no address")
        for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            try:
                made = socket.create_connection((str(place[0]), address[1]), left_s, source)
            except OSError as exc:
                failed = exc
                continue
            made.settimeout(timeout_s)
            self._connections.append(made.dup())  # TLS takes the socket itself away
            return made
        raise failed

    @contextmanager
    def step(self, limit_s: float) -> Iterator[None]:
        """What is done within ends by an error after `limit_s`, whatever the server does."""
        timer = threading.Timer(limit_s, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        except Exception:
            if self.expired:
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
        if self.expired:  # a connection that was shut looks like one that ended in order
            raise TimeoutError

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    def _cut(self) -> None:
        self.expired = True
        for connection in self._connections[:]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Answered:
    """An open response."""

    def __init__(self, response: HTTPResponse, watch: Watch) -> None:
        self._response, self._watch = response, watch

    @property
    def headers(self) -> HTTPMessage:
        return self._response.headers

    @property
    def url(self) -> str:
        """Where it finally came from (after redirects)."""
        return self._response.geturl()

    def read_some(self, most_bytes: int, limit_s: float) -> bytes:
        with self._watch.step(limit_s):
            return self._response.read1(most_bytes)

    def read_whole(self, most_bytes: int, limit_s: float) -> bytes:
        data = bytearray()
        with self._watch.step(limit_s):
            while len(data) < most_bytes:
                piece = self._response.read(min(CHUNK_BYTES, most_bytes - len(data)))
                if not piece:
                    break
                data += piece
        return bytes(data)

    def close(self) -> None:
        self._response.close()
        self._watch.close()


def opener_for(address: Address, watch: Watch) -> OpenerDirector:
    """What asks for this address; urllib's own would also open `file:`, `ftp:` and `data:`."""
    opener = OpenerDirector()
    handlers: list[BaseHandler] = [
        ProxyHandler(),
        UnknownHandler(),
        _Http(watch),
        _Https(watch),
        HTTPDefaultErrorHandler(),
        _Redirects(),
        HTTPErrorProcessor(),
        *_answers_to_401(address),
    ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def _answers_to_401(address: Address) -> list[BaseHandler]:
    if address.login is None:
        return []
    passwords = HTTPPasswordMgrWithDefaultRealm()
    passwords.add_password(None, address.without_login, *address.login)
    return [HTTPDigestAuthHandler(passwords), HTTPBasicAuthHandler(passwords)]


class _Http(HTTPHandler):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def http_open(self, req: Request) -> HTTPResponse:
        return _do_open(self, HTTPConnection, self._watch, req)


class _Https(HTTPSHandler):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._watch = watch

    def https_open(self, req: Request) -> HTTPResponse:
        return _do_open(self, HTTPSConnection, self._watch, req)


def _do_open(
    handler: AbstractHTTPHandler, kind: type[HTTPConnection], watch: Watch, request: Request
) -> HTTPResponse:
    def connection(host: str, **options: Any) -> HTTPConnection:
        made = kind(host, **options)
        made._create_connection = watch.connect  # type: ignore[attr-defined]
        return made

    return handler.do_open(connection, request)


class _Redirects(HTTPRedirectHandler):
    """To http and https only; what was told to one host is not told to the next."""

    def redirect_request(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        request = super().redirect_request(req, fp, code, msg, headers, newurl)
        if request is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            for name in [n for n in request.headers if n.lower() in OURS_ALONE]:
                request.remove_header(name)
        return request

    def http_error_302(
        self, req: Request, fp: Any, code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        target = urljoin(req.full_url, headers.get("location") or headers.get("uri") or "")
        if urlsplit(target).scheme not in ("http", "https"):
            fp.close()
            raise NotWebError
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302
