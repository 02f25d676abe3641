"""A person's word on the teacher: which frames are shown, what counts as right, and the figure."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.small_night import night_record
from culling_pipeline.labels.checks import (
    CHECKS_FILE,
    Word,
    add_checks,
    agreement,
    compare,
    frames_to_check,
    load_checks,
    random_share,
)
from culling_pipeline.records.labels import CheckedFrame, Disagreement
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.boxes.coco_files import DatasetError
from models.boxes.detections import Detections

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def boxes(*rows: tuple[float, float, float, float, int]) -> Detections:
    table = np.array(rows, np.float32).reshape(-1, 5)
    return Detections(table[:, :4], np.ones(len(rows), np.float32), table[:, 4].astype(np.int64))


def check(frame_id: int, right: int, of: int, **changes: object) -> CheckedFrame:
    frame = CheckedFrame(
        run_id="2026-11-21", frame_id=frame_id, teacher="t", drawn="random", boxes=of, right=right,
        missed=0, checked_at=NOON,
    )  # fmt: skip
    return frame.changed(**changes)


def night(*, compared: bool = True, control: tuple[int, ...] = (9,)) -> NightRecord:
    """Survivors 1 to 4, of which 2 has the most errors and 4 none; a random draw 5, 6, 7, 2, 9."""
    errors = {1: (1, 0), 2: (3, 2), 3: (0, 2), 4: (0, 0)}
    survivors = tuple(
        Disagreement(
            frame_id=i, teacher_objects=3, missed=m, invented=n, average_precision=0.5
        )
        for i, (m, n) in errors.items()
    )  # fmt: skip
    record = night_record()
    ingest = record.ingest.changed(survivors=(1, 2, 3, 4), random=(5, 6, 7, 2, 9), control=control)
    return record.changed(
        ingest=ingest,
        cull=record.cull.changed(survivors=survivors),
        random_train=record.train if compared else None,
    )


def test_a_frame_that_differs_and_a_random_one_by_turns() -> None:
    shown = frames_to_check(night(), range(12), most=60)
    assert [f.frame_id for f in shown if f.drawn == "differs"] == [3, 1]
    assert {f.frame_id for f in shown if f.drawn == "random"} == {2, 5, 6, 7}
    assert [f.drawn for f in shown[:4]] == ["differs", "random", "differs", "random"]
    assert frames_to_check(night(), range(12), most=3) == shown[:3]


def test_control_frames_and_frames_that_are_gone_are_not_shown() -> None:
    shown = frames_to_check(night(control=(5, 9)), {1, 5, 6, 9}, most=60)
    assert {f.frame_id for f in shown} == {1, 6}


def test_without_a_labelled_draw_no_frame_counts_as_random() -> None:
    """What survivors the draw holds by chance are the hard ones of it."""
    assert random_share(night(compared=False), range(12)) == []
    shown = frames_to_check(night(compared=False), range(12), most=60)
    assert [f.frame_id for f in shown] == [2, 3, 1]
    drawn = night(compared=False)
    drawn = drawn.changed(label=drawn.label.changed(asked=(5, 6)))
    assert sorted(random_share(drawn, range(12))) == [5, 6]


@pytest.mark.parametrize(
    ("person", "word"),
    [
        (boxes((0, 0, 10, 10, 0), (50, 0, 60, 10, 1)), Word(2, 2, 0)),
        (boxes((0, 0, 10, 10, 0)), Word(2, 1, 0)),
        (boxes((0, 0, 10, 10, 0), (50, 0, 60, 10, 0)), Word(2, 1, 0)),
        (boxes((1, 1, 11, 11, 0), (50, 20, 60, 30, 1)), Word(2, 1, 1)),
        (boxes((0, 0, 10, 10, 0), (50, 0, 60, 10, 1), (80, 0, 90, 9, 1)), Word(2, 2, 1)),
        (boxes(), Word(2, 0, 0)),
    ],
    ids=["as it is", "one wrong", "another class", "moved a little and far", "missed", "none"],
)
def test_what_is_right_and_what_was_missed(person: Detections, word: Word) -> None:
    teacher = boxes((0, 0, 10, 10, 0), (50, 0, 60, 10, 1))
    assert compare(teacher, person) == word


def test_an_empty_frame() -> None:
    assert compare(boxes(), boxes()) == Word(0, 0, 0)
    assert compare(boxes(), boxes((0, 0, 9, 9, 0))) == Word(0, 0, 1)


def test_the_figure_by_hand() -> None:
    """9 of 10 by Wilson: (0.9 + 1.96²/20 ± 1.96·√(0.9·0.1/10 + 1.96²/400)) / (1 + 1.96²/10)."""
    found = agreement([check(i, int(i > 0), 1) for i in range(10)], "t")
    assert found is not None
    assert (found.frames, found.boxes, found.right, found.share) == (10, 10, 9, 0.9)
    assert (found.low, found.high) == pytest.approx((0.5958, 0.9821), abs=1e-4)


def test_boxes_that_are_wrong_together_count_for_fewer() -> None:
    scattered = agreement([check(i, 9, 10) for i in range(10)], "t")
    together = agreement([check(i, 10 if i else 0, 10) for i in range(10)], "t")
    assert scattered is not None
    assert together is not None
    assert scattered.share == together.share == 0.9
    assert together.low < scattered.low < 0.9 < scattered.high < together.high


def test_all_right_is_no_certainty() -> None:
    found = agreement([check(i, 3, 3) for i in range(10)], "t")
    assert found is not None
    assert found.high == 1.0
    assert 0.85 < found.low < 0.9


def test_only_random_frames_of_this_teacher_count() -> None:
    others = [check(1, 0, 9, drawn="differs"), check(2, 0, 9, teacher="older"), check(3, 0, 0)]
    assert agreement(others, "t") is None
    found = agreement([*others, check(4, 2, 2, missed=1)], "t")
    assert found is not None
    assert (found.boxes, found.right, found.missed) == (2, 2, 1)
    assert found.in_words == (
        "The teacher was right in 100 % of 2 boxes that were checked by hand in 2 frames drawn at "
        "random (95 % interval 34 to 100 %), and missed 1 object there."
    )


def test_checks_are_kept_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "yard"
    assert load_checks(folder) == ()
    add_checks(folder, [check(2, 1, 2), check(1, 2, 2)])
    add_checks(folder, [check(2, 2, 2)])
    assert [(c.frame_id, c.right) for c in load_checks(folder)] == [(1, 2), (2, 2)]


def test_damaged_checks_are_named(tmp_path: Path) -> None:
    (tmp_path / CHECKS_FILE).write_text("[{")
    with pytest.raises(DatasetError, match=r"checks\.json: damaged; bring it back, or remove it"):
        load_checks(tmp_path)
