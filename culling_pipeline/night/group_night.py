"""One night of a group: several cameras that share one student, from top to bottom.

    each camera: start → scoring → view comparison → labelling → precision culling → resolution
    together:    one training on all kept sets
    each camera: judging on its own control slice
    together:    promoted for all of them, or for none
    each camera: promotion → report

A camera that was moved or covered is left out. Each camera keeps a record and a journal of its own,
as in a night alone: a killed night goes on where it was, and so do history, drift and pages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from culling_pipeline import stage_names
from culling_pipeline.groups.cross import Looks, Member, cross
from culling_pipeline.judging.together import judge_together
from culling_pipeline.night.at_work import Night
from culling_pipeline.night.inputs import NightParts, NightPlan
from culling_pipeline.night.night import Once, Prepared, begin, conclude, prepare
from culling_pipeline.night.stages.judge import judge_students
from culling_pipeline.night.stages.train import candidate_job
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.night import AnyNight, UnusableNight
from culling_pipeline.records.training import ArmsRecord, TrainRecord
from culling_pipeline.run.workers import Workers
from culling_pipeline.training.job import TrainJob, save_candidate
from culling_pipeline.training.loop import TrainPlan
from culling_pipeline.training.together import train_together
from models.files import load_meta


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPlan:
    """A group's name, how its one student is trained, and how much better it must be on average."""

    name: str
    training: TrainPlan
    min_gain: float


@dataclass(frozen=True, slots=True)
class _Ready:
    """A camera's night up to its training."""

    night: Night
    before: Prepared


def run_group_night(
    group: GroupPlan, members: Sequence[tuple[NightPlan, NightParts]]
) -> list[AnyNight]:
    """The nights of a group's cameras, in their order. Raises what their stages raise; every
    incumbent then stays in use."""
    with Workers(members[0][0].workers) as workers:
        nights = [begin(plan, parts, workers) for plan, parts in members]
        before = [prepare(night) for night in nights]
        ready = {
            night.plan.camera: _Ready(night, stages)
            for night, stages in zip(nights, before, strict=True)
            if isinstance(stages, Prepared)
        }
        ended: dict[str, AnyNight] = {b.camera: b for b in before if isinstance(b, UnusableNight)}
        if ready:
            ended |= _together(group, ready)
    return [ended[plan.camera] for plan, _ in members]


def _together(group: GroupPlan, ready: Mapping[str, _Ready]) -> dict[str, AnyNight]:
    arms = _train(group, ready)
    verdicts = {camera: _judge(one, arms[camera]) for camera, one in ready.items()}
    metric = next(iter(ready.values())).night.task.metric
    decided = judge_together(group.name, verdicts, metric, min_gain=group.min_gain)
    return {
        camera: conclude(_noted(group, one.night, ready), one.before, arms[camera], decided[camera])
        for camera, one in ready.items()
    }


def _train(group: GroupPlan, ready: Mapping[str, _Ready]) -> dict[str, ArmsRecord]:
    """One training, whose record is every camera's. Of a night that was cut off just after it, the
    first camera that has it in its journal gives its weights to the others."""
    jobs = {camera: _job(one) for camera, one in ready.items()}
    stored = {
        camera: ArmsRecord.model_validate(found)
        for camera, one in ready.items()
        if (found := one.night.parts.journal.load(stage_names.TRAIN.key)) is not None
    }
    if stored:
        giver = next(iter(stored))
        arms = stored[giver]
        for camera in jobs.keys() - stored.keys():
            _copy(jobs[giver], jobs[camera])
    else:
        arms = ArmsRecord(culled=_trained(group, ready, jobs), random=None)
    for camera in jobs.keys() - stored.keys():
        ready[camera].night.parts.journal.save(stage_names.TRAIN.key, arms.model_dump(mode="json"))
    return dict.fromkeys(jobs, arms)


def _trained(
    group: GroupPlan, ready: Mapping[str, _Ready], jobs: Mapping[str, TrainJob]
) -> TrainRecord:
    progress = next(iter(ready.values())).night.parts.progress
    start = _start(ready)
    with progress.stage(stage_names.TRAIN.of(group.name), group.training.epochs) as advance:
        return train_together(jobs, start, group.training, lambda _: advance(1))


def _start(ready: Mapping[str, _Ready]) -> Path:
    """The student that the training begins with: the one that all cameras have in use, or else,
    on a group's first night, the one that does best on the control slices of them all."""
    nights = [one.night for one in ready.values()]
    if len({load_meta(night.incumbent)["sha256"] for night in nights}) == 1:
        return nights[0].incumbent
    first = nights[0]
    looks = Looks(first.workers, device=first.plan.device, progress=first.parts.progress)
    crossed = cross([_member(one) for one in ready.values()], looks)
    return nights[int(crossed.scores.mean(axis=1).argmax())].incumbent


def _member(one: _Ready) -> Member:
    night, day = one.night, one.before.day
    truths = night.task.load(night.truths)
    return Member(
        camera=night.plan.camera,
        task=night.task,
        student=night.incumbent,
        size=night.plan.full_size,
        folder=night.parts.frames,
        shape=(day.height_px, day.width_px),
        frames=tuple(day.frames_of(day.control)),
        truths=tuple(truths[i] for i in day.control),
        blocks=day.control_blocks,
    )


def _job(one: _Ready) -> TrainJob:
    _, day, label, kept, size = one.before
    return candidate_job(one.night, day, label, kept, size)


def _copy(giver: TrainJob, taker: TrainJob) -> None:
    """The giver's weights as the taker's, at the size that it works at."""
    student = giver.task.open_student(giver.out, device=giver.device)
    save_candidate(taker.out, student.at_size(*taker.size))


def _judge(one: _Ready, arms: ArmsRecord) -> JudgeRecord:
    once = Once(one.night.parts.journal)
    return once(
        stage_names.JUDGE, JudgeRecord, lambda: judge_students(one.night, one.before.day, arms)
    )


def _noted(group: GroupPlan, night: Night, ready: Mapping[str, _Ready]) -> Night:
    """The night with a word on its group in the report."""
    others = [camera for camera in ready if camera != night.plan.camera]
    beside = f"together with {', '.join(others)}" if others else "alone tonight"
    note = (
        f"This camera is in group {group.name}: its student was trained {beside}, and costs of the "
        "training are its share."
    )
    return replace(night, plan=replace(night.plan, notes=(*night.plan.notes, note)))
