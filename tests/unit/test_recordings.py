"""A recorder's folder as a source: real times, gaps, and segments that cost only themselves."""

from __future__ import annotations

import logging
import os
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams.base import (
    SourceNotFoundError,
    SourceUnreadableError,
    SourceUrlError,
    StreamError,
)
from streams.one_size import OneSize
from streams.recorded.path_times import PathTimes
from streams.recorded.recordings import reading
from streams.recorded.recordings.ahead import in_order
from streams.recorded.recordings.coverage import coverage, stretches
from streams.recorded.recordings.listing import Lister, Period, Segment
from streams.recorded.recordings.options import RecordingsOptions
from streams.recorded.recordings.passes import OVERLAPPING
from streams.recorded.recordings.reading import BROKEN, EMPTY, GONE, GROWING
from streams.recorded.recordings.source import Recordings
from streams.sampler import Sampler
from tests.unit.clips import HEIGHT_PX, WIDTH_PX, constant_rate, read_number, write_clip
from tests.unit.dahua import write_dav
from tests.unit.recorder import (
    BERLIN,
    LONG_AGO_S,
    SEGMENT_S,
    frigate_path,
    frigate_tree,
    link,
    put,
    segment_file,
)

FIRST = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
"""Half past midnight of the night in which Berlin's clocks are set forward."""


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return segment_file(tmp_path_factory.mktemp("segment"))


def noted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """The first argument of each call of this function, from now on."""
    calls, really = [], getattr(module, name)

    def noting(first: Any, *others: Any, **named: Any) -> Any:
        calls.append(first)
        return really(first, *others, **named)

    monkeypatch.setattr(module, name, noting)
    return calls


def opened(root: Path, *, minutes: float = 60.0, **options: Any) -> Recordings:
    """The hour after `FIRST`, or as many minutes."""
    until = FIRST + timedelta(minutes=minutes)
    defaults: dict[str, Any] = {"until": until, "hours": minutes / 60, "zone": BERLIN}
    return Recordings(root, camera="yard", options=RecordingsOptions(**{**defaults, **options}))


def test_frames_have_the_time_of_their_segment_plus_their_own(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=18)
    with opened(tmp_path) as source:
        assert source.facts.layout == "frigate"
        frames = list(source.frames(Sampler(1.0)))
    assert len(frames) == 18 * SEGMENT_S
    for number, frame in enumerate(frames):
        assert (frame.wall_time - FIRST).total_seconds() == pytest.approx(number, abs=0.1)
        assert read_number(frame.image) == number % SEGMENT_S * 5


def test_keyframes_are_enough_where_they_come_often_enough(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=3)
    source = opened(tmp_path)
    assert source.info.keyframe_interval_s == pytest.approx(2.0)
    frames = list(source.frames(Sampler(2.0)))
    assert [f.time_s for f in frames] == pytest.approx([2.0 * n for n in range(15)])
    assert [read_number(f.image) for f in frames] == [n % 5 * 10 for n in range(15)]


def test_local_names_through_the_change_of_the_clock(tmp_path: Path, clip: Path) -> None:
    for number in range(18):
        start = FIRST + timedelta(minutes=10 * number)  # up to half past four, summer time
        name = f"{start.astimezone(BERLIN):%Y-%m-%d/%H-%M-%S}.mp4"
        link(clip, tmp_path / "rec" / "Camera1" / name)
    source = opened(tmp_path / "rec", minutes=180)
    assert source.facts.layout == "motioneye"
    assert source.facts.segments == 18
    starts = [f.wall_time for f in source.frames(Sampler(20.0))]
    assert starts == [FIRST + timedelta(minutes=10 * n) for n in range(18)]


