"""The control slice by hour and class: what old, new and random student found there, and where the
new one is worse. Worked out from the frames that the verdict's record names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import words
from culling_pipeline.report.clock import Clock
from culling_pipeline.report.tallies import CountTally, Tally, tallies
from culling_pipeline.tasks.frame_by_frame import errors_of, is_worse, worse_frames

FEW_OBJECTS, FEW_FRAMES = 20, 10
"""With fewer, a difference between two students is called a matter of a few."""
MOST_SAID = 3
"""Hours or classes that are named in a sentence of their own."""

ARMS = ("old", "new", "random")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `rows` begin with their names. One with a `summary` is folded away under it."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    summary: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A group of bars in the chart: an hour, how many frames it is of, a value for each student and
    what that value is in words."""

    hour: int
    values: tuple[float, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControlView:
    """All that a page says of the control slice frame by frame."""

    tables: tuple[Table, ...]
    arms: tuple[str, ...]
    bars: tuple[Bar, ...]
    is_share: bool
    said: str
    worse: tuple[str, ...]


def control_view(night: NightRecord, clock: Clock) -> ControlView | None:
    """What the record knows; None for a night that noted no frames."""
    judge = night.judge
    if judge.frames:
        return _of_objects(night, clock)
    if any(point.frame_id is not None for point in judge.counts):
        return _of_counts(judge, clock)
    return None


# -- objects -----------------------------------------------------------------------------------


def _of_objects(night: NightRecord, clock: Clock) -> ControlView:
    frames, names = night.judge.frames, night.classes
    arms = ARMS[: 3 if frames[0].random is not None else 2]
    hours = {frame.id: clock.hour(frame.wall_time) for frame in night.ingest.frames}
    classes = range(len(names))
    by_hour = tallies(frames, hours, [None], lambda _, hour: hour_name(hour))
    whole = tallies(frames, hours, [None], lambda *_: "all")
    by_class = tallies(frames, hours, classes, lambda label, _: names[label or 0])
    by_both = tallies(
        frames, hours, classes, lambda label, hour: f"{names[label or 0]}, {hour_name(hour)}"
    )
    head = _head(arms)
    hour, seen = f"Hour, {clock.name}", [tally for tally in by_both if tally.frames]
    tables = [
        Table(("Class", *head), _rows([*by_class, *whole], arms)),
        Table((hour, *head), _rows(by_hour, arms), "Hour by hour, as a table"),
        Table((f"Class, {hour}", *head), _rows(seen, arms), "Each class hour by hour"),
    ]
    if len(names) == 1:
        del tables[-1]
    return ControlView(
        tables=tuple(tables),
        arms=arms,
        bars=tuple(_bar(tally, arms) for tally in by_hour),
        is_share=True,
        said=_frames_said(night.judge, "makes more errors (an object missed or invented)", "fewer"),
        worse=tuple(_worse_cells(by_both)),
    )


def hour_name(hour: int) -> str:
    """The hour of a day, from and to."""
    return f"{hour:02d}:00–{hour + 1:02d}:00"


def _head(arms: Sequence[str]) -> tuple[str, ...]:
    return (
        "frames",
        "objects",
        *(f"{arm} found" for arm in arms),
        *(f"{arm} invented" for arm in arms),
    )


def _rows(tallies: Iterable[Tally], arms: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        (
            tally.name,
            words.count(tally.frames),
            words.count(tally.objects),
            *(_found(tally, place) for place in range(len(arms))),
            *(words.count(tally.invented[place]) for place in range(len(arms))),
        )
        for tally in tallies
    )


def _found(tally: Tally, place: int) -> str:
    if not tally.objects:
        return words.NOTHING
    share = words.percent(tally.found[place] / tally.objects)
    return f"{words.count(tally.found[place])} ({share})"


def _bar(tally: Tally, arms: Sequence[str]) -> Bar:
    shares = tuple(
        tally.found[place] / tally.objects if tally.objects else 0.0 for place in range(len(arms))
    )
    objects = words.count(tally.objects, "object")
    return Bar(
        tally.hour,
        shares,
        tuple(
            f"{tally.name}: {arm} found {tally.found[k]} of {objects}" for k, arm in enumerate(arms)
        ),
    )


def _worse_cells(tallies: Iterable[Tally]) -> Iterable[str]:
    """Where the new student makes more errors than the old one, the worst first."""
    worse = [tally for tally in tallies if tally.errors(1) > tally.errors(0)]
    for tally in sorted(worse, key=lambda t: t.errors(0) - t.errors(1))[:MOST_SAID]:
        few = " These are few: it may be chance." if tally.objects < FEW_OBJECTS else ""
        yield (
            f"{tally.name}: of {words.count(tally.objects, 'object')} it found {tally.found[1]} "
            f"and invented {tally.invented[1]}; the old one found {tally.found[0]} and invented "
            f"{tally.invented[0]}.{few}"
        )


# -- counts ------------------------------------------------------------------------------------


def _of_counts(judge: JudgeRecord, clock: Clock) -> ControlView:
    arms = ARMS[: 3 if judge.counts[0].random is not None else 2]
    by_hour: dict[int, CountTally] = {}
    whole = CountTally("all")
    for point in judge.counts:
        hour = clock.hour(point.wall_time)
        by_hour.setdefault(hour, CountTally(hour_name(hour), hour)).add(point)
        whole.add(point)
    ordered = [by_hour[hour] for hour in sorted(by_hour)]
    head = (f"Hour, {clock.name}", "frames", "teacher's count", *(f"{arm}, off by" for arm in arms))
    rows = tuple(_count_row(tally, arms) for tally in (*ordered, whole))
    return ControlView(
        tables=(Table(head, rows, "Hour by hour, as a table"),),
        arms=arms,
        bars=tuple(_count_bar(tally, arms) for tally in ordered),
        is_share=False,
        said=_frames_said(judge, "is further from the teacher's count", "nearer"),
        worse=tuple(_worse_hours(ordered)),
    )


def _count_row(tally: CountTally, arms: Sequence[str]) -> tuple[str, ...]:
    return (
        tally.name,
        words.count(tally.frames),
        words.figure(tally.teacher / tally.frames, 1),
        *(words.figure(tally.mean(place), 1) for place in range(len(arms))),
    )


def _count_bar(tally: CountTally, arms: Sequence[str]) -> Bar:
    values = tuple(tally.mean(place) for place in range(len(arms)))
    frames = words.count(tally.frames, "frame")
    said = tuple(
        f"{tally.name}: {arm} off by {words.figure(value, 1)} on {frames}"
        for arm, value in zip(arms, values, strict=True)
    )
    return Bar(tally.hour, values, said)


def _worse_hours(tallies: Iterable[CountTally]) -> Iterable[str]:
    worse = [tally for tally in tallies if is_worse(tally.mean(0), tally.mean(1))]
    for tally in sorted(worse, key=lambda t: t.mean(0) - t.mean(1))[:MOST_SAID]:
        few = " These are few: it may be chance." if tally.frames < FEW_FRAMES else ""
        old, new = (words.figure(tally.mean(place), 1) for place in (0, 1))
        frames = words.count(tally.frames, "frame")
        yield f"{tally.name}: on {frames} it is off by {new} on average, the old one by {old}.{few}"


# -- both --------------------------------------------------------------------------------------


def _frames_said(judge: JudgeRecord, more: str, fewer: str) -> str:
    """How often the new student is worse and better than the old one, in one sentence."""
    frames = errors_of(judge)
    worse = len(worse_frames(judge))
    better = sum(is_worse(frame.after, frame.before) for frame in frames)
    alike = len(frames) - worse - better
    return (
        f"On {words.count(worse)} of {words.count(len(frames), 'control frame')} the new model "
        f"{more} than the old one, on {words.count(better)} {fewer}; on {words.count(alike)} both "
        "do equally well."
    )
