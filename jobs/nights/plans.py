"""From a camera's settings to the plans that the science takes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import torch

from culling_pipeline.culling.strategies import STRATEGIES, Strategy, Uniform
from culling_pipeline.judging.verdict import JudgePlan
from culling_pipeline.night.inputs import NightPlan
from jobs.cameras.day_plan import ingest_plan
from jobs.cameras.detectors import described
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.errors import UsageError
from models.boxes.classes import ClassMap
from models.zones import Zones


def night_plan(
    config: Config,
    camera: CameraConfig,
    night: Night,
    *,
    source: str,
    size: tuple[int, int],
    untrained: str | None = None,
) -> NightPlan:
    """The camera's settings as the science takes them. L_conf of a student that is `untrained`
    (why, in words) means nothing: then frames are taken evenly in time, at full size."""
    strategy_name, strategy = _strategy(camera, untrained)
    culling, training = camera.culling, camera.training
    return NightPlan(
        camera=camera.name,
        source=source,
        date=night.night_date,
        run_id=night.run_id,
        classes=ClassMap.from_config(camera.classes),
        strategy_name=strategy_name,
        strategy=strategy,
        ingest=ingest_plan(camera),
        keep=culling.keep,
        student_min_score=camera.student.min_score,
        teacher_min_score=camera.teacher.min_score,
        teacher_min_side=camera.teacher.min_side_share,
        find_resolution=camera.resolution.enabled and untrained is None,
        resolution_threshold=camera.resolution.threshold,
        min_scale=camera.resolution.min_scale,
        min_object_px=camera.resolution.min_object_px,
        training=training.for_kept(culling.keep).to_plan(),
        full_epochs=training.full_epochs,
        judging=night_judging(camera),
        full_size=size,
        corrected_frames=training.corrected_frames,
        zones=Zones(camera.ignore_zones),
        workers=1 if pick_device(config.device) == "cuda" else config.workers,
        device=pick_device(config.device),
        student_backend=camera.student.backend,
        student_name=described(camera.student),
        teacher_name=described(camera.teacher),
        code_version=code_version(),
        settings=camera.fingerprint,
        notes=() if untrained is None else (fallback_in_words(untrained),),
    )


def _strategy(camera: CameraConfig, untrained: str | None) -> tuple[str, Strategy]:
    """The night's strategy and its name. What a day keeps on disk is the configured one's in any
    case: a live camera's day was drawn by that."""
    culling = camera.culling
    if untrained is None:
        return culling.strategy, STRATEGIES[culling.strategy]
    return "uniform", Uniform(at_most=culling.keep)


def night_judging(camera: CameraConfig) -> JudgePlan:
    """When a new student takes over."""
    judging, strategy = camera.judging, camera.culling.strategy
    return JudgePlan(
        compare_random=judging.compare_random and strategy != "random",
        min_gain=judging.min_gain,
        seed=camera.training.seed,
    )


def fallback_in_words(untrained: str) -> str:
    """What an untrained student means for a night, in one sentence."""
    return (
        "Frames were taken evenly in time and at full size, because how unsure a student is says "
        f"nothing before it is trained: {untrained}."
    )


def pick_device(wanted: str) -> str:
    """`auto` takes a GPU where there is one; asking for one that is not there is an error."""
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        message = "device: cuda is asked for, but torch finds no GPU: use auto or cpu"
        raise UsageError(message)
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"


def code_version() -> str:
    """The installed version of this program."""
    try:
        return version("culling-pipeline")
    except PackageNotFoundError:
        return "unknown"
