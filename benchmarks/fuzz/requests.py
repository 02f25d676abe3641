"""HTTP requests as attackers send them, to the pages of `culling run`: malformed, climbing out of
the folder, without end, half sent. After each one, an honest request still gets its answer."""

from __future__ import annotations

import random
import re
import socket
import string
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.service.pages import Pages

OURS: tuple[type[Exception], ...] = ()
SECRET = "4fW9kQ2zR7mX3vB8"
WAIT_S, HONEST_S = 0.5, 8.0
RUN = "2026-11-21"

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


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one connection, and an honest request after it."""
    (folder / "config.yaml").write_text(
        f"data_dir: data\n# {SECRET}\nservice: {{port: null}}\n"
        f"cameras: {{yard: {{source: 'rtsp://me:{SECRET}@192.0.2.1/', classes: [person]}}}}\n"
    )
    config = load_config(folder / "config.yaml")
    store = Store(config.data_dir)
    (config.data_dir / "secret.txt").write_text(SECRET)
    pages = Pages(config, store, CollectorRegistry())
    pages.start()
    port = int(pages.address.split("/")[2].rpartition(":")[2])
    honest = (
        f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()
    )

    def run(seed: int) -> Iterator[str]:
        rng = random.Random(seed)
        answer = _sent(port, _request(rng, port), rng)
        yield _judged(answer)
        good = _talk(port, honest, HONEST_S)
        if not good.startswith(b"HTTP/1.0 200") and not good.startswith(b"HTTP/1.1 200"):
            message = f"an honest request gets {good[:60]!r}"
            raise RuntimeError(message)

    _talk(port, honest, HONEST_S)
    return lambda seed: Case(lambda: run(seed), (SECRET,))


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
    line = f"{rng.choice(METHODS)} {target} {rng.choice(VERSIONS)}"
    headers = [f"Host: 127.0.0.1:{port}"] if rng.random() < 0.7 else []
    headers += [rng.choice(HEADERS) for _ in range(rng.randint(0, 4))]
    if rng.random() < 0.05:
        headers += [f"{c}{n}: x" for n in range(5) for c in string.ascii_letters]
    ending = rng.choice(("\r\n\r\n", "\r\n\r\n", "\r\n\r\n", "\n\n", "\r\n", ""))
    data = ("\r\n".join([line, *headers]) + ending).encode("latin-1", "replace")
    data += rng.choice((b"", b"", b"x" * 100, b"\xff" * 2000, data))
    return spoilt(data, rng) if rng.random() < 0.3 else data


def _sent(port: int, data: bytes, rng: random.Random) -> bytes:
    """Sent at once, in pieces, or broken off with a reset."""
    way = rng.randrange(10)
    if way == 0:
        with socket.create_connection(("127.0.0.1", port)) as connection, suppress(OSError):
            connection.sendall(data[: len(data) // 2])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return b""
    return _talk(port, data, WAIT_S if way < 8 else WAIT_S / 5)


def _talk(port: int, data: bytes, wait_s: float) -> bytes:
    """What comes back, until the end or nothing more for so long."""
    answer = bytearray()
    with socket.create_connection(("127.0.0.1", port), HONEST_S) as connection, suppress(OSError):
        connection.settimeout(wait_s)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65536):
            answer += piece
    return bytes(answer)
