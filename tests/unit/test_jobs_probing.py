"""What a first look is said to have found, and what could be better."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from jobs.config.settings import CameraConfig
from jobs.setup.check import check_streams
from jobs.setup.probing import advice, found_in_words, found_to_dict, too_late
from streams.base import ConnectionFailedError, SourceInfo
from streams.probe import Probe

CANARY = "c4n4ry-0f-the-t3sts"
INFO = SourceInfo(
    kind="rtsp",
    location="rtsp://***@cam/1",
    width_px=1920,
    height_px=1080,
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
    rate_fps=24.98765,
    codec="h264",
    keyframe_interval_s=4.0,
)
FOUND = Probe(info=INFO, image=np.zeros((2, 2, 3), np.uint8), is_live=True, is_site=False)


def yard(source: str = "rtsp://cam/1", **live: object) -> CameraConfig:
    given = {"name": "yard", "source": source, "classes": ["person"], "live": live}
    return CameraConfig.model_validate(given)


def no_runtime() -> str:
    return "yt-dlp needs a JavaScript runtime"


def test_a_file_that_is_slow_is_not_said_to_be_off(tmp_path: Path) -> None:
    """A first look at a clip on a busy machine once took longer than its 30 seconds."""
    (tmp_path / "yard.mp4").write_bytes(b"")
    said = too_late(yard(str(tmp_path / "yard.mp4")), 30)
    assert said.endswith(
        "in 30 s: is the machine busy, or the disk slow? --timeout-s gives it longer"
    )
    assert "is the camera on" in too_late(yard("rtsp://cam/" + 5000 * "x"), 30)


def test_what_is_known_is_said_and_nothing_else() -> None:
    assert found_in_words(FOUND) == (
        "rtsp (live), 1920×1080, 24.99 pictures/s, h264, a keyframe every 4 s"
    )
    folder = replace(
        INFO, kind="folder", codec=None, rate_fps=None, keyframe_interval_s=None, duration_s=9.0
    )
    recorded = replace(FOUND, info=folder, is_live=False, frames=9)
    assert found_in_words(recorded) == "folder, 1920×1080, 9 s long"
    assert found_to_dict(recorded) == {
        "kind": "folder", "live": False, "width_px": 1920, "height_px": 1080, "rate_fps": None,
        "codec": None, "keyframe_interval_s": None, "duration_s": 9.0,
        "frames": 9, "to_fetch": None, "look_bytes": None, "said": [],
    }  # fmt: skip


def test_rare_keyframes_are_told_where_they_cost_something() -> None:
    (said,) = advice(yard(), FOUND)
    assert said.startswith("keyframes come more seldom than frames are sampled (every 1 s)")
    assert "settings to 1 s" in said
    (said,) = advice(yard(sampling="keyframes"), FOUND)
    assert said == "with sampling: keyframes there is but one frame every 4 s"
    assert advice(yard(sampling="exact"), FOUND) == []
    often = replace(FOUND, info=replace(INFO, keyframe_interval_s=1.01))
    assert advice(yard(), often) == []
    assert advice(yard(), replace(FOUND, is_live=False)) == []


@pytest.mark.parametrize(
    ("source", "found", "expected"),
    [
        ("https://www.youtube.com/watch?v=x", None, 1),
        ("https://www.youtube.com/watch?v=x", replace(FOUND, is_live=False, is_site=True), 1),
        ("https://example.org/page", replace(FOUND, is_live=False, is_site=True), 1),
        ("rtsp://cam/1", None, 0),
    ],
)
def test_a_missing_runtime_is_told_for_sites(
    monkeypatch: pytest.MonkeyPatch, source: str, found: Probe | None, expected: int
) -> None:
    monkeypatch.setattr("streams.site.missing_runtime_advice", no_runtime)
    assert advice(yard(source), found) == [no_runtime()] * expected
    monkeypatch.setattr("streams.site.missing_runtime_advice", lambda: None)
    assert advice(yard(source), found) == []


def test_check_says_it_all_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.site.missing_runtime_advice", no_runtime)
    monkeypatch.setenv("TOKEN", CANARY)
    camera = yard("rtsp://cam/${TOKEN}/1")
    leaking = replace(FOUND, info=replace(INFO, location=camera.source))
    door = check_streams([camera], timeout_s=5, look=lambda _: leaking)["yard"]
    assert door.detail.startswith("rtsp (live), 1920×1080, ")
    assert "a keyframe every 4 s, rtsp://cam/***/1; keyframes come more seldom" in door.detail
    assert door.found == found_to_dict(FOUND)

    def fail(camera: CameraConfig) -> Probe:
        message = f"no video at {CANARY}"
        raise ConnectionFailedError(message, reason="not found")

    site = yard(f"https://youtu.be/x?key={CANARY}")
    finding = check_streams([site], timeout_s=5, look=fail)["yard"]
    assert (finding.exit_code, finding.found) == (3, None)
    assert finding.detail == f"no video at ***; {no_runtime()}"
