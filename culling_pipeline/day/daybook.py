"""The daybook of a live camera's day, and how the day is replayed from it.

One line of JSON for each sampled frame and each event, in the order they came. The draws of a `Day`
are seeded, so a replay gives exactly the day that was written.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Self

from culling_pipeline.day.control_slice import SHORT_S
from culling_pipeline.day.day import Day, IngestPlan
from culling_pipeline.day.loss_series import LossSeries, Seen
from culling_pipeline.records.day import FeedRecord, GateRecord
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task

DAYBOOK = "daybook.jsonl"
FRAMES = "frames"
_EVENT = b'{"event":'
"""The first bytes of an event's line; a frame's line never begins so."""

Event = Literal["start", "stop", "student", "state", "dropped", "paused", "gone", "gate"]
"""`start` and `stop` of watching, the device and backend on which the `student` scores from then
on, the camera's new `state`, frames `dropped` by this machine since the last such line, frames not
taken because writing is `paused`, stored frames `gone` to make room, what the `gate` did in the day
so far."""

UP = ("live", "frozen", "dark")
"""The states in which a camera gives pictures."""


@dataclass(frozen=True, slots=True)
class DayClock:
    """A calendar day: its date, when it begins, and its length in seconds: 23 or 25 hours where
    clocks change."""

    day: date
    midnight: datetime
    duration_s: float

    @classmethod
    def of(cls, moment: datetime) -> Self:
        """The local day this moment falls into."""
        local = moment.astimezone()
        return cls.on(local.date())

    @classmethod
    def on(cls, day: date) -> Self:
        """This date, by the machine's time zone."""
        midnight = datetime(day.year, day.month, day.day).astimezone()
        after = day + timedelta(days=1)
        end = datetime(after.year, after.month, after.day).astimezone()
        return cls(day, midnight, end.timestamp() - midnight.timestamp())

    @property
    def end(self) -> datetime:
        """When the next day begins."""
        return self.midnight.astimezone(UTC) + timedelta(seconds=self.duration_s)

    def seconds(self, moment: datetime) -> float:
        """Seconds from midnight to this moment."""
        return moment.timestamp() - self.midnight.timestamp()


@dataclass(slots=True)
class ScoredBy:
    """What the student scored on one device with one backend; both are empty for an older daybook
    without this line."""

    device: str = ""
    backend: str = ""
    images: int = 0
    seconds: float = 0.0


@dataclass
class ReplayedDay:
    """A day replayed from its daybook. `end` is where the last whole line ends, `first` and
    `last` when the first and the last frame were seen."""

    day: Day
    end: int = 0
    first: datetime | None = None
    last: datetime | None = None
    dropped: int = 0
    paused: int = 0
    scored_by: list[ScoredBy] = field(default_factory=list)
    gate: GateRecord | None = None
    states: list[tuple[datetime, str]] = field(default_factory=list)

    @property
    def span_s(self) -> float:
        """Seconds from the first frame to the last."""
        if self.first is None or self.last is None:
            return 0.0
        return self.last.timestamp() - self.first.timestamp()

    @property
    def is_short(self) -> bool:
        """Whether what was seen is too short to have a control slice of whole blocks of time."""
        return self.span_s < SHORT_S

    def count(self, seen: Seen, seconds: float) -> None:
        """Add a frame to what was scored."""
        if not self.scored_by:
            self.scored_by.append(ScoredBy())
        self.scored_by[-1].images += seen.scored
        self.scored_by[-1].seconds += seconds

    def feed(self, clock: DayClock, until: datetime) -> FeedRecord:
        """How the day went up to this moment."""
        end_s = min(clock.duration_s, clock.seconds(until))
        down_s = unwatched_s = 0.0
        now_s, state = 0.0, "unwatched"
        for moment, following in [*self.states, (until, "end")]:
            then_s = min(max(clock.seconds(moment), now_s), end_s)
            if state == "unwatched":
                unwatched_s += then_s - now_s
            elif state not in UP:
                down_s += then_s - now_s
            now_s, state = then_s, following
        return FeedRecord(
            down_s=down_s, unwatched_s=unwatched_s, dropped=self.dropped, paused=self.paused
        )


