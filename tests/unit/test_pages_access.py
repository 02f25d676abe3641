"""Who gets into the pages: passwords, roles, forged forms, and what other addresses demand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.testbed.nights import config_of
from jobs.config.service import ServiceSettings
from jobs.database.store import Store
from jobs.pages import access, app, door
from jobs.pages.access import Passwords, Sessions, hash_of
from jobs.pages.house import House, audit, form_of, require_change
from jobs.pages.pages import Pages
from jobs.pages.templating import see
from tests.unit.stores import Where

CHANGE, LOOK = "a password to change", "a password to look"
QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash
"""As the real one, which takes a tenth of a second for good reason."""
HASHES = {"password_hash": QUICK(CHANGE), "look_password_hash": QUICK(LOOK)}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Where(tmp_path).open() as store:
        yield store


def note(request: Request) -> Response:
    """An action as others write one."""
    require_change(request)
    audit(request, "noted", camera="yard", detail=str(form_of(request)["text"]))
    return see(request, "")


@pytest.fixture
def pages(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    monkeypatch.setattr(app, "ROUTES", [*app.ROUTES, Route("/do/note", note, methods=["POST"])])
    made = Pages(House(config_of(tmp_path, port=0, **HASHES), store, CollectorRegistry()))
    made.start()
    yield made
    made.close()


class Browser:
    """Keeps a cookie, follows nothing."""

    def __init__(self, pages: Pages) -> None:
        self._host = pages.root.split("/")[2]
        self.cookie = ""

    def ask(
        self, path: str, form: dict[str, str] | None = None, **headers: str
    ) -> tuple[HTTPResponse, str]:
        connection = HTTPConnection(self._host, timeout=60)
        sent = {"Accept": "text/html", "Cookie": self.cookie, **headers}
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        body = None if form is None else urlencode(form)
        connection.request("GET" if form is None else "POST", path, body=body, headers=sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if (cookie := answer.getheader("Set-Cookie")) is not None:
            self.cookie = cookie.split(";")[0]
        return answer, text

    def log_in(self, password: str, **headers: str) -> HTTPResponse:
        return self.ask("/login", {"password": password}, **headers)[0]

    def csrf(self) -> str:
        found = re.search(r'<meta name="csrf" content="([^"]+)">', self.ask("/")[1])
        assert found is not None
        return found[1]


@pytest.fixture
def browser(pages: Pages) -> Browser:
    return Browser(pages)


def test_nobody_sees_anything_before_the_login(browser: Browser) -> None:
    for path in ("/", "/reports/yard/2026-11-21/index.html", "/nowhere"):
        answer, text = browser.ask(path)
        assert (answer.status, "yard" in text) == (303, False)
        assert answer.getheader("Location", "").endswith("login")
        assert browser.ask(path, Accept="*/*")[0].status == 401
    assert browser.ask("/do/note", {"text": "x"})[0].status == 401
    assert browser.ask("/login")[0].status == 200


def test_the_cookie_is_for_these_pages_alone_and_ends_with_the_session(browser: Browser) -> None:
    cookie = browser.log_in(CHANGE).getheader("Set-Cookie", "").lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert browser.ask("/")[0].status == 200
    stolen = browser.cookie
    assert browser.ask("/logout", {"csrf": browser.csrf()})[0].status == 303
    browser.cookie = stolen
    assert browser.ask("/")[0].status == 303


def test_a_wrong_password_is_refused_and_after_a_few_the_right_one_too(browser: Browser) -> None:
    for _ in range(access.TRIES - 1):
        assert browser.log_in("guess").status == 403
    assert browser.log_in("guess").status == 429
    answer = browser.log_in(CHANGE)
    assert answer.status == 429
    assert int(answer.getheader("Retry-After", "0")) > 0


def test_somebody_else_may_still_try_and_later_the_same_again() -> None:
    now_s = 0.0
    passwords = Passwords({"change": HASHES["password_hash"]}, lambda: now_s)
    for _ in range(access.TRIES):
        assert passwords.role_of("guess", "10.0.0.1") is None
    assert passwords.role_of(CHANGE, "10.0.0.1") is None
    assert passwords.role_of(CHANGE, "10.0.0.2") == "change"
    now_s = access.TRIES_IN_S + 1
    assert passwords.role_of(CHANGE, "10.0.0.1") == "change"


def test_a_session_ends_by_itself_and_there_are_not_too_many() -> None:
    now_s = 0.0
    sessions = Sessions(lambda: now_s)
    first = sessions.begin("look")
    assert sessions.find(first) is not None
    for _ in range(access.MOST_SESSIONS):
        last = sessions.begin("look")
    assert sessions.find(first) is None
    now_s = access.SESSION_S + 1
    assert sessions.find(last) is None


def test_who_may_look_may_not_change(browser: Browser, store: Store) -> None:
    browser.log_in(LOOK)
    answer, _ = browser.ask("/do/note", {"csrf": browser.csrf(), "text": "x"})
    assert answer.status == 403
    assert [change.what for change in store.audit.last(9)] == ["logged in"]


def test_a_change_is_a_line_in_the_database(browser: Browser, store: Store) -> None:
    browser.log_in(CHANGE)
    said = "rtsp://me:hunter2@192.0.2.1/"
    answer, _ = browser.ask("/do/note", {"csrf": browser.csrf(), "text": said})
    assert (answer.status, answer.getheader("Location")) == (303, "../")
    change = store.audit.last(1, camera="yard")[0]
    assert (change.who, change.what) == ("change from 127.0.0.1", "noted")
    assert change.detail == "rtsp://***@192.0.2.1/"


@pytest.mark.parametrize(
    ("form", "headers"),
    [
        ({}, {}),
        ({"csrf": "guess"}, {}),
        ({"csrf": ""}, {"X-CSRF-Token": "guess"}),
        (None, {"Origin": "http://evil.example"}),
        (None, {"Origin": "null"}),
        (None, {"Sec-Fetch-Site": "cross-site"}),
        (None, {"Sec-Fetch-Site": "same-site"}),
    ],
)
def test_a_forged_form_does_nothing(
    browser: Browser, store: Store, form: dict[str, str] | None, headers: dict[str, str]
) -> None:
    browser.log_in(CHANGE)
    sent = {"csrf": browser.csrf()} if form is None else form
    assert browser.ask("/do/note", {**sent, "text": "x"}, **headers)[0].status == 403
    assert [change.what for change in store.audit.last(9)] == ["logged in"]


def test_a_form_that_is_too_large_or_none_is_refused(browser: Browser) -> None:
    browser.log_in(CHANGE)
    long = {"csrf": browser.csrf(), "text": "x" * door.LONGEST_BODY}
    assert browser.ask("/do/note", long)[0].status == 413
    odd = {"Content-Type": "multipart/form-data"}
    assert browser.ask("/do/note", {"csrf": "x"}, **odd)[0].status in (400, 403)


def test_by_token_forms_are_checked_as_well(tmp_path: Path, store: Store) -> None:
    config = config_of(tmp_path, port=0)
    made = Pages(House(config, store, CollectorRegistry()))
    made.start()
    try:
        start = f"/{made.address.removeprefix(made.root)}"
        browser = Browser(made)
        assert browser.ask(f"{start}login")[0].status == 404
        assert browser.ask(f"{start}logout", {})[0].status == 403
    finally:
        made.close()


def test_metrics_need_the_token_where_there_is_a_password(browser: Browser, tmp_path: Path) -> None:
    assert browser.ask("/metrics")[0].status == 303
    token = (tmp_path / "port-token").read_text().strip()
    assert browser.ask("/metrics", Authorization=f"Bearer {token}")[0].status == 200
    assert browser.ask("/metrics", Authorization="Bearer x", Accept="*/*")[0].status == 401


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"address": "0.0.0.0"}, r"address: needs service\.password_hash"),
        ({"address": "0.0.0.0", **HASHES}, r"needs service\.certificate:"),
        ({"address": "0.0.0.0", "proxy": "https://c.example/", **HASHES}, r"behind a proxy on"),
        ({"proxy": "https://c.example/"}, r"proxy: needs service\.password_hash"),
        ({"look_password_hash": HASHES["look_password_hash"]}, r"needs service\.password_hash"),
        ({"password_hash": "hunter2"}, r"must be a hash that `culling serve --hash-password`"),
        ({"proxy": "http://c.example/", **HASHES}, r"must be an address such as https://"),
    ],
)
def test_what_others_can_reach_has_a_password_and_tls(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ServiceSettings.model_validate(given)


def test_a_hash_that_was_made_is_taken() -> None:
    made = hash_of(CHANGE)
    assert Passwords({"change": made}).role_of(CHANGE, "") == "change"
    assert ServiceSettings.model_validate({"password_hash": made}).password_hash == made


def test_hashes_are_not_shown() -> None:
    assert "argon2" not in repr(ServiceSettings.model_validate(HASHES))
