"""A first student for several cameras: what they must share, its canvas, and how it is put to
work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.first_student import canvas_of, first_plan, on_canvas
from jobs.cli import run
from jobs.config.settings import CameraConfig
from jobs.errors import UsageError
from jobs.nights.alike import check_alike, shared_classes
from jobs.nights.cost import BootstrapCost, Span
from models.boxes.detections import Detections
from models.errors import ModelError
from models.zones import Zones
from tests.unit.plans import box_task


def camera(name: str, **settings: Any) -> CameraConfig:
    given = {"name": name, "source": "a.mp4", "classes": ["person", "car"], **settings}
    return CameraConfig.model_validate(given)


def test_cameras_of_one_kind_have_the_same_classes() -> None:
    cameras = [camera("yard", classes={"person": "person", "vehicle": ["car", "bus"]})] * 2
    assert shared_classes(cameras, ("bus", "car", "person")).names == ("person", "vehicle")


def test_cameras_with_other_classes_share_the_teacher_s() -> None:
    cameras = [camera("yard", classes={"vehicle": ["car", "bus", "lorry"]}), camera("park")]
    classes = shared_classes(cameras, ("bus", "car", "dog", "person"))
    assert classes.names == ("bus", "car", "person")
    assert classes.sources == (("bus",), ("car",), ("person",))
    with pytest.raises(ModelError, match="class 'person' is unknown to the detector"):
        shared_classes(cameras, ("car",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"teacher": {"weights": "t.safetensors"}}, "teacher.weights is 'builtin:street-teacher'"),
        ({"student": {"width": 0.5}}, r"student.width is 0.25 for 'yard' and 0.5 for 'park'"),
    ],
)
def test_cameras_that_cannot_share_a_student(settings: dict[str, Any], message: str) -> None:
    check_alike([camera("yard"), camera("park", classes=["dog"])])
    with pytest.raises(UsageError, match=rf"'yard' and 'park' cannot share .*{message}"):
        check_alike([camera("yard"), camera("park", **settings)])


def test_a_frame_keeps_its_shape_on_the_canvas() -> None:
    image = np.full((48, 64, 3), 200, np.uint8)
    labels = Detections(
        np.array([[32, 24, 64, 48]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int64)
    )
    right_half = Zones((((0.5, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 1.0)),))
    canvas = canvas_of([(24, 32), (30, 20)])
    assert canvas == (30, 32)
    sample = on_canvas(Sample(image, labels), box_task(), (24, 32), (48, 64), right_half)
    assert sample.image.shape == (48, 64, 3)
    assert (sample.image[:24, :32] == 200).all()
    assert not sample.image[24:].any()
    assert not sample.image[:, 32:].any()
    assert sample.truth.boxes_xyxy.tolist() == [[16, 12, 32, 24]]
    assert sample.ignored is not None


def test_random_numbers_learn_faster_than_a_trunk_that_must_not_be_lost() -> None:
    scratch = first_plan(epochs=24, from_scratch=True, seed=1)
    trunk = first_plan(epochs=24, from_scratch=False, seed=1)
    assert scratch.learning_rate > trunk.learning_rate
    assert scratch.learning_rate_steps == (16, 22)
    assert scratch.schedule == "standard"


def test_the_cost_is_the_frames_times_what_each_takes() -> None:
    cost = BootstrapCost(
        cameras=2, frames=400, control=100, epochs=24, teacher_s_per_image=Span(2.0, 2.5),
        training_s_per_image=Span(0.5, 0.5), device="cpu", processes=2,
    )  # fmt: skip
    assert (cost.teacher_s, cost.training_s, cost.total_s) == (
        (1000, 1250), (4800, 4800), (5300, 5425),
    )  # fmt: skip
    assert cost.in_words() == (
        "a first student for 2 cameras takes about 1 h 28 min to 1 h 30 min on this "
        "machine (cpu): the teacher labels 500 frames (400 to train on, 100 to measure on) at "
        "2.00 s to 2.50 s each, 16 min 40 s to 20 min 50 s; training goes through 400 frames 24 "
        "times at 500 ms each, 1 h 20 min"
    )


def test_a_camera_nobody_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "config.yaml").write_text("cameras: {yard: {source: a.mp4, classes: [person]}}")
    assert run(["bootstrap", "park", "--json", "--config", str(tmp_path / "config.yaml")]) == 2
    assert "there is no camera 'park'" in json.loads(capsys.readouterr().out)["error"]
