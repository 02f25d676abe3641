"""A camera written into config.yaml: where it goes, and that nothing else changes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import yaml

from jobs.config.edit import insert_camera, read_text, template_text, update_file
from jobs.config.load import parse_config
from jobs.errors import ConfigError

DOOR = {"source": "rtsp://me:${DOOR_PASSWORD}@cam/1", "classes": ["person", "car"]}

BUSY = """\
# my cameras
data_dir:   "frames"   # odd spacing
cameras:
    yard:   # four spaces
        source:   'a.mp4'
        classes:
        - person
        -   car
        # fps: 5
    # gate: {source: b.mp4}

# the rest
defaults: {fps: 1.0 , judging: {min_gain: ~}}
"""
BUSY_DOOR = """\
    door:
        source: rtsp://me:${DOOR_PASSWORD}@cam/1
        classes: [person, car]
"""


def write(path: Path, text: str) -> None:
    update_file(path, lambda _: text)


def test_it_comes_after_the_other_cameras_and_their_comments() -> None:
    after = insert_camera(BUSY, "door", DOOR)
    before_it, _, after_it = after.partition(BUSY_DOOR)
    assert before_it + after_it == BUSY
    assert before_it.endswith("# gate: {source: b.mp4}\n")


@pytest.mark.parametrize(
    ("before", "put_in"),
    [
        ("cameras:\n  a: {source: x}\n", "  door:\n    source: S\n    classes: [person, car]\n"),
        ("cameras:\n  a: {source: x}", "\n  door:\n    source: S\n    classes: [person, car]\n"),
        ("cameras:\n", "  door:\n    source: S\n    classes: [person, car]\n"),
        (
            "cameras:\n  # none\nworkers: 2\n",
            "  door:\n    source: S\n    classes: [person, car]\n",
        ),
        ("", "cameras:\n  door:\n    source: S\n    classes: [person, car]\n"),
        ("# mine\n", "cameras:\n  door:\n    source: S\n    classes: [person, car]\n"),
        ("workers: 2", "\ncameras:\n  door:\n    source: S\n    classes: [person, car]\n"),
        (
            "cameras:\r\n  a:\r\n    source: x\r\nworkers: 2\r\n",
            "  door:\r\n    source: S\r\n    classes: [person, car]\r\n",
        ),
        (
            "cameras:\n  a:\n    source: |\n      x\n\nworkers: 2\n",
            "  door:\n    source: S\n    classes: [person, car]\n",
        ),
        (
            "cameras:\n  a: &a {source: x}\n  b: *a\nworkers: 2\n",
            "  door:\n    source: S\n    classes: [person, car]\n",
        ),
        ("cameras: {a: {source: x}}  # one\n", ", door: {source: S, classes: [person, car]}"),
        ("{cameras: {a: {source: x}, }}", ", door: {source: S, classes: [person, car]}"),
    ],
)
def test_only_its_lines_are_put_in(before: str, put_in: str) -> None:
    after = insert_camera(before, "door", {**DOOR, "source": "S"})
    assert put_in in after
    assert after.replace(put_in, "") == before
    assert yaml.safe_load(after)["cameras"]["door"]["source"] == "S"


@pytest.mark.parametrize("nothing", ["{}", "null", "~"])
def test_room_is_made_where_there_were_no_cameras(nothing: str) -> None:
    after = insert_camera(f"cameras: {nothing}  # none yet\nworkers: 2\n", "door", DOOR)
    assert after.startswith("cameras:  # none yet\n  door:\n    source: rtsp://me:${DOOR")
    assert after.endswith("workers: 2\n")


@pytest.mark.parametrize("name", ["no", "123", "-", "a-b"])
@pytest.mark.parametrize("before", ["cameras:\n  a: {source: x}\n", "cameras: {a: {source: x}}"])
@pytest.mark.parametrize("source", ["a b#c: d.mp4", "x # y", "rtsp://me:${A}@c/1?b={c}", "- x"])
def test_any_name_and_source_arrive_whole(name: str, before: str, source: str) -> None:
    after = insert_camera(before, name, {"source": source, "classes": ["no", "a: b"]})
    assert yaml.safe_load(after)["cameras"][name] == {"source": source, "classes": ["no", "a: b"]}


@pytest.mark.parametrize(
    "text",
    [
        "{workers: 2}",
        "cameras: [a, b]\n",
        "cameras: yard\n",
        "workers: 2\n...\n",
        "workers: 2\n---\nworkers: 3\n",
        "base: &b\n  a: {source: x}\ncameras: *b\n",
    ],
)
def test_what_is_too_unusual_is_left_to_the_operator(text: str) -> None:
    with pytest.raises(ConfigError, match="only you can add to; put in:\ncameras:\n  door:\n    s"):
        insert_camera(text, "door", DOOR)


def test_the_template_gets_it_in_place_of_its_example(tmp_path: Path) -> None:
    text = insert_camera(template_text(), "front-door", DOOR)
    config = parse_config(text, tmp_path / "config.yaml", as_written=True)
    assert list(config.cameras) == ["front-door"]
    lines = zip(template_text().splitlines(), text.splitlines(), strict=True)
    changed = [(before, after) for before, after in lines if before != after]
    assert [after for _, after in changed] == [
        "  front-door:                 # a name of a-z, 0-9, _ and -; it names folders",
        "    source: rtsp://me:${DOOR_PASSWORD}@cam/1",
        "    classes: [person, car]",
    ]
    mine = template_text() + "# mine\n"
    assert "street:" in insert_camera(mine, "door", DOOR)


# -- the file --------------------------------------------------------------------------------------


def test_a_file_keeps_its_rights_and_a_link_stays_one(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("old", encoding="utf-8")
    real.chmod(0o640)
    link = tmp_path / "config.yaml"
    link.symlink_to(real)
    write(link, "new\r\n")
    assert link.is_symlink()
    assert real.read_bytes() == b"new\r\n"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert read_text(link) == "new\r\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["config.yaml", "real.yaml"]


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write(tmp_path / "config.yaml", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "config.yaml").stat().st_mode) == 0o600


def test_a_file_that_cannot_be_written_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("old", encoding="utf-8")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jobs.config.edit.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["config.yaml"]
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "nowhere" / "config.yaml", "new")


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert read_text(tmp_path / "config.yaml") is None
    (tmp_path / "latin.yaml").write_bytes(b"caf\xe9")
    for path in (tmp_path, tmp_path / "latin.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_text(path)
