"""A live camera's day on disk: the frames that may be needed, and a daybook of all that was seen.

    FOLDER/daybook.jsonl      one line per sampled frame or event, in the order they came
    FOLDER/frames/NNNNNN.jpg  what is stored

In a day's first hour all frames are stored, later those that a night may need. A frame's picture is
written first, then its line; only then the pictures it replaces are deleted. So a day that was cut
off at any point can be repaired: it is replayed from its daybook (the draws are seeded, so they
give the same result), pictures without a line are deleted, lines without a picture count as seen
but not stored, and an incomplete last line is cut off."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from culling_pipeline.culling.strategies import Strategy
from culling_pipeline.day.choice import close_day
from culling_pipeline.day.control_slice import SHORT_S
from culling_pipeline.day.day import Day, IngestPlan
from culling_pipeline.day.daybook import (
    DAYBOOK,
    FRAMES,
    DayClock,
    Event,
    ReplayedDay,
    ScoredBy,
    answers_in,
    as_event,
    as_line,
    first_shape,
    replay,
)
from culling_pipeline.day.frame_files import frame_name, write_image
from culling_pipeline.day.loss_series import LossSeries
from culling_pipeline.errors import CullingError
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.stage_names import INGEST
from culling_pipeline.tasks.answers import Answer
from streams.base import Frame

if TYPE_CHECKING:
    from culling_pipeline.run.workers import PooledModel


class DayInUseError(CullingError):
    """Another process is writing this day."""


class DayWriter:
    """A day that is being written. Close it, or leave its `with` block; it can be opened again."""

    def __init__(self, folder: Path, plan: IngestPlan, *, clock: DayClock) -> None:
        self.folder, self.clock = folder, clock
        (folder / FRAMES).mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = _locked(folder / DAYBOOK)
        try:
            story = replay(folder, plan, duration_s=clock.duration_s)
            self.day, self._early = story.day, story.is_short
            self._first, self.last = story.first, story.last
            self._file.truncate(story.end)
            self._file.seek(story.end)
            _tidy(folder / FRAMES, self.day, everything=self._early)
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Everything on disk; closing twice is harmless."""
        if self._file.closed:
            return
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        finally:  # on a full disk too: an open one would keep the day locked
            self._file.close()

    @property
    def first(self) -> datetime | None:
        """When the day's first frame was taken, if there is one."""
        return self._first

    @property
    def bytes(self) -> int:
        """What the stored pictures take."""
        return sum(entry.stat().st_size for entry in os.scandir(self.folder / FRAMES))

    def take(
        self,
        frame: Frame,
        answer: Answer,
        *,
        scored: bool,
        model: str,
        seconds: float = 0.0,
    ) -> bool:
        """Note one frame, with its time counted from midnight; returns whether it was stored.
        `seconds` is the time that scoring took.

        After an `OSError` the day on disk is unchanged, but this object no longer matches it: open
        the day again.
        """
        time_s = max(0.0, self.clock.seconds(frame.wall_time))
        timed = Frame(frame.image, time_s, frame.wall_time, frame.camera)
        seen = self.day.look(timed, answer, scored=scored, model=model)
        admitted = self.day.admit(seen)
        self._first, self.last = self._first or frame.wall_time, frame.wall_time
        self._end_of_early_hour(frame.wall_time)
        stored = admitted.stored or self._early
        if stored:
            write_image(self.folder / FRAMES, frame_name(admitted.frame_id), frame.image)
        task = self.day.plan.task
        line = as_line(seen, task.as_json(answer) if stored or task.standardises else None)
        self._append(line | {"s": round(seconds, 6)})
        if not self._early:
            self.day.unlink(admitted.freed)
        return stored

    def _end_of_early_hour(self, now: datetime) -> None:
        """In a day's first hour everything is stored. If no more is watched, the day is replayed as
        a short recording (`WatchedDay`), which keeps other frames than a long day."""
        if self._early and self._first is not None:
            self._early = now.timestamp() - self._first.timestamp() < SHORT_S
            if not self._early:
                _tidy(self.folder / FRAMES, self.day)

    def note(self, event: Event, at: datetime, **more: Any) -> None:
        """Write down something that happened to the camera or to this machine."""
        self._append(as_event(event, at, **more))

    def give_up(self, frame_ids: list[int], at: datetime) -> None:
        """Delete these stored frames to make room."""
        gone = [i for i in frame_ids if self.day.forget(i)]
        if gone:
            self.note("gone", at, ids=gone)
            self.day.unlink(gone)

    def _append(self, content: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(content, separators=(",", ":")).encode() + b"\n")
        self._file.flush()


