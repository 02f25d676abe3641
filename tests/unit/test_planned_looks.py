"""Looks at chosen moments: where they lie, how many, and a day that is read no further."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.testbed.servers.web import WebServer
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.control_slice import ControlPlan, ControlSlice
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.even_sample import draw_recording
from culling_pipeline.day.recording import watch_recording
from culling_pipeline.gate.moments import ControlMoments, PlannedLooks, draw_moments
from culling_pipeline.judging.cost_ratio import price
from culling_pipeline.records.costs import Activity, Cost
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.run.workers import Workers
from streams.open import open_source
from streams.recorded.recordings import reading
from streams.recorded.recordings.options import RecordingsOptions
from streams.recorded.recordings.source import Recordings
from tests.unit.brightness import Brightness, Lamps
from tests.unit.plans import control_plan, gate_plan, live_options
from tests.unit.recorder import frigate_tree, segment_file
from tests.unit.served import Counting, noisy

EMPTY = np.zeros((8, 8, 3), np.uint8)
DAY = [float(s) for s in range(86_400)]


def slice_of(duration_s: float = 86_400.0) -> ControlSlice:
    plan = ControlPlan(frames=240, share=0.1, block_s=60.0, placement="auto")
    return ControlSlice(plan, duration_s=duration_s, seed=0)


def moments_of(there: list[float], reads: int, seed: int = 0) -> tuple[list[float], ControlSlice]:
    slice_ = slice_of()
    control = ControlMoments(slice_.holds, slice_.group_of, slice_.frames_per_group)
    return draw_moments(there, reads, control, np.random.default_rng(seed)), slice_


def test_a_day_is_read_at_as_many_moments_as_there_are_looks() -> None:
    chosen, slice_ = moments_of(DAY, 2880)
    own = [s for s in chosen if not slice_.holds(s)]
    assert chosen == sorted(set(chosen))
    assert len(own) == 2880
    by_hour = Counter(int(s // 3600) for s in own)
    assert set(by_hour) == set(range(24))
    assert min(by_hour.values()) > 100
    assert own != [s for s in moments_of(DAY, 2880, seed=1)[0] if not slice_.holds(s)]


def test_each_stretch_of_the_control_slice_has_its_frames() -> None:
    chosen, slice_ = moments_of(DAY, 100)
    groups = Counter(slice_.group_of(s) for s in chosen if slice_.holds(s))
    assert set(groups) == {slice_.group_of(s) for s in DAY if slice_.holds(s)}
    assert set(groups.values()) == {slice_.frames_per_group}


def test_moments_lie_only_where_something_was_recorded() -> None:
    there = [s for s in DAY if s // 3600 in (6, 7, 20)]
    chosen, _ = moments_of(there, 500)
    assert set(chosen) <= set(there)
    assert len(moments_of(there[:40], 500)[0]) <= 40
    assert moments_of([], 500)[0] == []


@pytest.mark.parametrize(("reads", "looks"), [(100, 100), (100, 30), (100, 1), (100, 0), (7, 20)])
def test_looks_are_spread_evenly_and_never_too_many(reads: int, looks: int) -> None:
    gate = PlannedLooks(
        Brightness(), frames=1000, reads=reads, looks=looks, spared=lambda at_s: at_s < 10
    )
    assert not any(gate.decide(EMPTY, float(s)).score for s in range(10))
    scored = [gate.decide(EMPTY, 10.0 + s).score for s in range(reads)]
    assert sum(scored) == min(looks, reads)
    for part in np.array_split(np.array(scored), 5):
        assert abs(part.sum() - sum(scored) / 5) <= 1
    assert gate.record.scored == sum(scored)
    assert gate.record.passed_over == 1000 - sum(scored)
    assert gate.record.blind == sum(scored)


def recorder(tmp_path: Path, hours: int) -> Recordings:
    first = datetime(2026, 3, 1, tzinfo=UTC)
    clip = segment_file(tmp_path / "clip")
    frigate_tree(tmp_path / "rec", clip, camera="yard", first=first, count=360 * hours)
    options = RecordingsOptions(until=first + timedelta(hours=hours), hours=hours)
    return Recordings(tmp_path / "rec", camera="yard", options=options)


def opened_from_now(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the segments that are opened from now on."""
    files: list[str] = []
    really = reading.open_video

    def noting(path: Path, **named: Any) -> Any:
        files.append(path.name)
        return really(path, **named)

    monkeypatch.setattr(reading, "open_video", noting)
    return files


