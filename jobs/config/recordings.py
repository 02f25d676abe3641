"""The `recordings:` section: how a recorder's folder (`source: recordings:/PATH`) is read."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from culling_pipeline.ranges import Positive
from jobs.config.fields import Section, Text, setting

if TYPE_CHECKING:
    from streams.recorded.recordings.options import RecordingsOptions

AUTO = "auto"
DAY_HOURS = 25.0
"""A day, also the one that is an hour longer when clocks are set back."""


class RecordingsSettings(Section):
    """The configurable fields of `streams.recorded.recordings.options.RecordingsOptions`."""

    layout: Text = setting(
        AUTO,
        "how the recorder names its files: auto, a name such as frigate, or a pattern such as "
        '"%Y/%m/%d/yard_%H%M%S.mp4"',
        more="Names: frigate, frigate_old, motioneye, motion, shinobi, mediamtx, zoneminder, "
        "dahua, reolink, synology and blue_iris; `auto` finds out which ([recorders]"
        "(../guide/recorders.md)). A pattern is strftime's, from the folder that is given; "
        "besides, `*` is any text within a name and `{camera}` the camera's name.",
    )
    time_zone: Text | None = setting(
        None,
        "what the recorder's clock shows, such as Europe/Berlin or UTC; null: the machine's zone",
        more="Frigate's names are in UTC whatever is set here.",
    )
    camera: Text | None = setting(
        None,
        "the camera's name in the recorder's folders, where they hold several",
        more="`culling check` names those that are there.",
    )
    hours: Positive = setting(
        DAY_HOURS,
        "how far back a night reads at most; it begins where the last night ended",
        unit="hours",
    )
    read: Literal["looks", "all"] = setting(
        "looks",
        "looks: only the files that the student's looks fall into; all: every sampled frame",
        more="`looks` costs one seek and one keyframe a look, at moments drawn evenly from the "
        "day. `all` reads the whole day; half of the looks then go where the picture changes.",
    )

    @field_validator("layout")
    @classmethod
    def _is_a_layout(cls, layout: str) -> str:
        if layout == AUTO:  # what the others need takes time to import
            return layout
        from datetime import UTC

        from streams.recorded.path_times import PathTimes
        from streams.recorded.recordings.layouts import NAMES

        if layout not in NAMES:
            if "%" not in layout:
                message = f"must be auto, a pattern with %Y, %m … or one of {', '.join(NAMES)}"
                raise ValueError(message)
            PathTimes(layout, UTC)
        return layout

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str | None) -> str | None:
        if name is not None:
            from jobs.config.wall_clock import time_zone

            time_zone(name)
        return name

    def to_options(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> RecordingsOptions:
        """The options for `streams.recorded.recordings`, for a period."""
        from jobs.config.wall_clock import time_zone
        from streams.recorded.recordings.options import RecordingsOptions

        return RecordingsOptions(
            layout=self.layout,
            zone=time_zone(self.time_zone),
            recorder_camera=self.camera,
            since=since,
            until=until,
            hours=self.hours,
            by_moments=self.read == "looks",
        )
