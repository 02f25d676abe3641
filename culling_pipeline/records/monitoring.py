"""What became of the scene and of the view: drift, and a moved or covered lens."""

from __future__ import annotations

from datetime import date
from typing import Literal

from culling_pipeline.records.base import Record

SlotState = Literal["same", "moved", "covered", "unknown"]

ViewState = Literal["learning", "same", "moved", "covered", "settled", "unsure"]

TO_DO = {
    "moved": "turn the camera back, or leave it: after three whole days in the same place it is "
    "trained again (masks and ignore zones have to be moved by hand)",
    "covered": "clean or uncover it: it is trained again on the first day that looks as usual",
}
"""What an operator should do about a day that is not fit to train."""


class FigureDrift(Record):
    """One figure: its mean since the day `since`, what was usual, and the CUSUM against its
    threshold, negative for a fall. `since` is None where nothing adds up; the value then is the
    last day's."""

    name: str
    value: float
    usual: float
    statistic: float
    since: date | None


class DriftPoint(Record):
    """For a chart: the largest of a day's CUSUMs (None while learning), and whether it raised an
    alarm."""

    date: date
    statistic: float | None
    alarm: bool


class DriftRecord(Record):
    """The verdict on a camera's latest day. `figures` are all (none while learning), the most
    conspicuous first; `reason` is for the operator."""

    date: date
    state: Literal["learning", "quiet", "drift"]
    reason: str
    threshold: float
    figures: tuple[FigureDrift, ...]
    course: tuple[DriftPoint, ...]


class SlotView(Record):
    """One slot: `agreement` of its edges with the reference where they are (−1…1), the share of the
    picture that is `lost`, and for a move that could be measured its pixels in the camera's
    own picture (right and down positive), degrees (anticlockwise positive) and magnification."""

    slot: int
    state: SlotState
    agreement: float = 0.0
    lost: float = 0.0
    x_px: float | None = None
    y_px: float | None = None
    turn_deg: float = 0.0
    zoom: float = 1.0
    why: str = ""


class ViewRecord(Record):
    """The verdict on a day's view. `since_hour` is the hour of the clock at which the camera was
    first seen moved or covered, where that was on this day and lasted to its end."""

    date: date
    state: ViewState
    reason: str
    since_hour: int | None = None
    slots: tuple[SlotView, ...] = ()

    @property
    def fit_to_train(self) -> bool:
        """Whether a student may learn from this day."""
        return self.state not in ("moved", "covered")

    @property
    def in_words(self) -> str:
        """What is wrong and since when, for the operator; only of a day not fit to train."""
        since = "the whole day" if self.since_hour is None else f"since {self.since_hour:02d}:00"
        return f"the lens was {self.state}, {since}: {self.reason}"
