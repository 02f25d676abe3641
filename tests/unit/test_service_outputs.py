"""What the service tells: notices, pages, metrics, tonight's plan, the log."""

from __future__ import annotations

import json
import logging
import queue
import socket
import struct
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from zoneinfo import ZoneInfo

import pytest
import time_machine
from prometheus_client import CollectorRegistry

from benchmarks.testbed.nights import Quick, config_of
from benchmarks.testbed.small_night import night_record, unusable_night
from culling_pipeline.records.monitoring import DriftRecord
from culling_pipeline.records.night import AnyNight
from jobs.commands.tonight import needs_in_words, needs_of, tonight
from jobs.config.service import ServiceSettings
from jobs.config.settings import Config
from jobs.database.figures import Figures
from jobs.database.store import Store
from jobs.errors import ConfigError
from jobs.executors.base import Outcome, Task
from jobs.logs import log_to_stderr
from jobs.pages.house import House
from jobs.pages.pages import Pages
from jobs.service.metrics import CullingCollector, registry
from jobs.service.night_limits import Budget, Window
from jobs.service.night_order import PATIENCE, in_order, prospect
from jobs.service.nights import Nights, Origin
from jobs.service.notify import Notifier
from streams.secret_words import keep_secret

CANARY = "c4nary-of-notices"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path) as store:
        yield store


# -- notices ---------------------------------------------------------------------------------------


