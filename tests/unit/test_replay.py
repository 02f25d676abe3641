"""Frames of earlier nights for later trainings: bounded, spread, of the present view, and paid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from culling_pipeline.culling.budget import EPOCHS, cost_s
from culling_pipeline.day.frame_files import as_jpeg
from culling_pipeline.labels.corrections import Corrections
from culling_pipeline.labels.replay import (
    FRAMES_FILE,
    EarlierFrame,
    ReplayStore,
    cell_of,
    light_of,
    samples_again,
    spread,
)
from culling_pipeline.night.at_work import Night
from culling_pipeline.night.stages.replay import control_of_before, mind_the_view
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import CorrectedFrame
from culling_pipeline.records.monitoring import ViewRecord, ViewState
from culling_pipeline.run.workers import Workers
from jobs.bucket.bucket import open_bucket
from jobs.bucket.night import bring_replay
from jobs.bucket.shelf import Shelf, files_below
from jobs.config.settings import CameraConfig, Config
from jobs.config.storage import StorageSettings
from jobs.nights.budget import BY_HAND, budget_of
from models.boxes.detections import Detections
from tests.unit.plans import box_task
from tests.unit.test_budget import SECONDS, camera, portions
from tests.unit.test_tasks import DAY, Journal, parts, plan

FIRST = date(2026, 11, 20)
TASK = box_task("person")
CAR = Detections(
    np.array([[1, 2, 3.5, 4]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
)


def frame(
    number: int, *, hour: int = 12, light: int = 2, kind: str = "k", day: int = 0
) -> EarlierFrame:
    when = datetime(2026, 11, 20, hour).astimezone() + timedelta(days=day, seconds=number)
    return EarlierFrame(
        run_id=f"r{day}",
        date=FIRST + timedelta(days=day),
        wall_time=when,
        image=f"r{day}-{number:06d}.jpg",
        kind=kind,
        light=light,
        truth=TASK.as_json(CAR),
    )


def pictures(folder: Path, frames: Iterable[EarlierFrame]) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    found = {}
    for number, one in enumerate(frames):
        path = folder / one.image
        path.write_bytes(as_jpeg(np.full((8, 8, 3), number % 250, np.uint8)))
        found[one.image] = path
    return found


def filled(
    tmp_path: Path, frames: list[EarlierFrame], *, most: int = 20, kind: str = "k"
) -> ReplayStore:
    store = ReplayStore(tmp_path / "replay", most, kind)
    store.add(frames, pictures(tmp_path / "night", frames))
    return store


def today(days: int = 99) -> date:
    return FIRST + timedelta(days=days)


def test_it_is_bounded_and_rare_light_stays(tmp_path: Path) -> None:
    store = ReplayStore(tmp_path / "replay", 20, "k")
    for day in range(6):
        noon = [frame(n, day=day) for n in range(30)]
        night = [frame(100 + n, hour=3, light=0, day=day) for n in range(2)]
        store.add(noon + night, pictures(tmp_path / "night", noon + night))
        stored = store.usable(today())
        assert len(stored) == 20
        assert {p.name for p in store.folder.glob("*.jpg")} == {f.image for f in stored}
        dark = sum(f.light == 0 for f in stored)
        assert dark == min(10, 2 * (day + 1)), "as many as of the common light, or all"
    days = Counter(f.date for f in store.usable(today()) if f.light)
    assert len(days) >= 4, "days long past stay as well as new ones"


@given(st.lists(st.tuples(st.integers(0, 23), st.integers(0, 3)), max_size=60), st.integers(0, 40))
def test_no_cell_has_a_frame_too_many(cells: list[tuple[int, int]], most: int) -> None:
    frames = [frame(n, hour=hour, light=light) for n, (hour, light) in enumerate(cells)]
    chosen = spread(frames, most)
    assert len(chosen) == min(most, len(frames))
    whole = Counter(cell_of(f) for f in frames)
    taken = Counter(cell_of(f) for f in chosen)
    most_taken = max(taken.values(), default=0)
    for cell, there in whole.items():
        assert taken[cell] >= min(there, most_taken - 1)
    assert spread(reversed(frames), most) == chosen
    assert spread([*chosen, *frames[:0]], most) == chosen


def test_corrected_frames_come_first() -> None:
    frames = [frame(n) for n in range(40)]
    wanted = frames[17], frames[31]
    found = spread(frames, 5, corrected={f.wall_time for f in wanted})
    assert {f.image for f in found[:2]} == {f.image for f in wanted}
    assert len(found) == 5


def test_each_night_draws_others() -> None:
    frames = [frame(n) for n in range(100)]
    one, other = (
        {f.image for f in spread(frames, 20, salt=s)} for s in ("2026-11-21", "2026-11-22")
    )
    assert one != other


def test_adding_a_night_twice_changes_nothing(tmp_path: Path) -> None:
    """A night that was killed at its very end adds its frames again."""
    store = filled(tmp_path, [frame(n, hour=n % 5) for n in range(50)])
    second = [frame(n, hour=n % 7, day=1) for n in range(30)]
    files = pictures(tmp_path / "night", second)
    store.add(second, files)
    before = store.usable(today())
    store.add(second, files)
    assert store.usable(today()) == before


def test_the_day_itself_is_none_of_the_earlier_ones(tmp_path: Path) -> None:
    store = filled(tmp_path, [frame(1), frame(2, day=1)])
    assert [f.date for f in store.usable(today(1))] == [FIRST]
    assert [f.date for f in store.usable(today(0))] == [today(1)]


def test_frames_from_before_a_moved_lens_are_forgotten(tmp_path: Path) -> None:
    store = filled(tmp_path, [frame(1), frame(2, day=3)])
    store.begin_anew(today(5))
    assert store.usable(today()) == ()
    assert list(store.folder.glob("*.jpg")) == []
    late, new = frame(7, day=4), frame(8, day=5)
    store.add([late, new], pictures(tmp_path / "night", [late, new]))
    assert store.usable(today()) == (new,), "a day of before whose night comes late"
    store.begin_anew(today(5))
    assert store.usable(today()) == (new,), "the night that was cut off goes on"


def test_of_frames_from_before_only_those_named_stay(tmp_path: Path) -> None:
    store = filled(tmp_path, [frame(1), frame(2), frame(3)])
    new = [frame(9, day=1)]
    files = pictures(tmp_path / "night", new)
    for _ in range(2):
        store.add(new, files, still={frame(2).image})
        assert [f.image for f in store.usable(today())] == [frame(2).image, new[0].image]
    assert {p.name for p in store.folder.glob("*.jpg")} == {frame(2).image, new[0].image}


def test_what_may_have_been_trained_on_is_not_measured_on(tmp_path: Path) -> None:
    """A recording that has grown shows the same footage again, and people correct control frames,
    which are then trained on: what lies within a block of these is out."""
    store = filled(tmp_path, [frame(0), frame(700), frame(2000), frame(4000)])

    def at(second: int) -> StoredFrame:
        when = frame(second).wall_time
        return StoredFrame(
            id=second, path="x.jpg", time_s=0.0, wall_time=when, part=0, confidence_loss=0.0
        )

    moment = frame(2100).wall_time
    corrected = CorrectedFrame(
        run_id="r", frame_id=1, wall_time=moment, image="c.jpg", height_px=8, width_px=8,
        class_names=("person",), boxes_xyxy=(), classes=(), corrected_at=moment,
    )  # fmt: skip
    with Workers(1) as workers:
        inputs = replace(
            parts(tmp_path, Journal()),
            earlier_control=store,
            corrections=Corrections(frames=(corrected,)),
        )
        night = Night(plan(), inputs, tmp_path, workers, datetime.now().astimezone())
        block_s = night.plan.ingest.control.block_s
        assert 100 < block_s < 600, "what the seconds above were chosen for"
        day = SimpleNamespace(frames=(at(3950),))
        found = control_of_before(night, day)  # type: ignore[arg-type]
    assert [f.wall_time for f in found] == [frame(0).wall_time, frame(700).wall_time]


@pytest.mark.parametrize(("state", "left"), [("same", 1), ("learning", 1), ("settled", 0)])
def test_a_night_whose_new_view_has_settled_begins_anew(
    tmp_path: Path, state: ViewState, left: int
) -> None:
    store = filled(tmp_path, [frame(1)])
    with Workers(1) as workers:
        control = ReplayStore(tmp_path / "control", 20, "k")
        control.add([frame(1)], pictures(tmp_path / "night", [frame(1)]))
        inputs = replace(parts(tmp_path, Journal()), replay=store, earlier_control=control)
        night = Night(plan(), inputs, tmp_path, workers, datetime.now().astimezone())
        mind_the_view(night, ViewRecord(date=DAY, state=state, reason="a test"))
        mind_the_view(night, ViewRecord(date=DAY, state=state, reason="a test"))
    assert len(store.usable(DAY)) == left
    assert len(control.usable(DAY)) == left


def test_labels_that_would_be_others_today_are_not_used(tmp_path: Path) -> None:
    filled(tmp_path, [frame(1)])
    other = ReplayStore(tmp_path / "replay", 20, "another")
    assert other.usable(today()) == ()
    assert len(ReplayStore(tmp_path / "replay", 20, "k").usable(today())) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"classes": ["car", "person"]},
        {"mask": [[[0, 0], [0.5, 0], [0, 0.5]]]},
        {"ignore_zones": [[[0, 0], [0.5, 0], [0, 0.5]]]},
        {"teacher": {"min_score": 0.7}},
    ],
)
def test_what_labels_depend_on(changes: dict[str, object]) -> None:
    usual = {"name": "yard", "source": "a.mp4", "classes": ["person", "car"]}
    before = CameraConfig.model_validate(usual).kind_of_labels(96, 160)
    assert CameraConfig.model_validate(usual | changes).kind_of_labels(96, 160) != before
    assert CameraConfig.model_validate(usual).kind_of_labels(192, 320) != before
    assert CameraConfig.model_validate(usual | {"fps": 0.5}).kind_of_labels(96, 160) == before


def test_none_wanted_none_kept(tmp_path: Path) -> None:
    filled(tmp_path, [frame(1)])
    off = ReplayStore(tmp_path / "replay", 0, "k")
    off.add([], {})
    assert list((tmp_path / "replay").glob("*.jpg")) == []
    ReplayStore(tmp_path / "never", 0, "k").add([], {})
    assert not (tmp_path / "never").exists()


def test_a_damaged_list_is_no_reason_to_fail(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = filled(tmp_path, [frame(1)])
    (store.folder / FRAMES_FILE).write_text('{"frames": [{')
    assert store.usable(today()) == ()
    assert "damaged" in caplog.text
    store.add([frame(2, day=1)], pictures(tmp_path / "night", [frame(2, day=1)]))
    assert len(store.usable(today())) == 1


def test_a_damaged_picture_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = filled(tmp_path, [frame(1), frame(2), frame(3)])
    (store.folder / frame(1).image).write_bytes(b"no picture")
    (store.folder / frame(3).image).unlink()
    assert len(store.usable(today())) == 2
    (sample,) = samples_again(store.folder, [frame(1), frame(2)], TASK, None)
    assert sample.image.shape == (8, 8, 3)
    assert sample.truth.boxes_xyxy.tolist() == [[1, 2, 3.5, 4]]
    assert "left out" in caplog.text


def test_light() -> None:
    levels = [light_of(np.full((2, 2, 3), grey, np.uint8)) for grey in (0, 40, 90, 200)]
    assert levels == [0, 1, 2, 3]


# -- what it costs ---------------------------------------------------------------------------------


def test_nothing_earlier_nothing_changes() -> None:
    assert portions(52.0, replay=0.5) == portions(52.0)


def test_half_of_what_is_shown_is_earlier_and_as_many_are_labelled() -> None:
    before, found = portions(52.0), portions(52.0, replay=0.5, earlier=1000)
    assert (found.keep, found.labels, found.looks) == (before.keep, before.labels, before.looks)
    assert found.replayed == found.keep
    assert found.epochs == EPOCHS // 2
    assert found.images == before.images


@given(
    budget_s=st.floats(20.0, 2000.0),
    share=st.floats(0.0, 0.9),
    earlier=st.integers(0, 2000),
)
def test_replay_is_paid_from_the_budget(budget_s: float, share: float, earlier: int) -> None:
    found = portions(budget_s, replay=share, earlier=earlier)
    assert found.replayed <= earlier
    assert found.replayed <= found.keep * share / (1 - share) + 0.5
    assert found.images == (found.keep + found.replayed) * found.epochs
    if found.keep > 16:
        assert cost_s(found, SECONDS) <= budget_s


def test_the_lottery_has_replay_as_well() -> None:
    on = camera(training={"replay": 0.5})
    found = budget_of(on, SECONDS, BY_HAND, frames=None, looks_free=False, earlier=512)
    assert found.lottery is not None
    assert found.own.replayed == found.lottery.replayed == 512
    assert cost_s(found.lottery, SECONDS) == pytest.approx(cost_s(found.own, SECONDS), rel=0.02)
    none = budget_of(camera(), SECONDS, BY_HAND, frames=None, looks_free=False, earlier=512)
    assert none.own.replayed == 0


# -- on several machines ---------------------------------------------------------------------------


def test_another_machine_has_the_same_frames(tmp_path: Path) -> None:
    storage = StorageSettings(url=f"file://{tmp_path}/bucket")
    shelf = Shelf(open_bucket(storage), "replay/yard")
    store = filled(tmp_path, [frame(1), frame(2)])
    other = Config.model_validate({"data_dir": tmp_path / "b", "storage": storage})
    stray = other.replay_dir("yard") / "old.jpg"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"of a night long ago")
    bring_replay(other, shelf, "yard")
    assert stray.exists(), "nobody has sent any yet"
    control = ReplayStore(store.folder / "control", 20, "k")
    control.add([frame(3)], pictures(tmp_path / "night", [frame(3)]))
    shelf.send(files_below(store.folder))
    bring_replay(other, shelf, "yard")
    assert not stray.exists()
    measured = ReplayStore(other.earlier_control_dir("yard"), 20, "k")
    assert measured.usable(today()) == control.usable(today()) != ()
    there = ReplayStore(other.replay_dir("yard"), 20, "k")
    assert there.usable(today()) == store.usable(today())
