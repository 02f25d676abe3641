"""Times on the pages: by the camera's clock, with the zone's name."""

from __future__ import annotations

from datetime import UTC, datetime

from jobs.config.settings import CameraConfig
from jobs.pages.moments import stamp

CAMERA = CameraConfig.model_validate(
    {"name": "yard", "source": "-", "classes": ["car"], "time_zone": "Asia/Kathmandu"}
)


def test_a_moment_is_told_by_the_camera_s_clock() -> None:
    moment = datetime(2026, 11, 27, 20, 30, 5, tzinfo=UTC)
    assert stamp(moment, CAMERA) == "2026-11-28 02:15 Asia/Kathmandu"
    assert stamp(moment, CAMERA, seconds=True) == "2026-11-28 02:15:05 Asia/Kathmandu"


def test_a_moment_without_a_zone_is_one_of_utc() -> None:
    assert stamp(datetime(2026, 11, 27, 20, 30), CAMERA) == "2026-11-28 02:15 Asia/Kathmandu"  # noqa: DTZ001
