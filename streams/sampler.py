"""Which frames to take and when they were: the sampling grid and the repair of broken time stamps.

Both are pure: they see times in seconds, never a picture.
"""

from __future__ import annotations

import math

TOLERANCE_S = 0.5e-6
"""A frame this little before its grid point still counts as on it (time stamps are rounded)."""

TICK_S = 1e-5
"""The smallest step of a repaired time axis: it still shows in wall-clock times (microseconds)."""

REORDER_FRAMES = 5
"""Going back by up to this many nominal intervals, and for up to this many frames running, is
jitter; anything more is a restart."""

MAX_LEAP_S = 6 * 3600.0
"""A longer step forward is a broken clock, not a gap (MPEG-TS wraps after 2^33 ticks, 26.5 h)."""


class Sampler:
    """Picks the first frame at or after each multiple of the interval since the first frame.

    The grid stays where the first frame put it, so there is no drift; a gap longer than the
    interval costs one frame, not a burst of late ones. A time further back than one interval is
    a restart and starts a new grid. Use a new sampler for each pass over a source.
    """

    def __init__(self, interval_s: float) -> None:
        if not (math.isfinite(interval_s) and interval_s > 0):
            message = f"sampling interval: got {interval_s} s, must be a finite number > 0"
            raise ValueError(message)
        self.interval_s = interval_s
        self._anchor_s: float | None = None
        self._latest_s = -math.inf
        self._step = 0

    @property
    def next_due_s(self) -> float | None:
        """The next grid point, for sources that can jump to it; None before the first frame."""
        if self._anchor_s is None:
            return None
        return self._anchor_s + self._step * self.interval_s

    def wants(self, time_s: float) -> bool:
        """Whether to take the frame at this time. Ask once per frame, in order."""
        if not math.isfinite(time_s):
            message = f"sampler: got a frame time of {time_s}, must be finite; repair times first"
            raise ValueError(message)
        due_s = self.next_due_s
        if due_s is None or time_s < self._latest_s - self.interval_s:
            self._anchor_s, self._latest_s, self._step = time_s, time_s, 1
            return True
        if time_s <= self._latest_s:
            return False
        self._latest_s = time_s
        late_s = time_s - due_s + TOLERANCE_S
        if late_s < 0:
            return False
        self._step += 1 + math.floor(late_s / self.interval_s)
        return True


class TimeRepair:
    """Turns the presentation times a file claims into a strictly increasing axis.

    A clean axis passes unchanged. Otherwise:

    - missing (None, NaN, infinite): the previous time plus the nominal interval;
    - a repeated time or a small step back: just after the previous time, so that nothing shifts;
    - a restart (a long step back) or a leap of more than `MAX_LEAP_S`: one nominal interval after
      the previous time, and the axis is carried on from there; if the very next frame fits the
      axis from before, the break was a single bad stamp and is forgotten.

    The first frame keeps its time if that lies in 0 … `MAX_LEAP_S`; otherwise it becomes 0.
    """

    def __init__(self, nominal_interval_s: float) -> None:
        if not (math.isfinite(nominal_interval_s) and nominal_interval_s >= TICK_S):
            message = f"nominal interval: got {nominal_interval_s} s, must be at least {TICK_S} s"
            raise ValueError(message)
        self._nominal_s = nominal_interval_s
        self._last_s: float | None = None
        self._offset_s = 0.0
        self._offset_before_break_s: float | None = None
        self._jitter_count = 0

    def repair(self, raw_s: float | None) -> float:
        """The honest time of the next frame, always later than the one before."""
        if raw_s is None or not math.isfinite(raw_s):
            time_s = 0.0 if self._last_s is None else self._last_s + self._nominal_s
        elif self._last_s is None:
            time_s = self._first(raw_s)
        else:
            time_s = self._next(raw_s, self._last_s)
        self._last_s = time_s
        return time_s

    def _first(self, raw_s: float) -> float:
        if not 0 <= raw_s <= MAX_LEAP_S:
            self._offset_s = -raw_s
        return raw_s + self._offset_s

    def _next(self, raw_s: float, last_s: float) -> float:
        before_s, self._offset_before_break_s = self._offset_before_break_s, None
        if before_s is not None and 0 < raw_s + before_s - last_s <= MAX_LEAP_S:
            self._offset_s = before_s
        step_s = raw_s + self._offset_s - last_s
        if 0 < step_s <= MAX_LEAP_S:
            self._jitter_count = 0
            return raw_s + self._offset_s
        self._jitter_count += 1
        small = -REORDER_FRAMES * self._nominal_s <= step_s <= 0
        if small and self._jitter_count <= REORDER_FRAMES:
            return last_s + TICK_S
        self._offset_before_break_s = self._offset_s
        self._offset_s = last_s + self._nominal_s - raw_s
        return last_s + self._nominal_s
