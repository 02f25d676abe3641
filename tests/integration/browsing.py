"""A real browser for the tests of the pages: Debian's Chromium, driven by Playwright.

A click that leads to another page stands in `with page.expect_navigation():`, which ends when that
page is there with its scripts. What a script changes is waited for by `expect`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.live import skip_or_fail

PATIENCE_MS = 120_000
"""A busy machine is no fault."""
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """An open browser; skips where there is none."""
    path = shutil.which("chromium")
    if path is None:
        message = "no browser here: install Debian's `chromium`"
        skip_or_fail(message, promised="CULLING_NEEDS_BROWSER")
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=path, args=["--no-sandbox"], timeout=PATIENCE_MS
        )
        yield browser
        browser.close()


def patient(page: Page) -> Page:
    """The page, which waits for what is slow to come."""
    page.set_default_timeout(PATIENCE_MS)
    page.set_default_navigation_timeout(PATIENCE_MS)
    return page