@pytest.mark.parametrize("length_s", [10, 600, 1800, 3600])
@pytest.mark.parametrize("zone", [BERLIN, ZoneInfo("America/New_York")])
def test_local_names_through_the_hour_that_comes_twice(
    tmp_path: Path, zone: ZoneInfo, length_s: int
) -> None:
    first = datetime(2026, 10, 24, 22, 7, tzinfo=UTC)
    if zone is not BERLIN:
        first = datetime(2026, 11, 1, 3, 7, tzinfo=UTC)
    starts = [first + timedelta(seconds=length_s * n) for n in range(6 * 3600 // length_s)]
    for number, start in enumerate(starts):
        name = f"yard/{start.astimezone(zone):%Y-%m-%d_%H-%M-%S}-{number:06d}.mp4"
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
        written_s = (start + timedelta(seconds=length_s + 0.4)).timestamp()
        os.utime(path, (written_s, written_s))
    times = PathTimes("{camera}/%Y-%m-%d_%H-%M-%S-%f.*", zone)
    listing = Lister(str(tmp_path), times).list()
    found = sorted(listing.segments, key=lambda segment: segment.path[-10:])
    assert [int(segment.start_s) for segment in found] == [int(s.timestamp()) for s in starts]


def test_copies_whose_files_times_tell_nothing_are_of_the_first_hour(tmp_path: Path) -> None:
    names = ["2026-10-25_01-07-13-0", "2026-10-25_02-07-13-0", "2026-10-25_04-07-13-0"]
    for name in names:
        (tmp_path / f"{name}.mp4").touch()
    times = PathTimes("%Y-%m-%d_%H-%M-%S-%f.*", BERLIN)
    listing = Lister(str(tmp_path), times).list()
    hours = [datetime.fromtimestamp(s.start_s, UTC).hour for s in listing.segments]
    assert hours == [23, 0, 3]


def test_gaps_are_gaps_and_are_told(tmp_path: Path, clip: Path) -> None:
    paths = frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=360)
    for path in [*paths[10:13], *paths[100:160]]:
        path.unlink()
    source = opened(tmp_path)
    found = source.facts.coverage
    assert found.share == pytest.approx((360 - 63) / 360, abs=0.001)
    assert [round(gap) for gap in found.gaps_s] == [30, 600]
    assert "82.5 % of the time recorded, 2 gaps, the longest 10 min" in found.in_words()
    assert not {f.time_s for f in source.frames(Sampler(10.0))} & {100.0, 110.0, 1100.0}
    assert source.moments(10.0) == [10.0 * n for n in range(360) if paths[n].exists()]


def test_a_part_of_a_second_between_segments_is_no_gap() -> None:
    segments = [Segment(10.0 * n, str(n)) for n in range(6)]
    period = Period(0.0, 60.0)
    found = coverage(stretches(segments, [9.4] * 6, period), period)
    assert found.gaps_s == ()
    assert found.share == pytest.approx(1.0)


def test_broken_segments_cost_themselves_and_are_counted(
    tmp_path: Path, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths = frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=30)
    for path in paths[3:5]:
        path.unlink()
        path.write_bytes(b"")
    paths[7].unlink()
    paths[7].write_bytes(clip.read_bytes()[:2000])
    paths[9].unlink()
    paths[9].write_text("not a video")
    source = opened(tmp_path)
    with caplog.at_level(logging.WARNING):
        seconds = [round(f.time_s) for f in source.frames(Sampler(1.0))]
    broken = {3, 4, 7, 9}
    assert seconds == [s for s in range(300) if s // 10 not in broken]
    assert source.left_out == {EMPTY: 2, BROKEN: 2}
    assert "260 frames read; left out: 2 " in caplog.text


def test_a_segment_that_is_cut_off_gives_what_it_has(tmp_path: Path) -> None:
    whole = segment_file(tmp_path / "clip", suffix="ts")
    pattern = "%Y%m%d%H%M%S.ts"
    for number in range(3):
        name = f"{FIRST + timedelta(seconds=10 * number):{pattern}}"
        put(whole, tmp_path / "rec" / name)
    cut = tmp_path / "rec" / f"{FIRST + timedelta(seconds=10):{pattern}}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    source = opened(tmp_path / "rec", layout=pattern, zone=UTC)
    seconds = [round(f.time_s) for f in source.frames(Sampler(1.0))]
    assert set(range(10)) | set(range(20, 30)) <= set(seconds)
    assert 3 <= len([s for s in seconds if 10 <= s < 20]) <= 7


def test_segments_deleted_while_they_are_read_are_counted(tmp_path: Path, clip: Path) -> None:
    paths = frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=60)
    source = opened(tmp_path)
    frames = source.frames(Sampler(1.0))
    next(frames)
    for path in paths[20:30]:
        path.unlink()
    rest = [round(f.time_s) for f in frames]
    assert rest == [s for s in range(1, 600) if not 200 <= s < 300]
    assert source.left_out == {GONE: 10}


def test_the_youngest_segment_is_left_alone_while_it_grows(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=5)
    young = frigate_path(tmp_path, "yard", FIRST + timedelta(seconds=50))
    put(clip, young, written_s=time.time())
    source = opened(tmp_path)
    assert source.facts.segments == 5
    assert [round(f.time_s) for f in source.frames(Sampler(10.0))] == [0, 10, 20, 30, 40]
    assert source.left_out == {GROWING: 1}


def test_overlapping_segments_give_each_moment_once(tmp_path: Path, clip: Path) -> None:
    for number in range(6):
        start = FIRST + timedelta(seconds=6 * number)
        link(clip, frigate_path(tmp_path, "yard", start))
    source = opened(tmp_path)
    seconds = [round(f.time_s, 1) for f in source.frames(Sampler(1.0))]
    assert seconds == sorted(set(seconds))
    assert len(seconds) == 40
    assert source.left_out == {OVERLAPPING: 5}


def test_a_size_and_a_codec_that_change_in_mid_day(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=6)
    times_ms = constant_rate(50, step_ms=200)
    other = write_clip(tmp_path / "other.mp4", times_ms, codec="mpeg4", scale=2)
    for number in range(6, 9):
        put(other, frigate_path(tmp_path, "yard", FIRST + timedelta(seconds=10 * number)))
    source = OneSize(opened(tmp_path))
    assert (source.info.width_px, source.info.height_px) == (WIDTH_PX, HEIGHT_PX)
    frames = list(source.frames(Sampler(1.0)))
    assert len(frames) == 90
    assert {f.image.shape for f in frames} == {(source.info.height_px, source.info.width_px, 3)}


def test_single_frames_are_had_by_a_seek(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=360)
    source = opened(tmp_path)
    files = noted(monkeypatch, reading, "open_video")
    got = [(f.time_s, read_number(f.image)) for f in source.frames_at([5.0, 5.5, 1003.9, 3599.0])]
    assert got == [(4.0, 20), (1002.0, 10), (3598.0, 40)]
    assert sorted(f.name for f in files) == ["29.50.mp4", "30.00.mp4", "46.40.mp4"]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_seeking_finds_the_right_keyframe_in_each_container(tmp_path: Path, suffix: str) -> None:
    long = segment_file(tmp_path / "clip", length_s=60, suffix=suffix)
    put(long, tmp_path / "rec" / f"{FIRST:%Y%m%d%H%M%S}.{suffix}")
    source = opened(tmp_path / "rec", layout="%Y%m%d%H%M%S.*", zone=UTC)
    got = [(round(f.time_s, 2), read_number(f.image)) for f in source.frames_at([1.0, 31.0, 59.0])]
    assert got == [(0.0, 0), (30.0, 150), (58.0, 290)]


def test_the_period_is_kept_to(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=60)
    since, until = FIRST + timedelta(seconds=95), FIRST + timedelta(seconds=205)
    source = opened(tmp_path, since=since, until=until, hours=24.0)
    walls = [f.wall_time for f in source.frames(Sampler(1.0))]
    assert walls[0] == since
    assert walls[-1] == until - timedelta(seconds=1)
    assert len(walls) == 110
    assert source.info.started_at == since


def test_only_the_folders_of_these_days_are_listed(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(20):
        for camera in ("yard", "gate"):
            frigate_tree(tmp_path, clip, camera=camera, first=FIRST - timedelta(days=day), count=4)
    folders = noted(monkeypatch, os, "scandir")
    stats = noted(monkeypatch, os, "stat")
    source = opened(
        tmp_path, layout="%Y-%m-%d/%H/{camera}/%M.%S.mp4", recorder_camera="yard", zone=UTC
    )
    assert source.facts.segments == 4
    scanned = [os.path.relpath(folder, tmp_path) for folder in folders]
    assert {path.split("/")[0] for path in scanned} == {".", "2026-03-27", "2026-03-28"}
    assert not [path for path in scanned if path.endswith("gate")]
    assert len([path for path in stats if str(path).endswith(".mp4")]) == 1  # the youngest


def test_nothing_is_written_to_the_recorders_folder(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=6)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    with opened(tmp_path) as source:
        list(source.frames(Sampler(1.0)))
        list(source.frames_at([3.0]))
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")} == before


def dahua(start: datetime) -> str:
    end = start + timedelta(seconds=10)
    return f"{start:%Y-%m-%d/001/dav/%H/%H.%M.%S}-{end:%H.%M.%S}[M][0@0][0].dav"


NAMINGS: dict[str, Callable[[datetime], str]] = {
    "frigate_old": lambda t: f"{t:%Y-%m/%d/%H}/yard/{t:%M.%S}.mp4",
    "motioneye": lambda t: f"{t:%Y-%m-%d/%H-%M-%S}.mp4",
    "motion": lambda t: f"17-{t:%Y%m%d%H%M%S}.mkv",
    "shinobi": lambda t: f"grp/mon1/{t:%Y-%m-%dT%H-%M-%S}.mp4",
    "mediamtx": lambda t: f"yard/{t:%Y-%m-%d_%H-%M-%S}-000000.mp4",
    "zoneminder": lambda t: f"1/{t:%y/%m/%d/%H/%M/%S}/{t:%s}-video.mp4",
    "dahua": dahua,
    "reolink": lambda t: f"{t:%Y/%m/%d}/Yard_00_{t:%Y%m%d%H%M%S}.mp4",
    "synology": lambda t: f"Yard/{t:%Y%m%d%p}/Yard{t:%Y%m%d-%H%M%S}-{int(t.timestamp())}.mp4",
    "blue_iris": lambda t: f"Yard.{t:%Y%m%d_%H%M%S}.mp4",
}


@pytest.mark.parametrize("layout", NAMINGS)
def test_each_layout_is_known_by_its_names(tmp_path: Path, clip: Path, layout: str) -> None:
    root = tmp_path / "rec"
    starts = [FIRST + timedelta(seconds=10 * n) for n in range(6)]
    for start in starts:
        link(clip, root / NAMINGS[layout](start.astimezone(BERLIN)))
    link(clip, root / "export.mp4")  # something else beside it
    source = opened(root)
    assert source.facts.layout == layout
    assert source.facts.segments == 6
    walls = [f.wall_time for f in source.frames(Sampler(10.0))]
    assert [w.replace(microsecond=0) for w in walls] == starts


def test_several_cameras_want_a_name_and_a_wrong_one_is_told(tmp_path: Path, clip: Path) -> None:
    for camera in ("north", "south"):
        frigate_tree(tmp_path, clip, camera=camera, first=FIRST, count=3)
    with pytest.raises(SourceUrlError, match=r"several cameras \(north, south\): name one"):
        opened(tmp_path)
    with pytest.raises(SourceUrlError, match=r"no recordings of a camera 'gate'.*north, south"):
        opened(tmp_path, recorder_camera="gate")
    assert opened(tmp_path, recorder_camera="north").facts.segments == 3


def _no_folder(root: Path, clip: Path) -> None:
    """Nothing there."""


def _a_file(root: Path, clip: Path) -> None:
    shutil.copyfile(clip, root)


def _no_video(root: Path, clip: Path) -> None:
    root.mkdir()
    (root / "notes.txt").write_text("x")


def _strange_names(root: Path, clip: Path) -> None:
    put(clip, root / "holiday.mp4")


def _long_ago(root: Path, clip: Path) -> None:
    frigate_tree(root, clip, camera="yard", first=FIRST - timedelta(days=9), count=3)


def _all_broken(root: Path, clip: Path) -> None:
    for path in frigate_tree(root, clip, camera="yard", first=FIRST, count=3):
        path.unlink()
        path.write_bytes(b"")
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))


