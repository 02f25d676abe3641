"""One night of one camera, from top to bottom.

    start → scoring → view comparison → labelling → precision culling → resolution search → training
          → judging → promotion → report

If the camera was moved or covered, the night ends after the view comparison: nothing is trained,
and the incumbent stays in use.

A stage (`stages/`, one file each) makes a plain record from plain records. The record is written to
the journal before the next stage begins, and a killed night continues with the first stage without
a record. Everything the night needs is passed in (`inputs.py`); it opens no store and reads no
configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

from culling_pipeline import stage_names
from culling_pipeline.judging.cost_ratio import price
from culling_pipeline.monitoring.drift import drift_of_night
from culling_pipeline.night.at_work import Night
from culling_pipeline.night.inputs import Journal, NightParts, NightPlan, Results
from culling_pipeline.night.report import report_night, report_unusable
from culling_pipeline.night.stages.answers import keep_answers
from culling_pipeline.night.stages.cull import cull
from culling_pipeline.night.stages.judge import judge_students
from culling_pipeline.night.stages.label import ask_the_teacher
from culling_pipeline.night.stages.promote import overruled, promote
from culling_pipeline.night.stages.replay import keep_for_later, mind_the_view
from culling_pipeline.night.stages.resolution import find_resolution
from culling_pipeline.night.stages.start import check_teacher, for_untrained, start
from culling_pipeline.night.stages.train import retrain
from culling_pipeline.night.stages.view import compare_the_view
from culling_pipeline.night.stages.watch import watch_the_day
from culling_pipeline.records.base import STORED, Record
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.judging import JudgeRecord, PromotionRecord
from culling_pipeline.records.labels import CullRecord, LabelRecord
from culling_pipeline.records.monitoring import ViewRecord
from culling_pipeline.records.night import AnyNight, NightRecord, UnusableNight
from culling_pipeline.records.training import ArmsRecord, ResolutionRecord
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import StageName

_Stage = TypeVar("_Stage", bound=Record)


def run_night(plan: NightPlan, parts: NightParts) -> AnyNight:
    """One camera's night. Raises what its stages raise; the incumbent then stays in use."""
    with Workers(plan.workers) as workers:
        night = begin(plan, parts, workers)
        ready = prepare(night)
        if isinstance(ready, UnusableNight):
            return ready
        return conclude(night, ready, *_train_and_judge(night, ready))


def begin(plan: NightPlan, parts: NightParts, workers: Workers) -> Night:
    """The night with the student it begins with."""
    started = datetime.now(UTC)
    check_teacher(plan, parts)
    incumbent = start(plan, parts)
    plan = for_untrained(plan, parts.registry.untrained(plan.camera, incumbent.name))
    return Night(plan, parts, incumbent, workers, started)


class Prepared(NamedTuple):
    """A night before its training."""

    view: ViewRecord
    day: IngestRecord
    label: LabelRecord
    kept: CullRecord
    size: ResolutionRecord


def prepare(night: Night) -> Prepared | UnusableNight:
    """The stages before training; they end early if the lens was moved or covered."""
    once = Once(night.parts.journal)
    day = once(stage_names.INGEST, IngestRecord, lambda: watch_the_day(night))
    view = once(stage_names.VIEW, ViewRecord, lambda: compare_the_view(night, day))
    mind_the_view(night, view)
    if not view.fit_to_train:
        unusable = UnusableNight(**night.head(), ingest=day, view=view)
        report_unusable(night, unusable)
        return unusable
    label = once(stage_names.LABEL, LabelRecord, lambda: ask_the_teacher(night, day))
    kept = once(stage_names.CULL, CullRecord, lambda: cull(night, day, label))
    size = once(stage_names.RESOLUTION, ResolutionRecord, lambda: find_resolution(night, day, kept))
    return Prepared(view, day, label, kept, size)


def _train_and_judge(night: Night, ready: Prepared) -> tuple[ArmsRecord, JudgeRecord]:
    once = Once(night.parts.journal)
    _, day, label, kept, size = ready
    arms = once(stage_names.TRAIN, ArmsRecord, lambda: retrain(night, day, label, kept, size))
    verdict = once(stage_names.JUDGE, JudgeRecord, lambda: judge_students(night, day, arms))
    return arms, verdict


def conclude(night: Night, ready: Prepared, arms: ArmsRecord, verdict: JudgeRecord) -> NightRecord:
    """What follows the verdict: promotion and report."""
    once = Once(night.parts.journal)
    results = Results(ready.day, ready.label, ready.kept, ready.size, arms, verdict)
    promotion = once(stage_names.PROMOTE, PromotionRecord, lambda: promote(night, results))
    record = _record(night, ready.view, results, promotion)
    keep_answers(night)
    keep_for_later(night, ready.day, ready.kept)
    report_night(night, record)
    return record


class Once:
    """Runs each stage of a night once."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def __call__(self, stage: StageName, kind: type[_Stage], work: Callable[[], _Stage]) -> _Stage:
        """A stage's record: from the journal, or made now and written there."""
        stored = self._journal.load(stage.key)
        if stored is not None:
            return kind.model_validate(stored, context=STORED)
        record = work()
        self._journal.save(stage.key, record.model_dump(mode="json"))
        return record


def _record(
    night: Night, view: ViewRecord, results: Results, promotion: PromotionRecord
) -> NightRecord:
    """All that the report shows, drift included."""
    day, label, kept, size, arms, verdict = results
    costs = [c for r in (day, label, kept, size, arms.culled, verdict) for c in r.costs]
    cost = price(costs, frames_seen=day.frames_seen, shown=night.plan.full_images)
    record = NightRecord(
        **night.head(),
        ingest=day,
        view=view,
        label=label,
        cull=kept,
        resolution=size,
        train=arms.culled,
        random_train=arms.random,
        judge=overruled(night, verdict, promotion),
        version=night.plan.run_id if promotion.promoted else None,
        cost_ratio=cost.ratio,
        full_training_s=cost.full_s,
        night_s=cost.night_s,
        notes=night.plan.notes,
        budget=night.plan.budget,
    )
    drift = drift_of_night(record, night.parts.history, night.task.class_names)
    return record.changed(drift=drift)
