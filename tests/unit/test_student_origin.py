"""What `culling check` says of a camera's student and of its first night."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from culling_pipeline.tasks.samples import Sample
from jobs.cameras.incumbent import ensure_incumbent
from jobs.cameras.student_origin import _of_parent, origin_in_words
from jobs.cli import run
from jobs.config.settings import CameraConfig, Config
from jobs.nights.cost import (
    Span,
    Speed,
    night_cost,
    seconds_per_image,
    training_seconds_per_image,
)
from models.boxes.detections import Detections
from models.boxes.detector import SLIM_ANCHOR_PX, DetectorSpec, TorchDetector, build_model
from models.checkpoint import load_checkpoint, save_checkpoint
from models.registry import ModelRegistry
from models.versions import ORIGIN_META
from tests.unit.plans import box_task
from tests.unit.test_untrained import RANDOM, SIZE, camera

RANDOM_STUDENT = {"weights": "none", "width": 0.125}
SPEED = Speed(student_s=Span(0.1, 0.1), teacher_s=Span(1.0, 1.25), training_s=Span(0.5, 0.75))


def said(root: Path, settings: CameraConfig) -> str:
    return origin_in_words(ModelRegistry(root / "models"), settings)


def add(root: Path, settings: CameraConfig, version: str, parent: str, **meta: Any) -> None:
    """A version made of the start's weights, in use."""
    registry = ModelRegistry(root / "models")
    state, old = load_checkpoint(registry.path(settings.name, "start"))
    del old["sha256"]
    old.pop("untrained", None)
    registry.add(settings.name, version, state, {**old, "parent": parent, **meta})
    registry.promote(settings.name, version)


def test_before_any_version_it_is_the_configured_one(tmp_path: Path) -> None:
    assert said(tmp_path, camera()) == "trained on synthetic streets only"
    coco = said(tmp_path, camera({"weights": "pretrained:mobilenet-320"}))
    assert coco == "trained on COCO by others (22.8 box AP, as published)"
    untrained = said(tmp_path, camera(RANDOM_STUDENT))
    assert untrained.startswith(f"untrained: {RANDOM}; nights take frames evenly in time until")
    backbone = said(tmp_path, camera({"weights": "pretrained:resnet18-imagenet"}))
    assert backbone.startswith("untrained: resnet18-imagenet is a backbone, which has never seen")
    own = said(tmp_path, camera({"weights": "a.pth", "class_names": ["person"]}))
    assert own == "of your own making: the file does not say what it was trained on"


def test_a_version_in_use_is_followed_to_where_it_began(tmp_path: Path) -> None:
    settings = camera(RANDOM_STUDENT)
    ensure_incumbent(ModelRegistry(tmp_path / "models"), settings, size=SIZE, device="cpu")
    assert said(tmp_path, settings).startswith(f"start is in use, untrained: {RANDOM}; nights take")
    add(tmp_path, settings, "bootstrap-1", "start", **{ORIGIN_META: "bootstrap"})
    taught = "bootstrapped: taught by the teacher on frames of your cameras"
    assert said(tmp_path, settings) == f"bootstrap-1 is in use, {taught}"
    add(tmp_path, settings, "2026-11-21", "bootstrap-1")
    add(tmp_path, settings, "2026-11-22", "2026-11-21")
    words = f"2026-11-22 is in use, {taught}, then 2 nights on this camera"
    assert said(tmp_path, settings) == words
    add(tmp_path, settings, "2026-11-24", "2026-11-23")
    assert said(tmp_path, settings) == "2026-11-24 is in use, after at least 1 night"


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({ORIGIN_META: "bootstrap"}, "bootstrapped: taught by the teacher"),
        ({ORIGIN_META: "coco"}, "trained on COCO by `culling pretrain`"),
        ({}, "of your own making: the file does not say"),
        ({"untrained": RANDOM}, f"untrained: {RANDOM}; nights"),
    ],
)
def test_a_file_of_ours_says_what_it_is(tmp_path: Path, meta: dict[str, str], words: str) -> None:
    save_checkpoint(tmp_path / "w.safetensors", {}, meta)
    settings = camera({"weights": str(tmp_path / "w.safetensors")})
    assert said(tmp_path, settings).startswith(words)


def test_a_version_made_of_weights_that_the_settings_no_longer_fit() -> None:
    given = camera({"weights": "none"})
    assert _of_parent(given, "old.pth").startswith("of your own making")  # no class_names any more
    assert _of_parent(given, "builtin:street-student") == "trained on synthetic streets only"


