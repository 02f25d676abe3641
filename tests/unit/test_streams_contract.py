"""What every source promises, checked on each of them: file, folders, a recorder's folder and
synthetic worlds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from streams.base import Frame, FrameSource
from streams.open import open_source
from streams.recorded.file import VideoFile
from streams.recorded.folder import DatedFolder, ImageFolder
from streams.recorded.recordings.source import Recordings
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera
from tests.unit.clips import constant_rate, numbered_image, write_clip
from tests.unit.recorder import frigate_tree, segment_file

BEGAN = datetime(2026, 1, 5, 20, tzinfo=UTC)
OpenSource = Callable[[], FrameSource]

KINDS: dict[str, type[FrameSource]] = {
    "mp4": VideoFile,
    "mpegts": VideoFile,
    "folder": ImageFolder,
    "dated": DatedFolder,
    "days": DatedFolder,
    "recordings": Recordings,
    "street": SyntheticCamera,
    "court": SyntheticCamera,
}


def address_of(kind: str, folder: Path) -> str:
    if KINDS[kind] is SyntheticCamera:
        return f"synthetic://{kind}?seed=7&hours=0.002&width=96&height=64"
    if kind == "folder":
        for number in range(6):
            cv2.imwrite(str(folder / f"img{number}.png"), numbered_image(number))
        return str(folder)
    if kind in ("dated", "days"):
        write_dated(folder, apart_s=0.5 if kind == "dated" else 5000.0)
        return str(folder)
    if kind == "recordings":
        clip = segment_file(folder / "clip")
        began = datetime.now(UTC) - timedelta(minutes=5)
        frigate_tree(folder / "rec", clip, camera="gate", first=began, count=2)
        return f"recordings:{folder / 'rec'}"
    suffix = {"mp4": "mp4", "mpegts": "ts"}[kind]
    return str(write_clip(folder / f"clip.{suffix}", constant_rate(80)))


def write_dated(folder: Path, *, apart_s: float) -> None:
    """Nine pictures in folders of days, one of them broken."""
    for number in range(9):
        moment = BEGAN + timedelta(seconds=apart_s * number)
        path = folder / moment.strftime("%Y-%m-%d/%H-%M-%S.%f.png")
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), numbered_image(number))
        if number == 8:
            path.write_bytes(path.read_bytes()[:99])


@pytest.fixture(params=KINDS)
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> OpenSource:
    address = address_of(request.param, tmp_path)

    def opener() -> FrameSource:
        source = open_source(address, camera="gate")
        assert type(source) is KINDS[request.param]
        return source

    return opener


def same(one: Frame, other: Frame) -> bool:
    times = (one.time_s, one.wall_time) == (other.time_s, other.wall_time)
    return times and np.array_equal(one.image, other.image)


def test_times_start_at_zero_and_strictly_increase(opened: OpenSource) -> None:
    times_s = [frame.time_s for frame in opened()]
    assert len(times_s) > 5
    assert times_s[0] == pytest.approx(0.0)
    assert all(a < b for a, b in pairwise(times_s))


def test_wall_times_are_utc_and_run_with_the_presentation_times(opened: OpenSource) -> None:
    source = opened()
    for frame in source:
        assert frame.wall_time.tzinfo is UTC
        assert frame.wall_time == source.info.started_at + timedelta(seconds=frame.time_s)


def test_frames_are_rgb_of_the_announced_size_and_name_their_camera(opened: OpenSource) -> None:
    source = opened()
    for frame in source:
        assert frame.image.shape == (source.info.height_px, source.info.width_px, 3)
        assert frame.image.dtype == np.uint8
        assert frame.image.flags["C_CONTIGUOUS"]
        assert frame.camera == "gate"


@pytest.mark.parametrize("interval_s", [0.5, 1.0, 2.0])
def test_the_sampler_is_honoured_to_the_frame(opened: OpenSource, interval_s: float) -> None:
    source = opened()
    oracle = Sampler(interval_s)
    expected = [frame for frame in source.frames() if oracle.wants(frame.time_s)]
    got = list(source.frames(Sampler(interval_s)))
    assert len(expected) >= 2
    assert len(got) == len(expected)
    assert all(map(same, got, expected))


def test_two_passes_give_the_same_frames(opened: OpenSource) -> None:
    source = opened()
    first, second, reopened = list(source), list(source.frames()), list(opened())
    assert len(first) == len(second) == len(reopened)
    assert all(map(same, first, second))
    assert all(map(same, first, reopened))


def test_two_passes_side_by_side_do_not_disturb_each_other(opened: OpenSource) -> None:
    source = opened()
    pairs = list(zip(source.frames(), source.frames(), strict=True))
    assert len(pairs) > 5
    assert all(same(one, other) for one, other in pairs)


def test_a_frame_is_not_overwritten_by_the_next(opened: OpenSource) -> None:
    frames = iter(opened())
    first = next(frames)
    before = first.image.copy()
    first.image[0, 0] ^= 255
    next(frames)
    before[0, 0] ^= 255
    assert np.array_equal(first.image, before)


def test_info_tells_what_will_be_seen(opened: OpenSource) -> None:
    source = opened()
    info = source.info
    assert info.kind.split()[0] in {"file", "folder", "synthetic", "web", "hls", "recordings"}
    assert info.location
    assert info.started_at.utcoffset() == timedelta(0)
    assert info.started_at <= datetime.now(UTC)
    assert info.rate_fps is not None
    assert info.duration_s is not None
    count = len(list(source))
    assert info.rate_fps * info.duration_s == pytest.approx(count, abs=1)
    assert source.info == info


def test_closing_twice_is_harmless_and_the_block_closes(opened: OpenSource) -> None:
    with opened() as source:
        frames = source.frames()
        next(frames)
    source.close()
    source.close()
    with pytest.raises(RuntimeError, match="from inside the block"), opened():
        raise RuntimeError("from inside the block")  # noqa: EM101


def test_a_pass_may_be_given_up_half_way(opened: OpenSource) -> None:
    source = opened()
    next(source.frames())
    assert source.frames() is not source.frames()
    assert len(list(source.frames())) > 5
