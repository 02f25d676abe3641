"""`groups:` in config.yaml: which groups are refused and in which words, and that a camera's
fingerprint does not depend on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.errors import ConfigError

CAMERAS = """
cameras:
  north: {source: north.mp4, classes: [person, car]}
  south: {source: south.mp4, classes: [person, car]}
  hall: {source: hall.mp4, classes: [person]}
  gate: {source: gate.mp4, classes: [car, person]}
  dock: {source: dock.mp4, classes: [person, car], student: {architecture: fasterrcnn_resnet50_fpn}}
  yard: {source: yard.mp4, classes: [person, car], training: {epochs: 5}}
"""


def load(folder: Path, groups: str, cameras: str = CAMERAS) -> Config:
    path = folder / "config.yaml"
    path.write_text(f"groups: {groups}\n{cameras}", encoding="utf-8")
    return load_config(path)


def problems(folder: Path, groups: str, cameras: str = CAMERAS) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, groups, cameras)
    return str(caught.value).splitlines()


def test_a_group_names_its_cameras(tmp_path: Path) -> None:
    assert load(tmp_path, "{entrance: [north, south]}").groups == {"entrance": ("north", "south")}
    assert load(tmp_path, "{}").groups == {}


def test_a_group_changes_no_fingerprint(tmp_path: Path) -> None:
    alone, grouped = load(tmp_path, "{}"), load(tmp_path, "{entrance: [north, south]}")
    assert [c.fingerprint for c in alone.cameras.values()] == [
        c.fingerprint for c in grouped.cameras.values()
    ]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("{entrance: [north]}", ["groups.entrance", "two cameras or more"]),
        ("{entrance: []}", ["groups.entrance", "two cameras or more"]),
        ("{entrance: [north, north]}", ["groups.entrance", "two cameras or more"]),
        (
            "{entrance: [north, suoth]}",
            ["groups.entrance: there is no camera 'suoth'", 'Did you mean "south"?'],
        ),
        ("{hall: [north, south]}", ["groups.hall", "a camera has this name already"]),
        ("{En trance: [north, south]}", ["groups.En trance", "must be of a-z"]),
        ("{entrance: north}", ["groups.entrance"]),
        ("[north, south]", ["groups", "must be a mapping"]),
        (
            "{entrance: [north, hall]}",
            ["groups.entrance", "classes", "'hall'", "must be the same"],
        ),
        ("{entrance: [north, gate]}", ["groups.entrance", "classes", "'gate'"]),
        ("{entrance: [north, dock]}", ["student.architecture", "'dock'"]),
        ("{entrance: [north, yard]}", ["training.epochs is None for 'north' and 5 for 'yard'"]),
    ],
)
def test_a_group_that_cannot_be_is_one_clear_line(
    tmp_path: Path, groups: str, words: list[str]
) -> None:
    lines = problems(tmp_path, groups)
    assert len(lines) == 1, lines
    for word in words:
        assert word in lines[0]


def test_a_camera_is_in_one_group_at_most(tmp_path: Path) -> None:
    lines = problems(tmp_path, "{entrance: [north, south], exit: [south, north]}")
    assert lines == [
        "config.yaml: groups.exit: camera 'south' is in group 'entrance' already",
        "config.yaml: groups.exit: camera 'north' is in group 'entrance' already",
    ]


def test_a_faulty_camera_is_reported_once_and_not_as_missing(tmp_path: Path) -> None:
    cameras = "cameras: {north: {source: a.mp4}, south: {source: b.mp4, classes: [person]}}"
    lines = problems(tmp_path, "{entrance: [north, south]}", cameras)
    assert len(lines) == 1
    assert "cameras.north" in lines[0]
