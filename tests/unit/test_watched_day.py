"""A live camera's day on disk: replayed from its daybook, whatever happened to it."""

from __future__ import annotations

import gc
import json
import resource
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from culling_pipeline.culling.candidates import parts_of_day
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import Day, IngestPlan
from culling_pipeline.day.daybook import DAYBOOK, FRAMES, DayClock, mean_loss, replay
from culling_pipeline.day.watched_day import DayInUseError, DayWriter, WatchedDay
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.run.workers import Workers
from models.boxes.detections import Detections
from streams.base import DAY_S, Frame
from tests.unit.losses import standardised_losses
from tests.unit.plans import box_task, confidence_plan, control_plan, gate_plan

CLOCK = DayClock.on(date(2026, 11, 21))
PLAN = IngestPlan(
    interval_s=60.0,
    survivors=6,
    random=4,
    held=6,
    looks=None,
    parts=3,
    control=control_plan(frames=12, block_s=600),
    task=box_task(),
    gate=gate_plan(),
    seed=3,
)


def at(seconds: float) -> datetime:
    return (CLOCK.midnight + timedelta(seconds=seconds)).astimezone(UTC)


def found(score: float) -> Detections:
    box = np.array([[1, 2, 9, 11]], np.float32)
    return Detections(box, np.array([score], np.float32), np.zeros(1, np.int64))


def frames(start_s: float, count: int, step_s: float = 60.0) -> Iterator[tuple[Frame, Detections]]:
    """A grey frame every `step_s`, of which the student is more or less sure."""
    for k in range(count):
        moment = start_s + k * step_s
        rng = np.random.default_rng(round(moment))
        image = np.full((12, 16, 3), rng.integers(256), np.uint8)
        yield Frame(image, 0.0, at(moment), "yard"), found(float(rng.uniform(0.3, 0.99)))


