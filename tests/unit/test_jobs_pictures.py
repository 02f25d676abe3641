"""The `pictures:` section: read, refused where it is wrong, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import cv2
import pytest

from jobs import cli
from jobs.cameras.sources import open_camera, picture_options
from jobs.cameras.watched_days import date_of_night
from jobs.config.load import Config, load_config
from jobs.config.settings import CameraConfig
from jobs.database.store import Store
from streams.recorded.days import Days
from streams.recorded.folder import DatedFolder, ImageFolder
from tests.unit.clips import numbered_image


def pictures_of(folder: Path, names: list[str]) -> Path:
    folder.mkdir()
    for number, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), numbered_image(number))
    return folder


WEEK = [f"2023-06-{day}T{hour:02}_00_00.png" for day in range(13, 20) for hour in range(0, 24, 3)]


def written(folder: Path, pictures: str, *, time_zone: str = "UTC") -> Path:
    path = folder / "config.yaml"
    path.write_text(
        f"data_dir: data\ncameras:\n  yard:\n    source: pictures\n    classes: [car]\n"
        f"    time_zone: {time_zone}\n    pictures: {pictures}\n"
    )
    return path


def camera_of(folder: Path, pictures: str, **settings: str) -> CameraConfig:
    return load_config(written(folder, pictures, **settings)).cameras["yard"]


def test_by_default_all_days_in_the_cameras_zone(tmp_path: Path) -> None:
    options = picture_options(camera_of(tmp_path, "{}", time_zone="Europe/Berlin"))
    assert (options.time, options.pattern, options.days) == ("auto", None, Days())
    assert options.zone == options.day_zone == ZoneInfo("Europe/Berlin")


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    given = "{time: name, pattern: '%s.jpg', time_zone: UTC, days: 2023-06-13..2023-06-14}"
    options = picture_options(camera_of(tmp_path, given, time_zone="Europe/Berlin"))
    assert (options.time, options.pattern) == ("name", "%s.jpg")
    assert options.days == Days("range", date(2023, 6, 13), date(2023, 6, 14))
    assert (options.zone, options.day_zone) == (ZoneInfo("UTC"), ZoneInfo("Europe/Berlin"))
    one = picture_options(camera_of(tmp_path, "{days: 2023-06-13}"))  # a date to YAML
    assert one.days == Days("range", date(2023, 6, 13), date(2023, 6, 13))


@pytest.mark.parametrize(
    ("pictures", "line"),
    [
        (
            "{days: 2023-06-20..2023-06-13}",
            "pictures.days: got '2023-06-20..2023-06-13', must not end (2023-06-13) before",
        ),
        (
            "{days: yesterday}",
            "pictures.days: got 'yesterday', must be last, all, a day such as 2026-01-31",
        ),
        ("{days: null}", "pictures.days: "),
        (
            "{time_zone: Berlin}",
            "pictures.time_zone: got 'Berlin', must be a time zone such as Europe/Berlin",
        ),
        ("{pattern: '%Q.jpg'}", "pictures.pattern: pattern '%Q.jpg': '%Q' means nothing here"),
        ("{pattern: '%H%M.jpg'}", "lacks a whole date"),
        ("{pattern: '%s.jpg', time: exif}", "pattern: is for time: name, got time: exif"),
        ("{time: mtime}", "pictures.time: got 'mtime', must be one of 'auto', 'name'"),
        ("{times: name}", 'pictures.times: unknown key. Did you mean "time"?'),
    ],
)
def test_a_wrong_setting_is_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], pictures: str, line: str
) -> None:
    path = written(tmp_path, pictures)
    assert cli.run(["check", "--config", str(path)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1, said
    assert line in said[0]


def test_a_night_begins_anew_where_its_pictures_are_others(tmp_path: Path) -> None:
    """Where nothing is set, nights of before go on (`test_fingerprint_is_what_it_was`)."""
    before = camera_of(tmp_path, "{}").fingerprint
    assert camera_of(tmp_path, "{days: last}").fingerprint != before


def test_a_cameras_source_is_opened_as_it_says(tmp_path: Path) -> None:
    pictures_of(tmp_path / "pictures", WEEK)
    with open_camera(camera_of(tmp_path, "{days: 2023-06-14}")) as source:
        assert isinstance(source, DatedFolder)
        assert source.info.started_at == datetime(2023, 6, 14, tzinfo=UTC)
        assert source.expected(1.0) == 8
    with open_camera(camera_of(tmp_path, "{time: numbered}")) as source:
        assert isinstance(source, ImageFolder)


@pytest.mark.parametrize(
    ("pictures", "day"),
    [
        ("{days: 2023-06-14..2023-06-15}", date(2023, 6, 15)),
        ("{days: last}", date(2023, 6, 19)),
        ("{}", date(2023, 6, 19)),
        ("{time: numbered}", None),
        ("{days: 2022-01-01}", None),
    ],
)
def test_a_night_bears_the_date_of_its_last_picture(
    tmp_path: Path, pictures: str, day: date | None
) -> None:
    pictures_of(tmp_path / "pictures", WEEK)
    config = Config(data_dir=tmp_path / "data", cameras={"yard": camera_of(tmp_path, pictures)})
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)
    with Store(tmp_path / "data") as store:
        assert date_of_night(config, "yard", store, now=now) == (day or now.date())


@pytest.mark.slow  # a whole check
def test_check_says_how_the_folder_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pictures_of(tmp_path / "pictures", WEEK)
    path = written(tmp_path, "{days: last}")
    cli.run(["check", "--config", str(path), "--json"])
    said = capsys.readouterr().out
    assert "folder by time, 144×64" in said
    assert "times from their names (UTC), 8 pictures of 2023-06-19, mostly one every 3 h" in said
    assert '"frames": 8' in said


@pytest.mark.parametrize(
    ("names", "pictures", "line"),
    [
        (WEEK, "{days: 2022-01-01}", "no picture of 2022-01-01; there are some of 2023-06-13 to"),
        (["a.png"], "{days: last}", "the names of these pictures hold no times"),
        (["a.png"], "{time: exif}", "none of its 1 pictures has a time (1 without a time in EXIF"),
        (WEEK, "{pattern: 'yard_%s.png'}", "none of its 56 pictures has a time (56 not of the"),
    ],
)
def test_a_folder_without_what_is_asked_for_is_one_line_and_code_3(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    names: list[str],
    pictures: str,
    line: str,
) -> None:
    pictures_of(tmp_path / "pictures", names)
    path = written(tmp_path, pictures)
    assert cli.run(["retrain", "yard", "--config", str(path)]) == 3
    said = [s for s in capsys.readouterr().err.splitlines() if s.startswith("culling: yard")]
    assert len(said) == 1
    assert line in said[0]
