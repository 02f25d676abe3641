"""The page of a group's night: a line for each camera. Pure but for `write_group_page`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from culling_pipeline.records.night import AnyNight, NightRecord
from culling_pipeline.report import PAGE, words
from culling_pipeline.report.page import PAGES
from models.files import replace_file


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One camera's line, in words."""

    camera: str
    came_to: str
    before: str = words.NOTHING
    after: str = words.NOTHING
    gain: str = words.NOTHING
    interval: str = words.NOTHING
    kept: str = words.NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPage:
    """What the page says."""

    group: str
    run_id: str
    date: str
    headline: str
    reason: str
    frames: str
    training: str
    rows: tuple[GroupRow, ...]

    @classmethod
    def of(cls, group: str, records: Sequence[AnyNight]) -> Self:
        """From the nights of all cameras of the group."""
        trained = [record for record in records if isinstance(record, NightRecord)]
        in_use = sum(record.version is not None for record in trained)
        seconds = sum(cost.seconds for record in trained for cost in record.train.costs)
        headline = "Not trained: no camera of the group was fit to train"
        if trained:
            headline = (
                f"New model in use on {words.count(in_use, 'camera')}"
                if in_use
                else "Kept the old models"
            )
        return cls(
            group=group,
            run_id=records[0].run_id,
            date=records[0].date.isoformat(),
            headline=headline,
            reason=trained[0].judge.reason if trained else "see each camera's page",
            frames=words.count(trained[0].train.images if trained else 0),
            training=words.duration(seconds),
            rows=tuple(_row(record) for record in records),
        )


def write_group_page(folder: Path, page: GroupPage) -> Path:
    """Write the page, complete or not at all; where it is."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fields = {name: getattr(page, name) for name in page.__slots__}
    text = PAGES.get_template("group.html").render(**fields)
    replace_file(folder / PAGE, text.encode())
    return folder / PAGE


def _row(record: AnyNight) -> GroupRow:
    if not isinstance(record, NightRecord):
        return GroupRow(camera=record.camera, came_to=f"left out: {record.why}")
    judge = record.judge
    before, after = words.pair(judge.before.score.value, judge.after.score.value)
    gain = judge.after.score.gain_over(judge.before.score)
    low, high = (words.signed(v, 3) for v in (judge.difference_low, judge.difference_high))
    return GroupRow(
        camera=record.camera,
        before=before,
        after=after,
        gain=words.signed(gain, 3),
        interval=f"{low} to {high}",
        kept=words.count(len(record.cull.kept)),
        came_to="shared model in use" if record.version is not None else "old model stays",
    )
