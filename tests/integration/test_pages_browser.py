"""The pages in a real browser (Debian's Chromium): read without JavaScript, checked by axe in both
themes and three widths, a login with what goes wrong at it, the large picture by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from playwright.sync_api import Browser, Page, expect
from prometheus_client import CollectorRegistry

from benchmarks.testbed.example_night import example_exhibits, example_night, example_worse
from benchmarks.testbed.nights import config_of
from benchmarks.testbed.small_night import night_record
from culling_pipeline.report.page import render_report
from jobs.database.store import Store
from jobs.logs import LOG_FILE
from jobs.pages import access
from jobs.pages.house import House
from jobs.pages.pages import Pages
from tests.integration.browsing import chromium, patient
from tests.unit.test_pages_reading import RUN, done, judged_frames, kept_frames

pytestmark = pytest.mark.slow

READING = (
    "",
    "camera/yard",
    "camera/door",
    f"camera/yard/night/{RUN}",
    f"camera/yard/night/{RUN}/frame/1",
    "system",
)
SIZES = ((360, 780), (1280, 900), (2560, 1300))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Pages of two cameras: one with two nights and frames, one whose night failed."""
    folder = tmp_path_factory.mktemp("pages")
    config = config_of(folder, ("yard", "door"), port=0)
    with Store(folder) as store:
        worse = kept_frames("yard", RUN)
        after = worse.judge.after.changed(per_class={"person": 0.25})
        done(config, store, night_record("yard", "2026-11-20"))
        worse = worse.changed(judge=worse.judge.changed(after=after))
        judged_frames(config, store, worse, kept=(0, 1, 2))
        (folder / LOG_FILE).write_text("2026-11-21 03:00:00+0000 yard: its night begins\n" * 60)
        store.notices.is_news("lost:door", quiet=timedelta(hours=1))
        store.fail_night(store.open_night("door", worse.date).id, "no labels")
        pages = Pages(House(config, store, CollectorRegistry()))
        pages.start()
        yield pages.address
        pages.close()


def test_all_reading_works_without_javascript(browser: Browser, address: str) -> None:
    page = patient(browser.new_page(java_script_enabled=False))
    page.goto(address)
    with page.expect_navigation():
        page.get_by_role("link", name="yard", exact=True).click()
    with page.expect_navigation():
        page.get_by_role("link", name="00:00").click()
    expect(page.get_by_text("new model missed 1 person")).to_be_visible()
    page.go_back()
    page.get_by_text("The same as a table").click()
    expect(page.get_by_role("cell", name="0.500", exact=True).first).to_be_visible()
    with page.expect_navigation():
        page.get_by_role("link", name=RUN, exact=True).click()
    expect(page.get_by_text("On 1 of 2 control frames the new model makes more")).to_be_visible()
    page.get_by_label("Student and teacher").select_option("missed")
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    expect(page.locator("#gallery li")).to_have_count(1)
    with page.expect_navigation():
        page.locator("#gallery li a").click()
    assert "/frame/" in page.url
    page.goto(address)
    page.get_by_label("Name or class").fill("door")
    with page.expect_navigation():
        page.get_by_role("button", name="Show").click()
    expect(page.locator(".camera")).to_have_count(1)
    with page.expect_navigation():
        page.get_by_role("link", name="System").click()
    expect(page.get_by_text("its last night failed: no labels")).to_be_visible()
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    browser: Browser, address: str, scheme: Any
) -> None:
    from axe_core_python.sync_playwright import Axe

    said: list[str] = []
    # The rules are put into the page as a script, which its own policy would refuse.
    context = browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = patient(context.new_page())
    for path in READING:
        page.goto(address + path)
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if over > 0:
                said.append(f"{path} at {width}: {over} px too wide")
        page.set_viewport_size({"width": SIZES[0][0], "height": SIZES[0][1]})
        said += [f"{path}: {what_of(one)}" for one in Axe().run(page)["violations"]]
    context.close()
    assert said == []


