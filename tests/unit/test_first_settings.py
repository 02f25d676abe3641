"""What `culling quickstart` chooses for a newcomer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.config.edit import insert_camera, template_text
from jobs.config.load import parse_config
from jobs.config.settings import CameraConfig
from jobs.setup.first_settings import (
    CLIP_BUDGET,
    clip_settings,
    clip_words,
    crontab_line,
    how_it_goes_on,
    name_for,
)
from streams.base import SourceInfo


def info(duration_s: float | None, rate_fps: float | None = 25.0) -> SourceInfo:
    return SourceInfo(
        kind="file",
        location="clip.mp4",
        width_px=640,
        height_px=360,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        rate_fps=rate_fps,
        duration_s=duration_s,
    )


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("/media/Clips/Yard North.mp4", "yard-north"),
        ("clips/yard/", "yard"),
        ("rtsp://user:secret@cam-3.example.org/stream1", "stream1"),
        ("rtsp://user:secret@192.168.1.20", "192-168-1-20"),
        ("https://cam.example.org/?token=secret", "cam-example-org"),
        ("https://www.youtube.com/watch?v=abc", "watch"),
        ("synthetic://street?seed=7", "street"),
        ("device:0", "0"),
        ("…", "camera"),
    ],
)
def test_a_camera_is_named_after_its_source_without_its_secrets(source: str, name: str) -> None:
    assert name_for(source, {}) == name


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert name_for("yard.mp4", {"yard", "yard-2"}) == "yard-3"


def test_a_clip_gets_more_frames_a_second_and_a_short_night() -> None:
    settings = clip_settings(info(120.0), is_live=False, budget=None)
    assert settings == {"fps": 7.5, "culling": {"budget": CLIP_BUDGET, "keep": 225}}
    assert "fps: 7.5, keep: 225" in clip_words(settings, info(120.0))


def test_no_more_frames_than_the_clip_has() -> None:
    assert clip_settings(info(60.0, rate_fps=2.0), is_live=False, budget=None)["fps"] == 2.0


@pytest.mark.parametrize(("duration_s", "is_live"), [(7200.0, False), (None, False), (60.0, True)])
def test_a_day_and_a_live_camera_keep_the_defaults(duration_s: float | None, is_live: bool) -> None:
    assert clip_settings(info(duration_s), is_live=is_live, budget=None) == {}
    asked = clip_settings(info(duration_s), is_live=is_live, budget="30 min")
    assert asked == {"culling": {"budget": "30 min"}}


def test_the_settings_go_into_the_untouched_template_below_its_example(tmp_path: Path) -> None:
    own = {"source": "clip.mp4", "classes": ["person"]}
    more = clip_settings(info(120.0), is_live=False, budget=None)
    text = insert_camera(template_text(), "yard", own | more)
    camera = parse_config(text, tmp_path / "config.yaml").cameras["yard"]
    assert (camera.fps, camera.culling.budget, camera.culling.keep) == (7.5, CLIP_BUDGET, 225)
    assert len(text.splitlines()) == len(template_text().splitlines()) + 2


def test_the_crontabs_line_is_whole_and_quoted() -> None:
    line = crontab_line("yard", Path("/home/an operator/100%/config.yaml"))
    assert line.startswith("30 2 * * * /")
    assert line.endswith(r" retrain yard --config '/home/an operator/100\%/config.yaml'")


def test_a_live_camera_goes_on_with_the_service() -> None:
    camera = CameraConfig.model_validate({"name": "yard", "source": "rtsp://a/b", "classes": ["c"]})
    said = how_it_goes_on(camera, Path("/etc/culling/config.yaml"), live=True)
    assert "`culling run --config /etc/culling/config.yaml`" in said
    assert "30 2 * * *" in how_it_goes_on(camera, Path("config.yaml"), live=False)
