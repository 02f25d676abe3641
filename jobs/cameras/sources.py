"""Opens a configured camera's source, with its mask blackened."""

from __future__ import annotations

from jobs.config.settings import CameraConfig
from streams.base import FrameSource
from streams.live.options import LiveOptions
from streams.mask import MaskedSource
from streams.open import open_source
from streams.recorded.picture_times import PictureOptions


def picture_options(camera: CameraConfig) -> PictureOptions:
    """How the camera's pictures are dated, if its source is a folder of them."""
    return camera.pictures.to_options(camera.time_zone)


def open_camera(camera: CameraConfig, *, live: LiveOptions | None = None) -> FrameSource:
    """The camera's source; `live` says how to read a live one, which is refused without it."""
    recorded = camera.live.to_options(must_answer=True)
    source = open_source(
        camera.source,
        camera=camera.name,
        live=live,
        recorded=recorded,
        pictures=picture_options(camera),
    )
    return MaskedSource(source, camera.mask) if camera.mask else source
