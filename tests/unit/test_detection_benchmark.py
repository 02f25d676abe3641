"""The benchmark of schedules on detection: its loop is a night's, and its rivals get no more."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.book import Row
from benchmarks.detection_loop import KINDS, Kind, Length, Training, epochs_of, held_out_loss
from benchmarks.detection_pages import apart, picture, table
from benchmarks.tried.early import Plateau
from benchmarks.tried.soft_labels import drawn_by_score
from culling_pipeline.tasks.boxes.augment import prepared
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import TrainPlan, fine_tune
from culling_pipeline.training.options import show
from jobs.config.night import TrainingSettings
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from tests.unit.plans import train_plan
from tests.unit.test_training_loop import TASK, samples, student


def trained(kind: Kind, plan: TrainPlan, net: TorchDetector) -> Training:
    shown = samples(4)
    training = Training(net, TASK, shown, [], kind, plan, 0.6)
    training.run(held_out_loss([prepared(shown[0], *net.size)]))
    return training


def test_its_loop_trains_the_weights_of_a_night_s() -> None:
    night = TrainingSettings(epochs=3, batch_size=3, schedule="clip-dap").to_plan()
    ours, theirs = student(), student()
    training = trained(KINDS["clip-dap"], night, ours)
    course = fine_tune(theirs, TASK, samples(4), night)
    assert training.shown == course.images
    assert [point["loss"] for point in training.curve] == [point.loss for point in course.epochs]
    for name, value in ours.model.state_dict().items():
        assert torch.equal(value, theirs.model.state_dict()[name]), name


@pytest.mark.parametrize("name", ["infobatch", "random dropping", "selective backprop"])
def test_every_rival_trains(name: str) -> None:
    kind = KINDS[name]
    plan = train_plan(schedule=kind.schedule, epochs=2, batch_size=2)
    net = student()
    before = {k: v.clone() for k, v in net.model.state_dict().items()}
    training = trained(kind, plan, net)
    assert any(not torch.equal(v, before[k]) for k, v in net.model.state_dict().items())
    assert [point["images"] for point in training.curve][-1] == training.shown <= 8
    assert training.looked == (8 if kind.way == "selective" else 0)


@pytest.mark.parametrize("kind", [k for k in KINDS.values() if k.way == "course" and not k.full])
@pytest.mark.parametrize(("samples_", "epochs"), [(64, 12), (96, 20)])
def test_no_schedule_shows_more_than_its_share(kind: Kind, samples_: int, epochs: int) -> None:
    own = epochs_of(kind, samples_, Length(epochs, 0.6))
    shown = [
        sum(show(kind.schedule, samples_, e, TrainingSettings(epochs=e).to_options()).per_epoch)
        for e in (own, own + 1)
    ]
    assert shown[0] <= 0.6 * samples_ * epochs < shown[1]


def test_early_stop_goes_by_the_training_loss() -> None:
    plateau = Plateau(least=4, better=0.95)
    losses = [1.0, 0.8, 0.6, 0.5, 0.49, 0.49, 0.4, 0.4, 0.4, 0.1]
    shares, ended = [], 0
    for epoch, loss in enumerate(losses, start=1):
        shares.append(plateau.share(0.1))
        if plateau.over(epoch, loss):
            ended = epoch
            break
    assert shares == [1.0] * 6 + [0.1] * 3, "it fell no more in epoch 6; half as long again"
    assert ended == 9


def test_soft_labels_have_an_object_as_often_as_its_score() -> None:
    boxes = np.array([[0, 0, 9, 9], [9, 9, 19, 19]], np.float32)
    truth = Detections(boxes, np.array([0.3, 1.0], np.float32), np.array([0, 1]))
    rng = np.random.default_rng(0)
    (sample,) = [Sample(np.zeros((20, 20, 3), np.uint8), truth)]
    drawn = [drawn_by_score([sample], rng)[0].truth.labels.tolist() for _ in range(2000)]
    assert {tuple(labels) for labels in drawn} == {(1,), (0, 1)}
    assert np.mean([len(labels) == 2 for labels in drawn]) == pytest.approx(0.3, abs=0.04)


def row(kind: str, seed: int, map50: float) -> Row:
    curve = [{"epoch": e, "images": 10 * e, "loss": 1 / e, "held_out": 2 / e} for e in (1, 2)]
    return {
        "scene": "s", "frames": 8, "epochs": 4, "share": 0.6, "kind": kind, "seed": seed,
        "map50": map50, "map": 0.5, "default": kind == "clip-dap", "images": 20, "looked_at": 0,
        "train_cpu_s": 1.0, "losses": curve,
    }  # fmt: skip


def test_the_table_pairs_by_seed() -> None:
    rows = [row("standard", 0, 0.5), row("standard", 1, 0.7)]
    rows += [row("clip-dap", 1, 0.73), row("clip-dap", 2, 0.1)]
    assert apart(rows, "clip-dap", "standard") == [pytest.approx(3.0)]
    assert "clip-dap (the night's default) | 2 | 0.415 | 0.500 | +3.0" in table(rows)
    assert "<svg" in picture(rows, "s")
