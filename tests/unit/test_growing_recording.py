"""A recording that has grown over an hour since the last night: its control slice lies elsewhere
then, and nothing in it may have been trained on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.recording import watch_recording
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.run.workers import Workers
from streams.recorded.recordings.options import RecordingsOptions
from streams.recorded.recordings.source import Recordings
from tests.unit.brightness import Brightness, Lamps
from tests.unit.plans import control_plan, gate_plan
from tests.unit.recorder import frigate_tree, segment_file

FIRST = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grows")
    clip = segment_file(folder / "clip")
    frigate_tree(folder / "rec", clip, camera="yard", first=FIRST, count=720)
    return folder / "rec"


def watched(
    tree: Path, folder: Path, *, minutes: float, trained: tuple[datetime, ...] = ()
) -> IngestRecord:
    """A night on so many minutes of it; all its survivors are trained on."""
    until = FIRST + timedelta(minutes=minutes)
    options = RecordingsOptions(until=until, hours=minutes / 60)
    plan = IngestPlan(
        interval_s=1.0, survivors=60, random=20, held=1800, looks=120, parts=4, seed=3,
        control=control_plan(frames=40, share=0.2, block_s=60.0), task=Brightness(),
        gate=gate_plan(), trained=trained,
    )  # fmt: skip
    record, _ = watch_recording(
        Recordings(tree, camera="yard", options=options), Workers().model(Lamps),
        STRATEGIES["strata"], plan=plan, folder=folder, progress=NoProgress(),
    )  # fmt: skip
    return record


def moments(record: IngestRecord, ids: tuple[int, ...]) -> list[datetime]:
    return [frame.wall_time for frame in record.frames_of(ids)]


def test_no_block_of_the_slice_holds_a_frame_that_was_trained_on(
    tree: Path, tmp_path: Path
) -> None:
    first = watched(tree, tmp_path / "1", minutes=50)
    assert first.control_is == "the last 20% of the recording"
    trained = moments(first, first.survivors)
    second = watched(tree, tmp_path / "2", minutes=120, trained=tuple(trained))
    blocks = {(at - FIRST) // timedelta(minutes=1) for at in moments(second, second.control)}
    assert len(blocks) >= 10
    assert not blocks & {(at - FIRST) // timedelta(minutes=1) for at in trained}
    assert "in which the last night has trained" in second.control_is


def test_the_same_recording_again_has_the_same_slice(tree: Path, tmp_path: Path) -> None:
    first = watched(tree, tmp_path / "1", minutes=120)
    trained = tuple(moments(first, first.survivors))
    second = watched(tree, tmp_path / "2", minutes=120, trained=trained)
    assert second.control == first.control
    assert second.control_is == first.control_is


def test_where_hardly_a_block_is_left_all_stay(tree: Path, tmp_path: Path) -> None:
    every = tuple(FIRST + timedelta(seconds=10 * number) for number in range(720))
    found = watched(tree, tmp_path / "1", minutes=120, trained=every)
    assert len(set(found.control_blocks)) > 10
    assert "trained" not in found.control_is
