"""What is changed in config.yaml while the service watches: cameras that come, go, or get a mask or
another schedule. Real cameras on a web server, the real watch and the real store."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import pytest
import time_machine
import yaml
from typer.testing import CliRunner

from benchmarks.testbed.nights import Quick
from benchmarks.testbed.servers.clips import jpeg, moving_picture
from benchmarks.testbed.servers.web import WebServer, pictures_in_turn
from culling_pipeline.day.daybook import DAYBOOK, DayClock
from jobs.cli import app
from jobs.commands import watch as watch_command
from jobs.config.followed import FollowedConfig
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.errors import EXIT_MODEL
from jobs.pages.overview import Overview
from jobs.service import service as service_module
from jobs.service.nights import Nights, Origin
from jobs.service.notify import Notifier
from jobs.service.service import Service
from jobs.watch import halted, scoring
from jobs.watch import watch as watch_module
from jobs.watch.watch import CameraWatch
from models.files import META_FILE
from models.registry import ModelRegistry
from models.versions import POINTER_FILE

PATIENCE_S = 120.0
LEFT = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]


class ConfigFile:
    """A config.yaml whose cameras change."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.yaml"
        self.cameras: dict[str, dict[str, Any]] = {}
        self.more: dict[str, Any] = {}

    def write(self, **cameras: dict[str, Any] | None) -> None:
        """With these cameras added or changed; None takes one out."""
        for name, own in cameras.items():
            self.cameras.pop(name, None)
            if own is not None:
                self.cameras[name] = own
        self._put(yaml.safe_dump({**self.more, "cameras": self.cameras}))

    def spoil(self) -> None:
        self._put("cameras: [")

    def _put(self, text: str) -> None:
        aside = self.path.with_suffix(".new")
        aside.write_text(text, encoding="utf-8")
        os.replace(aside, self.path)  # another inode: another stamp on the coarsest clock


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is looked at now and then is looked at often."""
    monkeypatch.setattr(service_module, "TICK_S", 0.05)
    monkeypatch.setattr(watch_module, "TICK_S", 0.05)
    monkeypatch.setattr(watch_command, "LOOK_S", 0.05)
    monkeypatch.setattr(scoring, "MAX_WAIT_S", 0.05)


@pytest.fixture
def file(tmp_path: Path) -> ConfigFile:
    made = ConfigFile(tmp_path)
    made.more = {
        "data_dir": "data",
        "device": "cpu",
        "workers": 1,
        "service": {"port": None},
        "defaults": {"classes": ["person"], "fps": 4},
    }
    return made


def twice(followed: FollowedConfig) -> Any:
    """A look at a file that has changed, and the next one, which reads it."""
    assert followed.look() is None
    return followed.look()


# -- the file --------------------------------------------------------------------------------------


def test_cameras_are_taken_up_and_the_machines_keys_wait(
    file: ConfigFile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "jobs")
    file.write(door={"source": "rtsp://192.0.2.1/"}, shed={"source": "rtsp://192.0.2.3/"})
    followed = FollowedConfig(load_config(file.path), file.path, {"fps": 2})
    assert twice(followed) is None
    file.more["workers"] = 7
    file.write(
        door={"source": "rtsp://192.0.2.1/", "mask": LEFT},
        gate={"source": "rtsp://192.0.2.2/"},
        shed=None,
    )
    now = twice(followed)
    assert (list(now.cameras), now.workers, now.cameras["gate"].fps) == (["door", "gate"], 1, 2)
    assert now.cameras["door"].mask
    assert twice(followed) is None
    assert "config.yaml: workers: counts from the next start" in caplog.text
    assert "new camera gate, without camera shed, changed door" in caplog.text


def test_a_file_with_a_mistake_changes_nothing_and_is_said_once(
    file: ConfigFile, caplog: pytest.LogCaptureFixture
) -> None:
    file.write(door={"source": "rtsp://192.0.2.1/"})
    followed = FollowedConfig(load_config(file.path), file.path, {})
    for _ in range(2):
        file.spoil()
        assert twice(followed) is None
    assert caplog.text.count("all cameras stay as they were until it is mended") == 1
    file.path.unlink()
    assert twice(followed) is None
    file.write(gate={"source": "rtsp://192.0.2.2/"})
    assert list(twice(followed).cameras) == ["door", "gate"]


# -- watching --------------------------------------------------------------------------------------


@pytest.fixture
def site() -> Iterator[WebServer]:
    made = WebServer()
    pictures = [jpeg(moving_picture(8 * k, width_px=160, height_px=96)) for k in range(40)]
    for name in ("door", "gate"):
        made.paths[f"/{name}.jpg"] = pictures_in_turn(pictures)
    yield made
    made.kill()


@contextmanager
def serving(file: ConfigFile) -> Iterator[Service]:
    """The service of this file at work."""
    config = load_config(file.path)
    with Store(config.data_dir) as store:
        service = Service(config, Origin(file.path, {}), store, Quick(store))
        running = threading.Thread(target=service.run)
        running.start()
        try:
            yield service
        finally:
            service.stop()
            running.join(PATIENCE_S)
            assert not running.is_alive()


def wait_until(is_so: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def pictures(file: ConfigFile, camera: str) -> list[Path]:
    return sorted((file.path.parent / "data" / "days" / camera).glob("*/frames/*.jpg"))


def grows(file: ConfigFile, camera: str) -> None:
    """Wait until more frames of the camera are stored than now."""
    before = len(pictures(file, camera))
    wait_until(lambda: len(pictures(file, camera)) > before)


def of(site: WebServer, name: str, **more: Any) -> dict[str, Any]:
    return {"source": site.url(f"/{name}.jpg"), **more}


def test_a_camera_comes_and_goes_while_another_is_watched_on(
    file: ConfigFile, site: WebServer
) -> None:
    file.write(door=of(site, "door"))
    with serving(file) as service:
        grows(file, "door")
        watch = service.watch()
        assert watch is not None
        door = watch.feeds["door"]
        file.write(gate=of(site, "gate"))
        grows(file, "gate")
        file.write(gate=None)
        wait_until(lambda: list(watch.feeds) == ["door"])
        last = lines(file, "gate")[-1]
        grows(file, "door")
        assert watch.feeds["door"] is door is service.watch().feeds["door"]  # type: ignore[union-attr]
    assert last["event"] == "stop"
    assert [x["event"] for x in lines(file, "door") if "event" in x].count("start") == 1


def test_the_first_camera_to_watch_may_come_later(file: ConfigFile, site: WebServer) -> None:
    file.write(clip={"source": "clip.mp4"})
    with serving(file) as service:
        wait_until(lambda: service.watch() is None)
        file.write(gate=of(site, "gate"))
        grows(file, "gate")


def test_a_mask_is_there_at_the_next_frames_and_a_schedule_opens_nothing_anew(
    file: ConfigFile, site: WebServer
) -> None:
    file.write(door=of(site, "door"))
    with serving(file) as service:
        grows(file, "door")
        watch = service.watch()
        assert watch is not None
        before = watch.watchers["door"]
        file.write(door=of(site, "door", schedule="23:59"))
        seen = service._followed
        wait_until(lambda: seen.config.cameras["door"].schedule == "23:59")
        grows(file, "door")
        assert watch.watchers["door"] is before
        file.write(door=of(site, "door", schedule="23:59", mask=LEFT))
        wait_until(lambda: watch.watchers.get("door") not in (None, before))
        grows(file, "door")
    image = cv2.imread(str(pictures(file, "door")[-1]))
    assert image is not None
    assert image[:, :70].max() < 20 < image[:, 90:].max()


def lines(file: ConfigFile, camera: str) -> list[dict[str, Any]]:
    paths = sorted((file.path.parent / "data" / "days" / camera).glob("*/daybook.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.mark.parametrize(("named", "watched"), [(None, ["door", "gate"]), (["door"], ["door"])])
def test_ingest_takes_up_all_cameras_or_those_that_were_named(
    file: ConfigFile, site: WebServer, named: list[str] | None, watched: list[str]
) -> None:
    file.write(door=of(site, "door"))
    config = load_config(file.path)
    with Store(config.data_dir) as store:
        watch = CameraWatch(config, list(config.cameras.values()), store)
        running = threading.Thread(target=watch.run)
        running.start()
        try:
            grows(file, "door")
            before = watch.watchers["door"]
            with watch_command.followed(watch, config, (file.path, []), named):
                file.write(gate=of(site, "gate"), door=of(site, "door", mask=LEFT))
                wait_until(lambda: watch.watchers.get("door") not in (None, before))
                assert sorted(watch.feeds) == watched
        finally:
            watch.stop()
            running.join(PATIENCE_S)


# -- one camera that cannot be watched -------------------------------------------------------------


BROKEN = {"student": {"weights": "broken.pt", "class_names": ["person"]}}


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that is halted is tried again at once."""
    monkeypatch.setattr(halted, "FIRST_S", 0.05)
    monkeypatch.setattr(halted, "LONGEST_S", 0.05)


