"""A store that speaks S3's protocol on this machine (moto), in a process of its own, behind a door
that can be shut: then it refuses every connection, as a server that is down does."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import suppress

from benchmarks.testbed.live import free_port

BUCKET = "culling-test"
HERE = "127.0.0.1"


class S3Server:
    """Starts with one empty bucket."""

    def __init__(self) -> None:
        port = free_port()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", HERE, "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.door = Door(port)
        self.endpoint = f"http://{HERE}:{self.door.port}"
        try:
            self._await()
            self.ask("PUT", f"/{BUCKET}")
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Without keys: moto asks for none until `require_keys`."""
        address = self.endpoint + path
        plain = {"Content-Type": "text/plain"}
        request = urllib.request.Request(address, data=body, method=method, headers=plain)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def require_keys(self, *, yes: bool) -> None:
        """From now on keys and signatures are looked at (and nobody has any that are right)."""
        self.ask("POST", "/moto-api/reset-auth", b"0" if yes else b"inf")

    def close(self) -> None:
        self.door.close()
        self._process.terminate()
        self._process.wait()

    def _await(self) -> None:
        deadline_s = time.monotonic() + 60
        while True:
            with suppress(OSError):
                self.ask("GET", "/moto-api/")
                return
            assert self._process.poll() is None
            assert time.monotonic() < deadline_s
            time.sleep(0.1)


class Door:
    """Passes connections on to `behind`, while it is open."""

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self.port = free_port()
        self._listener: socket.socket | None = None
        self._passing: set[socket.socket] = set()
        self.open()

    def open(self) -> None:
        listener = socket.create_server((HERE, self.port), backlog=256)
        self._listener = listener
        threading.Thread(target=self._let_in, args=(listener,), daemon=True).start()

    def shut(self) -> None:
        """Connections under way are cut as well."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        for passing in list(self._passing):
            with suppress(OSError):
                passing.shutdown(socket.SHUT_RDWR)

    close = shut

    def _let_in(self, listener: socket.socket) -> None:
        while True:
            try:
                outside, _ = listener.accept()
            except OSError:
                return
            try:
                inside = socket.create_connection((HERE, self._behind))
            except OSError:
                outside.close()
                continue
            threading.Thread(target=self._pass_on, args=(outside, inside), daemon=True).start()

    def _pass_on(self, outside: socket.socket, inside: socket.socket) -> None:
        with outside, inside:
            self._passing |= {outside, inside}
            back = threading.Thread(target=_copy, args=(inside, outside), daemon=True)
            back.start()
            _copy(outside, inside)
            back.join()
            self._passing -= {outside, inside}


def _copy(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(1 << 16):
            there.sendall(data)
    with suppress(OSError):
        there.shutdown(socket.SHUT_WR)