def test_a_first_students_frames_are_read_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = recorder(tmp_path, hours=2)
    files = opened_from_now(monkeypatch)
    plan = IngestPlan(
        interval_s=1.0, survivors=30, random=20, held=1800, looks=60, parts=4, seed=3,
        control=control_plan(frames=10, share=0.2, block_s=60.0),
        task=Brightness(), gate=gate_plan(),
    )  # fmt: skip
    drawn = draw_recording(source, plan, 40, tmp_path / "frames", NoProgress())
    assert len(drawn.train) >= 30
    assert len(files) <= 70  # of 720


def test_a_day_of_a_recorder_is_read_at_its_looks_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = recorder(tmp_path, hours=2)
    files = opened_from_now(monkeypatch)
    Lamps.shown = 0
    plan = IngestPlan(
        interval_s=1.0, survivors=30, random=20, held=1800, looks=60, parts=4, seed=3,
        control=control_plan(frames=20, share=0.2, block_s=60.0),
        task=Brightness(), gate=gate_plan(),
    )  # fmt: skip
    record, _ = watch_recording(
        source, Workers().model(Lamps), STRATEGIES["strata"], plan=plan,
        folder=tmp_path / "frames", progress=NoProgress(),
    )  # fmt: skip
    gate = record.gate
    assert gate is not None
    assert gate.scored == 60
    assert record.frames_seen == 7200
    assert gate.scored + gate.passed_over == 7200
    (read,) = [c for c in record.costs if c.activity == "read"]
    assert read.stage == "reading and decoding"
    assert read.images <= 60 + 2 * 20 + 10
    assert read.seconds > 0
    assert len(files) <= read.images
    (looked,) = [c for c in record.costs if (c.activity, c.stage) == ("look", "scoring")]
    assert looked.images == 60
    assert len(record.survivors) == 30
    assert len(record.random) == 20
    assert len(record.control) == 20
    assert {f.part for f in record.frames} == {0, 1, 2, 3}


def test_reading_is_in_the_ledger_and_not_in_what_detectors_cost() -> None:
    def line(activity: Activity, seconds: float) -> Cost:
        return Cost(
            stage=activity, activity=activity, purpose="own", images=10, seconds=seconds,
            device="cpu", backend="",
        )  # fmt: skip

    work = [line("look", 1.0), line("label", 2.0), line("train", 4.0)]
    with_reading = price([*work, line("read", 100.0)], frames_seen=100, shown=3.0)
    assert with_reading == price(work, frames_seen=100, shown=3.0)
    assert with_reading.night_s == 7.0


def test_of_a_long_recording_on_the_web_only_the_keyframes_of_looks_are_fetched(
    tmp_path: Path,
) -> None:
    """At one frame a second, as by default: an hour of noise, a keyframe every five seconds."""
    data = noisy(tmp_path / "noise.mp4")
    server, serve = WebServer(), Counting(data)
    server.paths["/long.mp4"] = serve
    plan = IngestPlan(
        interval_s=1.0, survivors=20, random=20, held=1800, looks=60, parts=4, seed=3,
        control=control_plan(frames=10, share=0.2, block_s=60.0),
        task=Brightness(), gate=gate_plan(),
    )  # fmt: skip
    try:
        options = live_options(open_timeout_s=5, read_timeout_s=5)
        source = open_source(server.url("/long.mp4"), camera="gate", recorded=options)
        serve.served = 0
        record, _ = watch_recording(
            source, Workers().model(Lamps), STRATEGIES["strata"], plan=plan,
            folder=tmp_path / "frames", progress=NoProgress(),
        )  # fmt: skip
        each = source.look_bytes(1.0)
    finally:
        server.kill()
    assert record.gate is not None
    assert record.gate.scored == 60
    assert record.frames_seen == 3600
    assert each is not None
    assert each * 60 < serve.served < len(data) / 2
