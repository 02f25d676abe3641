"""The `live:` section: how live cameras are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from culling_pipeline.ranges import Count, OneOrMore, Positive
from jobs.config.fields import Section, setting

if TYPE_CHECKING:
    from streams.live.options import LiveOptions

HEALTH = ("stalled_s", "frozen_s", "nearly_frozen_s", "dark_s")


class LiveSettings(Section):
    """The configurable fields of `streams.live.options.LiveOptions` and
    `streams.live.health.HealthLimits`, under the same names."""

    sampling: Literal["exact", "keyframes", "auto"] = setting(
        "auto",
        "exact: decode every picture; keyframes: decode keyframes only, which is far cheaper; "
        "auto: keyframes where they come as often as `fps` asks",
        more="Keyframes only is 10 to 70 times cheaper. `culling check` says how often they come.",
    )
    transport: Literal["tcp", "udp"] = setting(
        "tcp",
        "how RTSP comes; udp for cameras that need it",
        more="`udp` loses packets, but some old cameras know nothing else.",
    )
    height_px: Count = setting(
        720,
        "largest height to ask for where YouTube or HLS offers several sizes",
        unit="pixels",
    )
    open_timeout_s: Positive = setting(
        10.0, "how long to wait for a camera to answer, before the next try", unit="seconds"
    )
    read_timeout_s: Positive = setting(
        10.0, "without data for this long, the connection is closed", unit="seconds"
    )
    longest_pause_s: OneOrMore = setting(
        60.0,
        "longest pause between two tries",
        unit="seconds",
        more="Pauses start at one second and double.",
    )
    stalled_s: Positive = setting(
        5.0, "without data for this long, the camera counts as stalled", unit="seconds"
    )
    frozen_s: Positive = setting(
        60.0,
        "with the same picture for this long, it counts as frozen",
        unit="seconds",
        more="The same to the pixel.",
    )
    nearly_frozen_s: Positive = setting(
        600.0, "with nearly the same picture for this long, it counts as frozen", unit="seconds"
    )
    dark_s: Positive = setting(
        10.0, "with a black picture for this long, it counts as dark", unit="seconds"
    )

    def to_options(self, *, must_answer: bool) -> LiveOptions:
        """The options for `streams.open`; with `must_answer` a camera that is off is an error,
        without it the source waits for the camera."""
        from streams.live.health import HealthLimits
        from streams.live.options import LiveOptions

        given = self.model_dump(exclude=set(HEALTH))
        limits = HealthLimits(**self.model_dump(include=set(HEALTH)))
        return LiveOptions(**given, health=limits, must_answer=must_answer)
