"""What *System* says of the machine beside its nights: a config.yaml with a mistake, the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.pages.house import House, Source
from jobs.pages.pages import Pages
from tests.unit.page_browser import PageBrowser

TEXT = "data_dir: data\nservice: {port: 0}\ncameras:\n  yard: {source: yard.mp4, classes: [car]}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def browser(path: Path) -> Iterator[PageBrowser]:
    config = load_config(path)
    with Store(config.data_dir) as store:
        pages = Pages(House(config, store, CollectorRegistry(), source=Source(path)))
        pages.start()
        yield PageBrowser(pages.address)
        pages.close()


def test_a_mistake_in_the_config_is_said_until_it_is_mended(
    path: Path, browser: PageBrowser
) -> None:
    assert "has a mistake" not in browser.get("system").text
    path.write_text(f"{TEXT}  gate: {{source: gate.mp4, clases: [car]}}\n", encoding="utf-8")
    page = browser.get("system").text
    assert "config.yaml has a mistake" in page
    assert "cameras.gate.clases: unknown key." in page
    assert 'href="camera/gate"' not in browser.get("").text
    path.write_text(f"{TEXT}  gate: {{source: gate.mp4, classes: [car]}}\n", encoding="utf-8")
    assert "has a mistake" not in browser.get("system").text
    assert 'href="camera/gate"' in browser.get("").text
