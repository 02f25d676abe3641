"""The seam: a task that knows no box runs a whole tiny night, through the real stages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.testbed.tiny import DAY
from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.labels.replay import ReplayStore
from culling_pipeline.monitoring.reference_views import ReferenceViews
from culling_pipeline.night.inputs import NightParts, NightPlan
from culling_pipeline.night.night import run_night
from culling_pipeline.records.costs import BudgetRecord, Portions, SecondsPerImage
from culling_pipeline.records.night import NightRecord
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.tasks.answers import load_json
from models.registry import ModelRegistry
from streams.open import open_source
from tests.unit.brightness import Brightness
from tests.unit.plans import control_plan, gate_plan, judge_plan, train_plan

TASK = Brightness()
SOURCE = "synthetic://street?seed=5&hours=24&width=64&height=48"


class Journal(dict[str, dict[str, Any]]):
    """A journal in memory."""

    load = dict.get

    def save(self, stage: str, result: dict[str, Any]) -> None:
        assert stage not in self, f"{stage} was done twice"
        self[stage] = result


@dataclass(frozen=True)
class Teacher:
    """Says how bright a picture is, exactly."""

    class_names = ("brightness",)

    def __call__(self) -> Teacher:
        return self

    def predict(self, images: list[NDArray[np.uint8]]) -> list[float]:
        return [float(image.mean()) / 255 * 100 for image in images]


def plan(**training: Any) -> NightPlan:
    day = IngestPlan(
        interval_s=600.0, survivors=24, random=8, held=24, looks=None, parts=4,
        control=control_plan(frames=20),
        task=TASK, gate=gate_plan(), seed=0,
    )  # fmt: skip
    recipe = {"epochs": 20, "learning_rate": 3.0, "weight_decay": 0.0, "batch_size": 4, **training}
    return NightPlan(
        camera="lamp", source=SOURCE, date=DAY, run_id="2026-11-21", task=TASK,
        strategy_name="strata", strategy=STRATEGIES["strata"], ingest=day,
        budget=BUDGET, trusted_from=None,
        find_resolution=True, resolution_threshold=None, min_scale=0.5,
        training=train_plan(**recipe), lottery_training=train_plan(**recipe),
        full_images=20.0, judging=judge_plan(), full_size=(48, 64), corrected_frames=0, workers=1,
        device="cpu", zone=UTC,
    )  # fmt: skip


BUDGET = BudgetRecord(
    total_s=10.0, share=None, seconds=SecondsPerImage(look=0.01, label=0.02, train=0.03),
    known_from="a test",
    own=Portions(looks=144, labels=24, keep=8, epochs=20, images=160),
    lottery=Portions(looks=0, labels=8, keep=8, epochs=20, images=160),
)  # fmt: skip


def parts(folder: Path, journal: Journal) -> NightParts:
    registry = ModelRegistry(folder / "models")

    def start() -> str:
        model = nn.Linear(1, 1, bias=False)
        nn.init.constant_(model.weight, 60.0)  # it says 60 where the truth is 100
        registry.add("lamp", "start", model.state_dict(), {"spec": {}})
        registry.promote("lamp", "start")
        return "start"

    return NightParts(
        open_source=lambda: open_source(SOURCE, camera="lamp"), start=start,
        open_teacher=Teacher(), registry=registry, frames=folder / "frames",
        work=folder / "work", report=folder / "report", journal=journal,
        progress=NoProgress(), views=ReferenceViews(folder / "views"),
        replay=ReplayStore(folder / "replay", most=100, kind="lamp"),
        earlier_control=ReplayStore(folder / "replay" / "control", most=100, kind="lamp"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Journal, NightRecord]:
    torch.set_num_threads(1)
    folder, journal = tmp_path_factory.mktemp("night"), Journal()
    record = run_night(plan(), parts(folder, journal))
    assert isinstance(record, NightRecord)
    return folder, journal, record


def test_a_night_needs_no_boxes(night: tuple[Path, Journal, NightRecord]) -> None:
    folder, _, record = night
    before, after = record.judge.before.score, record.judge.after.score
    assert (before.metric, before.higher_is_better) == ("MAE", False)
    assert before.value > 10  # 40 % of the mean brightness
    assert after.value < 0.2 * before.value
    assert record.judge.promoted
    assert record.version == "2026-11-21"
    assert "lux of MAE" in record.judge.reason
    assert len(record.cull.kept) == 8
    assert record.resolution.scale == 1.0  # the task says nothing of sizes
    kept = load_json(folder / "frames" / "teacher.npz")
    assert set(record.cull.kept) <= kept.keys()


def test_its_page_says_the_metric_and_no_word_of_boxes(
    night: tuple[Path, Journal, NightRecord],
) -> None:
    page = (night[0] / "report" / "index.html").read_text(encoding="utf-8")
    assert "accuracy (MAE)" in page
    assert "mAP" not in page


def test_a_student_that_has_learned_nothing_measures_the_same(tmp_path: Path) -> None:
    """Old and new student are asked about the same pictures: the stored ones, not those before
    JPEG."""
    record = run_night(plan(epochs=1, learning_rate=1e-30), parts(tmp_path, Journal()))
    assert isinstance(record, NightRecord)
    assert record.judge.after == record.judge.before
    assert (record.judge.difference_low, record.judge.difference_high) == (0.0, 0.0)
    assert not record.judge.promoted


def test_a_second_try_repeats_no_stage(night: tuple[Path, Journal, NightRecord]) -> None:
    folder, journal, record = night
    again = run_night(plan(), parts(folder, journal))
    assert isinstance(again, NightRecord)
    assert again.judge == record.judge


def test_accuracies_of_0_1_are_scores() -> None:
    old = {"map50": 0.8, "map": 0.5, "per_class": {"car": 0.8}, "frames": 10, "objects": 20}
    read = Accuracy.model_validate(old)
    assert (read.score.metric, read.score.value) == ("mAP50", 0.8)
    assert [(score.metric, score.value) for score in read.further] == [("mAP", 0.5)]
    assert Accuracy.model_validate(read.model_dump(mode="json")) == read
