"""What goes when a night is done: reports by their age, frames by their budget."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.testbed.small_night import DAY, night_record
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.disk.cleanup import remove_old_reports, tidy_up
from jobs.executors.local import LocalExecutor
from jobs.service.nights import Origin
from jobs.service.service import Service
from models.registry import ModelRegistry
from tests.unit.watched import write_day

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def configuration(folder: Path, **more: object) -> Config:
    camera = CameraConfig.model_validate(
        {"name": "yard", "source": "yard.mp4", "classes": ["person"], "schedule": None}
    )
    config = Config.model_validate({"data_dir": folder, "service": {"port": None}, **more})
    return config.model_copy(update={"cameras": {"yard": camera}})


def report(config: Config, run_id: str, *, days_ago: float, camera: str = "yard") -> Path:
    folder = config.report_dir(camera, run_id)
    folder.mkdir(parents=True)
    page = folder / "index.html"
    page.write_text("<html>")
    written = (NOW - timedelta(days=days_ago)).timestamp()
    os.utime(page, (written, written))
    return folder


def names(config: Config, camera: str = "yard") -> list[str]:
    return sorted(path.name for path in (config.data_dir / "reports" / camera).iterdir())


def test_reports_go_when_they_are_too_old_and_a_cameras_latest_never(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    config = configuration(tmp_path, reports={"keep_days": 30})
    old = [report(config, "2026-10-01", days_ago=40), report(config, "2026-10-26", days_ago=30.1)]
    report(config, "2026-10-27", days_ago=29.9)
    report(config, "2026-09-01", days_ago=2)  # of a day that had waited long for its night
    gone = report(config, "2025-01-01", days_ago=400, camera="left")
    report(config, "2025-01-02", days_ago=399, camera="left")
    assert remove_old_reports(config, ["yard"], now=NOW) == old
    assert names(config) == ["2026-09-01", "2026-10-27"]
    assert names(config, "left") == ["2025-01-01", "2025-01-02"]
    assert remove_old_reports(config, now=NOW) == [gone]
    assert names(config, "left") == ["2025-01-02"]
    assert remove_old_reports(config, now=NOW) == []
    assert remove_old_reports(config, ["no-report-yet"], now=NOW) == []
    assert next(m for m in caplog.messages if "old reports" in m).endswith(": 2")


def test_without_a_limit_reports_stay_and_by_default_they_stay_a_year(tmp_path: Path) -> None:
    config = configuration(tmp_path, reports={"keep_days": None})
    for days in (5000, 366, 364, 1):
        report(config, f"{days:04d}", days_ago=days)
    assert remove_old_reports(config, now=NOW) == []
    remove_old_reports(configuration(tmp_path), now=NOW)
    assert names(config) == ["0001", "0364"]


def test_what_else_lies_there_stays_and_what_cannot_go_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configuration(tmp_path, reports={"keep_days": 1})
    for run_id in ("a", "b", "c"):
        report(config, run_id, days_ago=9)
    (config.data_dir / "reports" / "yard" / "notes").mkdir()
    (config.data_dir / "reports" / "yard" / "a" / "index.html").unlink()  # a night at work
    os.symlink(tmp_path, config.data_dir / "reports" / "yard" / "aa")  # which rmtree refuses
    report_elsewhere = tmp_path / "index.html"
    report_elsewhere.write_text("<html>")
    os.utime(report_elsewhere, (0, 0))
    removed = remove_old_reports(config, now=NOW)
    assert [path.name for path in removed] == ["b"]
    assert names(config) == ["a", "aa", "c", "notes"]
    assert "an old report stays" in caplog.text


def test_a_night_brings_frames_under_their_budget(tmp_path: Path) -> None:
    config = configuration(tmp_path, disk={"budget_gb": 2.5e-6, "min_free_gb": 1e6})
    runs = ("2026-11-20", "2026-11-21", "2026-11-22")
    with Store(tmp_path) as store:
        for run_id in runs:
            folder = config.frames_dir("yard", run_id)
            folder.mkdir(parents=True)
            (folder / "000001.jpg").write_bytes(bytes(1000))
        night = store.open_night("yard", DAY)
        store.finish_night(night.id, night_record())
        tidy_up(config, config.cameras["yard"], store, ModelRegistry(config.models_root))
        left = sorted(path.name for path in (tmp_path / "frames" / "yard").iterdir())
        assert left == list(runs[1:])

        # A day that waits for its night is thinned by who watches it, if at all.
        waiting = config.day_dir("yard", DAY + timedelta(days=1))
        write_day(waiting, DAY + timedelta(days=1), people=1, hours=0.1)
        (waiting / "frames").mkdir()
        (waiting / "frames" / "000001.jpg").write_bytes(bytes(9000))
        tidy_up(config, config.cameras["yard"], store, ModelRegistry(config.models_root))
    assert list((tmp_path / "frames" / "yard").iterdir()) == []
    assert len(list(waiting.rglob("*.jpg"))) == 1


def test_the_service_removes_old_reports_of_cameras_that_have_no_night_now(tmp_path: Path) -> None:
    config = configuration(tmp_path, reports={"keep_days": 30})
    report(config, "a", days_ago=40, camera="left")
    report(config, "b", days_ago=39, camera="left")
    with Store(tmp_path) as store:
        origin = Origin(tmp_path / "config.yaml", {})
        service = Service(config, origin, store, LocalExecutor(1), now=lambda: NOW)
        timer = threading.Timer(1.5, service.stop)  # one tick comes after a second
        timer.start()
        service.run()
        timer.join()
    assert names(config, "left") == ["b"]
