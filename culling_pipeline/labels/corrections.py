"""Frames with labels corrected by people: how they are stored, and how a night uses them.

Each camera has one folder with the frames as JPEG files and `labels.json`. A correction takes
precedence over the teacher: a night that has the same frame uses the corrected labels, and the
newest other corrected frames are added to the kept set for training.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from culling_pipeline.labels.checks import load_checks
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import CheckedFrame, CorrectedFrame
from culling_pipeline.tasks.answers import Truth
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.boxes.coco_files import DatasetError
from culling_pipeline.tasks.samples import Sample
from models.files import replace_file
from streams.pictures import PictureError, read_picture

LABELS_FILE = "labels.json"


_FILE = TypeAdapter(tuple[CorrectedFrame, ...])


class Moment(Protocol):
    """A frame of a camera, of which only counts when it was taken."""

    @property
    def wall_time(self) -> datetime:
        """When it was taken."""


_Frame = TypeVar("_Frame", bound=Moment)


def unseen(
    frames: Iterable[_Frame],
    *,
    beside: Collection[Moment],
    control: Collection[Moment],
    gap_s: float,
) -> list[_Frame]:
    """Those of the frames that may be trained on in addition: without those in `beside`, which are
    trained on anyway, and without those within `gap_s` of a control frame, which would then not be
    unseen."""
    there = {frame.wall_time for frame in beside}
    measuring = np.array([frame.wall_time.timestamp() for frame in control])
    return [
        frame
        for frame in frames
        if frame.wall_time not in there
        and (np.abs(measuring - frame.wall_time.timestamp()) >= gap_s).all()
    ]


@dataclass(frozen=True, slots=True)
class Corrections:
    """A camera's corrected frames, and what was checked; none if there is no folder."""

    folder: Path = Path()
    frames: tuple[CorrectedFrame, ...] = ()
    checks: tuple[CheckedFrame, ...] = ()
    """What the people who looked at frames found of the teacher's labels."""

    def truths_of(self, frames: Iterable[StoredFrame], task: Task) -> dict[int, Truth]:
        """Corrected truths by frame id, for those frames that have a correction: the same moment of
        the same camera."""
        known = self.by_time(task.class_names)
        return {
            frame.id: task.corrected(known[frame.wall_time])
            for frame in frames
            if frame.wall_time in known
        }

    def to_train_on(
        self,
        class_names: Sequence[str],
        *,
        beside: Collection[StoredFrame],
        control: Collection[StoredFrame],
        gap_s: float,
        most: int,
    ) -> tuple[CorrectedFrame, ...]:
        """The newest, `most` of them at most, as far as they are `unseen`."""
        free = unseen(self._of(class_names), beside=beside, control=control, gap_s=gap_s)
        return tuple(sorted(free, key=lambda frame: frame.wall_time, reverse=True)[:most])

    def by_time(self, class_names: Sequence[str]) -> dict[datetime, CorrectedFrame]:
        """Those in which all these classes were looked for, by when they were taken."""
        return {frame.wall_time: frame for frame in self._of(class_names)}

    def _of(self, class_names: Sequence[str]) -> list[CorrectedFrame]:
        """Those in which all these classes were looked for."""
        return [frame for frame in self.frames if set(class_names) <= set(frame.class_names)]


def load_corrections(folder: Path) -> Corrections:
    """The corrections in a camera's folder; none if there is no folder."""
    path, checks = folder / LABELS_FILE, load_checks(folder)
    if not path.is_file():
        return Corrections(folder, checks=checks)
    remedy = f"{path}: damaged; bring it back, or remove it and import the labels again"
    return Corrections(folder, _read(path.read_bytes(), remedy), checks)


def corrected_frames(labels: bytes) -> tuple[CorrectedFrame, ...]:
    """The frames of a `labels.json` from another machine; `DatasetError` if it is damaged."""
    remedy = f"{LABELS_FILE}: damaged: it is none that a machine of this release has written"
    return _read(labels, remedy)


def _read(labels: bytes, remedy: str) -> tuple[CorrectedFrame, ...]:
    try:
        return _FILE.validate_json(labels)
    except ValidationError as exc:
        raise DatasetError(remedy) from exc


def add_corrections(folder: Path, frames: Mapping[CorrectedFrame, bytes]) -> Corrections:
    """Keep these frames with their JPEG files, in place of earlier corrections of the same ones.

    The list is replaced in one step, when all pictures are on disk.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for frame, jpeg in frames.items():
        replace_file(folder / frame.image, jpeg)
    before = load_corrections(folder)
    stored = {frame.image: frame for frame in (*before.frames, *frames)}
    ordered = tuple(stored[name] for name in sorted(stored))
    replace_file(folder / LABELS_FILE, _FILE.dump_json(ordered, indent=1) + b"\n")
    return replace(before, frames=ordered)


def samples_of(
    folder: Path, frames: Sequence[CorrectedFrame], task: Task, ignored: NDArray[np.bool_] | None
) -> list[Sample]:
    """The frames as training samples."""
    return [
        Sample(_image(folder / frame.image), task.corrected(frame), ignored) for frame in frames
    ]


def _image(path: Path) -> NDArray[np.uint8]:
    try:
        return read_picture(path, thorough=False)
    except PictureError as exc:
        message = f"{path}: the corrected frame is gone or damaged ({exc}): import its labels again"
        raise DatasetError(message) from exc
