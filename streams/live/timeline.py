"""The time of a live frame on the machine's clock, from its presentation time and its arrival.

Neither is enough alone. Presentation times restart at zero, jump, and run at the camera's speed;
arrivals come in bursts (an HLS segment of six seconds arrives at once).
"""

from __future__ import annotations

import math

AHEAD_S = 0.1
"""A frame may be placed this much later than it arrived; more, and the axis is shifted back."""

BACK_S = 1.0
"""A step back by less is jitter: the frame goes just after the one before it."""

LAG_S = 60.0
"""A frame placed this much before its arrival shows that the axis is wrong, not the frame late."""

WINDOW_S = 60.0
"""If all frames of so long a time lie late, the camera's clock is slow, and the axis follows."""

TICK_S = 1e-5
"""The smallest step between two frames: it still shows in wall-clock times (microseconds)."""


class Timeline:
    """Puts each frame on the monotonic clock; strictly increasing, whatever the camera claims.

    A frame is placed as far after its neighbour as their presentation times are apart, with the
    quickest frame of late taken as having had no delay at all.
    """

    def __init__(self) -> None:
        self._last_s = -math.inf
        self.restart()

    def restart(self) -> None:
        """A new connection: presentation times mean something else from now on."""
        self._offset_s: float | None = None
        self._window_from_s = -math.inf
        self._least_lag_s = math.inf

    def place(self, pts_s: float | None, arrived_s: float) -> float:
        """The monotonic second of a frame with this presentation time and arrival."""
        time_s = arrived_s
        if pts_s is not None and math.isfinite(pts_s):
            time_s = self._map(pts_s, arrived_s)
        self._last_s = max(time_s, self._last_s + TICK_S)
        return self._last_s

    def _map(self, pts_s: float, arrived_s: float) -> float:
        if self._offset_s is not None:
            time_s = pts_s + self._offset_s
            lag_s = arrived_s - time_s
            if -AHEAD_S <= lag_s <= LAG_S and time_s > self._last_s - BACK_S:
                self._follow(lag_s, arrived_s)
                return time_s
        self._anchor(pts_s, arrived_s)
        return arrived_s

    def _anchor(self, pts_s: float, arrived_s: float) -> None:
        self._offset_s = arrived_s - pts_s
        self._window_from_s, self._least_lag_s = arrived_s, math.inf

    def _follow(self, lag_s: float, arrived_s: float) -> None:
        """A slow camera clock: at the end of a window in which every frame was late, catch up."""
        self._least_lag_s = min(self._least_lag_s, lag_s)
        if arrived_s - self._window_from_s < WINDOW_S:
            return
        if self._least_lag_s > AHEAD_S and self._offset_s is not None:
            self._offset_s += self._least_lag_s
        self._window_from_s, self._least_lag_s = arrived_s, math.inf
