"""The training loop: it learns, it follows the schedule, and it says when something is wrong."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
import torch

from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import (
    TrainingError,
    TrainPlan,
    fine_tune,
    learning_rate,
)
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector, build_model
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene
from tests.unit.plans import box_task, schedule_options, train_plan, variation
from tests.unit.test_models_losses import spec

TASK = box_task("person", "car", "bicycle")


def samples(count: int) -> list[Sample]:
    renderer = StreetRenderer(make_scene(3, width_px=160, height_px=96))
    found = []
    for k in range(count):
        image, truth = renderer.render(8 * 3600 + 40 * k)
        ones = np.ones(len(truth.labels), np.float32)
        found.append(Sample(image, Detections(truth.boxes_xyxy, ones, truth.labels)))
    return found


def student(seed: int = 0) -> TorchDetector:
    torch.manual_seed(seed)
    return TorchDetector(build_model(spec()), spec())


def test_the_loss_falls() -> None:
    plan = train_plan(schedule="standard", epochs=6, batch_size=2, learning_rate=1e-3)
    course = fine_tune(student(), TASK, samples(4), plan)
    assert course.epochs[-1].loss < 0.6 * course.epochs[0].loss
    assert course.images == 24
    assert course.computation == 1.0


def test_the_same_seed_gives_the_same_weights() -> None:
    plan = train_plan(schedule="dap", epochs=2, batch_size=2, options=schedule_options(warm_up=1))
    one, two = student(), student()
    fine_tune(one, TASK, samples(4), plan)
    fine_tune(two, TASK, samples(4), plan)
    for name, value in one.model.state_dict().items():
        assert torch.equal(value, two.model.state_dict()[name]), name


def test_objects_of_other_frames_are_trained_on_where_objects_are_pasted() -> None:
    """The kept frame is empty, so what is learned of objects comes from the others."""
    kept, *others = samples(4)
    empty = [Sample(kept.image, kept.truth.where(np.zeros(len(kept.truth), bool)))]
    varied = train_plan(schedule="standard", epochs=1, variation=variation(flip=False, paste=1.0))

    def weights_after(plan: TrainPlan, given: Iterable[Sample]) -> tuple[int, torch.Tensor]:
        detector = student()
        givers = fine_tune(detector, TASK, empty, plan, others=given).givers
        return givers, detector.model.roi_heads.box_predictor.bbox_pred.weight

    (none, without), (three, having) = weights_after(varied, []), weights_after(varied, others)
    assert (none, three) == (0, 3)
    assert not torch.equal(without, having)
    plain = train_plan(schedule="standard", epochs=1, variation=variation(flip=False))
    assert weights_after(plain, iter(others))[0] == 0, "they are not even read"


def test_batch_norm_keeps_its_statistics() -> None:
    detector = student()
    norm = detector.model.backbone.body.bn1
    norm.running_mean.fill_(0.25)
    fine_tune(detector, TASK, samples(2), train_plan(schedule="standard", epochs=1))
    assert torch.equal(norm.running_mean, torch.full_like(norm.running_mean, 0.25))
    assert not detector.model.training
    assert all(value.is_contiguous() for value in detector.model.state_dict().values())


def test_batch_norm_without_statistics_measures_them() -> None:
    detector = student()
    norm = detector.model.backbone.body.bn1
    fine_tune(detector, TASK, samples(2), train_plan(schedule="standard", epochs=1))
    assert norm.running_mean.abs().max() > 1e-3
    assert not detector.model.training


def test_drop_and_pick_drops_and_picks() -> None:
    options = schedule_options(warm_up=1, interval=1, keep=0.5, pick=(3,))
    plan = train_plan(schedule="dap", epochs=4, batch_size=2, options=options)
    course = fine_tune(student(), TASK, samples(4), plan)
    assert [p.images for p in course.epochs] == [4, 4, 2, 4]
    assert course.computation == pytest.approx(14 / 16)


def test_the_rate_falls_after_its_steps() -> None:
    plan = train_plan(epochs=9, learning_rate=1.0, learning_rate_steps=(3, 6))
    assert [learning_rate(plan, e) for e in (1, 3, 4, 6, 7)] == pytest.approx(
        [1, 1, 0.1, 0.1, 0.01]
    )


def test_damaged_weights_are_noticed_before_training() -> None:
    detector = student()
    with torch.no_grad():
        detector.model.roi_heads.box_predictor.cls_score.bias.fill_(float("nan"))
    plan = train_plan(schedule="standard", epochs=1)
    with pytest.raises(TrainingError, match="before training: a loss is not finite"):
        fine_tune(detector, TASK, samples(2), plan)


def test_a_loss_that_is_not_finite_stops_the_training() -> None:
    plan = train_plan(schedule="standard", epochs=3, batch_size=1, learning_rate=1e30)
    with pytest.raises((TrainingError, AssertionError), match=r"not finite|NaN"):
        fine_tune(student(), TASK, samples(2), plan)


def test_frames_without_objects_can_be_trained_on() -> None:
    empty = [Sample(s.image, Detections.empty()) for s in samples(2)]
    course = fine_tune(student(), TASK, empty, train_plan(schedule="standard", epochs=1))
    assert np.isfinite(course.epochs[0].loss)
