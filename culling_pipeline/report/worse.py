"""Frames on which the new student is worse than the old one: both answers, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline import svg
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.judging import CountPoint, Errors
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import words
from culling_pipeline.report.clock import Clock
from culling_pipeline.report.pictures import encode_jpeg, in_page
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.frame_by_frame import Said, worse_frames

MAX_WORSE = 6
"""Frames that are shown, the worst first."""
BUDGET_BYTES = 120_000
"""All their pictures in a report together; each is in it once, and shown twice."""


@dataclass(frozen=True, slots=True)
class Half:
    """What one student says of a frame: in words, and as what lies over the picture beside the
    teacher's word (`Task.drawing`)."""

    who: str
    said: str
    drawing: tuple[Markup, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """A control frame of this width and height with both students' answers."""

    frame: StoredFrame
    size: tuple[int, int]
    halves: tuple[Half, Half]


@dataclass(frozen=True, slots=True)
class Side:
    """One half as a page shows it: `link` leads to the frame's own page, where there is one."""

    drawing: Markup
    who: str
    time: str
    said: str
    width: int
    height: int
    link: str = ""


def worse_pairs(night: NightRecord, task: Task, said: Said) -> list[Pair]:
    """The worst frames of the night, as far as the answers are there."""
    frames = {frame.id: frame for frame in night.ingest.frames}
    told = _told(night)
    size = (night.ingest.width_px, night.ingest.height_px)
    pairs: list[Pair] = []
    for error in worse_frames(night.judge):
        i = error.frame_id
        if len(pairs) < MAX_WORSE and i in frames and i in said.before and i in said.after:
            before, after = (
                Half(who, words_of_it, tuple(task.drawing(a[i], said.teacher[i], width_px=size[0])))
                for who, words_of_it, a in zip(
                    ("old model", "new model"), told[i], (said.before, said.after), strict=True
                )
            )
            pairs.append(Pair(frames[i], size, (before, after)))
    return pairs


def embedded(
    pairs: Sequence[Pair], images: Sequence[NDArray[np.uint8]], clock: Clock
) -> list[Side]:
    """The pairs for a page that stands alone, with their images (H×W×3 uint8 RGB) inside: the
    second half of a pair uses the first one's."""
    sides = []
    for number, (pair, image) in enumerate(zip(pairs, images, strict=True), start=1):
        jpeg = encode_jpeg(image, max_bytes=BUDGET_BYTES // len(pairs))
        name = f"worse-{number}"
        pictures = (svg.image(in_page(jpeg), pair.size, id=name), svg.tag("use", href=f"#{name}"))
        sides += [
            _side(pair, half, picture, clock)
            for half, picture in zip(pair.halves, pictures, strict=True)
        ]
    return sides


def linked(pairs: Sequence[Pair], addresses: Sequence[tuple[str, str]], clock: Clock) -> list[Side]:
    """The pairs for a page of the service; `addresses` are those of each frame's picture and of its
    own page."""
    return [
        _side(pair, half, svg.image(src, pair.size), clock, link=link)
        for pair, (src, link) in zip(pairs, addresses, strict=True)
        for half in pair.halves
    ]


def _side(pair: Pair, half: Half, picture: Markup, clock: Clock, *, link: str = "") -> Side:
    time = clock.time(pair.frame.wall_time)
    label = f"Frame of {time} {clock.name}, {half.who}: {half.said}"
    drawing = svg.picture(picture, half.drawing, pair.size, label)
    return Side(drawing, half.who, time, half.said, *pair.size, link)


def _told(night: NightRecord) -> dict[int, tuple[str, str]]:
    """What the old and the new student got wrong on each frame, in words."""
    judge, names = night.judge, night.classes
    told = {
        frame.frame_id: (errors_in_words(frame.before, names), errors_in_words(frame.after, names))
        for frame in judge.frames
    }
    counted = {p.frame_id: _count_words(p) for p in judge.counts if p.frame_id is not None}
    return told | counted


def _count_words(point: CountPoint) -> tuple[str, str]:
    before, after = (
        f"counts {words.figure(count, 0)}, the teacher {words.figure(point.teacher, 0)}"
        for count in (point.before, point.after)
    )
    return before, after


def errors_in_words(errors: Errors, names: Sequence[str]) -> str:
    """What was missed and what was invented, by class."""
    said = []
    for kind, labels in (("missed", errors.missed), ("invented", errors.invented)):
        if known := words.by_class(labels, names):
            said.append(f"{kind} {known}")
    return ", ".join(said) or "all right"