def _locked(path: Path) -> IO[bytes]:
    file = path.open("ab+")
    path.chmod(0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        message = f"{path.parent}: another process is writing this day: end it first"
        raise DayInUseError(message) from error
    return file


def _tidy(folder: Path, day: Day, *, everything: bool = False) -> None:
    """Make the pictures and the daybook match; with `everything`, all frames of the daybook may
    stay."""
    wanted = {frame_name(i): i for i in day.frames}
    welcome = {frame_name(i) for i in range(day.count)} if everything else set(wanted)
    there = {entry.name for entry in os.scandir(folder) if entry.stat().st_size > 0}
    for name in {entry.name for entry in os.scandir(folder)} - (welcome & there):
        (folder / name).unlink()
    for name in wanted.keys() - there:
        day.forget(wanted[name])


@dataclass(frozen=True, slots=True)
class WatchedDay:
    """Where a stored day lies, and which day it is."""

    folder: Path
    clock: DayClock

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width of the first frame in pixels, if there is one."""
        return first_shape(self.folder)

    def collect(
        self,
        pool: PooledModel,
        strategy: Strategy,
        *,
        plan: IngestPlan,
        model: str,
        folder: Path,
        until: datetime,
    ) -> tuple[IngestRecord, dict[int, Answer]]:
        """As `watch_recording`, for the day up to now; it may still be written. Pictures are linked
        into `folder`, not copied. Frames not scored by version `model` are scored by `pool`."""
        from culling_pipeline.day.recording import (
            with_own_answers,  # brings torch, which `look` spares
        )

        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, mode=0o700)
        try:
            story, course = self._story(plan)
            day = story.day
            _link_all(day, self.folder / FRAMES, folder)
            costs = _costs(story.scored_by, pool)
            feed = story.feed(self.clock, until)
            record = close_day(day, course, strategy, costs, gate=story.gate, feed=feed)
            mine = {i for i, seen in day.frames.items() if seen.model == model and seen.scored}
            found = answers_in(self.folder, day.frames, plan.task)
            own = {i: found[i] for i in mine}
            return with_own_answers(record, own, pool, strategy, folder=folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def look(self, plan: IngestPlan) -> Day:
        """The day up to now: its stored frames, which were drawn and which are for measuring
        only."""
        return self._story(plan)[0].day

    def replayed(self, plan: IngestPlan) -> Day:
        """The day as it was written, its times counted from midnight."""
        return replay(self.folder, plan, duration_s=self.clock.duration_s).day

    def _story(self, plan: IngestPlan) -> tuple[ReplayedDay, LossSeries]:
        """A day watched for less than an hour is replayed as a short recording, whose last stretch
        is the control slice (`control_slice.py`)."""
        course = LossSeries(plan.task)
        whole = replay(self.folder, plan, duration_s=self.clock.duration_s, course=course)
        if whole.first is None or not whole.is_short:
            return whole, course
        short = replay(
            self.folder,
            plan,
            duration_s=whole.span_s + plan.interval_s,
            start_s=self.clock.seconds(whole.first),
        )
        return short, course


def _costs(scored: Iterable[ScoredBy], pool: PooledModel) -> list[Cost]:
    """One line of the ledger for each device and backend that scored the day. If the daybook names
    no device, the night's own is assumed."""
    found: dict[tuple[str, str], ScoredBy] = {}
    for part in scored:
        whole = found.setdefault((part.device, part.backend), ScoredBy(part.device, part.backend))
        whole.images += part.images
        whole.seconds += part.seconds
    return [
        Cost(
            stage=INGEST.words,
            activity="look",
            purpose="watching",
            images=part.images,
            seconds=part.seconds,
            device=part.device or pool.device,
            backend=part.backend,
        )
        for part in found.values()
    ]


def _link_all(day: Day, here: Path, there: Path) -> None:
    """Link the day's pictures; frames whose picture is missing are removed from the day."""
    for frame_id in list(day.frames):
        name = frame_name(frame_id)
        try:
            os.link(here / name, there / name)
        except FileNotFoundError:
            day.forget(frame_id)
        except OSError:  # another file system, or one without links
            shutil.copyfile(here / name, there / name)
    day.folder = there