@contextmanager
def held(file: ConfigFile, camera: str) -> Iterator[None]:
    """Somebody else writes this camera's day."""
    day = load_config(file.path).day_dir(camera, DayClock.of(datetime.now(UTC)).day)
    day.mkdir(parents=True)
    with (day / DAYBOOK).open("ab") as own:
        fcntl.flock(own, fcntl.LOCK_EX)
        yield


def halted_reason(service: Service, camera: str) -> str | None:
    """Why the service says this camera is halted."""
    watch = service.watch()
    watcher = None if watch is None else watch.watchers.get(camera)
    condition = None if watcher is None else watcher.condition
    return condition.reason if condition is not None and condition.state == "halted" else None


def test_a_camera_whose_student_cannot_be_opened_stops_no_other_until_it_is_mended(
    file: ConfigFile, site: WebServer, soon: None, caplog: pytest.LogCaptureFixture
) -> None:
    (file.path.parent / "broken.pt").write_bytes(b"no weights")
    file.write(door=of(site, "door", **BROKEN), gate=of(site, "gate"))
    with serving(file) as service:
        wait_until(lambda: halted_reason(service, "door"))
        watch = service.watch()
        assert watch is not None
        halts = watch.watchers["door"]
        wait_until(lambda: watch.watchers["door"] is not halts)  # tried again
        grows(file, "gate")
        assert service.watch() is watch
        assert "broken.pt" in str(halted_reason(service, "door"))
        with Store(file.path.parent / "data") as store:
            overview = Overview(store, service.watch)
            worst = overview.glances(load_config(file.path))[0]
        assert (worst.name, worst.state, worst.rank >= 40) == ("door", "halted", True)
        assert "broken.pt" in worst.needs[0]
        file.write(door=of(site, "door"))
        grows(file, "door")
        wait_until(lambda: halted_reason(service, "door") is None)
        assert service.watch() is watch
    assert [x["event"] for x in lines(file, "gate") if "event" in x].count("start") == 1
    assert caplog.text.count("camera door: not watched") == 1
    assert "begun again in" not in caplog.text


