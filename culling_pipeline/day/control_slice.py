"""The control slice: frames for measuring only, never for training.

Its frames come in blocks of time, because a frame next to a training frame is not really unseen.
The blocks are drawn at random, one in each group of neighbouring blocks, so every hour is measured.
A recording of minutes is too short for independent blocks: its last stretch is the control slice,
as in Dataset Culling (sec. 3: train on the first 24 hours, validate on the next 6)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from culling_pipeline.ranges import Count, InnerShare, Positive, check
from streams.base import DAY_S

SHORT_S = 3600.0
"""A recording shorter than this is split into a first and a last stretch."""

_STRETCHES = 24
"""The number of stretches that the end of a short recording is cut into."""

Placement = Literal["auto", "blocks", "end"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlan:
    """How much of a source is set aside: `share` of its time, at most `frames` frames of that."""

    frames: Count
    share: InnerShare
    block_s: Positive
    placement: Placement

    def __post_init__(self) -> None:
        check(self)

    def for_frames_every(self, gap_s: float) -> ControlPlan:
        """The same where frames are `gap_s` apart on average: blocks are doubled until each has
        room for one. In shorter ones it would be chance whether a stretch is measured at all."""
        block_s = self.block_s
        while block_s < gap_s:
            block_s *= 2
        return replace(self, block_s=block_s)


class ControlSlice:
    """Decides for any presentation time whether it belongs to training or to control."""

    def __init__(self, plan: ControlPlan, *, duration_s: float | None, seed: int) -> None:
        self._plan = plan
        self._duration_s = duration_s
        self._seed = seed
        short = duration_s is not None and duration_s < SHORT_S
        wants_end = plan.placement == "end" or (plan.placement == "auto" and short)
        self._at_end = wants_end and duration_s is not None  # without an end there is no last part
        self._group = max(2, round(1 / plan.share))
        self._last_group: int | None = None
        self._last_chosen = 0

    @property
    def description(self) -> str:
        """In words, for the report."""
        if self._at_end:
            return f"the last {self._plan.share:.0%} of the recording"
        return (
            f"random blocks of {self._plan.block_s:g} s, one in {self._group}, over the whole day"
        )

    def holds(self, time_s: float) -> bool:
        """Whether a frame at this time only measures."""
        if self._at_end and self._duration_s:
            return time_s >= self._duration_s * (1 - self._plan.share)
        block = math.floor(time_s / self._plan.block_s)
        group, place = divmod(block, self._group)
        return place == self._chosen_in(group)

    def _chosen_in(self, group: int) -> int:
        """Which of a group's blocks is the control block. The last answer is cached, because a day
        asks frame by frame."""
        if self._last_group != group:
            rng = np.random.default_rng([self._seed, 11, group])
            self._last_group, self._last_chosen = group, int(rng.integers(self._group))
        return self._last_chosen

    def group_of(self, time_s: float) -> int:
        """The stretch of time (stratum) a control frame is drawn from. Frames of one stretch are
        not independent, so the bootstrap draws whole stretches."""
        if self._at_end and self._duration_s:
            done = time_s / self._duration_s
            return int((done - (1 - self._plan.share)) / self._plan.share * _STRETCHES)
        return math.floor(time_s / self._plan.block_s / self._group)

    @property
    def frames_per_group(self) -> int:
        """How many frames of one stretch to hold until the day is over and the slice is drawn:
        twice its share, for some stretches will have too few."""
        length_s = self._plan.block_s * self._group
        groups = _STRETCHES if self._at_end else (self._duration_s or DAY_S) / length_s
        return math.ceil(2 * self._plan.frames / max(groups, 1.0))
