"""Train: the candidate on the kept set and, for comparison, a second student on random frames."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Literal

from culling_pipeline.night.at_work import Night
from culling_pipeline.night.stages.replay import frames_again
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.labels import CullRecord, LabelRecord
from culling_pipeline.records.training import ArmsRecord, ResolutionRecord, TrainRecord
from culling_pipeline.stage_names import RANDOM_FRAMES, TRAIN
from culling_pipeline.training.job import TrainJob, run_training
from models.images import scaled


def retrain(
    night: Night,
    day: IngestRecord,
    label: LabelRecord,
    cull: CullRecord,
    size: ResolutionRecord,
) -> ArmsRecord:
    """Both trainings of the night: *culled* and *random*."""
    progress, random = night.parts.progress, None
    if night.compares(day, label.asked or day.survivors):
        random = _random_arm(night, day, size)
    with progress.stage(TRAIN.words, night.plan.training.epochs) as advance:
        job = candidate_job(night, day, label, cull, size)
        culled = run_training(job, lambda _: advance(1))
    if random is None:
        return ArmsRecord(culled=culled, random=None)
    with progress.stage(TRAIN.of(RANDOM_FRAMES), None):
        return ArmsRecord(culled=culled, random=random.result())


def candidate_job(
    night: Night,
    day: IngestRecord,
    label: LabelRecord,
    cull: CullRecord,
    size: ResolutionRecord,
) -> TrainJob:
    """The candidate's training: on the kept set, with objects of the other labelled frames."""
    kept = set(cull.kept)
    others = [i for i in label.asked or day.survivors if i not in kept]
    return _job(night, "culled", day, cull.kept, size, others=others)


def _random_arm(night: Night, day: IngestRecord, size: ResolutionRecord) -> Future[TrainRecord]:
    job = _job(night, "random", day, night.random_frames(day), size, others=())
    return night.workers.beside(run_training, job)


def _job(
    night: Night,
    arm: Literal["culled", "random"],
    day: IngestRecord,
    ids: Sequence[int],
    size: ResolutionRecord,
    *,
    others: Sequence[int],
) -> TrainJob:
    plan, corrections, frames = night.plan, night.parts.corrections, day.frames_of(ids)
    corrected = corrections.to_train_on(
        night.task.class_names,
        beside=frames,
        control=day.frames_of(day.control),
        gap_s=plan.ingest.control.block_s,
        most=plan.corrected_frames,
    )
    portions = plan.budget.own if arm == "culled" else plan.budget.lottery
    again = 0 if portions is None else portions.replayed
    return TrainJob(
        arm=arm,
        task=night.task,
        start=night.incumbent,
        size=scaled(*plan.full_size, size.scale),
        frames=tuple(frames),
        others=tuple(day.frames_of(others)),
        folder=night.parts.frames,
        labels=night.truths,
        out=night.candidate(arm),
        plan=plan.training if arm == "culled" else plan.lottery_training,
        device=plan.device,
        corrected=corrected,
        corrections=corrections.folder,
        replayed=frames_again(night, day, again, beside=[*frames, *corrected]),
        replay=night.parts.replay.folder,
    )
