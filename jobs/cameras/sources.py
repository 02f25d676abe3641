"""Opens a configured camera's source, with its mask blackened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from jobs.config.settings import CameraConfig
from jobs.database.nights import Night
from streams.base import FrameSource
from streams.live.options import LiveOptions
from streams.mask import MaskedSource
from streams.open import open_source, path_of_recordings
from streams.recorded.picture_times import PictureOptions
from streams.recorded.recordings.source import Recordings

SAME_DAY = timedelta(hours=6)
"""A night that begins this soon after another is about the same day, and reads it again."""


class Period(NamedTuple):
    """What a night reads of a recorder's folder; None: as far back as the camera's settings say,
    and up to now."""

    since: datetime | None = None
    until: datetime | None = None


AS_SET = Period()


def period_of(night: Night, done: list[Night]) -> Period:
    """From where the last night ended (when it began, for it read up to then) to where this one
    began; the same when it is taken up again."""
    before = (n.started_at for n in done if n.started_at <= night.started_at - SAME_DAY)
    return Period(max(before, default=None), night.started_at)


def picture_options(camera: CameraConfig) -> PictureOptions:
    """How the camera's pictures are dated, if its source is a folder of them."""
    return camera.pictures.to_options(camera.time_zone)


def open_camera(
    camera: CameraConfig,
    *,
    live: LiveOptions | None = None,
    period: Period = AS_SET,
    pictures: PictureOptions | None = None,
) -> FrameSource:
    """The camera's source; `live` says how to read a live one, which is refused without it,
    `period` how much of a recorder's folder, `pictures` which of a folder's pictures in place of
    what the camera says."""
    source = open_unmasked(camera, live=live, period=period, pictures=pictures)
    return MaskedSource(source, camera.mask) if camera.mask else source


def open_unmasked(
    camera: CameraConfig,
    *,
    live: LiveOptions | None = None,
    period: Period = AS_SET,
    pictures: PictureOptions | None = None,
) -> FrameSource:
    """The same, as the camera sees it."""
    recorded = camera.live.to_options(must_answer=True)
    recorder = path_of_recordings(camera.source, camera=camera.name)
    if recorder is not None:
        return Recordings(
            recorder,
            camera=camera.name,
            options=camera.recordings.to_options(since=period.since, until=period.until),
            most_pixels=recorded.most_pixels,
        )
    return open_source(
        camera.source,
        camera=camera.name,
        live=live,
        recorded=recorded,
        pictures=pictures or picture_options(camera),
    )
