"""One camera's frames on their way into its day, without a student: what was found is given."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from culling_pipeline.day.daybook import DAYBOOK, FRAMES, DayClock
from jobs.config.settings import CameraConfig, Config
from jobs.disk.budget import FreeSpace
from jobs.watch.feed import Feed
from jobs.watch.scoring import Scored, Student, Students
from jobs.watch.watching import Condition
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from streams.base import Frame
from streams.live.outlet import LiveCounts

NOON = datetime(2026, 11, 21, 12).astimezone().astimezone(UTC)


class Disk:
    """How much is free, and the time at which somebody looks."""

    def __init__(self) -> None:
        self.free, self.now_s = 10, 0.0


def feed_on(
    disk: Disk, folder: Path, *, now: Callable[[], datetime] = lambda: NOON, **changes: Any
) -> Feed:
    settings = {"name": "yard", "source": "yard.mp4", "classes": ["person"], **changes}
    camera = CameraConfig.model_validate(settings)
    config = Config.model_validate({"data_dir": folder}).model_copy(
        update={"cameras": {"yard": camera}}
    )
    free_space = FreeSpace(folder, 5, free=lambda _: disk.free, clock=lambda: disk.now_s)
    feed = Feed(config, camera, Students("cpu"), free_space, now)
    feed.student = Student("v1", "kind", cast("TorchDetector", None))
    return feed


def watch(feed: Feed, began: datetime, count: int) -> None:
    """So many frames of a recording, one a second, with nothing in them."""
    for k in range(count):
        image = np.full((12, 16, 3), k, np.uint8)
        waiting = feed.arrive(Frame(image, float(k), began + timedelta(seconds=k), "yard"))
        if waiting.decision.score:
            waiting.scored = Scored(waiting, Detections.empty(), 0.0)
        feed.settle()


def test_a_day_says_what_its_frames_are_scored_on(tmp_path: Path) -> None:
    feed = feed_on(Disk(), tmp_path)
    on_gpu = SimpleNamespace(device=torch.device("cuda"), backend="torch")
    arranged = SimpleNamespace(backend="lean")
    for detector, begins_s in [(arranged, 0), (arranged, 5), (on_gpu, 10)]:
        feed.student = Student("v1", "kind", cast("TorchDetector", detector))
        watch(feed, NOON + timedelta(seconds=begins_s), 5)
    feed.close(NOON + timedelta(seconds=15))
    noted = enumerate(lines(tmp_path))
    events = [(i, x["device"], x["backend"]) for i, x in noted if "device" in x]
    assert events == [(1, "cpu", "lean"), (12, "cuda", "torch")]  # the first line is `start`


def frames(count: int) -> list[Frame]:
    """One a second, from noon."""
    image = np.zeros((12, 16, 3), np.uint8)
    return [Frame(image, 0.0, NOON + timedelta(seconds=k), "yard") for k in range(count)]


def lines(folder: Path, moment: datetime = NOON) -> list[dict[str, Any]]:
    day = DayClock.of(moment).day.isoformat()
    daybook = folder / "days" / "yard" / day / DAYBOOK
    return [json.loads(line) for line in daybook.read_text().splitlines()]


def paused(folder: Path) -> list[int]:
    return [line["count"] for line in lines(folder) if line.get("event") == "paused"]


def test_frames_of_a_recording_that_find_no_room_are_noted(tmp_path: Path) -> None:
    disk = Disk()
    feed = feed_on(disk, tmp_path)
    for free, count in ((10, 3), (1, 4), (10, 2), (1, 5)):
        disk.free, disk.now_s = free, disk.now_s + 10
        watch(feed, NOON + timedelta(seconds=disk.now_s), count)
    assert paused(tmp_path) == [4]  # noted where frames are stored again
    feed.close(NOON + timedelta(seconds=60))
    assert paused(tmp_path) == [4, 5]  # and at the end
    assert feed.tally.paused == 9
    assert sum("event" not in line for line in lines(tmp_path)) == 5


def test_frames_are_noted_in_order_and_wait_for_the_one_before(tmp_path: Path) -> None:
    feed = feed_on(Disk(), tmp_path)
    waiting = [feed.arrive(frame) for frame in frames(3)]
    for late in (2, 1):
        waiting[late].scored = Scored(waiting[late], Detections.empty(), 0.0)
        feed.settle()
    assert feed.day is None
    waiting[0].scored = Scored(waiting[0], Detections.empty(), 0.0)
    feed.settle()
    feed.close(NOON)
    assert [line["t"] for line in lines(tmp_path) if "t" in line] == sorted(
        DayClock.of(NOON).seconds(w.frame.wall_time) for w in waiting
    )


def test_a_new_day_begins_at_midnight_and_a_straggler_goes_to_the_old_one(tmp_path: Path) -> None:
    midnight = DayClock.of(NOON).midnight.astimezone(UTC) + timedelta(days=1)
    feed = feed_on(Disk(), tmp_path)
    watch(feed, midnight - timedelta(seconds=2), 4)
    watch(feed, midnight - timedelta(seconds=1), 1)  # it came late
    feed.close(midnight + timedelta(seconds=9))
    old, new = lines(tmp_path), lines(tmp_path, midnight)
    assert [line.get("event") for line in old] == ["start", "student", None, None, "stop"]
    assert [line.get("event") for line in new] == ["start", "student", None, None, None, "stop"]
    assert new[4]["t"] == 0


def test_what_a_recording_gave_before_is_not_taken_again(tmp_path: Path) -> None:
    first = feed_on(Disk(), tmp_path)
    watch(first, NOON, 3)
    first.close(NOON)
    again = feed_on(Disk(), tmp_path)
    assert [again.has_seen(frame) for frame in frames(4)] == [True, True, True, False]
    again.close(NOON)


@pytest.mark.parametrize("every", [1, 3])
def test_what_the_student_was_not_asked_is_noted_as_inherited(tmp_path: Path, every: int) -> None:
    feed = feed_on(Disk(), tmp_path, culling={"gate": {"every": every}})
    watch(feed, NOON, 6)
    feed.close(NOON)
    own = [not line.get("inherited", False) for line in lines(tmp_path) if "t" in line]
    assert own == [k % every == 0 for k in range(6)]
    gate = [line["gate"] for line in lines(tmp_path) if line.get("event") == "gate"]
    assert [(g["scored"], g["passed_over"]) for g in gate] == ([] if every == 1 else [(2, 4)])


# -- how a live camera is --------------------------------------------------------------------------


def condition(state: str, *, dropped: int = 0, at: datetime = NOON) -> Condition:
    return Condition(state, at, "as it is", LiveCounts(dropped=dropped))


def test_a_state_is_noted_when_it_changes_and_in_each_new_day(tmp_path: Path) -> None:
    now = [NOON]
    feed = feed_on(Disk(), tmp_path, now=lambda: now[0])
    for state in ("live", "live", "lost", "lost", "live"):
        feed.tick(condition(state))
        now[0] += timedelta(seconds=1)
    now[0] += timedelta(days=1)
    feed.tick(condition("live"))
    feed.close(now[0])
    first = [line["state"] for line in lines(tmp_path) if line.get("event") == "state"]
    second = [line["state"] for line in lines(tmp_path, now[0]) if line.get("event") == "state"]
    assert (first, second) == (["live", "lost", "live"], ["live"])


def test_frames_dropped_are_noted_once(tmp_path: Path) -> None:
    feed = feed_on(Disk(), tmp_path, now=lambda: NOON)
    for dropped in (0, 3, 3, 7):
        feed.tick(condition("live", dropped=dropped))
    feed.close(NOON)
    assert [n["count"] for n in lines(tmp_path) if n.get("event") == "dropped"] == [3, 4]
    assert feed.tally.dropped == 7


# -- what was found --------------------------------------------------------------------------------


def test_what_lies_in_an_ignore_zone_is_not_noted(tmp_path: Path) -> None:
    left = [[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]
    feed = feed_on(Disk(), tmp_path, ignore_zones=left)
    boxes = np.array([[1, 1, 5, 9], [10, 1, 14, 9]], np.float32)
    found = Detections(boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int64))
    waiting = feed.arrive(frames(1)[0])
    waiting.scored = Scored(waiting, found, 0.0)
    feed.settle()
    feed.close(NOON)
    assert [line["boxes"] for line in lines(tmp_path) if "t" in line] == [[[10, 1, 14, 9]]]


def test_a_write_that_fails_pauses_until_the_disk_is_looked_at_again(tmp_path: Path) -> None:
    disk = Disk()
    feed = feed_on(disk, tmp_path)
    watch(feed, NOON, 2)
    assert feed.day is not None
    there = feed.day.folder / FRAMES
    there.rename(tmp_path / "away")
    there.touch()  # nothing can be written into it
    watch(feed, NOON + timedelta(seconds=2), 1)
    there.unlink()
    (tmp_path / "away").rename(there)
    watch(feed, NOON + timedelta(seconds=3), 1)
    assert (feed.day, feed.tally.paused) == (None, 2)  # it is not tried again at once
    disk.now_s += 10
    watch(feed, NOON + timedelta(seconds=4), 1)
    feed.close(NOON)
    assert (paused(tmp_path), feed.tally.paused) == ([2], 2)
