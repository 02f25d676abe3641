"""HTTP requests as attackers send them, to the pages of `culling run`: malformed, climbing out of
the folder, without end, half sent, slow, never read; with and without the token of the address.
After each one, an honest request still gets its answer."""

from __future__ import annotations

import random
import re
import socket
import string
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.pages.house import House
from jobs.pages.pages import Pages
from jobs.pages.port import MOST
from jobs.pages.port_token import TOKEN_FILE

OURS: tuple[type[Exception], ...] = ()
SECRET = "4fW9kQ2zR7mX3vB8"
TOKEN = "zk7q2wv9xj4hb8rt5mg3pd6cnq"
REPORT = "Vq7Jx2Lw9Zk4"
"""Of a night; for those alone who have the token."""
WAIT_S, HONEST_S, PAUSE_S = 0.5, 8.0, 0.02
RUN = "2026-11-21"
HELD = MOST + 12
"""Connections that are left open, idle or with an answer that nobody reads."""
MOST_THREADS = 20

CLIMBS = (
    "..",
    "%2e%2e",
    "..%2f",
    "%2e%2e%2f",
    "..%5c",
    "....//",
    "..;",
    "%252e%252e",
    "%c0%ae%c0%ae",
)
TARGETS = (
    *(
        "/",
        "/metrics",
        f"/reports/yard/{RUN}/index.html",
        "/reports/../config.yaml",
        "*",
        "//",
        "/?x",
    ),
    *(
        "/reports/yard/../../../config.yaml",
        "http://evil.example/",
        "/culling.db",
        "",
        "/\0",
        "/\xff",
    ),
    *("/reports/yard/..%2f..%2findex.html", f"/reports/{'a' * 200}/{RUN}/index.html", "/#", "/%zz"),
    *(
        "/reports/yard/./index.html",
        "/reports/yard/1.1/index.html",
        "/favicon.ico",
        "/ HTTP/1.1\r\nX: y",
    ),
    *(f"/{'a' * 70_000}", f"/?{'a' * 60_000}", "/reports/none/2026-11-21/index.html", "/../" * 900),
)
METHODS = (
    "GET",
    "GET",
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "",
    "\0",
    "PRI",
)
VERSIONS = (
    "HTTP/1.1",
    "HTTP/1.0",
    "HTTP/0.9",
    "HTTP/2.0",
    "HTTP/9.9",
    "HTTP/1.1.1",
    "HTTP/x",
    "",
    "ICY",
)
HEADERS = (
    *(
        "Host: 127.0.0.1",
        "Host: localhost:80",
        "Host: evil.example",
        "Host:",
        "Host: [::1",
        "Host: \0",
    ),
    *(
        "Content-Length: 99999999999",
        "Content-Length: -1",
        "Content-Length: x",
        "Expect: 100-continue",
    ),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: x", "Connection: Upgrade", "Upgrade: h2c"),
    *(
        "Range: bytes=0-18446744073709551615",
        "Range: bytes=-",
        "Cookie: a=b; token=\xff",
        "Cookie: =;=;;",
    ),
    *(
        "Authorization: Basic !!!",
        "Authorization: x",
        "If-Modified-Since: x",
        f"X: {'y' * 70_000}",
        ":",
    ),
    *(
        "no colon",
        " folded: x",
        "\tx",
        "Accept-Encoding: *;q=x",
        "Referer: http://evil.example/",
        "é: é",
    ),
    *("X-Forwarded-For: 127.0.0.1", "Host: 127.0.0.1\r\nHost: evil.example", "Origin: null"),
)
STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(slots=True)
class _Visited:
    """The pages that are visited, and the visitors who stay."""

    pages: Pages
    port: int
    held: deque[socket.socket] = field(default_factory=deque)

    def hold(self, data: bytes) -> None:
        """One more who sends this and then nothing; the oldest goes when there are too many."""
        connection = socket.create_connection(("127.0.0.1", self.port), HONEST_S)
        with suppress(OSError):
            connection.sendall(data)
        self.held.append(connection)
        if len(self.held) > HELD:
            self.held.popleft().close()

    def check(self, honest: str) -> None:
        """Whether an honest visitor still gets the page `honest`, and nothing piles up."""
        lines = (f"GET {honest} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", "Connection: close")
        good = _talk(self.port, ("\r\n".join(lines) + "\r\n\r\n").encode(), HONEST_S)
        if STATUS.match(good) is None or STATUS.match(good)[1] != b"200":  # type: ignore[index]
            message = f"an honest request gets {good[:60]!r}"
            raise RuntimeError(message)
        if honest.endswith("index.html") and REPORT.encode() not in good:
            message = "an honest request gets another page"
            raise RuntimeError(message)
        if threading.active_count() > MOST_THREADS or len(self.pages.visits) > MOST:
            message = f"{threading.active_count()} threads, {len(self.pages.visits)} visits"
            raise RuntimeError(message)


