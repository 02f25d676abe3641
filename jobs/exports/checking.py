"""Labels checked by a person on the pages: which frames to show, and what they have become.

A check is two things: the frame's labels as they should be, kept as a correction like those of
`culling dataset import`, and the word on the teacher, kept as a figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from culling_pipeline.labels.checks import (
    Drawn,
    add_checks,
    agreement,
    compare,
    frames_to_check,
    load_checks,
)
from culling_pipeline.labels.corrections import (
    LABELS_FILE,
    add_corrections,
    load_corrections,
)
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Agreement, CheckedFrame, CorrectedFrame
from culling_pipeline.tasks.answers import Truth
from culling_pipeline.tasks.base import Task
from jobs.bucket.sharing import open_sharing
from jobs.cameras.task import task_of
from jobs.config.lock import locked
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.exports.dataset import image_name
from jobs.nights.last_night import LastNight, last_night
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections

AT_ONCE = 60
"""Frames that a person checks at one sitting."""
MOST_BOXES, MOST_POINTS = 1000, 5000
"""In one frame."""
LEAST_SIDE_PX = 0.5

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Label:
    """A box in pixels of its frame, and its class."""

    box_xyxy: Box
    class_name: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What a person says of a frame: these are its labels."""

    run_id: str
    frame_id: int
    labels: tuple[Label, ...]


@dataclass(frozen=True, slots=True)
class FrameToCheck:
    """A frame with its labels as they are now: the teacher's, or a person's if it is `checked`."""

    frame: StoredFrame
    drawn: Drawn
    labels: tuple[Label, ...]
    checked: bool


@dataclass(frozen=True, slots=True)
class Sitting:
    """What there is to check in a camera's last night. `points`: the camera counts, and a label is
    the middle of its box."""

    camera: str
    run_id: str
    class_names: tuple[str, ...]
    height_px: int
    width_px: int
    points: bool
    frames: tuple[FrameToCheck, ...]
    agreement: Agreement | None

    @property
    def left(self) -> int:
        """How many frames nobody has checked yet."""
        return sum(not frame.checked for frame in self.frames)

    def at(self, run_id: str, frame_id: int) -> FrameToCheck:
        """The frame of this id; `UsageError` where it is none of those to check."""
        for frame in self.frames:
            if (self.run_id, frame.frame.id) == (run_id, frame_id):
                return frame
        message = (
            f"camera {self.camera!r}: frame {frame_id} of night {run_id} is none of those to "
            f"check: the last night is {self.run_id}: look at the list again"
        )
        raise UsageError(message)


def sitting(config: Config, camera: str, store: Store, *, most: int = AT_ONCE) -> Sitting:
    """The frames of the camera's last night that are worth a check. Frames whose labels a person
    had corrected before that night are not: there is no word of the teacher's on them."""
    night = _night(config, camera, store)
    record, task = night.record, _task(config, night)
    corrections = load_corrections(config.corrections_dir(camera))
    earlier = {f.wall_time for f in corrections.frames if f.run_id != record.run_id}
    frames = {
        frame.id: frame
        for frame in record.ingest.frames
        if frame.id in (night.labels or {})
        and frame.wall_time not in earlier
        and (night.folder / frame.path).is_file()
    }
    own = {f.frame_id: f for f in corrections.frames if f.run_id == record.run_id}
    checked = {c.frame_id for c in corrections.checks if c.run_id == record.run_id}
    assert night.labels is not None
    size = (record.ingest.height_px, record.ingest.width_px)
    return Sitting(
        camera=camera,
        run_id=record.run_id,
        class_names=tuple(record.classes),
        height_px=record.ingest.height_px,
        width_px=record.ingest.width_px,
        points=task.marks_points,
        frames=tuple(
            FrameToCheck(
                frames[shown.frame_id],
                shown.drawn,
                _labels(own.get(shown.frame_id), night.labels[shown.frame_id], task, size),
                shown.frame_id in checked,
            )
            for shown in frames_to_check(record, frames, most=most)
        ),
        agreement=agreement(corrections.checks, record.teacher),
    )


