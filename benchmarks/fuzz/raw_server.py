"""A web server that answers with exactly the bytes it is given, right or wrong."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

READ_S = 2.0


class RawServer:
    """Each request to it, whatever it asks for, gets `answer`; after `then` of them, `later`."""

    def __init__(self) -> None:
        self.answer = self.later = b""
        self.then = 1
        self._given = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def give(self, answer: bytes, later: bytes | None = None, *, then: int = 1) -> None:
        """What is answered from now on."""
        self._given, self.then = 0, then
        self.answer, self.later = answer, answer if later is None else later

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.settimeout(READ_S)
            asked = b""
            while b"\r\n\r\n" not in asked and (piece := connection.recv(65536)):
                asked += piece
            self._given += 1
            connection.sendall(self.answer if self._given <= self.then else self.later)


def whole(body: bytes, kind: str, *, status: str = "200 OK", more: str = "") -> bytes:
    """A well-formed answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}"
    return f"{head}Connection: close\r\n\r\n".encode("latin-1", "replace") + body
