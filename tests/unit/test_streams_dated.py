"""Folders of pictures with times: when each was taken, what says so, and which days are used."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.base import FrameSource, SourceUnreadableError
from streams.open import open_source
from streams.recorded.days import Days, parse_days
from streams.recorded.exif import taken_at
from streams.recorded.folder import DatedFolder, ImageFolder, open_folder
from streams.recorded.name_times import NameTimes
from streams.recorded.picture_times import PictureOptions
from streams.sampler import Sampler
from tests.unit.clips import constant_rate, numbered_image, read_number, write_clip

UTC_ZONE: tzinfo = UTC
BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2023, 6, 13, 12, tzinfo=UTC)


def write(folder: Path, names: list[str]) -> Path:
    """Numbered pictures, the first 0."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(path), numbered_image(number)[..., ::-1])
    return folder


def opened(
    folder: Path, now: datetime = datetime(2026, 1, 1, tzinfo=UTC), **options: object
) -> FrameSource:
    given = PictureOptions(**options)  # type: ignore[arg-type]
    return open_folder(folder, camera="gate", options=given, now=lambda: now)


def taken(source: FrameSource) -> list[tuple[int, str]]:
    """The number of each frame's picture, and when it was taken, by its wall time."""
    return [(read_number(f.image), f.wall_time.strftime("%m-%d %H:%M:%S")) for f in source]


# -- times in names --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "moment"),
    [
        ("2023-06-13T03_11_46.jpg", "2023-06-13T03:11:46"),
        ("2023-06-13T03-11-46Z.jpg", "2023-06-13T03:11:46"),
        ("2023-06-13T03:11:46.250+02:00.jpg", "2023-06-13T01:11:46.250000"),
        ("2023-06-13T03:11:46-07:00.jpg", "2023-06-13T10:11:46"),
        ("2023-06-13T03:11:46+0200.jpg", "2023-06-13T01:11:46"),
        ("20230613T031146.png", "2023-06-13T03:11:46"),
        ("20230613031146.jpg", "2023-06-13T03:11:46"),
        ("cam_01_20230613031146123_MOTION.jpg", "2023-06-13T03:11:46.123000"),
        ("IMG_20230613_031146.jpg", "2023-06-13T03:11:46"),
        ("yard 2023.06.13 03.11.46.jpg", "2023-06-13T03:11:46"),
        ("2023-06-13_03h11m46s.jpg", "2023-06-13T03:11:46"),
        ("2023-06-13_03-11.jpg", "2023-06-13T03:11:00"),
        ("2023-06-13T0311.jpg", "2023-06-13T03:11:00"),
        ("2023-06-13T03-11-46_7.jpg", "2023-06-13T03:11:46"),
        ("2023-06-13.jpg", "2023-06-13T00:00:00"),
        ("yard-1686625906.jpg", "2023-06-13T03:11:46"),
        ("yard-1686625906.25-abc.jpg", "2023-06-13T03:11:46.250000"),
        ("1686625906250.jpg", "2023-06-13T03:11:46.250000"),
        ("2023/06/13/03/11/46.jpg", "2023-06-13T03:11:46"),
        ("2023-06-13/cam/03_11_46.jpg", None),
        ("2023-06-13/03_11_46.jpg", "2023-06-13T03:11:46"),
        ("2020-01-01/2023-06-13T03_11_46.jpg", "2023-06-13T03:11:46"),
        ("frame_0001.jpg", None),
        ("20230613.5.jpg", None),
        ("0000000007.jpg", None),
        ("2023061303.jpg", None),
        ("2023-02-31T03_11_46.jpg", None),
        ("2023-06-13T25_11_46.jpg", None),
        ("2023-06-13_0001.jpg", None),
        ("DSC_20231306.jpg", None),
    ],
)
def test_usual_names_have_their_times(path: str, moment: str | None) -> None:
    found = NameTimes(UTC_ZONE).find(path)
    seen = None if found is None else datetime.fromtimestamp(found.at_s, UTC)
    assert seen == (None if moment is None else datetime.fromisoformat(moment + "+00:00"))


