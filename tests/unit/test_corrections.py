"""Corrected frames: kept, found again, and trained on where that is honest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from culling_pipeline.day.frame_files import as_jpeg
from culling_pipeline.labels.corrections import (
    LABELS_FILE,
    Corrections,
    add_corrections,
    load_corrections,
    samples_of,
)
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import CorrectedFrame
from culling_pipeline.tasks.boxes.coco_files import DatasetError
from models.zones import Zones
from tests.unit.plans import box_task

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
CLASSES = ("person", "car")
TASK = box_task(*CLASSES)
GREY = as_jpeg(np.full((48, 64, 3), 99, np.uint8))


def corrected(minute: int, **changes: object) -> CorrectedFrame:
    """A car at the left and a person at the right, `minute` minutes after noon."""
    frame = CorrectedFrame(
        run_id="2026-11-21",
        frame_id=minute,
        wall_time=NOON + timedelta(minutes=minute),
        image=f"{minute:06d}.jpg",
        height_px=48,
        width_px=64,
        class_names=CLASSES,
        boxes_xyxy=((0, 0, 10, 10), (50, 0, 60, 10)),
        classes=("car", "person"),
        corrected_at=NOON,
    )
    return frame.model_copy(update=changes)


def stored(minute: int, number: int = 0) -> StoredFrame:
    return StoredFrame(
        id=number,
        path="x.jpg",
        time_s=0,
        wall_time=NOON + timedelta(minutes=minute),
        part=0,
        confidence_loss=0,
    )


def minutes(frames: tuple[CorrectedFrame, ...]) -> list[int]:
    return [frame.frame_id for frame in frames]


def test_labels_are_in_the_asked_classes_and_outside_the_zones() -> None:
    frame = corrected(0)
    both = box_task("car", "person").corrected(frame)
    assert both.labels.tolist() == [0, 1]
    assert both.scores.tolist() == [1, 1]
    assert box_task("person").corrected(frame).boxes_xyxy.tolist() == [[50, 0, 60, 10]]
    left = Zones((((0, 0), (0.5, 0), (0.5, 1), (0, 1)),))
    assert box_task(*CLASSES, ignore_zones=left).corrected(frame).labels.tolist() == [0]
    assert len(TASK.corrected(corrected(0, boxes_xyxy=(), classes=()))) == 0


def test_kept_and_found_again(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    assert load_corrections(folder) == Corrections(folder)
    first = add_corrections(folder, {corrected(2): GREY, corrected(1): GREY})
    assert minutes(first.frames) == [1, 2]
    better = corrected(1, boxes_xyxy=(), classes=())
    again = add_corrections(folder, {better: GREY})
    assert load_corrections(folder) == again
    assert [len(frame.classes) for frame in again.frames] == [0, 2]
    assert {file.name for file in folder.iterdir()} == {"000001.jpg", "000002.jpg", LABELS_FILE}


def test_a_damaged_list_is_named(tmp_path: Path) -> None:
    (tmp_path / LABELS_FILE).write_text("[{}]")
    with pytest.raises(DatasetError, match=r"labels\.json: damaged; bring it back, or remove it"):
        load_corrections(tmp_path)


def test_the_same_moment_outranks_the_teacher() -> None:
    known = Corrections(Path(), (corrected(1), corrected(2)))
    labels = known.truths_of([stored(0, 7), stored(2, 8)], TASK)
    assert list(labels) == [8]
    assert labels[8].labels.tolist() == [1, 0]
    assert known.truths_of([stored(2)], box_task("person", "dog")) == {}  # no dog looked for


def test_what_is_trained_on() -> None:
    known = Corrections(Path(), tuple(corrected(minute) for minute in (10, 20, 30, 40)))

    def chosen(
        *, beside: tuple[int, ...] = (), control: tuple[int, ...] = (), most: int = 9
    ) -> list[int]:
        frames = known.to_train_on(
            CLASSES,
            beside=[stored(minute) for minute in beside],
            control=[stored(minute) for minute in control],
            gap_s=300.0,
            most=most,
        )
        return minutes(frames)

    assert chosen() == [40, 30, 20, 10]
    assert chosen(most=2) == [40, 30]
    assert chosen(most=0) == []
    assert chosen(beside=(40, 11)) == [30, 20, 10]
    assert chosen(control=(16, 5, 34)) == [40, 10]
    assert known.to_train_on(("dog",), beside=[], control=[], gap_s=1, most=9) == ()


def test_samples(tmp_path: Path) -> None:
    known = add_corrections(tmp_path, {corrected(1): GREY})
    ignored = np.ones((4, 4), bool)
    (sample,) = samples_of(tmp_path, known.frames, box_task("car"), ignored)
    assert sample.image.shape == (48, 64, 3)
    assert abs(int(sample.image[20, 20, 0]) - 99) < 3
    assert sample.truth.boxes_xyxy.tolist() == [[0, 0, 10, 10]]
    assert sample.ignored is ignored
    (tmp_path / "000001.jpg").unlink()
    with pytest.raises(DatasetError, match=r"000001\.jpg: the corrected frame is gone"):
        samples_of(tmp_path, known.frames, TASK, None)
