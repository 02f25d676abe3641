"""Old, new and random student on each control frame: what they found, and where the new one is
worse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.judging import ControlFrame, CountPoint, Errors, JudgeRecord
from culling_pipeline.tasks.answers import Answer, Truth
from culling_pipeline.tasks.base import Task

LEAST = 0.5
"""Half an object: a smaller difference of two errors is none."""


@dataclass(frozen=True, slots=True)
class Said:
    """What the teacher, the old, the new and (if it ran) the random student say, by frame id."""

    teacher: Mapping[int, Truth]
    before: Mapping[int, Answer]
    after: Mapping[int, Answer]
    random: Mapping[int, Answer] | None = None


@dataclass(frozen=True, slots=True)
class FrameErrors:
    """How far the old and the new student are from the teacher on a frame: errors in objects, or
    the error of the count."""

    frame_id: int
    before: float
    after: float


def count_points(task: Task, frames: Sequence[StoredFrame], said: Said) -> tuple[CountPoint, ...]:
    """What they count on each frame, in the order of time; none where the task is about something
    else."""
    points = []
    for frame in sorted(frames, key=lambda frame: frame.wall_time):
        teacher, before, after = (
            task.amount(answers[frame.id]) for answers in (said.teacher, said.before, said.after)
        )
        if teacher is None or before is None or after is None:
            return ()
        points.append(
            CountPoint(
                wall_time=frame.wall_time,
                teacher=teacher,
                before=before,
                after=after,
                random=None if said.random is None else task.amount(said.random[frame.id]),
                frame_id=frame.id,
            )
        )
    return tuple(points)


def control_frames(
    task: Task, frames: Sequence[StoredFrame], said: Said
) -> tuple[ControlFrame, ...]:
    """What they found, missed and invented on each frame; none where the task's answers have no
    objects with classes."""
    found = []
    for frame in frames:
        teacher = said.teacher[frame.id]
        students = [said.before, said.after, *([] if said.random is None else [said.random])]
        errors = [_errors(task, frame.id, answers[frame.id], teacher) for answers in students]
        known = [one for one in errors if one is not None]
        if len(known) < len(students):
            return ()
        before, after, *random = known
        found.append(
            ControlFrame(
                frame_id=frame.id,
                before=before,
                after=after,
                random=random[0] if random else None,
            )
        )
    return tuple(found)


def _errors(task: Task, frame_id: int, answer: Answer, truth: Truth) -> Errors | None:
    """None where objects are counted and their classes are not said."""
    differs = task.disagreement(frame_id, answer, truth)
    said = Errors(
        found=differs.found_labels, missed=differs.missed_labels, invented=differs.invented_labels
    )
    objects = len(said.found) + len(said.missed)
    is_whole = (objects, said.count) == (differs.teacher_objects, differs.missed + differs.invented)
    return said if is_whole else None


def errors_of(judge: JudgeRecord) -> tuple[FrameErrors, ...]:
    """Both students' errors on each control frame; none in nights that did not note them."""
    if judge.frames:
        return tuple(FrameErrors(f.frame_id, f.before.count, f.after.count) for f in judge.frames)
    return tuple(
        FrameErrors(p.frame_id, abs(p.before - p.teacher), abs(p.after - p.teacher))
        for p in judge.counts
        if p.frame_id is not None
    )


def is_worse(before: float, after: float) -> bool:
    """Whether an error has grown by more than a count may be off by rounding: counts are means over
    a picture, and no two of them are equal."""
    return after - before >= LEAST


def worse_frames(judge: JudgeRecord) -> list[FrameErrors]:
    """Those on which the new student is worse than the old one, the worst first: where it lost
    most, then where it makes most errors."""
    worse = [frame for frame in errors_of(judge) if is_worse(frame.before, frame.after)]
    return sorted(worse, key=lambda f: (f.before - f.after, -f.after, f.frame_id))
