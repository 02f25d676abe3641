"""Sums over control frames: what the teacher saw, and how each student did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from culling_pipeline.records.judging import ControlFrame, CountPoint, Errors


@dataclass(slots=True)
class Tally:
    """Sums over some control frames: the teacher's objects, and what each student found and
    invented of them. The students are old, new and, if it ran, random."""

    name: str
    hour: int = 0
    frames: int = 0
    objects: int = 0
    found: list[int] = field(default_factory=lambda: [0, 0, 0])
    invented: list[int] = field(default_factory=lambda: [0, 0, 0])

    def add(self, students: Sequence[Errors], label: int | None) -> None:
        """One frame; of this class alone if `label` is given, and then only if somebody saw one."""
        objects = _of(label, students[0].found) + _of(label, students[0].missed)
        invented = [_of(label, one.invented) for one in students]
        if label is not None and not (objects or any(invented)):
            return
        self.frames += 1
        self.objects += objects
        for place, one in enumerate(students):
            self.found[place] += _of(label, one.found)
            self.invented[place] += invented[place]

    def errors(self, place: int) -> int:
        """Missed and invented objects of a student."""
        return self.objects - self.found[place] + self.invented[place]


@dataclass(slots=True)
class CountTally:
    """Sums over some control frames of a camera that counts: the teacher's count, and how far each
    student's is from it."""

    name: str
    hour: int = 0
    frames: int = 0
    teacher: float = 0.0
    off: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])

    def add(self, point: CountPoint) -> None:
        """One frame."""
        self.frames += 1
        self.teacher += point.teacher
        for place, count in enumerate((point.before, point.after, point.random)):
            self.off[place] += 0.0 if count is None else abs(count - point.teacher)

    def mean(self, place: int) -> float:
        """A student's mean error."""
        return self.off[place] / self.frames


def tallies(
    frames: Iterable[ControlFrame],
    hours: Mapping[int, int],
    labels: Sequence[int | None],
    name: Callable[[int | None, int], str],
) -> list[Tally]:
    """A tally for each name that `name` gives to a class and the hour of a frame: class by class,
    and each class from the first to the last hour. The class None stands for all."""
    found: dict[str, Tally] = {}
    in_order = sorted(frames, key=lambda frame: hours[frame.frame_id])
    for label in labels:
        for frame in in_order:
            hour = hours[frame.frame_id]
            called = name(label, hour)
            found.setdefault(called, Tally(called, hour)).add(_students(frame), label)
    return list(found.values())


def _students(frame: ControlFrame) -> tuple[Errors, ...]:
    both = (frame.before, frame.after)
    return both if frame.random is None else (*both, frame.random)


def _of(label: int | None, labels: Sequence[int]) -> int:
    return len(labels) if label is None else labels.count(label)
