"""Frames of earlier nights that a training uses again, so that a student does not forget, and
control frames of earlier nights that the judge measures on again, which show whether it has.

Each camera has one folder for each of the two, with the frames as JPEG files and `frames.json`. It
holds a bounded number of frames, spread evenly over the hours of the day and over light, so that
rare light stays. Within the same hours and light every frame that was ever kept has the same chance
to stay.

Frames whose labels would not be the same today (other classes, zones, mask, teacher or picture
size) are not used, and neither are those from before the lens was moved.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from culling_pipeline.records.base import Record
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.samples import Sample
from models.files import replace_file
from streams.pictures import PictureError, read_picture

logger = logging.getLogger(__name__)

FRAMES_FILE = "frames.json"
LIGHT = (25.0, 60.0, 110.0)
"""Mean brightness (0…255) between darkness, dusk, a dull and a bright picture."""
HOURS = 2
"""Hours of the clock that share a number of frames, in each light."""


class EarlierFrame(Record):
    """A frame of an earlier night's kept set: the night and its date, when it was taken, its JPEG
    file, its light (an index into the levels that `LIGHT` separates) and its truth as
    `Task.as_json` gives it. `kind` names what its labels depend on."""

    run_id: str
    date: date
    wall_time: datetime
    image: Annotated[str, Field(pattern=r"^[^/]+\.jpg$")]
    kind: str
    light: int
    truth: dict[str, Any]


class _Stored(Record):
    """`frames.json`: only frames of nights from `since` on show the present view (None: all)."""

    since: date | None = None
    frames: tuple[EarlierFrame, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplayStore:
    """A camera's frames of earlier nights: `most` of them at most. `kind` names what labels depend
    on today; only frames of the same kind are used."""

    folder: Path
    most: int
    kind: str

    def usable(self, today: date) -> tuple[EarlierFrame, ...]:
        """The frames of other days than `today` that show the present view, with labels as they
        would be now, as far as their files are there."""
        return tuple(
            frame
            for frame in self._fit(self._read())
            if frame.date != today and (self.folder / frame.image).is_file()
        )

    def add(
        self,
        frames: Sequence[EarlierFrame],
        pictures: Mapping[str, Path],
        *,
        corrected: Collection[datetime] = (),
        still: Collection[str] | None = None,
    ) -> None:
        """Keep these frames and copies of their JPEG files (by `image`), and then no more than
        `most` in all: those with corrected labels (by the time they were taken), then the others
        evenly. Of the frames from before only those in `still` are kept, by `image` (None: all). A
        second call with the same frames changes nothing."""
        stored = self._read()
        new = {frame.image: frame for frame in frames}
        old = {
            frame.image: frame for frame in stored.frames if still is None or frame.image in still
        }
        there = stored.changed(frames=tuple((old | new).values()))
        stay = spread(self._fit(there), self.most, corrected=corrected)
        if stay:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for image in new.keys() & {frame.image for frame in stay}:
            replace_file(self.folder / image, pictures[image].read_bytes())
        self._write(stored.changed(frames=tuple(sorted(stay, key=lambda frame: frame.image))))

    def begin_anew(self, since: date) -> None:
        """The lens was moved, and nights from this date on show the new view: forget the others."""
        stored = self._read()
        if stored.since is None or stored.since < since:
            changed = stored.changed(since=since)
            self._write(changed.changed(frames=tuple(self._fit(changed))))

    def _fit(self, stored: _Stored) -> list[EarlierFrame]:
        return [
            frame
            for frame in stored.frames
            if frame.kind == self.kind and (stored.since is None or frame.date >= stored.since)
        ]

    def _read(self) -> _Stored:
        """What is there; a damaged list must not make every later night fail."""
        path = self.folder / FRAMES_FILE
        try:
            return _Stored.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return _Stored()
        except ValidationError:
            logger.warning("%s: damaged: no frame of earlier nights is trained on again", path)
            return _Stored()

    def _write(self, stored: _Stored) -> None:
        """The list, when all its pictures are on disk; then pictures that it does not name go."""
        if not self.folder.is_dir():
            if stored == _Stored():
                return
            self.folder.mkdir(parents=True, mode=0o700)
        listed = {frame.image for frame in stored.frames}
        text = stored.model_dump_json(indent=None)
        replace_file(self.folder / FRAMES_FILE, text.encode() + b"\n")
        for path in self.folder.glob("*.jpg"):
            if path.name not in listed:
                path.unlink(missing_ok=True)


def spread(
    frames: Iterable[EarlierFrame],
    most: int,
    *,
    corrected: Collection[datetime] = (),
    salt: str = "",
) -> list[EarlierFrame]:
    """At most so many of the frames: those with corrected labels first, then as many of each two
    hours of the day in each light. Which of these is chance, the same for the same `salt`."""
    drawn = sorted(frames, key=lambda frame: _lot(frame, salt))
    taken: Counter[tuple[int, int]] = Counter()
    ranked = []
    for frame in sorted(drawn, key=lambda frame: frame.wall_time not in corrected):
        cell = cell_of(frame)
        ranked.append((frame.wall_time not in corrected, taken[cell], frame))
        taken[cell] += 1
    ranked.sort(key=lambda row: row[:2])
    return [frame for _, _, frame in ranked[:most]]


def cell_of(frame: EarlierFrame) -> tuple[int, int]:
    """The frame's hours, by the local clock, and its light: each such cell has the same share."""
    return frame.wall_time.astimezone().hour // HOURS, frame.light


def _lot(frame: EarlierFrame, salt: str) -> str:
    return hashlib.sha256(f"{salt}/{frame.image}".encode()).hexdigest()


def light_of(image: NDArray[np.uint8]) -> int:
    """The light of an H×W×3 picture: 0 is darkness."""
    return int(np.searchsorted(LIGHT, float(image.mean()), side="right"))


def samples_again(
    folder: Path, frames: Sequence[EarlierFrame], task: Task, ignored: NDArray[np.bool_] | None
) -> list[Sample]:
    """The frames as training samples; one whose picture is gone or damaged is left out."""
    samples = []
    for frame in frames:
        try:
            image = read_picture(folder / frame.image, thorough=False)
        except PictureError as error:
            logger.warning("%s: a frame of an earlier night is left out: %s", folder, error)
            continue
        samples.append(Sample(image, task.answer_from(frame.truth), ignored))
    return samples