def replay(
    folder: Path,
    plan: IngestPlan,
    *,
    duration_s: float | None,
    start_s: float = 0.0,
    course: LossSeries | None = None,
) -> ReplayedDay:
    """Replay a stored day, its times counted from `start_s`; nothing is changed on disk. All its
    frames are added to `course`, if there is one."""
    story = ReplayedDay(Day(plan, folder / FRAMES, duration_s, str(folder)))
    for line, end in _lines(folder / DAYBOOK):
        story.end = end
        if "event" in line:
            _note_event(story, line)
            continue
        seen = _from_line(line, start_s=start_s)
        story.day.admit(seen)
        if course is not None:
            task = plan.task
            course.note(seen, task.answer_from(line) if course.wants_answers else task.nothing)
        if story.states and story.states[-1][1] == "connecting":
            story.states.append((seen.wall_time, "live"))
        story.first = story.first or seen.wall_time
        story.last = seen.wall_time
        story.count(seen, line["s"])
    return story


def answers_in(folder: Path, frame_ids: Collection[int], task: Task) -> dict[int, Answer]:
    """The student's answers to these frames of a watched day, by frame id; a frame that was not
    stored has no answer in the daybook and counts as empty."""
    wanted, found = set(frame_ids), dict[int, Answer]()
    frame_id = -1
    for raw in _whole_lines(folder / DAYBOOK):
        if raw.startswith(_EVENT):
            continue
        frame_id += 1
        if frame_id in wanted:
            found[frame_id] = task.answer_from(json.loads(raw))
            if len(found) == len(wanted):
                break
    return found


def mean_loss(folder: Path) -> float | None:
    """Mean L_conf of all frames of a stored day up to now; None if there is none yet."""
    total, frames = 0.0, 0
    for line, _ in _lines(folder / DAYBOOK):
        if "event" not in line:
            total, frames = total + line["loss"], frames + 1
    return total / frames if frames else None


def first_shape(folder: Path) -> tuple[int, int] | None:
    """Height and width in pixels of the first frame in a day's daybook."""
    for line, _ in _lines(folder / DAYBOOK):
        if "hw" in line:
            return line["hw"][0], line["hw"][1]
    return None


def _note_event(story: ReplayedDay, line: Mapping[str, Any]) -> None:
    moment = datetime.fromisoformat(line["at"])
    match line["event"]:
        case "start":
            if story.last is not None and story.states[-1][1] != "unwatched":  # it was killed
                story.states.append((story.last, "unwatched"))
            story.states.append((moment, "connecting"))
        case "stop":
            story.states.append((moment, "unwatched"))
        case "student":
            story.scored_by.append(ScoredBy(line["device"], line["backend"]))
        case "state":
            story.states.append((moment, line["state"]))
        case "dropped":
            story.dropped += line["count"]
        case "paused":
            story.paused += line["count"]
        case "gate":
            story.gate = GateRecord.model_validate(line["gate"])
        case "gone":
            for frame_id in line["ids"]:
                story.day.forget(frame_id)


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """Each whole line, and where it ends; everything after a damaged line is ignored."""
    end = 0
    for raw in _whole_lines(path):
        try:
            content = json.loads(raw)
        except (ValueError, RecursionError):
            return
        end += len(raw)
        yield content, end


def _whole_lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with path.open("rb") as file:
        for raw in file:
            if not raw.endswith(b"\n"):
                return
            yield raw


def as_event(event: Event, at: datetime, **more: Any) -> dict[str, Any]:
    """The line of an event."""
    return {"event": event, "at": at.isoformat(), **more}


def as_line(seen: Seen, answer: Mapping[str, Any] | None) -> dict[str, Any]:
    """The line of a frame, with the student's answer (`Task.as_json`) if it may be needed."""
    line: dict[str, Any] = {
        "t": seen.time_s,
        "at": seen.wall_time.isoformat(),
        "hw": list(seen.shape),
        "loss": seen.loss,
        "by": seen.model,
    }
    if not seen.scored:
        line["inherited"] = True
    return line if answer is None else {**line, **answer}


def _from_line(line: Mapping[str, Any], *, start_s: float) -> Seen:
    return Seen(
        time_s=line["t"] - start_s,
        wall_time=datetime.fromisoformat(line["at"]),
        shape=(line["hw"][0], line["hw"][1]),
        loss=line["loss"],
        scored=not line.get("inherited", False),
        model=sys.intern(line["by"]),  # one text for all frames
    )