@given(st.text(max_size=40))
@settings(max_examples=300)
def test_any_name_is_read_without_an_error(name: str) -> None:
    NameTimes(UTC_ZONE).find(name)


@given(st.datetimes(datetime(1990, 1, 2), datetime(2099, 1, 1)), st.sampled_from(["-", "_", ""]))  # noqa: DTZ001
def test_every_second_comes_back(moment: datetime, dash: str) -> None:
    name = moment.strftime(f"%Y{dash}%m{dash}%dT%H{dash}%M{dash}%S.jpg")
    found = NameTimes(UTC_ZONE).find(name)
    assert found is not None
    assert found.at_s == moment.replace(tzinfo=UTC, microsecond=0).timestamp()


# -- EXIF ------------------------------------------------------------------------------------------


def entry(order: str, tag: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack(f"{order}HHII", tag, kind, count, value)


def exif(texts: Mapping[int, str], order: str = "<") -> bytes:
    """A little TIFF whose sub-directory has these texts."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    sub_at = 8 + 2 + 12 + 4
    body_at = sub_at + 2 + 12 * len(texts) + 4
    entries, body = b"", b""
    for tag, text in texts.items():
        data = text.encode() + b"\0"
        if len(data) <= 4:
            entries += entry(
                order, tag, 2, len(data), struct.unpack(f"{order}I", data.ljust(4, b"\0"))[0]
            )
        else:
            entries += entry(order, tag, 2, len(data), body_at + len(body))
            body += data
    first = struct.pack(f"{order}H", 1) + entry(order, 0x8769, 4, 1, sub_at) + bytes(4)
    return head + first + struct.pack(f"{order}H", len(texts)) + entries + bytes(4) + body


def with_exif(path: Path, texts: Mapping[int, str]) -> None:
    data = path.read_bytes()
    part = b"Exif\0\0" + exif(texts)
    path.write_bytes(data[:2] + b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part + data[2:])


TAKEN, OFFSET, FRACTION = 0x9003, 0x9011, 0x9291


@pytest.mark.parametrize(
    ("texts", "moment"),
    [
        ({TAKEN: "2023:06:13 03:11:46"}, "2023-06-13T01:11:46"),
        ({TAKEN: "2023:06:13 03:11:46", OFFSET: "-07:00"}, "2023-06-13T10:11:46"),
        ({TAKEN: "2023:06:13 03:11:46", FRACTION: "25"}, "2023-06-13T01:11:46.250000"),
        ({TAKEN: "2023:06:13 03:11:46", OFFSET: "   :  "}, "2023-06-13T01:11:46"),
        ({TAKEN: "0000:00:00 00:00:00"}, None),
        ({TAKEN: "    :  :     :  :  "}, None),
        ({OFFSET: "+02:00"}, None),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_has_the_time(texts: dict[int, str], moment: str | None, order: str) -> None:
    part = b"Exif\0\0" + exif(texts, order)
    data = b"\xff\xd8\xff\xe0\0\4JF\xff\xe1" + struct.pack(">H", len(part) + 2) + part + b"\xff\xda"
    found = taken_at(data, BERLIN)
    seen = None if found is None else datetime.fromtimestamp(found.at_s, UTC)
    assert seen == (None if moment is None else datetime.fromisoformat(moment + "+00:00"))


@given(st.data())
@settings(max_examples=200)
def test_no_exif_however_broken_raises(data: st.DataObject) -> None:
    part = bytearray(b"Exif\0\0" + exif({TAKEN: "2023:06:13 03:11:46", FRACTION: "250"}))
    for _ in range(data.draw(st.integers(1, 6))):
        part[data.draw(st.integers(0, len(part) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(part[: data.draw(st.integers(0, len(part)))])
    taken_at(b"\xff\xd8\xff\xe1" + struct.pack(">H", len(cut) + 2) + cut, UTC_ZONE)
    taken_at(cut, UTC_ZONE)


def test_exif_of_other_programs_is_read(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = image.fromarray(np.zeros((8, 8, 3), np.uint8))
    said = picture.getexif()
    said.get_ifd(0x8769)[TAKEN] = "2023:06:13 03:11:46"
    for suffix in ("jpg", "png", "webp"):
        path = tmp_path / f"a.{suffix}"
        picture.save(path, exif=said.tobytes())
        found = taken_at(path.read_bytes(), UTC_ZONE)
        assert found is not None, suffix
        assert found.at_s == datetime(2023, 6, 13, 3, 11, 46, tzinfo=UTC).timestamp()


# -- which folder is which -------------------------------------------------------------------------

DATED = ["2023-06-13T03_00_00.jpg", "2023-06-13T03_15_00.jpg", "2023-06-13T03_30_00.jpg"]


def test_a_folder_of_dated_names_is_played_at_its_own_times(tmp_path: Path) -> None:
    source = opened(write(tmp_path, DATED[::-1]))
    assert isinstance(source, DatedFolder)
    assert taken(source) == [(2, "06-13 03:00:00"), (1, "06-13 03:15:00"), (0, "06-13 03:30:00")]
    assert [f.time_s for f in source] == [0, 900, 1800]
    info = source.info
    assert info.started_at == datetime(2023, 6, 13, 3, tzinfo=UTC)
    assert info.duration_s == 2700
    assert info.rate_fps == pytest.approx(1 / 900)
    assert info.said == (
        "times from their names (UTC)", "3 pictures of 2023-06-13", "mostly one every 15 min",
    )  # fmt: skip
    assert source.expected(1.0) == 3
    assert source.expected(1800.0) == 2
    assert len(list(source.frames(Sampler(1800.0)))) == 2


def test_names_without_times_stay_numbered_pictures(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path, [f"img{number}.jpg"])
        with_exif(tmp_path / f"img{number}.jpg", {TAKEN: "2023:06:13 03:00:00"})
    source = opened(tmp_path)
    assert isinstance(source, ImageFolder)
    assert [f.time_s for f in source] == [0, 1, 2]
    assert "`pictures.time: exif` goes by these" in source.info.said[0]


def test_dated_names_may_be_played_as_numbered_ones(tmp_path: Path) -> None:
    source = opened(write(tmp_path, DATED), time="numbered")
    assert isinstance(source, ImageFolder)
    assert [f.time_s for f in source] == [0, 1, 2]


def test_a_few_names_without_a_time_are_dated_by_exif_or_left_out(tmp_path: Path) -> None:
    names = [f"2023-06-13T03_{minute:02}_00.jpg" for minute in range(20)]
    write(tmp_path, [*names, "place.jpg", "extra.jpg"])
    with_exif(tmp_path / "extra.jpg", {TAKEN: "2023:06:13 03:05:30"})
    source = opened(tmp_path)
    assert source.left_out == {"without a time in the name": 1}
    assert (21, "06-13 03:05:30") in taken(source)
    assert len(taken(source)) == 21
    strict = opened(tmp_path, time="name")
    assert strict.left_out == {"without a time in the name": 2}


def test_folders_in_folders_are_read_and_thumbnails_are_not(tmp_path: Path) -> None:
    write(tmp_path, ["2023/06/13/03/00/00.jpg", "2023/06/13/03/15/00.jpg"])
    write(tmp_path / "2023/06/13/03/00/@eaDir", ["00.jpg"])
    write(tmp_path / ".hidden", ["2023-06-13T03_00_00.jpg"])
    assert [when for _, when in taken(opened(tmp_path))] == ["06-13 03:00:00", "06-13 03:15:00"]


def test_the_same_moment_in_a_folder_deeper_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, DATED)
    write(tmp_path / "thumbs", DATED[::-1])
    source = opened(tmp_path)
    assert [number for number, _ in taken(source)] == [0, 1, 2]
    assert source.left_out == {"of the same moment as another": 3}


def test_a_burst_of_one_second_is_spread_over_it(tmp_path: Path) -> None:
    names = ["2023-06-13T03_00_00.jpg", "2023-06-13T03_00_00_1.jpg", "2023-06-13T03_00_00_10.jpg"]
    write(tmp_path, [*names, "2023-06-13T03_00_00_2.jpg", "2023-06-13T03_00_01.jpg"])
    source = opened(tmp_path)
    assert [f.time_s for f in source] == [0, 0.25, 0.5, 0.75, 1]
    assert [read_number(f.image) for f in source] == [0, 1, 3, 2, 4]
    assert source.expected(1.0) == 2


def test_exif_dates_a_tree_whose_names_say_nothing(tmp_path: Path) -> None:
    write(tmp_path, ["100CANON/IMG_0002.jpg", "101CANON/IMG_0001.jpg"])
    with_exif(tmp_path / "100CANON/IMG_0002.jpg", {TAKEN: "2023:06:13 03:15:00"})
    with_exif(tmp_path / "101CANON/IMG_0001.jpg", {TAKEN: "2023:06:13 03:00:00"})
    source = opened(tmp_path, zone=BERLIN)
    assert taken(source) == [(1, "06-13 01:00:00"), (0, "06-13 01:15:00")]
    assert source.info.said[0] == "times from EXIF (Europe/Berlin)"


def test_the_files_times_are_the_last_resort(tmp_path: Path) -> None:
    write(tmp_path, ["a/1.jpg", "b/2.jpg"])
    for name, after_s in (("a/1.jpg", 60), ("b/2.jpg", 0)):
        at_s = NOON.timestamp() + after_s
        os.utime(tmp_path / name, (at_s, at_s))
    source = opened(tmp_path)
    assert taken(source) == [(1, "06-13 12:00:00"), (0, "06-13 12:01:00")]
    assert source.info.said[0] == "times from their files' times (UTC)"


def test_a_pattern_reads_what_the_usual_forms_do_not(tmp_path: Path) -> None:
    write(
        tmp_path,
        ["13.06.2023/yard_0300.jpg", "13.06.2023/yard_0315.jpg", "13.06.2023/gate_0300.jpg"],
    )
    source = opened(tmp_path, pattern="%d.%m.%Y/yard_%H%M.jpg")
    assert taken(source) == [(0, "06-13 03:00:00"), (1, "06-13 03:15:00")]
    assert source.left_out == {"not of the pattern": 1}


# -- clocks ----------------------------------------------------------------------------------------


def test_times_are_read_in_the_cameras_zone(tmp_path: Path) -> None:
    source = opened(write(tmp_path, DATED), zone=ZoneInfo("America/Los_Angeles"))
    assert taken(source)[0] == (0, "06-13 10:00:00")


def test_an_hour_that_comes_twice_goes_by_the_files(tmp_path: Path) -> None:
    """29 October 2023, 03:00 in Berlin: the clock is set back to 02:00."""
    write(
        tmp_path, ["2023-10-29T02_15_00.jpg", "2023-10-29T02_30_00.jpg", "2023-10-29T03_30_00.jpg"]
    )
    second = datetime(2023, 10, 29, 1, 30, 2, tzinfo=UTC).timestamp()
    os.utime(tmp_path / "2023-10-29T02_30_00.jpg", (second, second))
    source = opened(tmp_path, zone=BERLIN)
    assert taken(source) == [(0, "10-29 00:15:00"), (1, "10-29 01:30:00"), (2, "10-29 02:30:00")]


def test_what_is_dated_in_the_future_or_long_ago_is_left_out(tmp_path: Path) -> None:
    names = [*DATED, "1970-01-01T00_00_00.jpg", "2041-01-01T00_00_00.jpg"]
    source = opened(write(tmp_path, names))
    assert len(taken(source)) == 3
    assert source.left_out == {"dated before 1990": 1, "dated in the future": 1}


# -- days ------------------------------------------------------------------------------------------

WEEK = [f"2023-06-{day:02}T{hour:02}_00_00.jpg" for day in range(13, 20) for hour in (0, 6, 12, 18)]


def of_days(folder: Path, days: str, now: datetime, zone: tzinfo = UTC_ZONE) -> list[str]:
    source = opened(folder, now, days=parse_days(days), zone=zone)
    return sorted({f.wall_time.astimezone(zone).date().isoformat() for f in source})


def test_a_night_takes_the_days_that_it_is_told(tmp_path: Path) -> None:
    write(tmp_path, WEEK)
    later, on_the_last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2023, 6, 19, 3, tzinfo=UTC)
    assert len(of_days(tmp_path, "all", later)) == 7
    assert of_days(tmp_path, "last", later) == ["2023-06-19"]
    assert of_days(tmp_path, "last", on_the_last) == ["2023-06-18"]
    assert of_days(tmp_path, "2023-06-14", later) == ["2023-06-14"]
    assert of_days(tmp_path, "2023-06-14..2023-06-15", later) == ["2023-06-14", "2023-06-15"]
    assert of_days(tmp_path, "2023-06-19..2030-01-01", later) == ["2023-06-19"]
    assert of_days(tmp_path, "2023-06-13", later, BERLIN) == ["2023-06-13"]


def test_only_today_is_better_than_nothing() -> None:
    today = date(2023, 6, 13)
    assert Days("last").chosen({today}, today) == {today}
    assert Days("last").chosen(set(), today) == set()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("2023-06-20..2023-06-13", r"must not end \(2023-06-13\) before it begins \(2023-06-20\)"),
        ("yesterday", "must be last, all, a day such as"),
        ("2023-06-31", "must be last, all, a day such as"),
        ("2023-06-13..", "must be last, all, a day such as"),
        ("..", "must be last, all, a day such as"),
        ("", "must be last, all, a day such as"),
    ],
)
def test_days_that_are_none_say_what_is_allowed(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        parse_days(text)


@pytest.mark.parametrize("text", ["all", "last", "2023-06-13", "2023-06-13..2023-06-20"])
def test_days_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_days(text)) == text


# -- what goes wrong -------------------------------------------------------------------------------


def test_no_picture_of_these_days(tmp_path: Path) -> None:
    write(tmp_path, WEEK)
    with pytest.raises(
        SourceUnreadableError,
        match=r"camera 'gate': .*no picture of 2022-01-01; there are some of 2023-06-13 to 2023-06",
    ):
        opened(tmp_path, days=parse_days("2022-01-01"))


def test_days_of_pictures_without_times(tmp_path: Path) -> None:
    write(tmp_path, ["img0.jpg", "img1.jpg"])
    with pytest.raises(SourceUnreadableError, match=r"hold no times: set `pictures\.pattern`"):
        opened(tmp_path, days=parse_days("last"))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"time": "name"}, r"\(2 without a time in the name; the first is img0\.jpg\)"),
        ({"time": "exif"}, r"\(2 without a time in EXIF; the first"),
        ({"pattern": "%Y/%m/%d.jpg"}, r"\(2 not of the pattern; the first"),
    ],
)
def test_no_picture_with_a_time(tmp_path: Path, options: dict[str, str], reason: str) -> None:
    write(tmp_path, ["img0.jpg", "img1.jpg"])
    with pytest.raises(SourceUnreadableError, match=reason):
        opened(tmp_path, **options)


def test_a_pattern_that_is_none(tmp_path: Path) -> None:
    write(tmp_path, DATED)
    with pytest.raises(SourceUnreadableError, match=r"camera 'gate': .*'%Q' means nothing here"):
        opened(tmp_path, pattern="%Q.jpg")


def test_broken_duplicate_and_vanished_pictures_cost_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"2023-06-13T03_{minute:02}_00.jpg" for minute in range(8)]
    write(tmp_path, names)
    data = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[2]).write_bytes(data[: len(data) // 2])
    (tmp_path / names[3]).write_bytes(b"")
    (tmp_path / names[4]).write_bytes(data)
    source = opened(tmp_path)
    (tmp_path / names[6]).unlink()
    assert [number for number, _ in taken(source)] == [0, 1, 5, 7]
    reasons = {"cut off": 1, "empty": 1, "the same file as an earlier one": 1, "gone": 1}
    assert source.left_out == reasons
    assert "4 of 8 pictures left out: 1 cut off" in caplog.text


def test_a_numbered_folder_s_first_picture_may_vanish_while_it_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, ["img0.jpg", "img1.jpg"])
    real = Path.stat

    def gone(path: Path, **options: bool) -> os.stat_result:
        if path.name == "img0.jpg":
            raise FileNotFoundError(2, "gone")
        return real(path, **options)

    monkeypatch.setattr(Path, "stat", gone)
    assert len(list(ImageFolder(tmp_path, camera="gate"))) == 2


def test_weeks_of_a_picture_every_quarter_of_an_hour(tmp_path: Path) -> None:
    """Only the small file of one is made: the others are links to it, as on a disk station."""
    write(tmp_path, ["one.png"])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    folder = tmp_path / "weeks"
    folder.mkdir()
    for number in range(21 * 96):
        moment = began + timedelta(minutes=15 * number)
        (folder / moment.strftime("%Y%m%d_%H%M%S.png")).symlink_to(tmp_path / "one.png")
    source = open_source(str(folder), camera="gate")
    assert source.info.duration_s == 21 * 86_400
    assert source.expected(1.0) == 21 * 96
    assert source.expected(86_400.0) == 21


def test_a_time_lapse_has_no_more_frames_than_it_has(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "slow.mp4", constant_rate(9, step_ms=100_000))
    source = open_source(str(path), camera="gate")
    assert source.info.duration_s is not None
    assert source.info.duration_s >= 800
    assert source.expected(1.0) == pytest.approx(9, abs=1)
    assert source.expected(400.0) == 3


def test_days_begin_at_midnight_of_the_place(tmp_path: Path) -> None:
    write(tmp_path, WEEK)
    source = opened(tmp_path, days=parse_days("2023-06-14"), local=ZoneInfo("America/Los_Angeles"))
    assert [when for _, when in taken(source)] == [
        "06-14 12:00:00", "06-14 18:00:00", "06-15 00:00:00", "06-15 06:00:00",
    ]  # fmt: skip
    assert source.info.said[1] == "4 pictures of 2023-06-14"


def test_thirteen_real_days_have_their_hours(shared_data: Path) -> None:
    """Their names are in UTC."""
    folder = shared_data / "days" / "building_site"
    source = open_source(str(folder), camera="site")
    assert isinstance(source, DatedFolder)
    assert len(source.pictures) == source.expected(1.0) == 572
    for name, moment in source.pictures:
        assert moment.strftime("%Y-%m-%dT%H_%M_%S.jpg") == name
    days = {moment.date() for _, moment in source.pictures}
    assert days == {date(2023, 6, day) for day in range(13, 26)}
    one = opened(folder, days=parse_days("2023-06-14"))
    frames = list(one.frames(Sampler(1.0)))
    assert {frame.wall_time.date() for frame in frames} == {date(2023, 6, 14)}
    assert len(frames) == sum(m.date() == date(2023, 6, 14) for _, m in source.pictures)
    place = opened(folder, days=parse_days("last"), local=ZoneInfo("America/Los_Angeles"))
    assert place.info.said[1].endswith("pictures of 2023-06-25")
