"""A recorder's folder in the configuration and in a night: what it reads, and what that cost."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from jobs.cameras.sources import Period, open_camera, period_of
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig
from jobs.database.nights import Night
from jobs.errors import ConfigError
from jobs.exports.detect import _open
from jobs.service.service import is_watched
from jobs.setup.add import Request, add_camera
from jobs.setup.probing import found_in_words, probe_camera
from streams.mask import MaskedSource
from streams.one_size import OneSize
from streams.recorded.recordings.source import Recordings
from streams.sampler import Sampler
from tests.unit.recorder import frigate_path, frigate_tree, link, segment_file

NOW = datetime(2026, 3, 29, 3, tzinfo=UTC)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return segment_file(tmp_path_factory.mktemp("segment"))


def camera(source: str, **settings: object) -> CameraConfig:
    return CameraConfig.model_validate(
        {"name": "yard", "source": source, "classes": ["person"], **settings}
    )


def night(number: int, began: datetime) -> Night:
    return Night(
        id=number, camera="yard", run_id=f"r{number}", night_date=date(2026, 3, number + 1),
        state="done", attempt=1, pid=1, host="h", started_at=began, finished_at=began,
        error=None, figures=None, unusable=None,
    )  # fmt: skip


def test_a_night_reads_from_where_the_last_one_began() -> None:
    tonight = night(9, NOW)
    earlier = [night(n, NOW - timedelta(days=n)) for n in (1, 2, 3)]
    assert period_of(tonight, earlier) == Period(NOW - timedelta(days=1), NOW)
    assert period_of(tonight, []) == Period(None, NOW)


def test_a_night_an_hour_after_another_reads_the_same_day_again() -> None:
    done = [night(1, NOW - timedelta(hours=1)), night(2, NOW - timedelta(hours=25))]
    assert period_of(night(9, NOW), done) == Period(NOW - timedelta(hours=25), NOW)


def test_the_settings_reach_the_source(tmp_path: Path, clip: Path) -> None:
    for name in ("north", "south"):
        frigate_tree(tmp_path, clip, camera=name, first=NOW - timedelta(minutes=10), count=60)
    own = camera(
        f"recordings:{tmp_path}",
        recordings={"camera": "south", "hours": 0.1, "time_zone": "Europe/Berlin"},
        mask=[[[0, 0], [1, 0], [0, 1]]],
    )
    with open_camera(own, period=Period(None, NOW)) as source:
        assert isinstance(source, MaskedSource)
        assert source.coverage == "Of the last 0.1 h: 100.0 % of the time recorded, no gaps."
        assert isinstance(source.source, Recordings)
        assert source.info.started_at == NOW - timedelta(minutes=6)
        (frame,) = OneSize(source).frames_at([60.0])
        assert frame.image[0, 0].tolist() == [0, 0, 0]
        assert frame.wall_time == NOW - timedelta(minutes=5)
    whole = camera(f"recordings:{tmp_path}", recordings={"camera": "south", "read": "all"})
    assert open_camera(whole, period=Period(None, NOW)).moments(1.0) is None


def test_a_camera_called_as_in_the_recorder_needs_no_setting(tmp_path: Path, clip: Path) -> None:
    for name in ("yard", "gate"):
        frigate_tree(tmp_path, clip, camera=name, first=NOW - timedelta(minutes=1), count=3)
    source = open_camera(camera(f"recordings:{tmp_path}"), period=Period(None, NOW))
    assert len(list(source.frames(Sampler(10.0)))) == 3


def test_a_recorders_folder_is_read_by_nights_and_not_watched() -> None:
    assert not is_watched(camera("recordings:/media/frigate/recordings"))


def test_nights_begun_before_there_were_recordings_go_on() -> None:
    plain, named = camera("yard.mp4"), camera("yard.mp4", recordings={"camera": "x"})
    assert plain.fingerprint == camera("yard.mp4", recordings={}).fingerprint
    assert plain.fingerprint != named.fingerprint


def test_a_relative_folder_starts_at_the_configs(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("cameras:\n  yard:\n    source: recordings:rec/x\n    classes: [person]\n")
    assert load_config(path).cameras["yard"].source == f"recordings:{tmp_path}/rec/x"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("layout: frigat", "recordings.layout: .*one of frigate"),
        ('layout: "%H.mp4"', "recordings.layout: .*lacks a whole date"),
        ('layout: "%Q"', "recordings.layout: .*means nothing here"),
        ("time_zone: Mars/Base", "recordings.time_zone: .*must be a time zone"),
        ("hours: 0", "recordings.hours: .*must be > 0"),
        ("read: some", "recordings.read: .*must be"),
        ("camra: x", "camra: unknown key"),
    ],
)
def test_a_wrong_setting_is_one_line(tmp_path: Path, lines: str, words: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "cameras:\n  yard:\n    source: recordings:rec\n    classes: [person]\n"
        f"    recordings:\n      {lines}\n"
    )
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(path)
    assert len(str(caught.value).splitlines()) == 1


def test_check_says_what_is_there(tmp_path: Path, clip: Path) -> None:
    now = datetime.now(UTC)
    first = now - timedelta(hours=1)
    for number in [*range(100), *range(160, 360)]:
        link(clip, frigate_path(tmp_path, "yard", first + timedelta(seconds=10 * number)))
    found = probe_camera(camera(f"recordings:{tmp_path}", recordings={"hours": 1.0}))
    words = found_in_words(found)
    assert "layout frigate" in words
    assert "300 files in the last 1 h" in words
    assert "83.3 % of the time recorded, 1 gap, the longest 10 min" in words
    assert "a keyframe every 2 s" in words


def test_add_takes_a_recorders_folder_for_several_cameras(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    for name in ("yard", "gate"):
        frigate_tree(tmp_path / "rec", clip, camera=name, first=now - timedelta(hours=1), count=9)
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "config.yaml"
    for name in ("yard", "gate"):
        added = add_camera(Request(name=name, url="recordings:rec", config=config))
        assert added.source == "recordings:rec"
        assert added.found is not None
        assert added.found.info.kind == "recordings"
    assert set(load_config(config).cameras) == {"yard", "gate"}
    assert not [p for p in (tmp_path / "rec").rglob("*") if p.is_file() and p.suffix != ".mp4"]
    assert os.listdir(tmp_path / "culling-data" / "snapshots")


def test_a_students_boxes_are_drawn_on_a_recorders_frames_by_its_settings(
    tmp_path: Path, clip: Path
) -> None:
    for name in ("north", "south"):
        first = datetime.now(UTC) - timedelta(minutes=2)
        frigate_tree(tmp_path, clip, camera=name, first=first, count=3)
    own = camera("yard.mp4", recordings={"camera": "south"}, mask=[[[0, 0], [1, 0], [0, 1]]])
    with _open(own, f"recordings:{tmp_path}") as source:
        frame = next(source.frames())
    assert frame.image[0, 0].tolist() == [0, 0, 0]
