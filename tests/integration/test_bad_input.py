"""What an operator sees when something is wrong: one clear line, the right exit code, and nothing
half-written."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import cv2
import pytest

from benchmarks.testbed.tiny import (
    CAMERA,
    SETTINGS,
    SMALL,
    culling,
    debris,
    make_room,
    stages_of,
    start_model_mib,
    with_settings,
    write_config,
)
from culling_pipeline.training.job import save_candidate
from jobs.cameras.detectors import BUILTIN_FOLDER
from jobs.database.store import Store
from jobs.errors import describe, exit_code
from models.boxes.student import load_detector
from models.registry import ModelRegistry
from tests.unit.clips import constant_rate, numbered_image, write_clip
from tests.unit.recorder import LONG_AGO_S, frigate_tree, segment_file

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Trouble:
    """A camera's settings, and what is to be said about them."""

    settings: dict[str, Any]
    exit_code: int
    words: tuple[str, ...]


TROUBLES = {
    "nofile": Trouble({"source": "gone.mp4"}, 3, ("gone.mp4", "no such file", "check the path")),
    "text": Trouble({"source": "notes.mp4"}, 3, ("notes.mp4", "not a video")),
    "noframes": Trouble({"source": "empty.mp4"}, 3, ("empty.mp4",)),
    "cutoff": Trouble({"source": "cut.mp4"}, 3, ("cut.mp4", "cut off", "copy it again")),
    "norecorder": Trouble(
        {"source": "recordings:gone"}, 3, ("gone: no such folder", "disk is mounted")
    ),
    "strangenames": Trouble(
        {"source": "recordings:."}, 3, ("are not as any of frigate", "layout:")
    ),
    "severalcameras": Trouble(
        {"source": "recordings:recorder", "recordings": {"hours": 100_000}}, 3,
        ("several cameras (north, south)", "camera: north"),
    ),
    "nosuchcamera": Trouble(
        {"source": "recordings:recorder", "recordings": {"camera": "gate"}}, 3,
        ("no recordings of a camera 'gate'", "north, south"),
    ),
    "longago": Trouble(
        {"source": "recordings:recorder", "recordings": {"camera": "north"}}, 3,
        ("no recording from", "they go from 2026-03-01 00:00", "does the recorder still run"),
    ),
    "brokensegments": Trouble(
        {"source": "recordings:broken", "recordings": {"hours": 100_000}}, 3,
        ("none of its 3 recordings of this time can be read", "cannot be opened", "empty segment"),
    ),
    "nopictures": Trouble(
        {"source": "others"}, 3, ("others: no images in this folder", "TIFF", "allowed: bmp, jpeg")
    ),
    "brokenpictures": Trouble(
        {"source": "torn"}, 3, ("torn: none of its 3 images can be read", "copy them again")
    ),
    "nosuchday": Trouble(
        {"source": "dated", "pictures": {"days": "2022-01-01"}}, 3,
        ("no picture of 2022-01-01", "2026-03-01 to 2026-03-03", "change `pictures.days`"),
    ),
    "nosuchpattern": Trouble(
        {"source": "dated", "pictures": {"pattern": "%d.%m.%Y.png"}}, 3,
        ("none of its 3 pictures has a time (3 not of the pattern", "`pictures.pattern`"),
    ),
    "daysofnumbered": Trouble(
        {"source": "numbered", "pictures": {"days": "last"}}, 3,
        ("hold no times", "set `pictures.pattern`"),
    ),
    "noclass": Trouble(
        {"classes": ["person", "bycicle"]}, 4,
        ("builtin:street-teacher", "class 'bycicle' is unknown", "Did you mean 'bicycle'?"),
    ),
    "noweights": Trouble(
        {"teacher": {"weights": "gone.safetensors"}}, 4, ("gone.", "no such file", "restore")
    ),
    "nobuiltin": Trouble(
        {"student": {"weights": "builtin:strt"}}, 4,
        ("builtin:strt", "known: builtin:plaza-teacher, builtin:street-student"),
    ),
    "badteacher": Trouble(
        {"teacher": {"weights": "flipped.safetensors"}}, 4, ("flipped.safetensors", "SHA-256")
    ),
    "badstudent": Trouble(
        {"student": {"weights": "flipped.safetensors"}}, 4, ("flipped.safetensors", "SHA-256")
    ),
    "short": Trouble(
        {"fps": 0.0001}, 5, ("9 frames were sampled, too few", "longer recording")
    ),
}  # fmt: skip


