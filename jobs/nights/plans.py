"""From a camera's settings to the plans that the science takes."""

from __future__ import annotations

from culling_pipeline.culling.budget import DAY_FRAMES
from culling_pipeline.culling.strategies import RANDOM, STRATEGIES
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.night.inputs import NightPlan
from culling_pipeline.records.costs import BudgetRecord
from culling_pipeline.training.options import show
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import pick_device
from jobs.cameras.nets import nets_of
from jobs.config.local_zone import time_zone
from jobs.config.night import TrainingSettings
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.program import code_version


def night_plan(
    config: Config,
    camera: CameraConfig,
    night: Night,
    *,
    source: str,
    size: tuple[int, int],
    budget: BudgetRecord,
) -> NightPlan:
    """The camera's settings as the science takes them."""
    culling, training, device = camera.culling, camera.training, pick_device(config.device)
    nets = nets_of(camera)
    plan = ingest_plan(camera, budget)
    lottery = budget.lottery or budget.own
    strategy = RANDOM if budget.drawn else culling.strategy
    return NightPlan(
        camera=camera.name,
        source=source,
        date=night.night_date,
        run_id=night.run_id,
        task=plan.task,
        strategy_name=strategy,
        strategy=STRATEGIES[strategy],
        ingest=plan,
        budget=budget,
        trusted_from=camera.trusted_from,
        find_resolution=camera.resolution.enabled,
        resolution_threshold=camera.resolution.threshold,
        min_scale=camera.resolution.min_scale,
        training=training.changed(epochs=budget.own.epochs).to_plan(),
        lottery_training=training.changed(epochs=lottery.epochs).to_plan(),
        full_images=images_of(training, DAY_FRAMES, training.full_epochs) / DAY_FRAMES,
        judging=night_judging(camera),
        full_size=size,
        corrected_frames=training.corrected_frames,
        workers=1 if device == "cuda" else config.workers,
        device=device,
        zone=time_zone(camera.time_zone),
        student_name=nets.student,
        teacher_name=nets.teacher,
        teacher_weights=nets.teacher_weights,
        code_version=code_version(),
        settings=camera.fingerprint,
    )


def night_judging(camera: CameraConfig) -> JudgePlan:
    """When a new student takes over."""
    judging, strategy = camera.judging, camera.culling.strategy
    return JudgePlan(
        compare_random=judging.compare_random and strategy != "random",
        min_gain=judging.min_gain,
        seed=camera.training.seed,
    )


def images_of(training: TrainingSettings, frames: int, epochs: int) -> int:
    """Images that a training of so many frames and epochs goes through, by these settings."""
    plan = training.changed(epochs=epochs).to_plan()
    return sum(show(plan.schedule, frames, epochs, plan.options).per_epoch)
