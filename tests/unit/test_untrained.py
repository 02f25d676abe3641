"""A student that knows no box yet: where it comes from, and that its first night does not ask it
how unsure it is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.testbed.small_night import DAY, START
from culling_pipeline.culling.strategies import STRATEGIES, Uniform
from culling_pipeline.night.stages.start import for_untrained
from culling_pipeline.records.costs import SecondsPerImage
from jobs.cameras.detectors import configured_detector, described, why_untrained
from jobs.cameras.incumbent import ensure_incumbent
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.errors import ConfigError
from jobs.nights.budget import BY_HAND, budget_of
from jobs.nights.plans import night_plan
from models.boxes.resnet import ResNetTrunk
from models.boxes.student import load_detector, meta_of
from models.checkpoint import save_checkpoint
from models.pretrained import catalogue
from models.pretrained.catalogue import published
from models.registry import ModelRegistry

RANDOM = "its weights are random numbers (student.weights: none)"
SIZE = (96, 160)


def camera(student: dict[str, Any] | None = None, **more: Any) -> CameraConfig:
    settings = {"name": "yard", "source": "yard.mp4", "classes": ["person", "car"], **more}
    return CameraConfig.model_validate(settings | ({"student": student} if student else {}))


def started(root: Path, settings: CameraConfig) -> tuple[ModelRegistry, Path]:
    registry = ModelRegistry(root)
    return registry, ensure_incumbent(registry, settings, size=SIZE, device="cpu")


def test_none_is_a_net_of_random_numbers_and_its_version_says_so(tmp_path: Path) -> None:
    settings = camera({"weights": "none", "width": 0.125, "max_side_px": 640})
    registry, folder = started(tmp_path / "one", settings)
    student = load_detector(folder)
    assert student.class_names == ("person", "car")
    assert (student.spec.height_px, student.spec.width_px, student.spec.width) == (*SIZE, 0.125)
    assert student.spec.anchor_px == (16, 32, 64, 128, 256)
    assert registry.untrained("yard", folder.name) == RANDOM
    assert described(settings.student) == "random weights (resnet18, width 0.125)"
    _, again = started(tmp_path / "two", settings)  # seeded: the same numbers every time
    for name, value in load_detector(again).model.state_dict().items():
        assert torch.equal(value, student.model.state_dict()[name]), name


def test_a_backbone_is_a_student_that_has_never_seen_a_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CULLING_CACHE", str(tmp_path))
    entry = published("pretrained:resnet18-imagenet")
    assert entry is not None
    trunk = ResNetTrunk("resnet18").state_dict()
    torch.save(trunk, tmp_path / entry.file_name)
    digest = hashlib.sha256((tmp_path / entry.file_name).read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(catalogue, "CATALOGUE", (replace(entry, digest=digest),))
    settings = camera({"weights": "pretrained:resnet18-imagenet"})
    opener = configured_detector(settings.student, device="cpu")
    student = opener.torch_detector()
    assert student.spec.width == 1.0
    found = student.model.state_dict()["backbone.body.layer3.0.conv1.weight"]
    assert torch.equal(found, trunk["layer3.0.conv1.weight"])
    reason = "resnet18-imagenet is a backbone, which has never seen a box"
    assert why_untrained(settings.student) == reason


def test_a_student_that_knows_none_of_the_classes_is_untrained(tmp_path: Path) -> None:
    registry, folder = started(tmp_path, camera(classes=["dog", "cat"]))
    said = registry.untrained("yard", folder.name)
    assert said == "it knows none of the camera's classes (dog, cat)"


def test_a_student_that_knows_one_of_the_classes_is_trained(tmp_path: Path) -> None:
    registry, folder = started(tmp_path, camera(classes=["dog", "car"]))
    assert registry.untrained("yard", folder.name) is None


def test_other_classes_do_not_make_a_random_student_a_trained_one(tmp_path: Path) -> None:
    student = {"weights": "none", "width": 0.125}
    registry, _ = started(tmp_path, camera(student))
    folder = ensure_incumbent(
        registry, camera(student, classes=["car", "bus"]), size=SIZE, device="cpu"
    )
    assert folder.name == "start-1"
    assert registry.untrained("yard", "start-1") == RANDOM


def test_a_copy_of_an_untrained_version_says_so_as_well(tmp_path: Path) -> None:
    _, folder = started(tmp_path, camera({"weights": "none", "width": 0.125}))
    copied = camera({"weights": str(folder)})
    assert why_untrained(copied.student) == RANDOM
    trained = load_detector(folder)
    save_checkpoint(tmp_path / "copy", trained.model.state_dict(), meta_of(trained))
    assert why_untrained(camera({"weights": str(tmp_path / "copy")}).student) is None


def test_none_in_a_file_is_not_taken_for_a_path(tmp_path: Path) -> None:
    text = "cameras: {yard: {source: a.mp4, classes: [person], student: {weights: none}}}"
    (tmp_path / "config.yaml").write_text(text)
    student = load_config(tmp_path / "config.yaml").cameras["yard"].student
    assert (student.weights, student.untrained) == ("none", RANDOM)


def test_a_teacher_has_to_know_something(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "cameras: {yard: {source: a.mp4, classes: [person], teacher: {weights: none}}}"
    )
    with pytest.raises(ConfigError, match="'none', but a teacher has to know what it labels"):
        load_config(tmp_path / "config.yaml")


NIGHT = Night(
    id=1,
    camera="yard",
    run_id="2026-11-21",
    night_date=DAY,
    state="running",
    attempt=1,
    pid=1,
    host="here",
    started_at=START,
    finished_at=None,
    error=None,
    figures=None,
    unusable=None,
)


def test_the_night_of_an_untrained_student_takes_frames_evenly(tmp_path: Path) -> None:
    settings, night = camera(), NIGHT
    config = Config(data_dir=tmp_path, device="cpu", cameras={"yard": settings})
    seconds = SecondsPerImage(look=0.02, label=0.04, train=0.05)
    budget = budget_of(settings, seconds, BY_HAND, frames=None, looks_free=False)
    usual = night_plan(config, settings, night, source="yard.mp4", size=SIZE, budget=budget)
    plan = for_untrained(usual, RANDOM)
    assert for_untrained(usual, None) == usual
    assert (usual.strategy_name, usual.strategy) == ("mixed", STRATEGIES["mixed"])
    assert (usual.find_resolution, usual.notes) == (True, ())
    assert (plan.strategy_name, plan.strategy) == ("uniform", Uniform(at_most=budget.own.keep))
    assert not plan.find_resolution
    assert plan.notes == (
        "Frames were taken evenly in time and at full size, because how unsure a student is says "
        f"nothing before it is trained: {RANDOM}.",
    )
    # A live camera's day was drawn by the configured plan: it has to be told by the same.
    assert plan.ingest == replace(usual.ingest, looks=240)  # enough for the day's course