HONEST = ("/metrics", f"/{TOKEN}/", f"/{TOKEN}/reports/yard/{RUN}/index.html")


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one connection, and an honest request after it."""
    visited = _serve(folder)

    def run(data: bytes, rng: random.Random) -> Iterator[str]:
        yield _judged(_sent(visited, data, rng))
        visited.check(rng.choice(HONEST))

    def case(seed: int) -> Case:
        rng = random.Random(seed)
        data = _request(rng, visited.port)
        hidden = (SECRET,) if TOKEN.encode() in data else (SECRET, TOKEN, REPORT)
        return Case(lambda: run(data, rng), hidden, data.decode("latin-1"))

    for honest in HONEST:
        visited.check(honest)
    return case


def _serve(folder: Path) -> _Visited:
    (folder / "config.yaml").write_text(
        f"data_dir: data\n# {SECRET}\nservice: {{port: null}}\n"
        f"cameras: {{yard: {{source: 'rtsp://me:{SECRET}@192.0.2.1/', classes: [person]}}}}\n"
    )
    config = load_config(folder / "config.yaml")
    store = Store(config.data_dir)
    (config.data_dir / "secret.txt").write_text(SECRET)
    (config.data_dir / TOKEN_FILE).write_text(TOKEN)
    (config.data_dir / TOKEN_FILE).chmod(0o600)
    report = config.data_dir / "reports" / "yard" / RUN / "index.html"
    report.parent.mkdir(parents=True)
    report.write_text(REPORT)
    pages = Pages(House(config, store, CollectorRegistry()))
    pages.start()
    return _Visited(pages, int(pages.root.split("/")[2].rpartition(":")[2]))


def _judged(answer: bytes) -> str:
    """The answer as text; a server's error is a fault."""
    found = STATUS.match(answer)
    if found is not None and found[1].startswith(b"5") and found[1] not in (b"501", b"505"):
        message = f"the answer is {found[1].decode()}"
        raise RuntimeError(message)
    return answer.decode("utf-8", "replace")


def _request(rng: random.Random, port: int) -> bytes:
    target = rng.choice(TARGETS)
    if rng.random() < 0.4:
        climb = "/".join(rng.choice(CLIMBS) for _ in range(rng.randint(1, 6)))
        tail = rng.choice(
            ("config.yaml", "data/secret.txt", "culling.db", "index.html", "etc/passwd")
        )
        start = rng.choice(("", "/reports", "/reports/yard", f"/reports/yard/{RUN}"))
        target = f"{start}/{climb}/{tail}"
    if rng.random() < 0.4:
        target = f"/{TOKEN}{'' if target.startswith('/') else '/'}{target}"
    line = f"{rng.choice(METHODS)} {target} {rng.choice(VERSIONS)}"
    headers = [f"Host: 127.0.0.1:{port}"] if rng.random() < 0.7 else []
    headers += [rng.choice(HEADERS) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.05:
        headers += [f"{c}{n}: x" for n in range(5) for c in string.ascii_letters]
    ending = rng.choice(("\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\n\n", "\r\n", ""))
    data = ("\r\n".join([line, *headers]) + ending).encode("latin-1", "replace")
    data += rng.choice((b"", b"", b"x" * 100, b"\xff" * 2000, data))
    return spoilt(data, rng) if rng.random() < 0.3 else data


def _sent(visited: _Visited, data: bytes, rng: random.Random) -> bytes:
    """Sent at once, in pieces, left open, or broken off with a reset."""
    way, port = rng.randrange(12), visited.port
    if way == 0:
        with socket.create_connection(("127.0.0.1", port)) as connection, suppress(OSError):
            connection.sendall(data[: len(data) // 2])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return b""
    if way <= 2:
        visited.hold(rng.choice((b"", data[: len(data) // 2], data)))
        return b""
    if way == 3:
        return _talk(port, data, WAIT_S, pieces=rng.randint(2, 12))
    return _talk(port, data, WAIT_S if way < 10 else WAIT_S / 5)


def _talk(port: int, data: bytes, wait_s: float, *, pieces: int = 1) -> bytes:
    """What comes back, until the end or nothing more for so long."""
    answer, size = bytearray(), max(1, -(-len(data) // pieces))
    with socket.create_connection(("127.0.0.1", port), HONEST_S) as connection, suppress(OSError):
        connection.settimeout(wait_s)
        for at in range(0, len(data), size):
            time.sleep(PAUSE_S if at else 0)
            connection.sendall(data[at : at + size])
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            answer += piece
    return bytes(answer)