@contextmanager
def no_room_beyond(size_bytes: int) -> Iterator[None]:
    """Files of this process cannot grow beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def given_at(moment: datetime) -> Detections:
    """What the student found at this time."""
    return next(frames(CLOCK.seconds(moment), 1))[1]


def open_day(folder: Path, plan: IngestPlan = PLAN) -> DayWriter:
    return DayWriter(folder, plan, clock=CLOCK)


def watch(day: DayWriter, start_s: float, count: int, **more: float) -> None:
    for frame, detections in frames(start_s, count, **more):
        day.take(frame, detections, scored=True, model="v1", seconds=0.5)


def pictures(folder: Path) -> set[str]:
    return {path.name for path in (folder / FRAMES).iterdir()}


def stored(day: DayWriter) -> set[str]:
    return {f"{i:06d}.jpg" for i in day.day.frames}


def facts(day: DayWriter) -> object:
    known = day.day
    return known.count, known.frames, sorted(known.control_ids)


def test_a_day_closed_and_opened_again_is_the_day_it_was(tmp_path: Path) -> None:
    with open_day(tmp_path / "whole") as whole:
        watch(whole, 0, 300)
        one = facts(whole)
    for part in range(3):
        with open_day(tmp_path / "parts") as day:
            watch(day, part * 6000, 100)
            other = facts(day)
    assert one == other
    assert pictures(tmp_path / "whole") == pictures(tmp_path / "parts")
    assert pictures(tmp_path / "parts") == stored(day)


def test_a_day_whose_last_line_finds_no_room_is_free_for_the_next_all_the_same(
    tmp_path: Path,
) -> None:
    day = open_day(tmp_path)
    watch(day, 0, 5)
    with no_room_beyond((tmp_path / DAYBOOK).stat().st_size):
        with pytest.raises(OSError, match="too large"):
            day.note("stop", at(300))
        with pytest.raises(OSError, match="too large"):
            day.close()
    with open_day(tmp_path) as again:
        assert again.day.count == 5


@pytest.mark.parametrize("cut", [1, 30, 200, 999])
def test_a_day_cut_off_in_the_middle_of_a_write_is_whole(tmp_path: Path, cut: int) -> None:
    with open_day(tmp_path) as day:
        watch(day, 0, 120)
    daybook = tmp_path / DAYBOOK
    content = daybook.read_bytes()
    daybook.write_bytes(content[:-cut])
    (tmp_path / FRAMES / "000999.jpg").write_bytes(b"its line was never written")
    (tmp_path / FRAMES / "000001.jpg.tmp").write_bytes(b"half")
    lines = content[:-cut].count(b"\n")
    with open_day(tmp_path) as again:
        assert again.day.count == lines
        assert pictures(tmp_path) == stored(again)
        watch(again, lines * 60, 5)
    with open_day(tmp_path) as third:
        assert third.day.count == lines + 5


def test_a_picture_that_power_loss_left_empty_counts_as_not_stored(tmp_path: Path) -> None:
    with open_day(tmp_path) as day:
        watch(day, 0, 120)
        lost = min(day.day.frames)
    (tmp_path / FRAMES / f"{lost:06d}.jpg").write_bytes(b"")
    with open_day(tmp_path) as again:
        assert lost not in again.day.frames
        assert again.day.count == 120


def test_two_processes_cannot_write_one_day(tmp_path: Path) -> None:
    with open_day(tmp_path), pytest.raises(DayInUseError, match="another process"):
        open_day(tmp_path)
    open_day(tmp_path).close()


def test_a_full_disk_leaves_the_day_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_day(tmp_path) as day:
        watch(day, 0, 90)
    before = pictures(tmp_path)
    with monkeypatch.context() as patched:

        def full(self: Path, data: bytes) -> int:
            self.open("wb").close()
            raise OSError(28, "No space left on device", str(self))

        patched.setattr(Path, "write_bytes", full)
        with open_day(tmp_path) as day, pytest.raises(OSError, match="No space"):
            watch(day, 90 * 60, 40)
    with open_day(tmp_path) as again:
        assert pictures(tmp_path) == stored(again)
        assert again.day.count >= 90
        assert before & pictures(tmp_path)


def test_all_of_the_first_hour_is_there_and_not_much_of_the_second(tmp_path: Path) -> None:
    with open_day(tmp_path) as day:
        watch(day, 0, 59)
        assert len(pictures(tmp_path)) == 59
        watch(day, 59 * 60, 60)
        assert pictures(tmp_path) == stored(day)
        assert len(pictures(tmp_path)) < 40


def test_frames_given_up_stay_away(tmp_path: Path) -> None:
    with open_day(tmp_path) as day:
        watch(day, 0, 60)
        gone = sorted(day.day.frames)[:5]
        day.give_up(gone, at(4000))
        assert not {f"{i:06d}.jpg" for i in gone} & pictures(tmp_path)
    with open_day(tmp_path) as again:
        assert not set(gone) & set(again.day.frames)


def told_bytes(folder: Path, count: int) -> int:
    """What a replayed day of this many frames holds in memory."""
    folder.mkdir()
    losses = np.random.default_rng(1).random(count)
    lines = [
        {"t": k, "at": at(k).isoformat(), "hw": [480, 640], "loss": losses[k], "by": "v1", "s": 0}
        for k in range(count)
    ]
    (folder / DAYBOOK).write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    gc.collect()
    tracemalloc.start()
    try:
        story = replay(folder, PLAN, duration_s=CLOCK.duration_s)
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
        assert story.day.count == count


def test_what_a_day_holds_in_memory_does_not_grow_with_its_frames(tmp_path: Path) -> None:
    few, many = told_bytes(tmp_path / "few", 500), told_bytes(tmp_path / "many", 2500)
    assert many - few < 2000 * 4  # bytes: not even the L_conf of every frame


@given(st.floats(-1e5, 2e5), st.integers(1, 30), st.sampled_from([None, 600.0, 90_000.0]))
def test_a_frames_part_of_the_day_is_that_of_the_candidates(
    time_s: float, parts: int, duration_s: float | None
) -> None:
    day = Day(replace(PLAN, parts=parts), Path(), duration_s, "yard")
    expected = parts_of_day(np.array([time_s]), start_s=0.0, end_s=duration_s or DAY_S, parts=parts)
    assert day.part_of(time_s) == expected[0]


def collect(
    folder: Path, into: Path, *, model: str = "v1", until: datetime, device: str = "cpu"
) -> IngestRecord:
    class Unasked:
        class_names = ("person",)
        asked = 0

        def __init__(self) -> None:
            self.device = device

        def predict(self, images: list[np.ndarray]) -> list[Detections]:
            Unasked.asked += len(images)
            return [found(0.5) for _ in images]

    with Workers(1) as workers:
        record, own = WatchedDay(folder, CLOCK).collect(
            workers.model(Unasked),
            STRATEGIES["strata"],
            plan=PLAN,
            model=model,
            folder=into,
            until=until,
        )
    needed = {*record.survivors, *record.control}  # what was only drawn needs no answer
    every = {f.id for f in record.frames}
    assert set(own) == (every if model == "v1" else needed)
    for frame in (f for f in record.frames if f.id in own):  # of that day, or asked for now
        noted = found(0.5) if model != "v1" else given_at(frame.wall_time)
        assert own[frame.id].scores.tolist() == noted.scores.tolist()
        assert own[frame.id].boxes_xyxy.tolist() == noted.boxes_xyxy.tolist()
    assert Unasked.asked == (0 if model == "v1" else len(needed))
    return record


def test_a_night_collects_the_day_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        day.note("start", at(0))
        watch(day, 0, 1440)
        before = pictures(tmp_path / "day")
        record = collect(tmp_path / "day", tmp_path / "night", until=at(86_400))
        assert {p.name for p in (tmp_path / "night").iterdir()} == {f.path for f in record.frames}
        assert pictures(tmp_path / "day") == before
    assert record.frames_seen == 1440
    assert len(record.survivors) == 6
    assert len(record.control) == 12
    assert record.costs[0].seconds == pytest.approx(720)
    assert record.feed is not None
    assert record.feed.unwatched_s == 0


def test_the_ledger_says_what_a_watched_day_was_scored_on(tmp_path: Path) -> None:
    # Given a day whose watching moved to a GPU, and back
    with open_day(tmp_path / "day") as day:
        for k, (device, backend) in enumerate(
            [("cpu", "lean"), ("cuda", "torch"), ("cpu", "lean")]
        ):
            day.note("student", at(200 * 60 * k), device=device, backend=backend)
            watch(day, 200 * 60 * k, 100)
    record = collect(tmp_path / "day", tmp_path / "night", until=at(86_400))
    # Then each has its line
    lines = [(c.device, c.backend, c.images, c.seconds) for c in record.costs]
    assert lines == [("cpu", "lean", 200, 100.0), ("cuda", "torch", 100, 50.0)]


def test_a_daybook_that_does_not_say_was_scored_on_the_nights_own_device(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        watch(day, 0, 1440)
    record = collect(tmp_path / "day", tmp_path / "night", until=at(86_400), device="cuda")
    assert [(c.device, c.backend) for c in record.costs] == [("cuda", "")]
    ingested = collect(
        tmp_path / "day", tmp_path / "2", model="v2", until=at(86_400), device="cuda"
    )
    assert {c.device for c in ingested.costs} == {"cuda"}


def test_frames_another_student_scored_are_scored_again(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        watch(day, 0, 1440)
    collect(tmp_path / "day", tmp_path / "night", model="v2", until=at(86_400))


def asked_of(folder: Path, into: Path, plan: IngestPlan = PLAN) -> tuple[int, IngestRecord]:
    """How many frames are scored again when the day is collected, and its record."""

    class Counting:
        class_names = ("person",)
        asked = 0

        def predict(self, images: list[np.ndarray]) -> list[Detections]:
            Counting.asked += len(images)
            return [found(0.5) for _ in images]

    with Workers(1) as workers:
        record, _ = WatchedDay(folder, CLOCK).collect(
            workers.model(Counting),
            STRATEGIES["strata"],
            plan=plan,
            model="v1",
            folder=into,
            until=at(86_400),
        )
    return Counting.asked, record


def test_frames_that_were_not_scored_are_scored_when_the_day_is_collected(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        for k, (frame, detections) in enumerate(frames(0, 400)):
            day.take(frame, detections, scored=k % 4 == 0, model="v1")
    asked, record = asked_of(tmp_path / "day", tmp_path / "night")
    needed = {*record.survivors, *record.control}  # what was only drawn needs no answer
    assert asked == sum(i % 4 > 0 for i in needed) > 0
    assert record.costs[0].images == 100
    assert sum(c.images for c in record.costs[1:]) == asked


def test_a_picture_that_is_not_there_is_not_chosen(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        watch(day, 0, 1440)
    _, whole = asked_of(tmp_path / "day", tmp_path / "one")
    missing = whole.frames[0]
    (tmp_path / "day" / FRAMES / missing.path).unlink()
    _, rest = asked_of(tmp_path / "day", tmp_path / "other")
    assert missing.id not in {f.id for f in rest.frames}
    assert {p.name for p in (tmp_path / "other").iterdir()} == {f.path for f in rest.frames}


def test_losses_are_standardised_over_all_frames_of_a_watched_day(tmp_path: Path) -> None:
    plan = replace(PLAN, task=box_task(confidence=confidence_plan(standardise=True)))
    with open_day(tmp_path / "day", plan) as day:
        watch(day, 0, 1440)
    _, record = asked_of(tmp_path / "day", tmp_path / "night", plan)
    expected = standardised_losses(
        [given for _, given in frames(0, 1440)], 1, min_score=0.2, q=3.0, b=0.5
    )
    assert [f.confidence_loss for f in record.frames] == [expected[f.id] for f in record.frames]
    assert sum(record.histogram_counts) == 1440
    assert record.histogram_edges[0] == expected.min() < -1


def test_frames_of_another_size_count_and_are_not_stored(tmp_path: Path) -> None:
    with open_day(tmp_path) as day:
        watch(day, 0, 70)
        image = np.zeros((24, 16, 3), np.uint8)
        for k in range(70, 80):
            day.take(Frame(image, 0.0, at(60 * k), "yard"), found(0.32), scored=True, model="v1")
        assert day.day.count == 80
        assert max(day.day.frames) < 70
        assert day.day.shape == (12, 16)


def test_ten_minutes_are_a_short_recording_with_a_control_slice(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        watch(day, 50_000, 60, step_s=6.0)
    with open_day(tmp_path / "day") as day:
        watch(day, 50_360, 40, step_s=6.0)
    assert len(pictures(tmp_path / "day")) == 100
    record = collect(tmp_path / "day", tmp_path / "night", until=at(60_000))
    assert len(record.control) == 12
    assert "the last 20% of the recording" in record.control_is
    last = [f.time_s for f in record.frames if f.id in record.control]
    assert min(last) >= 0.79 * 600


def test_the_last_frame_of_a_short_recording_lies_in_its_last_stretch(tmp_path: Path) -> None:
    plan = replace(PLAN, control=control_plan(frames=48))
    with open_day(tmp_path / "day", plan) as day:
        watch(day, 50_000, 59)
    _, record = asked_of(tmp_path / "day", tmp_path / "night", plan)
    assert record.control[-1] == 58
    assert record.control_blocks[-1] == 21  # 58 of 59 minutes, in 24 stretches of the last fifth


def test_the_story_accounts_for_the_whole_day(tmp_path: Path) -> None:
    with open_day(tmp_path) as day:
        day.note("start", at(3600))
        watch(day, 3600, 60)
        day.note("state", at(7200), state="lost", why="timed out")
        day.note("dropped", at(7500), count=3)
        day.note("paused", at(7600), count=2)
        day.note("paused", at(7700), count=4)
        day.note("state", at(9000), state="live", why="pictures come")
        watch(day, 9000, 10)
        day.note("stop", at(10_000))
    story = replay(tmp_path, PLAN, duration_s=CLOCK.duration_s)
    feed = story.feed(CLOCK, at(20_000))
    assert (feed.down_s, feed.dropped, feed.paused) == (1800, 3, 6)
    assert feed.unwatched_s == 3600 + 10_000


def test_a_killed_watch_counts_as_unwatched_from_its_last_frame(tmp_path: Path) -> None:
    with open_day(tmp_path) as day:
        day.note("start", at(0))
        watch(day, 0, 10)
    with open_day(tmp_path) as day:
        day.note("start", at(5000))
        watch(day, 5000, 10)
        day.note("stop", at(6000))
    story = replay(tmp_path, PLAN, duration_s=CLOCK.duration_s)
    assert story.feed(CLOCK, at(6000)).unwatched_s == pytest.approx(5000 - 540)


def test_days_are_as_long_as_the_clocks_make_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        assert DayClock.on(date(2026, 3, 29)).duration_s == 23 * 3600
        assert DayClock.on(date(2026, 10, 25)).duration_s == 25 * 3600
        night = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
        assert DayClock.of(night).day == date(2026, 11, 21)
        assert DayClock.of(night).seconds(night) == 1800
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_journal_is_for_its_owner_only(tmp_path: Path) -> None:
    with open_day(tmp_path / "day") as day:
        watch(day, 0, 3)
    assert (tmp_path / "day" / DAYBOOK).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "day" / FRAMES).stat().st_mode & 0o777 == 0o700
    for line in (tmp_path / "day" / DAYBOOK).read_text().splitlines():
        json.loads(line)


def test_a_line_nested_without_end_is_damaged_and_ends_the_daybook(tmp_path: Path) -> None:
    (tmp_path / DAYBOOK).write_text('{"loss": 0.5}\n' + "[" * 100_000 + '\n{"loss": 0.9}\n')
    assert mean_loss(tmp_path) == 0.5
