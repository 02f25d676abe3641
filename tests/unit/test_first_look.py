"""A camera looked at before it is added: what is shown, and that nothing is written."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from culling_pipeline.day.frame_files import write_image
from jobs.cameras.detectors import BUILTIN_FOLDER
from jobs.errors import UsageError
from jobs.setup.add import Request
from jobs.setup.first_look import first_look, password_file
from streams.base import StreamError
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera

STREET = "synthetic://street?seed=5&hours=24&width=320&height=192"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """With the built-in teacher, as somebody would name a teacher of their own."""
    path = tmp_path / "config.yaml"
    teacher = BUILTIN_FOLDER / "street-teacher.safetensors"
    path.write_text(f"data_dir: data\ndefaults: {{teacher: {{weights: '{teacher}'}}}}\n")
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures of a street at noon."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    with SyntheticCamera.from_url(STREET, camera="x") as source:
        for number, frame in enumerate(source.frames(Sampler(3600))):
            if 12 <= number < 15:
                write_image(folder, f"{number:04d}.jpg", frame.image)
    return folder


def request(config: Path, url: str, *, name: str = "yard") -> Request:
    return Request(name=name, url=url, config=config)


def test_the_picture_with_the_teachers_boxes(config: Path, folder: Path) -> None:
    before = config.read_bytes()
    seen = first_look(request(config, str(folder)))
    assert sum(seen.found.values()) > 0
    assert set(seen.found) <= set(seen.known) == {"person", "car", "bicycle"}
    assert (seen.source, seen.why_not) == ("pictures", "")
    picture = cv2.imread(str(sorted(folder.iterdir())[0]))
    assert seen.figures["size"] == f"{picture.shape[1]}×{picture.shape[0]}"
    assert config.read_bytes() == before
    assert {path.name for path in config.parent.iterdir()} == {"config.yaml", "pictures"}


def test_a_detector_that_teaches_a_count_is_asked_and_a_counting_net_is_not(
    config: Path, folder: Path
) -> None:
    counting = config.read_text() + "  task: count\n  classes: [person]\n"
    config.write_text(counting.replace("defaults: {", "defaults:\n  ").replace("'}}", "'}"))
    seen = first_look(request(config, str(folder)))
    assert seen.why_not == ""
    assert seen.found["person"] > 0
    config.write_text(config.read_text() + "  count: {teacher: 'builtin:plaza-teacher'}\n")
    seen = first_look(request(config, str(folder)))
    assert seen.found == {}
    assert "plaza-teacher" in seen.why_not


def test_a_teacher_that_is_not_there_is_not_downloaded(
    config: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config.write_text("data_dir: data\n")
    seen = first_look(request(config, str(folder)))
    assert "is not on this machine yet: `culling check --download` fetches it" in seen.why_not
    assert seen.found == {}
    assert seen.jpeg.startswith(b"\xff\xd8")


def test_no_password_is_in_what_is_shown(config: Path) -> None:
    url = "rtsp://me:s3cretword@127.0.0.1:9/1"
    asked = request(config, url)
    assert password_file(asked) == config.parent / "data" / "passwords" / "yard"
    with pytest.raises(StreamError) as error:
        first_look(asked)
    assert "s3cretword" not in str(error.value)
    assert "s3cretword" not in repr(asked)


@pytest.mark.parametrize(
    ("name", "url", "why"),
    [
        ("Yard", "x", "a camera's name must be of a-z, 0-9, _ and - only"),
        ("../x", "x", "a camera's name must be"),
        ("yard", "me:pw@cam/1", "must begin with its scheme"),
    ],
)
def test_what_cannot_be_added_is_refused(config: Path, name: str, url: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        first_look(request(config, url, name=name))