def save_check(config: Config, camera: str, store: Store, said: Checked) -> CheckedFrame:
    """A person has looked at a frame of the last night. Its labels are kept as a correction if they
    are not the teacher's, or were corrected before."""
    seen, frame_id, labels = sitting(config, camera, store), said.frame_id, said.labels
    shown = seen.at(said.run_id, frame_id)
    person = _detections(seen, labels)
    night = _night(config, camera, store)
    task, folder = _task(config, night), config.corrections_dir(camera)
    assert night.labels is not None
    word = compare(task.labelled(night.labels[frame_id]), person)
    now = datetime.now(UTC)
    check = CheckedFrame(
        run_id=seen.run_id, frame_id=frame_id, teacher=night.record.teacher, drawn=shown.drawn,
        boxes=word.boxes, right=word.right, missed=word.missed, checked_at=now,
    )  # fmt: skip
    corrected = CorrectedFrame(
        run_id=seen.run_id,
        frame_id=frame_id,
        wall_time=shown.frame.wall_time,
        image=image_name(camera, seen.run_id, frame_id),
        height_px=seen.height_px,
        width_px=seen.width_px,
        class_names=tuple(sorted(seen.class_names)),
        boxes_xyxy=tuple(label.box_xyxy for label in labels),
        classes=tuple(label.class_name for label in labels),
        corrected_at=now,
    )
    picture = (night.folder / shown.frame.path).read_bytes()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder / LABELS_FILE):
        is_known = any(f.image == corrected.image for f in load_corrections(folder).frames)
        is_new = is_known or labels != shown.labels
        add_corrections(folder, {corrected: picture} if is_new else {})
        add_checks(folder, [check])
    open_sharing(config).corrections(camera)
    return check


def picture_of(config: Config, camera: str, store: Store, which: tuple[str, int]) -> Path:
    """The file of a frame of this night and number, if it is one of those to check."""
    shown = sitting(config, camera, store).at(*which)
    return config.frames_dir(camera, which[0]) / shown.frame.path


def teacher_agreement(config: Config, camera: str) -> Agreement | None:
    """What people have found of the teacher whose labels were checked last; None where nobody has
    checked a random frame of it."""
    checks = load_checks(config.corrections_dir(camera))
    last = max(checks, key=lambda check: check.checked_at, default=None)
    return None if last is None else agreement(checks, last.teacher)


def _night(config: Config, camera: str, store: Store) -> LastNight:
    night = last_night(config, camera, store)
    if night.labels is None:
        message = (
            f"camera {camera!r}: the teacher's labels of night {night.record.run_id} were not kept "
            f"by the release that ran it: run `culling retrain {camera}`"
        )
        raise UsageError(message)
    return night


def _task(config: Config, night: LastNight) -> Task:
    """The night's task: labels are in its classes, whatever the configuration says by now."""
    camera = config.cameras[night.record.camera]
    return task_of(camera, ClassMap.from_config(night.record.classes))


def _labels(
    corrected: CorrectedFrame | None, truth: Truth, task: Task, size: tuple[int, int]
) -> tuple[Label, ...]:
    if corrected is not None:
        pairs = zip(corrected.boxes_xyxy, corrected.classes, strict=True)
        return tuple(Label(box, name) for box, name in pairs if name in task.class_names)
    found = task.labelled(truth)
    return tuple(
        Label(_inside(box, size), task.class_names[label])
        for box, label in zip(found.boxes_xyxy.tolist(), found.labels.tolist(), strict=True)
    )


def _inside(box: Sequence[float], size: tuple[int, int]) -> Box:
    """Within its frame, and to a tenth of a pixel, as a form shows it: so what nobody has touched
    comes back equal."""
    height_px, width_px = size
    x1, y1, x2, y2 = (round(max(0.0, edge), 1) for edge in box)
    return x1, y1, min(x2, float(width_px)), min(y2, float(height_px))


def _detections(seen: Sitting, labels: Sequence[Label]) -> Detections:
    """As boxes; `UsageError` names the first that cannot be one."""
    most, what = (MOST_POINTS, "points") if seen.points else (MOST_BOXES, "boxes")
    if len(labels) > most:
        message = f"{len(labels)} {what} in one frame: at most {most} can be saved"
        raise UsageError(message)
    for number, label in enumerate(labels, start=1):
        _check(seen, number, label)
    boxes = np.array([label.box_xyxy for label in labels], np.float32).reshape(-1, 4)
    numbers = [seen.class_names.index(label.class_name) for label in labels]
    return Detections(boxes, np.ones(len(labels), np.float32), np.array(numbers, np.int64))


def _check(seen: Sitting, number: int, label: Label) -> None:
    x1, y1, x2, y2 = label.box_xyxy
    which = f"{'point' if seen.points else 'box'} {number}"
    if label.class_name not in seen.class_names:
        message = (
            f"{which}: class: got {label.class_name[:40]!r}, must be one of "
            f"{', '.join(seen.class_names)}"
        )
        raise UsageError(message)
    inside = min(x1, y1) >= 0 and x2 <= seen.width_px and y2 <= seen.height_px
    if not (inside and x2 - x1 >= LEAST_SIDE_PX and y2 - y1 >= LEAST_SIDE_PX):
        message = (
            f"{which}: got {x1:g}, {y1:g} to {x2:g}, {y2:g}, must lie in the picture of "
            f"{seen.width_px}×{seen.height_px} pixels and be {LEAST_SIDE_PX:g} px or more on "
            "each side"
        )
        raise UsageError(message)
