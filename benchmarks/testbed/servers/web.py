"""A web server for the tests that serves what it is told to, and fails when it is told to."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

USER, CANARY = "viewer", "c4n4ry-0f-the-t3sts"
WRITTEN = "Mon, 05 Jan 2026 00:00:00 GMT"
REALM, NONCE = "camera", "5eed"

Serve = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers with what the server has for this path."""

    server: WebServer

    def do_GET(self) -> None:
        while self.server.stopped.is_set():  # like a process under SIGSTOP
            time.sleep(0.02)
        serve = self.server.paths.get(self.path.partition("?")[0])
        with suppress(OSError):
            if serve is None:
                self.send_error(404)
            else:
                serve(self)

    def answer(
        self, content_type: str, body: bytes, *, status: int = 200, more: str | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", WRITTEN)
        if more is not None:
            self.send_header(*more.split(": ", 1))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


class WebServer(ThreadingHTTPServer):
    """`paths` says what is served where; `stopped` makes it accept and answer nothing."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.paths: dict[str, Serve] = {}
        self.stopped = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str, *, login: str = "") -> str:
        return f"http://{login and login + '@'}127.0.0.1:{self.port}{path}"

    def process_request(self, request: object, client_address: object) -> None:
        assert isinstance(request, socket.socket)
        self._open.append(request)
        super().process_request(request, client_address)  # type: ignore[arg-type]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no news."""

    def kill(self) -> None:
        """End at once, and all connections with it."""
        self.shutdown()
        self.server_close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def fixed(content_type: str, body: bytes, *, status: int = 200) -> Serve:
    return lambda handler: handler.answer(content_type, body, status=status)


def video(path: Path, *, ranges: bool) -> Serve:
    """A file, whole or in the parts asked for."""
    data = path.read_bytes()

    def serve(handler: Handler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", handler.headers.get("Range", ""))
        if not ranges or asked is None:
            return handler.answer(
                "video/mp4", data, more="Accept-Ranges: bytes" if ranges else None
            )
        first, last = int(asked[1]), int(asked[2] or len(data) - 1)
        part = data[first : last + 1]
        span = f"Content-Range: bytes {first}-{first + len(part) - 1}/{len(data)}"
        return handler.answer("video/mp4", part, status=206, more=span)

    return serve


def mjpeg(pictures: list[bytes], *, rate_fps: float = 20, with_length: bool = True) -> Serve:
    """Over and over, until the client goes or the server is stopped."""

    def serve(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        number = 0
        while True:
            while handler.server.stopped.is_set():
                time.sleep(0.02)
            data = pictures[number % len(pictures)]
            length = f"Content-Length: {len(data)}\r\n" if with_length else ""
            head = f"--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode()
            handler.wfile.write(head + data + b"\r\n")
            number += 1
            time.sleep(1 / rate_fps)

    return serve


def pictures_in_turn(pictures: list[bytes]) -> Serve:
    """Another snapshot at each request."""
    served = iter(range(10**9))
    return lambda handler: handler.answer("image/jpeg", pictures[next(served) % len(pictures)])


class LivePlaylist:
    """The last three of segments of a second that come into being from the first request on."""

    def __init__(self, names: list[str]) -> None:
        self._names = names
        self._began_s: float | None = None
        self.stale_at: int | None = None

    @property
    def newest(self) -> int:
        if self._began_s is None:
            self._began_s = time.monotonic()
        return min(3 + int(time.monotonic() - self._began_s), len(self._names) - 1)

    def __call__(self, handler: Handler) -> None:
        newest = self.newest if self.stale_at is None else self.stale_at
        first = max(newest - 2, 0)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        for name in self._names[first : newest + 1]:
            lines += ["#EXTINF:1.0,", name]
        handler.answer("application/vnd.apple.mpegurl", "\n".join([*lines, ""]).encode())


def basic(serve: Serve) -> Serve:
    """Only for USER with CANARY, by basic authentication."""
    right = "Basic " + base64.b64encode(f"{USER}:{CANARY}".encode()).decode()

    def guarded(handler: Handler) -> None:
        if handler.headers.get("Authorization") == right:
            return serve(handler)
        return _challenge(handler, f'Basic realm="{REALM}"')

    return guarded


def digest(serve: Serve) -> Serve:
    """Only for USER with CANARY, by digest authentication (RFC 2069's form)."""

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    def guarded(handler: Handler) -> None:
        asked = md5(f"GET:{handler.path}")
        right = md5(f"{md5(f'{USER}:{REALM}:{CANARY}')}:{NONCE}:{asked}")
        if f'response="{right}"' in handler.headers.get("Authorization", ""):
            return serve(handler)
        return _challenge(handler, f'Digest realm="{REALM}", nonce="{NONCE}"')

    return guarded


def _challenge(handler: Handler, scheme: str) -> None:
    handler.answer("text/plain", b"who?", status=401, more=f"WWW-Authenticate: {scheme}")
