"""Frames drawn evenly for a first student: in time, within bounds, and never from the control
slice of the night to come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from culling_pipeline.day.control_slice import ControlSlice
from culling_pipeline.day.day import EmptyDayError
from culling_pipeline.day.even_sample import (
    EvenSample,
    control_count,
    draw_days,
    draw_recording,
    evenly,
)
from culling_pipeline.day.frame_files import load_images
from culling_pipeline.day.watched_day import WatchedDay
from culling_pipeline.run.progress import NoProgress
from streams.base import Frame, FrameSource, SourceInfo
from streams.sampler import Sampler
from tests.unit.test_watched_day import CLOCK, PLAN, open_day, watch

START = datetime(2026, 11, 21, tzinfo=UTC)


class Recording(FrameSource):
    """A small grey frame a minute; `asked` counts those that were made."""

    def __init__(self, minutes: int, *, tells: bool = True) -> None:
        self.minutes, self.tells, self.asked = minutes, tells, 0

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            kind="test", location="grey", width_px=16, height_px=12, started_at=START,
            duration_s=60.0 * self.minutes if self.tells else None,
        )  # fmt: skip

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        for k in range(self.minutes):
            if sampler is None or sampler.wants(60.0 * k):
                self.asked += 1
                image = np.full((12, 16, 3), k % 256, np.uint8)
                yield Frame(image, 60.0 * k, START + timedelta(minutes=k), "yard")

    def close(self) -> None:
        """Nothing is open."""


def drawn(folder: Path, minutes: int = 1440, count: int = 40, *, tells: bool = True) -> EvenSample:
    source = Recording(minutes, tells=tells)
    found = draw_recording(source, PLAN, count, folder, NoProgress())
    names = {path.name for path in folder.iterdir()}
    assert names == {frame.path for frame in found.frames}
    assert len(names) == len(found.frames)
    list(load_images(folder, found.frames))
    return found


@pytest.mark.parametrize("tells", [True, False])
def test_frames_are_even_in_time_and_none_is_of_the_control_slice(
    tmp_path: Path, tells: bool
) -> None:
    found = drawn(tmp_path, tells=tells)
    assert len(found.train) in range(36, 41)
    assert 5 <= len(found.control) <= control_count(40, PLAN) == 10
    times = np.array([frame.time_s for frame in found.train])
    assert 0 < np.diff(times).min() <= np.diff(times).max() < 4 * 86_400 / 40
    holds = ControlSlice(PLAN.control, duration_s=86_400.0, seed=PLAN.seed).holds
    assert not any(holds(time_s) for time_s in times)
    assert all(holds(frame.time_s) for frame in found.control)
    assert len(found.blocks) == len(found.control)
    assert len(set(found.blocks)) > 3


def test_no_more_is_decoded_than_is_drawn(tmp_path: Path) -> None:
    source = Recording(1440)
    draw_recording(source, PLAN, 40, tmp_path, NoProgress())
    assert source.asked <= 51


def test_a_recording_too_short_says_so(tmp_path: Path) -> None:
    with pytest.raises(EmptyDayError, match=r"grey: 1 frames to train on and 0 to measure with"):
        drawn(tmp_path, minutes=1)


def test_a_watched_day_gives_what_was_drawn_in_it(tmp_path: Path) -> None:
    here = tmp_path / "day"
    with open_day(here) as day:
        watch(day, 0, 1000)
        random, control = day.day.drawn_ids, day.day.control_ids
    days = [WatchedDay(here, CLOCK)]
    found = draw_days(days, PLAN, 5, tmp_path / "frames", n_classes=1)
    times = {CLOCK.midnight + timedelta(minutes=i) for i in random}
    assert len(found.train) == 5
    assert {frame.wall_time for frame in found.train} <= times
    times = {CLOCK.midnight + timedelta(minutes=i) for i in control}
    assert {frame.wall_time for frame in found.control} <= times
    assert len(found.control) == control_count(5, PLAN)
    assert (found.height_px, found.width_px) == (12, 16)
    list(load_images(tmp_path / "frames", found.frames))
    # A picture that went meanwhile is left out.
    for path in (here / "frames").iterdir():
        path.unlink()
    with pytest.raises(EmptyDayError, match="0 frames to train on and 0 to measure with"):
        draw_days(days, PLAN, 5, tmp_path / "again", n_classes=1)


def test_evenly_takes_from_all_over() -> None:
    assert evenly(range(10), 5) == [1, 3, 5, 7, 9]
    assert evenly(range(3), 5) == [0, 1, 2]
    assert evenly([], 5) == []
