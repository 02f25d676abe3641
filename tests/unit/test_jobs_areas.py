"""Masks and ignore zones drawn on a page: written into config.yaml, or refused as a whole."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.cameras.sources import open_camera
from jobs.config.load import load_config
from jobs.errors import ConfigError, UsageError
from jobs.setup.areas import AreaChange, AreaKey, Areas, save_areas

TEXT = """\
# mine
cameras:
  yard:           # the yard
    source: synthetic://street?seed=5&hours=1&width=160&height=96
    # what to find
    classes: [person, car]
  gate: {source: b.mp4, classes: [car]}
"""
KEYS: tuple[AreaKey, ...] = ("mask", "ignore_zones")
LEFT: Areas = (((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0)),)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def change(
    areas: Areas, *, camera: str = "yard", key: AreaKey = "mask", instead_of: Areas = ()
) -> AreaChange:
    return AreaChange(camera=camera, areas={key: areas}, instead_of={key: instead_of})


def test_a_mask_is_in_the_file_and_the_next_frame_is_black_there(path: Path) -> None:
    save_areas(path, change(LEFT))
    line = "    mask: [[[0.0, 0.0], [0.5, 0.0], [0.5, 1.0], [0.0, 1.0]]]\n"
    assert path.read_text(encoding="utf-8").replace(line, "") == TEXT
    camera = load_config(path).cameras["yard"]
    assert camera.mask == LEFT
    with open_camera(camera) as source:
        image = next(iter(source.frames())).image
    assert not image[:, :80].any()
    assert image[:, 90:].any()


def test_both_are_written_or_neither(path: Path) -> None:
    line: Areas = (((0.0, 0.0), (0.5, 0.0)),)
    both = AreaChange(
        camera="yard",
        areas={"mask": LEFT, "ignore_zones": line},
        instead_of={"mask": (), "ignore_zones": ()},
    )
    with pytest.raises(ConfigError, match=r"ignore_zones\[0\]"):
        save_areas(path, both)
    assert path.read_text(encoding="utf-8") == TEXT
    save_areas(path, change((), key="ignore_zones"))
    assert path.read_text(encoding="utf-8") == TEXT, "what is the same is not written"


def test_zones_stand_beside_masks_and_both_can_be_removed(path: Path) -> None:
    save_areas(path, change(LEFT))
    save_areas(path, change(LEFT, key="ignore_zones"))
    save_areas(path, change((), instead_of=LEFT))
    camera = load_config(path).cameras["yard"]
    assert (camera.mask, camera.ignore_zones) == ((), LEFT)


@pytest.mark.parametrize(
    ("areas", "why"),
    [
        ((((0.0, 0.0), (0.5, 0.0)),), r"cameras\.yard\.mask\[0\]"),
        ((((0.0, 0.0), (1.5, 0.0), (0.5, 1.0)),), r"cameras\.yard\.mask\[0\]\[1\]\[0\]: got 1\.5"),
        ((((0.0, 0.0), (float("nan"), 0.0), (0.5, 1.0)),), r"mask"),
    ],
)
def test_what_the_configuration_refuses_is_not_written(path: Path, areas: Areas, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        save_areas(path, change(areas))
    assert path.read_text(encoding="utf-8") == TEXT


@pytest.mark.parametrize("areas", [LEFT * 51, (LEFT[0] * 51,)])
def test_too_many_are_refused(path: Path, areas: Areas) -> None:
    with pytest.raises(UsageError, match="at most 50 areas of 200 corners"):
        save_areas(path, change(areas))


def test_two_who_draw_at_once_do_not_undo_each_other(path: Path) -> None:
    save_areas(path, change(LEFT))
    with pytest.raises(UsageError, match=r"somebody has changed mask in config\.yaml since you"):
        save_areas(path, change((), instead_of=()))
    assert load_config(path).cameras["yard"].mask == LEFT


def test_a_camera_that_is_gone(path: Path) -> None:
    with pytest.raises(UsageError, match=r"config\.yaml has no camera 'door' any more"):
        save_areas(path, change(LEFT, camera="door"))


def test_several_writers_at_once_lose_nothing(path: Path) -> None:
    jobs = [change(LEFT, camera=camera, key=key) for camera in ("yard", "gate") for key in KEYS]
    with ThreadPoolExecutor(4) as writers:
        list(writers.map(lambda job: save_areas(path, job), jobs))
    cameras = load_config(path).cameras
    assert all(c.mask == c.ignore_zones == LEFT for c in cameras.values())
    assert [f.name for f in path.parent.iterdir()] == ["config.yaml"]
