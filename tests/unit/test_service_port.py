"""The port of the service: who gets what, and what strangers on this machine cannot do."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from starlette.responses import PlainTextResponse

from benchmarks.testbed.nights import config_of
from benchmarks.testbed.servers.web import CANARY
from benchmarks.testbed.small_night import night_record
from jobs.database.store import Store
from jobs.logs import AS_IT_IS, JsonFormatter, TextFormatter
from jobs.pages import port as visitors
from jobs.pages.door import SAFE
from jobs.pages.house import House
from jobs.pages.pages import Pages
from jobs.pages.port import Port
from jobs.pages.port_token import TOKEN_FILE, port_token
from jobs.service.metrics import CullingCollector, registry
from tests.unit.stores import Where

RUN = "2026-11-21"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Where(tmp_path).open() as store:
        yield store


@pytest.fixture
def pages(tmp_path: Path, store: Store) -> Iterator[Pages]:
    night = store.open_night("yard", date.fromisoformat(RUN))
    store.finish_night(night.id, night_record())
    reports = tmp_path / "reports"
    for folder in (reports / "yard" / RUN, reports / "yard", reports):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_text("the report" if folder.name == RUN else CANARY)
    made = serve(tmp_path, store)
    yield made
    made.close()


def serve(folder: Path, store: Store) -> Pages:
    figures = registry(CullingCollector(store, folder, lambda: None))
    made = Pages(House(config_of(folder, port=0), store, figures))
    made.start()
    return made


def ask(
    pages: Pages, path: str, *, method: str = "GET", hosts: tuple[str, ...] = ("127.0.0.1",)
) -> tuple[HTTPResponse, bytes]:
    """The answer, with nothing added or made normal on the way."""
    lines = [f"{method} {path} HTTP/1.1", *(f"Host: {host}" for host in hosts), "", ""]
    with connect(pages) as visitor:
        visitor.sendall("\r\n".join(lines).encode("latin-1"))
        answer = HTTPResponse(visitor, method=method)
        answer.begin()
        return answer, answer.read()


def connect(pages: Pages | Port) -> socket.socket:
    port = pages.port if isinstance(pages, Port) else int(pages.root.split(":")[2].strip("/"))
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def inside(pages: Pages, name: str = "") -> str:
    return f"/{pages.address.removeprefix(pages.root)}{name}"


# -- who gets what ---------------------------------------------------------------------------------


def test_without_the_token_there_are_metrics_and_nothing_else(pages: Pages) -> None:
    report = f"reports/yard/{RUN}/index.html"
    assert ask(pages, "/metrics")[0].status == 200
    assert ask(pages, inside(pages, report))[1] == b"the report"
    other = "x" * 26
    for path in ("/", f"/{report}", f"/{other}/", f"/{other}/{report}", f"//{report}"):
        answer, body = ask(pages, path)
        assert (answer.status, b"the report" in body, b"yard" in body) == (403, False, False)


def test_the_token_is_the_owners_and_outlives_the_service(tmp_path: Path, store: Store) -> None:
    before = serve(tmp_path, store)
    before.close()
    after = serve(tmp_path, store)
    after.close()
    assert inside(before) == inside(after)
    assert (tmp_path / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    assert len(set(tmp_path.glob(f"{TOKEN_FILE}*"))) == 1


@pytest.mark.parametrize("text", ["", "short\n", "../../../../etc/passwd12345", "é" * 26])
def test_a_token_that_others_may_know_or_that_is_none_is_replaced(
    tmp_path: Path, text: str
) -> None:
    first = port_token(tmp_path)
    (tmp_path / TOKEN_FILE).chmod(0o644)
    second = port_token(tmp_path)
    (tmp_path / TOKEN_FILE).write_text(text)
    third = port_token(tmp_path)
    assert len({first, second, third}) == 3
    assert port_token(tmp_path) == third


def test_where_no_token_can_be_kept_there_is_one_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = tmp_path / "file"
    nowhere.touch()
    assert port_token(nowhere) != port_token(nowhere)
    assert "a new address after each start" in caplog.text


def test_two_services_of_a_machine_have_nothing_in_common(tmp_path: Path, store: Store) -> None:
    """Browsers send cookies to every port of a machine: there are none."""
    with Where(tmp_path / "other").open() as other_store:
        one, other = serve(tmp_path, store), serve(tmp_path / "other", other_store)
        try:
            for path, status in ((inside(one), 403), (inside(other), 200)):
                answer, _ = ask(other, path)
                assert (answer.status, answer.getheader("Set-Cookie")) == (status, None)
            assert ask(one, inside(one))[0].status == 200
        finally:
            one.close()
            other.close()


def test_the_log_shows_the_address_of_the_pages_and_no_other_token(pages: Pages) -> None:
    record = logging.LogRecord("jobs", logging.INFO, "", 0, "%s", (pages.address,), None)
    for formatter in (TextFormatter(), JsonFormatter()):
        assert pages.address not in formatter.format(record)
    record.__dict__.update(AS_IT_IS)
    assert TextFormatter().format(record) == pages.address
    assert json.loads(JsonFormatter().format(record))["message"] == pages.address


@pytest.mark.parametrize(
    "name",
    ["reports/yard/../index.html", "reports/yard/%2e%2e/index.html", "reports/yard/..%2findex.html",
     "reports/yard/./index.html", "reports/../reports/yard/2026-11-21/index.html",
     "reports/yard/2026-11-21", "reports/yard/2026-11-21/../index.html",
     "reports/yard/2026-11-21.../index.html", "reports/yard/2026-11-21/index.html/",
     f"reports/yard/{quote('２０２６')}-11-21/index.html",
     "reports/yard\\2026-11-21\\index.html", "reports/YARD/2026-11-21/index.html",
     "reports/yard/2026-11-21/index.html%00", "culling.db", TOKEN_FILE, "metrics"],
)  # fmt: skip
def test_nothing_but_reports_is_served(pages: Pages, name: str) -> None:
    for method in ("GET", "HEAD"):
        answer, body = ask(pages, inside(pages, name), method=method)
        assert (answer.status, CANARY.encode() in body) == (404, False)


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (("127.0.0.1:8756",), 200),
        (("LocalHost",), 200),
        (("[::1]:9000",), 200),
        ((), 400),
        (("attacker.example",), 403),
        (("127.0.0.1.attacker.example:80",), 403),
        (("attacker.example:127.0.0.1",), 403),
        (("127.0.0.1", "attacker.example"), 400),
        (("attacker.example", "127.0.0.1"), 400),
    ],
)
def test_only_this_machines_names_are_answered(
    pages: Pages, hosts: tuple[str, ...], status: int
) -> None:
    for path in ("/metrics", inside(pages)):
        assert ask(pages, path, hosts=hosts)[0].status == status


def test_every_answer_is_for_this_page_alone(pages: Pages) -> None:
    for path in ("/metrics", "/", inside(pages), inside(pages, "nowhere"), inside(pages)[:-1]):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "NONSENSE"):
            answer, _ = ask(pages, path, method=method)
            headers = {name.lower(): value for name, value in answer.getheaders()}
            assert {name.lower(): value for name, value in SAFE.items()}.items() <= headers.items()
            assert not [name for name in headers if name.startswith("access-control")]


def test_head_is_get_without_a_body_and_other_methods_are_refused(pages: Pages) -> None:
    whole, body = ask(pages, inside(pages))
    head, nothing = ask(pages, inside(pages), method="HEAD")
    assert (head.status, head.getheader("Content-Length"), nothing) == (200, str(len(body)), b"")
    for path in (inside(pages), inside(pages, "nowhere"), "/"):
        with connect(pages) as visitor:
            visitor.sendall(
                f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            )
            assert b"".join(iter(lambda v=visitor: v.recv(65536), b"")).endswith(b"\r\n\r\n")
    assert whole.getheader("Content-Type") == head.getheader("Content-Type")
    for method in ("OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"):
        answer, _ = ask(pages, inside(pages), method=method)
        assert (answer.status, answer.getheader("Allow")) == (405, "GET, HEAD")


def test_links_hold_without_the_token_in_them(pages: Pages) -> None:
    answer, _ = ask(pages, inside(pages)[:-1])
    assert (answer.status, answer.getheader("Location")) == (308, inside(pages))
    page = ask(pages, inside(pages))[1].decode()
    assert f'href="reports/yard/{RUN}/index.html"' in page
    assert 'href="../metrics"' in page


# -- what goes wrong -------------------------------------------------------------------------------


def test_a_page_while_the_database_is_away_says_so(
    pages: Pages, store: Store, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = store.database.engine
    store.database.engine = sa.create_engine("sqlite:////no/such/folder/culling.db")
    for path in ("/metrics", inside(pages)):
        answer, body = ask(pages, path)
        assert answer.status == 503
        assert body == b"503: the database or the disk is away, try again soon\n"
        assert answer.getheader("Content-Type") == "text/plain; charset=utf-8"
    store.database.engine = engine
    assert ask(pages, inside(pages))[0].status == 200
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")  # the service itself says it


def test_a_page_that_fails_is_a_line_in_the_log(
    pages: Pages,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fails() -> None:
        raise ValueError(f"rtsp://user:{CANARY}@camera/")  # noqa: EM102

    monkeypatch.setattr(store, "latest_nights", fails)
    answer, body = ask(pages, inside(pages))
    assert (answer.status, body) == (500, b"500: Internal Server Error\n")
    (record,) = caplog.records
    entry = json.loads(JsonFormatter().format(record))
    assert entry["message"].startswith("a page failed: unexpected ValueError: rtsp://***@camera/")
    assert capfd.readouterr() == ("", "")


def test_visitors_that_break_off_say_nothing(
    pages: Pages, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for said in (b"", b"GET", b"GET / HTTP/1.1\r\n", b"\0\xff\r\n\r\n", b"GET /metrics\r\n\r\n"):
        for _ in range(20):
            with connect(pages) as visitor:
                visitor.sendall(said)
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert ask(pages, inside(pages))[0].status == 200
    assert (caplog.text, *capfd.readouterr()) == ("", "", "")


def test_a_request_that_has_no_end_is_refused(pages: Pages) -> None:
    with connect(pages) as visitor:
        visitor.sendall(b"GET /" + b"x" * (2 * visitors.LONGEST_HEAD))
        answer = HTTPResponse(visitor)
        answer.begin()
        assert answer.status == 431


# -- visitors that stay ----------------------------------------------------------------------------


def test_idle_visitors_take_no_threads_and_keep_nobody_out(pages: Pages) -> None:
    threads = threading.active_count()
    with ExitStack() as idle:
        for _ in range(500):
            idle.enter_context(connect(pages)).sendall(b"GET / HTTP/1.1\r\n")
            assert len(pages.visits) <= visitors.MOST
        assert ask(pages, inside(pages))[0].status == 200
        assert threading.active_count() <= threads + visitors.WORKERS


def test_a_visitor_that_asks_slowly_or_does_not_read_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(visitors, "ASKING_S", 0.2)
    monkeypatch.setattr(visitors, "READING_S", 0.2)
    port = Port(PlainTextResponse(bytes(50_000_000)), ("127.0.0.1", 0))
    port.start()
    try:
        with connect(port) as slow, connect(port) as deaf:
            slow.sendall(b"GET / HTTP/1.1\r\n")
            deaf.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert slow.recv(1) == b""
            deadline_s = time.monotonic() + 60
            while port.visits:
                assert time.monotonic() < deadline_s
                time.sleep(0.01)
    finally:
        port.close()


def test_without_a_file_left_it_waits_and_then_answers(
    pages: Pages, caplog: pytest.LogCaptureFixture
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    visitor = socket.socket()
    visitor.settimeout(60)
    spare = os.open("/dev/null", os.O_RDONLY)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (spare, limits[1]))
        used_s = time.process_time()
        visitor.connect(("127.0.0.1", int(pages.root.split(":")[2].strip("/"))))
        time.sleep(2.5)
        used_s = time.process_time() - used_s
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        os.close(spare)
    visitor.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert visitor.recv(12) == b"HTTP/1.1 200"
    visitor.close()
    assert used_s < 2  # of 2.5 s: it does not ask again and again
    assert caplog.text.count("it answers when it can") == 1