def test_a_service_waits_for_its_only_camera(
    file: ConfigFile, site: WebServer, soon: None, caplog: pytest.LogCaptureFixture
) -> None:
    file.write(door=of(site, "door"))
    with serving(file) as service:
        with held(file, "door"):
            wait_until(lambda: halted_reason(service, "door"))
            watch = service.watch()
            assert watch is not None
            first = watch.watchers["door"]
            wait_until(lambda: watch.watchers["door"] is not first)
        grows(file, "door")
        wait_until(lambda: halted_reason(service, "door") is None)
        assert service.watch() is watch
    assert caplog.text.count("camera door: not watched") == 1


def test_a_promoted_student_that_cannot_be_opened_leaves_the_old_one_at_work(
    file: ConfigFile,
    site: WebServer,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(watch_module, "RENEW_S", 0.05)
    file.write(door=of(site, "door"))
    with serving(file) as service:
        grows(file, "door")
        watch = service.watch()
        registry = ModelRegistry(load_config(file.path).models_root)
        start = registry.path("door", "start")
        bad = start.parent / "bad"
        shutil.copytree(start, bad)
        (bad / META_FILE).write_text("{")
        pointer = start.parent / POINTER_FILE
        pointer.write_text(pointer.read_text().replace('"start"', '"bad"'))
        wait_until(lambda: "camera door: its old student goes on" in caplog.text)
        grows(file, "door")
        assert service.watch() is watch
    assert caplog.text.count("its old student goes on") == 1


@pytest.mark.parametrize("others", [{}, {"clip": {"source": "clip.mp4"}}])
def test_ingest_of_cameras_that_cannot_be_watched_ends_with_what_is_wrong(
    file: ConfigFile, site: WebServer, others: dict[str, Any]
) -> None:
    (file.path.parent / "broken.pt").write_bytes(b"no weights")
    file.write(door=of(site, "door", **BROKEN), **others)
    done = CliRunner().invoke(app, ["ingest", "--config", str(file.path), "--json"])
    assert done.exit_code == EXIT_MODEL
    door = json.loads(done.stdout)["cameras"]["door"]
    assert (door["state"], door["frames_seen"]) == ("halted", 0)
    assert "broken.pt" in door["error"]


# -- nights ----------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Iterator[time_machine.Coordinates]:
    with time_machine.travel(datetime(2026, 11, 20, 20, tzinfo=UTC), tick=False) as clock:
        yield clock


@pytest.fixture
def nights_of(file: ConfigFile, tmp_path: Path) -> Iterator[tuple[Nights, Store, Quick]]:
    file.write(yard={"source": "yard.mp4", "schedule": None})
    config = load_config(file.path)
    with Store(tmp_path) as store:
        executor = Quick(store)
        notify = Notifier(config.service, store.notices)
        origin = Origin(file.path, {})
        nights = Nights(config, origin, store, executor, notify, now=lambda: datetime.now(UTC))
        yield nights, store, executor
        nights.stop()


def hours(nights: Nights, clock: time_machine.Coordinates, count: float) -> None:
    for _ in range(round(4 * count)):
        clock.shift(900)
        nights.tick()


def test_a_night_that_is_asked_for_a_camera_just_added_waits_for_it(
    clock: time_machine.Coordinates, file: ConfigFile, nights_of: tuple[Nights, Store, Quick]
) -> None:
    nights, store, executor = nights_of
    store.dues.ask("gate", datetime.now(UTC), reason="asked")
    for _ in range(3):
        clock.shift(2)
        nights.tick()
    file.write(gate={"source": "gate.mp4"})
    nights.take_up(load_config(file.path))
    nights.tick()
    assert [name for name, _ in executor.begun] == ["gate"]
    store.dues.ask("barn", datetime.now(UTC), reason="asked")
    for _ in range(3):
        nights.tick()
        clock.shift(timedelta(seconds=6))
    failed = {due.camera: due.error for due in store.dues.all() if due.state == "failed"}
    assert failed == {"barn": "not in the configuration"}


def test_a_new_schedule_counts_from_now_on(
    clock: time_machine.Coordinates, file: ConfigFile, nights_of: tuple[Nights, Store, Quick]
) -> None:
    nights, _, executor = nights_of
    clock.shift(timedelta(hours=10))
    nights.tick()
    own = {"schedule": "03:00", "time_zone": "UTC"}
    file.write(yard={"source": "yard.mp4", **own}, gate={"source": "gate.mp4", **own})
    nights.take_up(load_config(file.path))
    hours(nights, clock, 2)
    assert executor.begun == [], "03:00 of today was before there was this schedule"
    hours(nights, clock, 24)
    assert sorted(name for name, _ in executor.begun) == ["gate", "yard"]
    file.write(yard=None, gate={"source": "gate.mp4", "schedule": None})
    nights.take_up(load_config(file.path))
    hours(nights, clock, 24)
    assert len(executor.begun) == 2