@pytest.mark.parametrize(
    ("make", "options", "error", "words"),
    [
        (_no_folder, {}, SourceNotFoundError, "no such folder; check the path"),
        (_a_file, {}, SourceUnreadableError, "not a folder"),
        (_no_video, {}, SourceUnreadableError, "no video in this folder"),
        (_strange_names, {}, SourceUrlError, "'holiday.mp4' are not as any of frigate"),
        (_strange_names, {"layout": "motion"}, SourceUrlError, "are not as motion names them"),
        (_strange_names, {"layout": "%Q.mp4"}, SourceUrlError, "'%Q' means nothing"),
        (_strange_names, {"layout": "%Y%m%d.mp4"}, SourceUnreadableError, "no file is named like"),
        (_long_ago, {}, SourceUnreadableError, "from 2026-03-19 23:30 UTC to 2026-03-19 23:30"),
        (_all_broken, {}, SourceUnreadableError, "none of its 3 recordings.*empty segment"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path,
    clip: Path,
    make: Callable[[Path, Path], None],
    options: dict[str, Any],
    error: type[StreamError],
    words: str,
) -> None:
    root = tmp_path / "rec"
    make(root, clip)
    with pytest.raises(error, match=words) as caught:
        opened(root, **options)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("camera 'yard': ")


def test_files_of_blue_iris_alone_are_told(tmp_path: Path, clip: Path) -> None:
    put(clip, tmp_path / f"Yard.{FIRST:%Y%m%d_%H%M%S}.bvr")
    with pytest.raises(SourceUnreadableError, match=r"own program can read\); let it write MP4"):
        opened(tmp_path, layout="{camera}.%Y%m%d_%H%M%S.*")


def test_closed_is_closed(tmp_path: Path, clip: Path) -> None:
    frigate_tree(tmp_path, clip, camera="yard", first=FIRST, count=3)
    source = opened(tmp_path)
    frames = source.frames(Sampler(1.0))
    next(frames)
    source.close()
    assert len(list(frames)) <= 1
    with pytest.raises(StreamError, match="it was closed"):
        source.frames()
    with pytest.raises(StreamError, match="it was closed"):
        source.frames_at([0.0])


def test_work_ahead_comes_in_order_and_an_error_in_its_place() -> None:
    def work(number: int) -> Iterator[int]:
        for k in range(5):
            if (number, k) == (3, 2):
                message = "in the fourth"
                raise ValueError(message)
            yield 10 * number + k

    got: list[int] = []
    pieces = [partial(work, n) for n in range(6)]
    items = in_order(pieces, threads=2, held=2)
    with pytest.raises(ValueError, match="in the fourth"):
        taken_into(got, items)
    assert got == [10 * n + k for n in range(4) for k in range(5)][:17]


def taken_into(got: list[int], items: Iterator[int]) -> None:
    for item in items:
        got.append(item)


def test_work_ahead_ends_with_its_reader() -> None:
    before = threading.active_count()
    items = in_order([lambda: iter(range(10**9)) for _ in range(9)], threads=3, held=2)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    assert isinstance(items, Generator)
    items.close()
    deadline = time.monotonic() + 10
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() == before


@pytest.mark.slow  # 18,000 files
def test_twenty_six_hours_of_two_cameras_through_the_change_of_the_clock(
    tmp_path: Path, clip: Path
) -> None:
    # Given a recorder's tree with two gaps, an empty, a cut-off and a growing segment
    first, count = datetime(2026, 3, 28, 2, tzinfo=UTC), 26 * 360
    root = tmp_path / "rec"
    paths = frigate_tree(root, clip, camera="yard", first=first, count=count)
    frigate_tree(root, clip, camera="gate", first=first, count=count)
    gone = {*range(2000, 2030), *range(7000, 7360)}
    for number in gone:
        paths[number].unlink()
    for number, content in ((100, b""), (200, clip.read_bytes()[:1500])):
        paths[number].unlink()
        paths[number].write_bytes(content)
    put(clip, paths[-1], written_s=time.time())
    others = {p: p.stat().st_mtime_ns for p in root.rglob("gate/*.mp4")}
    until = first + timedelta(seconds=10 * count)
    source = opened(root, until=until, hours=26.0)

    # Then the coverage and the gaps are right
    found = source.facts.coverage
    assert found.share == pytest.approx((count - len(gone) - 1) / count, abs=1e-4)
    assert [round(gap) for gap in found.gaps_s] == [300, 3600, 10]
    assert [str(day) for day in source.facts.days] == ["2026-03-28", "2026-03-29"]

    # And a look a minute has its time to a tenth of a second, also when files vanish meanwhile
    moments = [10.0 * number + 2.0 for number in range(0, count, 6)]
    frames = source.frames_at(moments)
    got = [next(frames)]
    vanished = set(range(count - 1200, count - 1100))
    for number in vanished - gone:
        paths[number].unlink()
    got += frames
    bad = gone | vanished | {100, 200, count - 1}
    assert [f.time_s for f in got] == pytest.approx(
        [10.0 * n + 2.0 for n in range(0, count, 6) if n not in bad], abs=0.1
    )
    assert all(f.wall_time == first + timedelta(seconds=f.time_s) for f in got)
    assert {read_number(f.image) for f in got} == {10}
    asked = len([n for n in vanished if n % 6 == 0])
    assert source.left_out == {GONE: asked, GROWING: 1}

    # And the hour of the change is whole, on a clock that shows it
    before = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    hour = opened(root, since=before, until=before + timedelta(hours=1), hours=26.0)
    walls = [f.wall_time for f in hour.frames(Sampler(10.0))]
    assert walls == [before + timedelta(seconds=10 * n) for n in range(360) if 8100 + n not in bad]
    assert {f"{w.astimezone(BERLIN):%H}" for w in walls} == {"01", "03"}
    assert {p: p.stat().st_mtime_ns for p in root.rglob("gate/*.mp4")} == others


def test_dahuas_own_files_are_read(tmp_path: Path) -> None:
    """They have no index; FFmpeg notes the keyframes that it has come by."""
    for number in range(3):
        start = FIRST + timedelta(minutes=number)
        path = tmp_path / dahua(start)
        write_dav(path, start.replace(tzinfo=None), length_s=60)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    source = opened(tmp_path, minutes=3, zone=UTC)
    assert source.facts.layout == "dahua"
    assert source.info.keyframe_interval_s == pytest.approx(2.0)
    assert source.facts.coverage.gaps_s == ()
    every = [(f.time_s, read_number(f.image)) for f in source.frames(Sampler(1.0))]
    assert every == [(float(s), s % 60 * 5) for s in range(180)]
    looks = [1.0, 31.5, 58.9, 75.3, 100.0, 178.5]
    got = [(f.time_s, read_number(f.image)) for f in source.frames_at(looks)]
    assert got == [(0.0, 0), (30.0, 150), (58.0, 290), (74.0, 70), (100.0, 200), (178.0, 290)]
    assert source.left_out == {}
