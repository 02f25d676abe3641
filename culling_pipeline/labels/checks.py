"""The teacher under a person's eyes: which frames are worth a check, and how often it was right.

All accuracy is agreement with the teacher, so this is the one figure that says what the teacher
itself is worth. Only frames drawn at random count for it: those shown because student and teacher
differ are the hardest there are, and would make the teacher look worse than it is.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from culling_pipeline.records.labels import Agreement, CheckedFrame
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.boxes.coco_files import DatasetError
from models.boxes.detections import Detections, match
from models.files import replace_file

CHECKS_FILE = "checks.json"
"""Beside the camera's corrections."""
Z = 1.96
"""The normal quantile of a 95 % interval."""

Drawn = Literal["random", "differs"]
_FILE = TypeAdapter(tuple[CheckedFrame, ...])


# -- which frames ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToCheck:
    """A frame to show, and why it is shown."""

    frame_id: int
    drawn: Drawn


def frames_to_check(record: NightRecord, there: Collection[int], *, most: int) -> list[ToCheck]:
    """At most so many frames of a night, of those that are `there` with the teacher's labels: by
    turns one where student and teacher differ most, and one of the random share. No control frame
    is among them. The same night gives the same order, and its random frames come in a random
    order, so that whoever stops half-way has still checked a random share."""
    random = random_share(record, there)
    errors = {
        d.frame_id: d.missed + d.invented for d in (*record.cull.shown, *record.cull.survivors)
    }
    free = set(there) - set(record.ingest.control) - set(random)
    hard = sorted((i for i in free if errors.get(i)), key=lambda i: (-errors[i], i))
    turns = zip_longest(
        (ToCheck(i, "differs") for i in hard), (ToCheck(i, "random") for i in random)
    )
    return [frame for frame in chain.from_iterable(turns) if frame is not None][:most]


def random_share(record: NightRecord, there: Collection[int]) -> list[int]:
    """The night's labelled random frames, in a random order. Only the beginning of the day's random
    draw was labelled because of the draw; further ones are labelled because they are hard."""
    drawn = record.ingest.random
    if record.random_train is not None:
        lottery = None if record.budget is None else record.budget.lottery
        drawn = drawn if lottery is None else drawn[: lottery.keep]
    elif record.asked == drawn[: len(record.asked)]:
        drawn = record.asked
    else:
        drawn = ()
    share = {*drawn} & {*there} - {*record.ingest.control}
    return sorted(share, key=lambda i: _lot(record.run_id, i))


def _lot(run_id: str, frame_id: int) -> bytes:
    return hashlib.sha256(f"{run_id}/{frame_id}".encode()).digest()


# -- how often it was right ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Word:
    """The teacher's boxes in a frame, by a person's word: how many, how many of them are right, and
    how many objects it missed."""

    boxes: int
    right: int
    missed: int


def compare(teacher: Detections, person: Detections) -> Word:
    """A box of the teacher's is right if one of the person's has its class and overlaps it by half
    or more (IoU ≥ 0.5, as in the metric); each of the person's makes one right at most. A box of
    the person's that overlaps none of the teacher's so, whatever the class, is a missed object."""
    right = int((match(teacher, person) >= 0).sum())
    found = match(_one_class(teacher), _one_class(person))
    return Word(len(teacher), right, len(person) - int((found >= 0).sum()))


def _one_class(found: Detections) -> Detections:
    return Detections(found.boxes_xyxy, found.scores, np.zeros_like(found.labels))


def agreement(checks: Iterable[CheckedFrame], teacher: str) -> Agreement | None:
    """What people have found of this teacher's labels, from the frames drawn at random; None where
    they have checked no box of it."""
    mine = [c for c in checks if c.teacher == teacher and c.drawn == "random"]
    boxes, right = sum(c.boxes for c in mine), sum(c.right for c in mine)
    if not boxes:
        return None
    low, high = _interval([(c.right, c.boxes) for c in mine])
    return Agreement(
        frames=len(mine),
        boxes=boxes,
        right=right,
        missed=sum(c.missed for c in mine),
        low=low,
        high=high,
    )


def _interval(counts: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """Wilson's interval of a share from right boxes and boxes of each frame. Boxes of one frame are
    right or wrong together, so they count for as many as their scatter from frame to frame says."""
    right, boxes = (np.array(column, float) for column in zip(*counts, strict=True))
    n, share = float(boxes.sum()), float(right.sum() / boxes.sum())
    frames = len(counts)
    if 0 < share < 1 and frames > 1:
        alone = share * (1 - share) / (n - 1)  # the variance if each box were on its own
        scatter = float(((right - share * boxes) ** 2).sum()) / n**2 * frames / (frames - 1)
        n /= max(1.0, scatter / alone)
    middle = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


# -- on disk ---------------------------------------------------------------------------------------


def load_checks(folder: Path) -> tuple[CheckedFrame, ...]:
    """The checks in a camera's folder of corrections; none if there are none."""
    path = folder / CHECKS_FILE
    if not path.is_file():
        return ()
    return checks_from(path.read_bytes(), f"{path}: damaged; bring it back, or remove it")


def checks_from(content: bytes, remedy: str) -> tuple[CheckedFrame, ...]:
    """What a `checks.json` holds; `DatasetError` with the remedy if it is damaged."""
    try:
        return _FILE.validate_json(content)
    except ValidationError as exc:
        raise DatasetError(remedy) from exc


def add_checks(folder: Path, checks: Iterable[CheckedFrame]) -> None:
    """Keep these, in place of earlier checks of the same frames."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    kept = {(c.run_id, c.frame_id): c for c in (*load_checks(folder), *checks)}
    ordered = tuple(kept[which] for which in sorted(kept))
    replace_file(folder / CHECKS_FILE, _FILE.dump_json(ordered, indent=1) + b"\n")