@pytest.fixture
def letters() -> Iterator[tuple[str, queue.Queue[dict[str, Any]]]]:
    """A real web hook on this machine: its address for Apprise, and what it was sent."""
    sent: queue.Queue[dict[str, Any]] = queue.Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.put(json.loads(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Hook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://127.0.0.1:{server.server_port}/{CANARY}", sent
        server.shutdown()


def settings_of(**given: object) -> ServiceSettings:
    return ServiceSettings.model_validate(given, context={"folder": Path()})


@pytest.mark.slow  # Apprise takes seconds to import
def test_people_are_told_once_and_again_when_it_had_been_over(
    store: Store, letters: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    address, sent = letters
    notify = Notifier(settings_of(notify=[address]), store.notices)
    for _ in range(3):
        notify("failed", "yard", "yard: its night failed", f"rtsp://u:{CANARY}@camera/ is gone")
    notify("failed", "door", "door: its night failed", "no labels")
    notify("promoted", "yard", "yard: a better student", "not asked for")
    notify.is_over("failed", "yard")
    notify("failed", "yard", "yard: failed again", "")
    notify.close()
    titles = [sent.get(timeout=120)["title"] for _ in range(3)]
    assert titles == ["yard: its night failed", "door: its night failed", "yard: failed again"]
    assert sent.empty()


class Ends(Quick):
    """Its next nights come to these records."""

    def __init__(self, store: Store, *records: AnyNight) -> None:
        super().__init__(store)
        self.left = list(records)

    def _run(self, task: Task) -> Outcome:
        night = self._store.open_night(task.camera, date(2026, 11, 21))
        self._store.finish_night(night.id, self.left.pop(0))
        return Outcome(task.due_id, night_id=night.id)


@pytest.mark.slow  # Apprise takes seconds to import
def test_a_covered_lens_is_told_once_and_drift_on_its_day(
    store: Store, tmp_path: Path, letters: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    address, sent = letters
    config = config_of(tmp_path).model_copy(update={"service": settings_of(notify=[address])})
    drift = DriftRecord(
        date=date(2026, 11, 21), state="drift", reason="twice the people", threshold=7.0,
        figures=(), course=(),
    )  # fmt: skip
    well, covered = night_record(), unusable_night()
    drifted = well.model_copy(update={"drift": drift})
    executor = Ends(store, covered, covered, covered, drifted, well, covered)
    with time_machine.travel(datetime(2026, 11, 21, 20, tzinfo=UTC), tick=False) as clock:
        notify = Notifier(config.service, store.notices)
        nights = Nights(
            config, Origin(Path(), {}), store, executor, notify, now=lambda: datetime.now(UTC)
        )
        while executor.left:
            clock.shift(timedelta(hours=6))
            nights.tick()
    notify.close()
    told = [sent.get(timeout=120) for _ in range(3)]
    assert [letter["message"] for letter in told] == [covered.why, drift.reason, covered.why]
    assert told[0]["title"] == "yard: not trained, somebody has to look at the camera"
    assert told[1]["title"] == "yard: its data has drifted"
    assert sent.empty()


@pytest.mark.slow  # Apprise takes seconds to import
def test_passwords_are_in_no_notice(
    store: Store, letters: tuple[str, queue.Queue[dict[str, Any]]]
) -> None:
    address, sent = letters
    notify = Notifier(settings_of(notify=[address]), store.notices)
    notify("lost", "yard", "yard is lost", f"rtsp://viewer:{CANARY}@camera/ does not answer")
    notify.close()
    assert sent.get(timeout=120)["message"] == "rtsp://***@camera/ does not answer"


@pytest.mark.slow  # Apprise takes seconds to import
def test_an_address_that_does_not_answer_is_a_line_in_the_log(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    notify = Notifier(settings_of(notify=[f"json://127.0.0.1:9/{CANARY}"]), store.notices)
    with caplog.at_level(logging.DEBUG):
        notify("failed", "yard", "yard: its night failed", "")
        notify.close()
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == [
        "'yard: its night failed' could not be sent: see service.notify"
    ]
    shown = repr(settings_of(notify=[f"json://127.0.0.1/{CANARY}"])) + caplog.text
    assert CANARY not in shown


@pytest.mark.slow  # Apprise takes seconds to import
def test_what_is_no_address_is_named_by_its_place(store: Store) -> None:
    with pytest.raises(ConfigError, match=r"service.notify\[0\]: is no address Apprise knows"):
        Notifier(settings_of(notify=[f"nonsense-{CANARY}"]), store.notices)


# -- pages and metrics -----------------------------------------------------------------------------


@pytest.fixture
def pages(tmp_path: Path, store: Store) -> Iterator[Pages]:
    config = config_of(tmp_path, ("yard", "door"), port=0)
    night = store.open_night("yard", date(2026, 11, 21))
    store.finish_night(night.id, night_record())
    folder = config.report_dir("yard", night.run_id)
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("the report")
    store.dues.ask("door", datetime(2026, 11, 21, tzinfo=UTC))
    made = Pages(House(config, store, registry(CullingCollector(store, tmp_path, lambda: None))))
    made.start()
    yield made
    made.close()


def get(pages: Pages, path: str) -> str:
    with urllib.request.urlopen(urljoin(pages.address, path)) as answer:
        return str(answer.read().decode())


def test_the_first_page_leads_to_the_reports(pages: Pages) -> None:
    page = get(pages, "")
    assert "0.500 → 0.500" in page
    assert "no night yet" in page
    assert get(pages, "reports/yard/2026-11-21/index.html") == "the report"
    assert 'href="reports/yard/2026-11-21/index.html"' in page


def test_metrics_are_prometheus(pages: Pages) -> None:
    lines = get(pages, "../metrics").splitlines()
    assert 'culling_student_map50{camera="yard"} 0.5' in lines
    assert 'culling_night_promoted{camera="yard"} 1.0' in lines
    assert 'culling_lens_moved{camera="yard"} 0.0' in lines
    assert 'culling_drift{camera="yard"} 0.0' in lines
    assert 'culling_nights{state="queued"} 1.0' in lines
    assert any(line.startswith("culling_disk_free_bytes ") for line in lines)


def test_a_port_that_is_taken_is_named(pages: Pages, tmp_path: Path, store: Store) -> None:
    port = int(pages.root.split(":")[2].strip("/"))
    figures = registry(CullingCollector(store, tmp_path, lambda: None))
    with pytest.raises(ConfigError, match=rf"service.port: {port} cannot be had"):
        Pages(House(config_of(tmp_path, port=port), store, figures))


# -- order, window, budget -------------------------------------------------------------------------


def figures(
    before: float = 0.8, after: float = 0.8, *, promoted: bool = False, loss: float = 1.0
) -> Figures:
    return Figures(
        frames_seen=100, kept=10, scale=1.0, score_before=before, score_after=after,
        score_random=None, promoted=promoted, mean_loss=loss, device_s=60.0, seconds={},
    )  # fmt: skip


def test_those_that_gain_most_go_first() -> None:
    steady = [figures(promoted=True), *(figures() for _ in range(4))]
    prospects = {
        "steady": prospect("steady", steady, today_loss=1.0),
        "new": prospect("new", [], typical_s=60.0),
        "below": prospect("below", [figures(0.7), figures(0.8), figures(0.85)]),
        "fuller": prospect("fuller", steady, today_loss=2.0),
        "emptier": prospect("emptier", steady, today_loss=0.4),
        "waiting": prospect("waiting", [figures(), *steady], today_loss=1.0),
    }
    order = [p.camera for p in in_order(prospects, starve_nights=7)]
    assert order == ["new", "emptier", "below", "fuller", "waiting", "steady"]
    assert prospects["below"].gain == pytest.approx(0.15 + 3 * PATIENCE)
    assert "L_conf +100%" in prospects["fuller"].why


def test_of_two_alike_the_cheaper_and_the_starved_before_all() -> None:
    dear = prospect("dear", [figures(0.7), figures(0.8)])
    cheap = prospect("cheap", [figures(0.7).model_copy(update={"device_s": 30.0}), figures(0.8)])
    left = prospect("left", [figures()], left_out=7)
    longer = prospect("longer", [figures()], left_out=9)
    made = {p.camera: p for p in (dear, cheap, left, longer)}
    assert [p.camera for p in in_order(made, starve_nights=7)] == [
        "longer",
        "left",
        "cheap",
        "dear",
    ]


@pytest.mark.parametrize(
    ("text", "now", "opened"),
    [
        ("01:00-05:00", "2026-11-21 00:59", None),
        ("01:00-05:00", "2026-11-21 01:00", "2026-11-21 01:00"),
        ("01:00-05:00", "2026-11-21 04:59", "2026-11-21 01:00"),
        ("01:00-05:00", "2026-11-21 05:00", None),
        ("22:00–04:00", "2026-11-21 23:00", "2026-11-21 22:00"),
        ("22:00–04:00", "2026-11-22 03:00", "2026-11-21 22:00"),
        (None, "2026-11-22 03:00", "2026-11-21 12:00"),
        (None, "2026-11-22 13:00", "2026-11-22 12:00"),
    ],
)
def test_windows(text: str | None, now: str, opened: str | None) -> None:
    zone = ZoneInfo("Europe/Berlin")
    found = Window(text, zone).opened(datetime.fromisoformat(now).replace(tzinfo=zone))
    assert (found and f"{found:%Y-%m-%d %H:%M}") == opened


def test_a_budget_always_lets_one_in() -> None:
    budget = Budget(100.0)
    assert budget.allows(1000.0, spent_s=0.0)
    assert budget.allows(50.0, spent_s=50.0)
    assert not budget.allows(51.0, spent_s=50.0)
    assert Budget(None).allows(1e9, spent_s=1e9)


def test_tonight_says_what_fits_and_what_many_cameras_need(tmp_path: Path, store: Store) -> None:
    config = config_of(tmp_path, ("a", "b", "c"), budget_minutes=25, window="01:00-05:00")
    found = tonight(config, store)
    assert [line.fits for line in found.lines] == [True, True, False]
    needs = needs_of(found, 10_000, faster=40)
    assert needs["devices"] == 11  # 10,000 nights of 600 s on something 40 times as fast, in 4 h
    words = needs_in_words(needs, found, faster=40)
    assert "guessed: no night has been run yet" in words
    assert "11 devices 40 times as fast" in words
    one = needs_in_words(needs_of(found, 1, faster=40), found, faster=40)
    assert one.startswith("1 camera needs ")
    assert "1 device 40 times as fast" in one
    assert "1 core like this machine's" in needs_in_words(needs_of(found, 1), found, faster=1)


# -- the log ---------------------------------------------------------------------------------------


def test_the_log_as_json_has_an_object_a_line_and_no_password(
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep_secret(CANARY)
    try:
        log_to_stderr(as_json=True)
        try:
            message = f"rtsp://u:{CANARY}@camera"
            raise ValueError(message)
        except ValueError as error:
            logging.getLogger("jobs").warning("%s\nis gone: %s", "yard", CANARY, exc_info=error)
    finally:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
    (line,) = capsys.readouterr().err.splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["logger"]) == ("warning", "jobs")
    assert "ValueError" in entry["error"]
    assert CANARY not in line
    assert datetime.now(UTC) - datetime.fromisoformat(entry["time"]) < timedelta(minutes=1)


def test_settings_of_the_service_that_cannot_be() -> None:
    for given in ({"window": "5 to 6"}, {"window": "01:00-01:00"}, {"window": "25:00-26:00"},
                  {"budget_minutes": 0}, {"tries": 0}, {"notify_of": ["everything"]}):  # fmt: skip
        with pytest.raises(ValueError, match="validation error"):
            settings_of(**given)
    assert isinstance(Config().service, ServiceSettings)


def test_a_client_that_goes_away_is_no_news(
    tmp_path: Path, store: Store, capfd: pytest.CaptureFixture[str]
) -> None:
    pages = Pages(House(config_of(tmp_path, port=0), store, CollectorRegistry()))
    pages.start()
    place = ("127.0.0.1", int(pages.address.split("/")[2].rpartition(":")[2]))
    for _ in range(5):
        with socket.create_connection(place) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.create_connection(place) as connection:  # whoever is served after them
        connection.sendall(b"GET /none HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        assert connection.makefile("rb").read().split()[1] == b"403"
    pages.close()
    assert capfd.readouterr().err == ""
