"""A camera's change gate in `culling ingest`: its lag, its days, and whose lessons it takes up."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from culling_pipeline.day.daybook import DAYBOOK
from culling_pipeline.gate.memory import MEMORY_FILE, load_memory
from jobs.cameras.day_plan import ingest_plan
from jobs.config.settings import CameraConfig, Config
from jobs.watch import gating
from jobs.watch.gating import LAG_FRAMES, Gating
from models.boxes.detections import Detections
from streams.base import Frame

DAY = date(2026, 11, 21)
NOON = datetime(2026, 11, 21, 12).astimezone()
PARKED = Detections(
    np.array([[10, 10, 30, 40]], np.float32), np.full(1, 0.9, np.float32), np.zeros(1, np.int64)
)


def configuration(folder: Path, **changes: Any) -> Config:
    settings = {
        "name": "yard",
        "source": "rtsp://user:secret@yard/1",
        "classes": ["person"],
        "culling": {"gate": {"enabled": True}},
        **changes,
    }
    camera = CameraConfig.model_validate(settings)
    return Config.model_validate({"data_dir": folder}).model_copy(
        update={"cameras": {"yard": camera}}
    )


def gating_of(config: Config) -> Gating:
    camera = config.cameras["yard"]
    return Gating(config, camera, ingest_plan(camera))


def day_folder(config: Config, day: date = DAY) -> Path:
    folder = config.day_dir("yard", day)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DAYBOOK).touch()
    return folder


def watch(
    config: Config, gate: Gating, *, began: datetime = NOON, count: int = 20, version: str = "v1",
    shape: tuple[int, int] = (48, 64),
) -> list[bool]:  # fmt: skip
    """Frames with a parked object at one a second: whether each was scored."""
    rng, scored = np.random.default_rng(count), []
    for k in range(count):
        image = np.clip(rng.normal(100, 4, (*shape, 3)), 0, 255).astype(np.uint8)
        moment = began + timedelta(seconds=k)
        frame = Frame(image, 0.0, moment.astimezone(UTC), "yard")
        decision = gate.decide(frame, version)
        gate.settle(frame, version, decision, PARKED, PARKED)
        gate.count(decision, moment.date(), day_folder(config, moment.date()))
        scored.append(decision.score)
    return scored


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Noon of a day, after which the gate knows enough to skip."""
    config = configuration(tmp_path_factory.mktemp("gating"))
    gate = gating_of(config)
    scored = watch(config, gate, count=760)
    assert all(scored[: 540 + LAG_FRAMES])
    assert not all(scored)
    gate.save(day_folder(config))
    return config


def skips(config: Config, *, minutes: float = 20, **more: Any) -> int:
    """How many of twenty frames a gate skips that is begun so much later."""
    scored = watch(config, gating_of(config), began=NOON + timedelta(minutes=minutes), **more)
    return scored.count(False)


def test_a_gate_begun_anew_goes_on_where_it_was(watched: Config) -> None:
    gate = gating_of(watched)
    scored = watch(watched, gate, began=NOON + timedelta(minutes=20))
    assert scored.count(False) > 5
    assert gate.record is not None
    assert gate.record.scored + gate.record.skipped == 780


def test_nothing_is_known_of_another_student_picture_or_camera(watched: Config) -> None:
    assert skips(watched, version="v2") == 0
    assert skips(watched, shape=(64, 48)) == 0
    for changes in (
        {"source": "rtsp://user:secret@yard/2"},
        {"mask": [[[0, 0], [1, 0], [1, 0.5]]]},
        {"ignore_zones": [[[0, 0], [1, 0], [1, 0.5]]]},
        {"student": {"min_score": 0.4}},
        {"fps": 0.5},
    ):
        assert skips(configuration(watched.data_dir, **changes)) == 0, changes
    every = {"enabled": True, "every": 2}
    passed_over = 10
    assert skips(configuration(watched.data_dir, culling={"gate": every})) == passed_over


def test_a_new_password_or_another_recall_is_the_same_camera(watched: Config) -> None:
    assert skips(configuration(watched.data_dir, source="rtsp://user:other@yard/1")) > 5
    gate = {"enabled": True, "min_recall": 0.99, "audit_share": 0.1}
    assert skips(configuration(watched.data_dir, culling={"gate": gate})) > 5


def test_a_change_of_student_in_mid_day_begins_anew_and_counts_on(watched: Config) -> None:
    gate = gating_of(watched)
    later = NOON + timedelta(minutes=20)
    assert not all(watch(watched, gate, began=later))
    assert all(watch(watched, gate, began=later + timedelta(seconds=20), version="v2", count=200))
    assert gate.record is not None
    assert gate.record.scored + gate.record.skipped == 760 + 220


def test_the_next_day_has_a_tally_of_its_own_and_has_to_confirm(watched: Config) -> None:
    config = watched.model_copy()
    tomorrow = 24 * 60
    assert skips(config, minutes=tomorrow) == 0
    assert skips(config, minutes=tomorrow, count=270 + LAG_FRAMES + 60) > 5
    assert skips(config, minutes=8 * tomorrow, count=270 + LAG_FRAMES + 60) == 0


def test_an_older_recording_does_not_learn_from_later_days(watched: Config) -> None:
    assert skips(watched, minutes=-2 * 24 * 60) == 0


def test_what_one_student_found_teaches_nothing_about_the_next(tmp_path: Path) -> None:
    config = configuration(tmp_path)
    gate = gating_of(config)
    watch(config, gate, count=50)
    watch(config, gate, count=LAG_FRAMES + 42, version="v2", began=NOON + timedelta(seconds=50))
    first_without_a_reference = 1
    assert len(gate._gate.memory.evidence) == 42 - first_without_a_reference


def test_a_tally_ends_with_its_day_and_is_not_taken_up_on_another(watched: Config) -> None:
    gate = gating_of(watched)
    began = NOON.replace(hour=23, minute=59, second=50) + timedelta(days=1)
    for moment in (began, began + timedelta(seconds=10)):  # before midnight, and after
        watch(watched, gate, began=moment, count=10)
        assert gate.record is not None
        assert gate.record.scored + gate.record.skipped == 10


def test_lessons_are_written_as_the_day_goes_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gating, "SAVE_EVERY", 10)
    config = configuration(tmp_path)
    folder, gate = day_folder(config), gating_of(config)
    watch(config, gate, count=9)
    assert not (folder / MEMORY_FILE).exists()
    watch(config, gate, count=1)
    assert (folder / MEMORY_FILE).exists()
    assert load_memory(folder, gate._key) is not None
    assert b"secret" not in (folder / MEMORY_FILE).read_bytes()


def test_without_a_gate_nothing_is_written(tmp_path: Path) -> None:
    config = configuration(tmp_path, culling={"gate": {"enabled": False}})
    gate = gating_of(config)
    watch(config, gate, count=5)
    gate.save(day_folder(config))
    assert not (day_folder(config) / MEMORY_FILE).exists()
    assert gate.record is None
