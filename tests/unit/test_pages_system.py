"""What *System* says of the machine beside its nights: a config.yaml with a mistake, the log."""

from __future__ import annotations

import logging
import stat
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from prometheus_client import CollectorRegistry

from jobs import logs
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.logs import AS_IT_IS, LogFile, last_entries
from jobs.pages.house import House, Source
from jobs.pages.pages import Pages
from streams.secret_words import keep_secret
from tests.unit.page_browser import PageBrowser

CANARY = "c4nary-of-the-l0g"
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


# -- the log ---------------------------------------------------------------------------------------


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[logging.Logger]:
    """Logs into the file of `tmp_path`/data."""
    (tmp_path / "data").mkdir(exist_ok=True)
    logger, file = logging.getLogger("jobs.tests"), LogFile(tmp_path / "data")
    logger.addHandler(file)
    logger.setLevel(logging.INFO)
    yield logger
    logger.removeHandler(file)


def test_the_log_survives_its_process_and_is_bounded(
    tmp_path: Path, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    assert last_entries(data, 9) == []
    monkeypatch.setattr(logs, "LONGEST_FILE", 2000)
    for k in range(500):
        logger.info("entry %d ü", k)
    files = sorted(path.name for path in data.glob("culling-run.log*"))
    assert files == ["culling-run.log", "culling-run.log.1"]
    assert sum((data / name).stat().st_size for name in files) < 2 * 2100
    assert {stat.S_IMODE((data / name).stat().st_mode) for name in files} == {0o600}
    shown = last_entries(data, 30)
    assert [line.split(" ", 2)[2] for line in shown] == [
        f"entry {k} ü" for k in range(499, 469, -1)
    ]
    assert shown[0][:2] == "20"
    monkeypatch.setattr(logs, "TAIL", 100)
    assert 0 < len(last_entries(data, 30)) < 10, "only the ends of the files are read"


def test_no_secret_and_no_token_is_in_the_log_and_a_full_disk_harms_nobody(
    tmp_path: Path, logger: logging.Logger
) -> None:
    logger.warning("cannot open rtsp://me:%s@192.0.2.1/", CANARY)
    logger.info("reports and metrics: http://127.0.0.1/t0ken/", extra=AS_IT_IS)
    logger.info("said before it was known to be secret: %s", CANARY[::-1])
    keep_secret(CANARY[::-1])
    text = "".join(last_entries(tmp_path / "data", 9))
    assert "192.0.2.1" in text
    assert CANARY not in (tmp_path / "data" / "culling-run.log").read_text()
    assert "t0ken" not in text
    assert CANARY[::-1] not in text
    (tmp_path / "data" / "culling-run.log").unlink()
    (tmp_path / "data").rmdir()
    logger.info("nowhere")


def test_the_log_and_what_people_were_told_are_shown(
    tmp_path: Path, browser: PageBrowser, logger: logging.Logger
) -> None:
    assert "has worked here yet" in browser.get("system").text
    logger.warning("yard: <b>lost</b>")
    with Store(tmp_path / "data") as store:
        store.notices.is_news("lost:yard", quiet=timedelta(hours=1))
    page = browser.get("system").text
    assert "yard: &lt;b&gt;lost&lt;/b&gt;" in page
    assert "lost: yard</li>" in page


def test_who_may_only_look_sees_no_log(path: Path, logger: logging.Logger) -> None:
    logger.warning("rtsp://192.0.2.1/ is lost")
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash
    hashes = {"password_hash": quick("to change it"), "look_password_hash": quick("to look")}
    config = load_config(path)
    config = config.changed(service=config.service.changed(**hashes))
    with Store(config.data_dir) as store:
        pages = Pages(House(config, store, CollectorRegistry()))
        pages.start()
        try:
            for password, shown in (("to look", False), ("to change it", True)):
                browser = PageBrowser(pages.address)
                browser.post("login", {"password": password})
                page = browser.get("system").text
                assert "<h1>System</h1>" in page
                assert ("192.0.2.1" in page) is shown
        finally:
            pages.close()