def write_bad_files(folder: Path) -> None:
    (folder / "notes.mp4").write_text("no video at all\n" * 200, encoding="utf-8")
    with av.open(str(folder / "empty.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        container.start_encoding()
    whole = write_clip(folder / "whole.mp4", constant_rate(50)).read_bytes()
    assert whole.rindex(b"moov") > len(whole) // 2
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    write_bad_folders(folder)
    for suffix in (".safetensors", ".json"):
        shutil.copy(BUILTIN_FOLDER / f"street-student{suffix}", folder / f"flipped{suffix}")
    weights = folder / "flipped.safetensors"
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)


def write_bad_folders(folder: Path) -> None:
    """Recorders' folders and folders of pictures; a picture is its number."""
    clip = segment_file(folder / "clip")
    first = datetime(2026, 3, 1, tzinfo=UTC)
    for camera in ("north", "south"):
        frigate_tree(folder / "recorder", clip, camera=camera, first=first, count=3)
    broken = frigate_tree(folder / "broken", clip, camera="north", first=first, count=3)
    for path, data in zip(broken, (b"", b"text", clip.read_bytes()[:500]), strict=True):
        path.unlink()
        path.write_bytes(data)
        os.utime(path, (LONG_AGO_S, LONG_AGO_S))
    for name in ("others", "torn", "dated", "numbered"):
        (folder / name).mkdir()
    (folder / "others" / "1.tiff").write_bytes(b"II*")
    for number in range(3):
        day = f"2026-03-0{number + 1}.png"
        picture = cv2.imencode(".png", numbered_image(number))[1].tobytes()
        (folder / "torn" / day).write_bytes(picture[:60])
        (folder / "dated" / day).write_bytes(picture)
        (folder / "numbered" / f"img{number}.png").write_bytes(picture)


@dataclass(frozen=True)
class Outcome:
    """What one run over all troubled cameras left."""

    data_dir: Path
    exit_code: int
    cameras: dict[str, dict[str, Any]]
    err_lines: list[str]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """`culling retrain --all` over all of them: one camera's trouble must not stop the next."""
    folder = tmp_path_factory.mktemp("bad")
    write_bad_files(folder)
    cameras = {name: with_settings(**trouble.settings) for name, trouble in TROUBLES.items()}
    config = write_config(folder, **cameras)
    done = culling("retrain", "--all", "--config", config, "--json", cwd=folder)
    shown = json.loads(done.stdout)
    return Outcome(folder / "data", done.returncode, shown["cameras"], done.stderr.splitlines())


def test_every_camera_is_tried_and_the_worst_code_counts(outcome: Outcome) -> None:
    assert list(outcome.cameras) == list(TROUBLES)
    assert outcome.exit_code == 5
    assert not [line for line in outcome.err_lines if "Traceback" in line or "unexpected" in line]


@pytest.mark.parametrize("name", TROUBLES)
def test_one_clear_line_and_nothing_half_written(outcome: Outcome, name: str) -> None:
    trouble, shown = TROUBLES[name], outcome.cameras[name]
    said = [line for line in outcome.err_lines if line.startswith(f"culling: {name}: ")]
    assert said == [f"culling: {name}: {shown['error']}"]
    for words in trouble.words:
        assert words in said[0]
    assert shown["exit_code"] == trouble.exit_code
    assert shown["state"] == "failed"
    assert (shown["record"], shown["report"]) == (None, None)
    assert not (outcome.data_dir / "frames" / name / shown["run_id"]).exists()
    for kind in ("reports", "work"):
        assert not (outcome.data_dir / kind / name).exists()


@pytest.mark.parametrize("name", sorted(set(TROUBLES) - {"short"}))
def test_no_model_is_made_and_no_day_watched(outcome: Outcome, name: str) -> None:
    assert not (outcome.data_dir / "models" / name).exists()
    with Store(outcome.data_dir) as store:
        night = store.latest_night(name)
    assert night is not None
    assert set(stages_of(outcome.data_dir, night.id)) <= {"budget"}


def test_only_the_one_camera_that_could_begin_watched_its_day(outcome: Outcome) -> None:
    begun = [line for line in outcome.err_lines if line.startswith("scoring: begins")]
    assert begun == ["scoring: begins (9)"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {**SETTINGS, "fpss": 1},
            'culling: config.yaml: cameras.yard.fpss: unknown key. Did you mean "fps"?',
        ),
        ({**SETTINGS, "fps": 0}, "culling: config.yaml: cameras.yard.fps: got 0, must be > 0"),
    ],
)
def test_a_config_error_names_key_value_and_rule(
    tmp_path: Path, settings: dict[str, Any], expected: str
) -> None:
    config = write_config(tmp_path, yard=settings)
    done = culling("retrain", CAMERA, "--config", config, cwd=tmp_path)
    assert done.stderr.splitlines() == [expected]
    assert (done.returncode, done.stdout) == (2, "")
    assert not (tmp_path / "data").exists()


def test_a_full_disk_is_named_and_with_room_the_night_goes_on(
    small_disk: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path, yard=SMALL)

    # Given a disk too small for the model that the camera begins with
    said = full_disk_line(config, tmp_path)
    assert str(small_disk) in said
    assert set(stages_of(small_disk)) == {"budget"}
    assert debris(small_disk) == []

    # Given one with room for that, but not for a candidate beside it
    make_room(small_disk, start_model_mib() + 3)
    said = full_disk_line(config, tmp_path)
    assert str(small_disk / "work" / CAMERA) in said
    before = stages_of(small_disk)
    assert "ingest" in before
    assert "promote" not in before
    assert ModelRegistry(small_disk / "models").incumbent(CAMERA) == "start"
    assert not (small_disk / "reports").exists()

    # When it is given room, the same command ends the same night
    make_room(small_disk, 64)
    done = culling("retrain", CAMERA, "--config", config, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    after = stages_of(small_disk)
    assert {name: after[name] for name in before} == before
    with Store(small_disk) as store:
        (night,) = store.nights()
    assert (night.state, night.attempt) == ("done", 3)
    assert debris(small_disk) == []


def test_a_full_disk_is_named_by_another_process_too(small_disk: Path) -> None:
    student = load_detector(BUILTIN_FOLDER / "street-student.safetensors")
    with pytest.raises(OSError, match="No space left") as caught:
        save_candidate(small_disk / "random.safetensors", student)
    arrived = pickle.loads(pickle.dumps(caught.value))  # which drops the error's causes
    assert exit_code(arrived) == 5
    assert describe(arrived).startswith(f"the disk is full at {small_disk}/random.safetensors")
    assert list(small_disk.iterdir()) == []


def full_disk_line(config: Path, folder: Path) -> str:
    """What `culling retrain` says, which must be one line that names the full disk."""
    done = culling("retrain", CAMERA, "--config", config, cwd=folder)
    assert done.returncode == 5, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("culling: ")]
    assert said.startswith(f"culling: {CAMERA}: the disk is full at ")
    assert "free some space or set data_dir to a larger disk" in said
    assert "goes on where it stopped" in said
    return said
