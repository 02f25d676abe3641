"""The `live:` section: how a camera that never ends is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from jobs.config.fields import Count, Positive, Real, Section

if TYPE_CHECKING:
    from streams.live.options import LiveOptions

HEALTH = ("stalled_s", "frozen_s", "nearly_frozen_s", "dark_s")


class LiveSettings(Section):
    """What an operator may want to change of `streams.live.options.LiveOptions` and
    `streams.live.health.HealthLimits`, under the same names."""

    sampling: Literal["exact", "keyframes", "auto"] = "auto"
    transport: Literal["tcp", "udp"] = "tcp"
    height_px: Count = 720
    open_timeout_s: Positive = 10.0
    read_timeout_s: Positive = 10.0
    longest_pause_s: Annotated[Real, Field(ge=1)] = 60.0
    stalled_s: Positive = 5.0
    frozen_s: Positive = 60.0
    nearly_frozen_s: Positive = 600.0
    dark_s: Positive = 10.0

    def to_options(self, *, must_answer: bool) -> LiveOptions:
        """The options as `streams.open` takes them; with `must_answer` a camera that is off is an
        error, without it one to be waited for."""
        from streams.live.health import HealthLimits
        from streams.live.options import LiveOptions

        given = self.model_dump(exclude=set(HEALTH))
        limits = HealthLimits(**self.model_dump(include=set(HEALTH)))
        return LiveOptions(**given, health=limits, must_answer=must_answer)
