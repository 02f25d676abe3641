"""From a camera's settings to the plans that the science takes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.night.inputs import NightPlan
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import described, pick_device
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night


def night_plan(
    config: Config, camera: CameraConfig, night: Night, *, source: str, size: tuple[int, int]
) -> NightPlan:
    """The camera's settings as the science takes them."""
    culling, training, device = camera.culling, camera.training, pick_device(config.device)
    plan = ingest_plan(camera)
    return NightPlan(
        camera=camera.name,
        source=source,
        date=night.night_date,
        run_id=night.run_id,
        task=plan.task,
        strategy_name=culling.strategy,
        strategy=STRATEGIES[culling.strategy],
        ingest=plan,
        keep=culling.keep,
        find_resolution=camera.resolution.enabled,
        resolution_threshold=camera.resolution.threshold,
        min_scale=camera.resolution.min_scale,
        training=training.for_kept(culling.keep).to_plan(),
        full_epochs=training.full_epochs,
        judging=night_judging(camera),
        full_size=size,
        corrected_frames=training.corrected_frames,
        workers=1 if device == "cuda" else config.workers,
        device=device,
        student_name=described(camera.student),
        teacher_name=described(camera.teacher),
        teacher_weights=camera.teacher.weights,
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


def code_version() -> str:
    """The installed version of this program."""
    try:
        return version("culling-pipeline")
    except PackageNotFoundError:
        return "unknown"
