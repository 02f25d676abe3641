"""A person checks the labels of a night: what is shown, what is kept, and that the next night reads
it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks.testbed.done_night import CAMERA, CLASSES, CONTROL, KEPT, AfterNight, make_night
from culling_pipeline.labels.checks import load_checks
from culling_pipeline.labels.corrections import load_corrections
from culling_pipeline.tasks.boxes.answer_files import load_detections
from jobs.cameras.task import task_of
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.exports.checking import Box, Checked, Label, Sitting, save_check, sitting


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    return make_night(tmp_path_factory.mktemp("night"), compared=True)


@pytest.fixture
def night(made: AfterNight) -> AfterNight:
    """The night, with nothing checked yet."""
    for file in made.config.corrections_dir(CAMERA).glob("*"):
        file.unlink()
    return made


@pytest.fixture
def store(night: AfterNight) -> Iterator[Store]:
    with Store(night.config.data_dir) as opened:
        yield opened


def shown(night: AfterNight, store: Store) -> Sitting:
    return sitting(night.config, CAMERA, store)


def save(night: AfterNight, store: Store, frame_id: int, *labels: Label) -> None:
    save_check(night.config, CAMERA, store, Checked(night.record.run_id, frame_id, labels))


def test_the_hard_frame_and_the_random_ones_with_the_teachers_labels(
    night: AfterNight, store: Store
) -> None:
    seen = shown(night, store)
    assert [frame.drawn for frame in seen.frames] == ["differs", "random", "random"]
    assert seen.frames[0].frame.id == KEPT[0]
    assert seen.class_names == CLASSES
    assert (seen.left, seen.agreement) == (3, None)
    for frame in seen.frames:
        teacher = load_detections(night.labels)[frame.frame.id]
        assert [label.class_name for label in frame.labels] == [CLASSES[i] for i in teacher.labels]
        for label, box in zip(frame.labels, teacher.boxes_xyxy.tolist(), strict=True):
            assert label.box_xyxy == pytest.approx(box, abs=0.051)


def test_what_is_saved_is_what_the_next_night_reads(night: AfterNight, store: Store) -> None:
    """`task.corrected` of `load_corrections` is what a night takes in the teacher's place."""
    frame = shown(night, store).frames[1]
    labels = (Label((10, 20, 40, 60), "bicycle"), *frame.labels[1:])
    save(night, store, frame.frame.id, *labels)
    known = load_corrections(night.config.corrections_dir(CAMERA))
    task = task_of(night.config.cameras[CAMERA])
    truth = known.truths_of([frame.frame], task)[frame.frame.id]
    assert truth.boxes_xyxy[0].tolist() == [10, 20, 40, 60]
    assert [CLASSES[i] for i in truth.labels] == [label.class_name for label in labels]
    (trained,) = known.to_train_on(CLASSES, beside=[], control=[], gap_s=0, most=9)
    picture = night.frames / frame.frame.path
    assert (known.folder / trained.image).read_bytes() == picture.read_bytes()


def test_the_word_on_the_teacher(night: AfterNight, store: Store) -> None:
    hard, first, second = shown(night, store).frames
    save(night, store, hard.frame.id)
    save(night, store, first.frame.id, *first.labels[1:])
    save(night, store, second.frame.id, *second.labels, Label((1, 1, 4, 4), "car"))
    seen = shown(night, store)
    boxes = len(first.labels) + len(second.labels)
    assert seen.agreement is not None
    assert (seen.agreement.boxes, seen.agreement.right) == (boxes, boxes - 1)
    assert (seen.agreement.missed, seen.agreement.frames) == (1, 2)
    assert seen.left == 0
    assert seen.at(seen.run_id, first.frame.id).labels == first.labels[1:]


def test_a_frame_that_is_right_as_it_is_is_no_correction(night: AfterNight, store: Store) -> None:
    frame = shown(night, store).frames[1]
    save(night, store, frame.frame.id, *frame.labels)
    folder = night.config.corrections_dir(CAMERA)
    assert load_corrections(folder).frames == ()
    assert load_checks(folder)[0].right == len(frame.labels)
    save(night, store, frame.frame.id)
    save(night, store, frame.frame.id, *frame.labels)  # back to what they were
    (corrected,) = load_corrections(folder).frames
    assert len(corrected.classes) == len(frame.labels)


@pytest.mark.parametrize(
    ("box", "name", "why"),
    [
        ((0, 0, 9, 9), "bus", r"box 1: class: got 'bus', must be one of person, car, bicycle"),
        ((-1, 0, 9, 9), "car", r"must lie in the picture of 160×96 pixels"),
        ((0, 0, 161, 9), "car", r"box 1: got 0, 0 to 161, 9, must lie in the picture"),
        ((5, 5, 5, 9), "car", r"0\.5 px or more on each side"),
        ((float("nan"), 0, 9, 9), "car", r"got nan"),
        ((0, 0, float("inf"), 9), "car", r"to inf"),
    ],
)
def test_what_cannot_be_a_label_is_refused(
    night: AfterNight, store: Store, box: Box, name: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        save(night, store, KEPT[0], Label(box, name))
    assert load_checks(night.config.corrections_dir(CAMERA)) == ()


def test_too_many_boxes_are_refused(night: AfterNight, store: Store) -> None:
    with pytest.raises(UsageError, match="1001 boxes in one frame: at most 1000"):
        save(night, store, KEPT[0], *[Label((0, 0, 9, 9), "car")] * 1001)


def test_a_crowd_has_more_points_than_a_frame_may_have_boxes(tmp_path: Path) -> None:
    counting = make_night(tmp_path, task="count", compared=True)
    points = [Label((x / 10, 5, x / 10 + 2, 7), "person") for x in range(1001)]
    with Store(counting.config.data_dir) as opened:
        save(counting, opened, KEPT[0], *points)
        with pytest.raises(UsageError, match="5001 points in one frame: at most 5000"):
            save(counting, opened, KEPT[0], *(points * 5)[:5001])
        with pytest.raises(UsageError, match=r"point 2: class: got 'car', must be one of person"):
            save(counting, opened, KEPT[0], points[0], Label((0, 0, 9, 9), "car"))
    (frame,) = load_corrections(counting.config.corrections_dir(CAMERA)).frames
    assert len(frame.classes) == 1001


@pytest.mark.parametrize(("run_id", "frame"), [("2026-11-20", KEPT[0]), (None, CONTROL[0])])
def test_frames_of_another_night_or_the_control_slice_are_refused(
    night: AfterNight, store: Store, run_id: str | None, frame: int
) -> None:
    said = Checked(run_id or night.record.run_id, frame, ())
    with pytest.raises(UsageError, match=f"frame {frame} of night .* is none of those to check"):
        save_check(night.config, CAMERA, store, said)


def test_several_people_at_once_lose_nothing(night: AfterNight, store: Store) -> None:
    frames = [frame.frame.id for frame in shown(night, store).frames]
    with ThreadPoolExecutor(3) as people:
        list(people.map(lambda i: save(night, store, i), frames * 4))
    folder: Path = night.config.corrections_dir(CAMERA)
    assert {frame.frame_id for frame in load_corrections(folder).frames} == set(frames)
    assert {check.frame_id for check in load_checks(folder)} == set(frames)