def cost_of(*, frames: int | None = None, watched: bool = False, **settings: Any) -> Any:
    config = Config(device="cpu", workers=2)
    given = camera(**settings)
    return night_cost(config, given, SPEED, frames=frames, watched=watched)


FIXED = {
    "culling": {"keep": 256, "strategy": "strata", "looks": "all"}, "training": {"epochs": 72},
}  # fmt: skip
"""A night as it was before there were budgets."""


def test_a_first_night_costs_what_its_pictures_take() -> None:
    cost = cost_of(**FIXED, judging={"compare_random": False})
    own = cost.budget.own
    assert (own.looks, own.labels, own.keep, own.images) == (86_400, 1536, 256, 12_900)
    looks = 86_400 + 2 * 240
    for end, label_s, train_s in ((0, 1.0, 0.5), (1, 1.25, 0.75)):
        looking_s = (0.1 * looks + label_s * 1776) / 2
        trained = 12_900 + 256 / 3  # each frame's loss once before training
        assert cost.total_s[end] == pytest.approx(looking_s + trained * train_s)
    assert (
        "the student looks at 86,400 frames at 100 ms each, the teacher labels 1,536 at 1.00"
        in (cost.in_words())
    )


def test_by_default_a_night_costs_its_budget_and_says_so() -> None:
    cost = cost_of()
    assert cost.budget.own.looks == 4 * cost.budget.own.labels
    words = cost.in_words()
    assert "(1/100 of full training) the student looks at " in words
    assert "240 more are labelled to measure with" in words
    assert "random frames costs as much again" in words
    assert "On all 86,400 frames of a day the teacher would take 24 h to 30 h, the student" in words
    alone = cost_of(judging={"compare_random": False})
    assert "random" not in alone.in_words()
    assert alone.total_s.fastest < cost.total_s.fastest
    assert "as the day goes by" in cost_of(watched=True).in_words()


def test_a_short_recording_s_first_night_costs_no_more_than_its_frames() -> None:
    own = cost_of(frames=100).budget.own
    assert (own.looks, own.labels, own.keep, own.epochs) == (100, 100, 100, 96)


def test_what_a_process_loads_for_its_first_picture_is_not_measured() -> None:
    now_s = [0.0]

    class Loading:
        """A detector that loads something at its first picture."""

        class_names = ("person",)
        took = iter([30.0, 1.0, 2.0])

        def predict(self, images: list[np.ndarray]) -> list[Detections]:
            now_s[0] += next(self.took)
            return [Detections.empty() for _ in images]

    images = [np.zeros((8, 8, 3), np.uint8)] * 3
    assert seconds_per_image(Loading(), images, clock=lambda: now_s[0]) == (1.0, 2.0)


def test_what_a_process_loads_for_its_first_training_is_not_measured() -> None:
    spec = DetectorSpec(
        architecture="resnet18", class_names=("person",), height_px=64, width_px=64, width=0.25,
        anchor_px=SLIM_ANCHOR_PX,
    )  # fmt: skip
    detector = TorchDetector(build_model(spec), spec)
    samples = [Sample(np.zeros((64, 64, 3), np.uint8), Detections.empty())] * 2
    ticks = iter(
        [30.0, 31.0, 35.0]
    )  # the ends of three rounds, the first of which took half a minute
    found = training_seconds_per_image(detector, box_task(), samples, clock=lambda: next(ticks))
    assert found == (0.5, 2.0)
    assert next(ticks, None) is None


@pytest.mark.slow  # a whole check
def test_check_says_origin_and_cost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = "synthetic://street?hours=24&width=160&height=96"
    (tmp_path / "config.yaml").write_text(
        "device: cpu\nworkers: 1\ncameras:\n"
        f"  yard: {{source: '{source}', classes: [person], student: {{weights: none}}}}\n"
        f"  park: {{source: '{source}', classes: [person, dog]}}\n"
    )
    assert run(["check", "--json", "--config", str(tmp_path / "config.yaml")]) == 4  # no dog
    findings = json.loads(capsys.readouterr().out)["findings"]
    by = {(f["camera"], f["part"]): f["detail"] for f in findings}
    assert by["yard", "student"].startswith(f"none; untrained: {RANDOM}")
    assert "of full training) the student looks at" in by["yard", "first night"]
    assert "240 more are labelled to measure with" in by["yard", "first night"]
    assert ("park", "first night") not in by