def what_of(violation: dict[str, Any]) -> str:
    """A fault that axe found, in a line."""
    nodes = [node["html"][:120] for node in violation["nodes"][:3]]
    return f"{violation['id']}: {violation['help']}: {nodes}"


def test_no_page_breaks_its_own_rules(browser: Browser, address: str) -> None:
    """With the script: nothing on the console, such as what the policy of the page refused."""
    page = patient(browser.new_page())
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in READING:
        page.goto(address + path)
    page.close()
    assert said == []


def test_the_large_picture_goes_by_keys(browser: Browser, address: str) -> None:
    page = patient(browser.new_page())
    page.goto(f"{address}camera/yard/night/{RUN}")
    page.locator("#gallery li a").first.focus()
    page.keyboard.press("Enter")
    box = page.locator("dialog.lightbox")
    expect(box).to_contain_text("(1 of 3)")
    more = box.get_by_role("link", name="What teacher and models see")
    expect(more).to_have_attribute("href", re.compile(r"/frame/0$"))
    page.keyboard.press("ArrowLeft")
    expect(box).to_contain_text("(3 of 3)")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
    page.close()


def test_a_report_opens_offline_and_prints(browser: Browser, tmp_path: Path) -> None:
    """As from a mail: one file, no network. All pictures are there, on paper as well."""
    file = tmp_path / "report.html"
    file.write_text(render_report(example_night(), example_exhibits(), worse=example_worse()))
    assert file.stat().st_size < 5_000_000
    context = browser.new_context(offline=True)
    page = patient(context.new_page())
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(file.as_uri())
    assert [url for url in asked if not url.startswith(("data:", file.as_uri()))] == []
    assert said == []
    page.locator("label[for=pair-2]").click()
    expect(page.locator("#pair-2")).to_be_checked()
    page.keyboard.press("Escape")
    expect(page.locator("#pair-2")).not_to_be_checked()
    assert 3 <= page.pdf(format="A4").count(b"/Type /Page\n") <= 20
    page.emulate_media(media="print")
    expect(page.get_by_text("Tap a picture").first).to_be_hidden()
    over = page.evaluate(
        "[...document.querySelectorAll('svg use')].filter("
        "(one) => one.getBoundingClientRect().width < 10).length"
    )
    assert over == 0
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    lefts = page.evaluate(
        "[...document.querySelectorAll('.pairs figure')].map((f) => f.getBoundingClientRect().left)"
    )
    assert lefts[0::2] == [min(lefts)] * 2, "old and new model are not side by side"
    wide = page.evaluate(
        "[...document.querySelectorAll('.scroll')].filter((b) => b.scrollWidth > b.clientWidth + 1)"
        ".length"
    )
    assert wide == 0, "a table is cut off on paper"
    context.close()


def test_a_login_with_what_goes_wrong_at_it(browser: Browser, tmp_path: Path) -> None:
    look = "a password to look"
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash
    hashes = {"password_hash": quick("another password"), "look_password_hash": quick(look)}
    with Store(tmp_path) as store:
        pages = Pages(House(config_of(tmp_path, port=0, **hashes), store, CollectorRegistry()))
        pages.start()
        context = browser.new_context()
        page = patient(context.new_page())
        try:
            page.goto(f"{pages.root}camera/yard")
            assert page.url == f"{pages.root}login"
            log_in(page, "guess")
            expect(page.get_by_role("alert")).to_have_text("This password is wrong.")
            log_in(page, look)
            expect(page.get_by_role("heading", name="Cameras")).to_be_visible()
            expect(page.get_by_text("may look")).to_be_visible()
            with page.expect_navigation():
                page.get_by_role("button", name="Log out").click()
            for _ in range(access.TRIES):
                log_in(page, "guess")
            log_in(page, look)
            expect(page.get_by_role("alert")).to_contain_text("Too many wrong passwords")
        finally:
            context.close()
            pages.close()


def log_in(page: Page, password: str) -> None:
    """Send the form of the login."""
    page.get_by_label("Password").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Log in").click()
