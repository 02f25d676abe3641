"""One night of one camera, from top to bottom.

    scoring → view comparison → labelling → precision culling → resolution search → training
            → judging → promotion

If the lens was moved or covered the night ends there: nothing is trained, the incumbent stays.

Every stage (`stages.py`) goes from plain records to a plain record. Its record goes to the journal
before the next stage begins, and a night that was killed goes on at the first stage without one.
Everything the night needs is handed in (`plan.py`); it opens no store and reads no configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from culling_pipeline import stage_names
from culling_pipeline.day.frame_files import load_image
from culling_pipeline.judging import cost_ratio as ledger
from culling_pipeline.labels.teacher_labels import load_detections
from culling_pipeline.monitoring.drift import drift_of_night
from culling_pipeline.night.inputs import Journal, NightParts, NightPlan
from culling_pipeline.night.stages import STUDENT_FILE, TEACHER_FILE, Stages, frames_of
from culling_pipeline.records import (
    AnyNight,
    ArmsRecord,
    CullRecord,
    IngestRecord,
    JudgeRecord,
    LabelRecord,
    NightRecord,
    PromotionRecord,
    Record,
    ResolutionRecord,
    UnusableNight,
    ViewRecord,
)
from culling_pipeline.report.pictures import Exhibit
from culling_pipeline.report.unusable import Glimpse
from culling_pipeline.run.workers import Workers
from culling_pipeline.stage_names import StageName

EXHIBITS = 24
GLIMPSES = 4

_Stage = TypeVar("_Stage", bound=Record)


def run_night(plan: NightPlan, parts: NightParts) -> AnyNight:
    """One camera's night. Raises what its stages raise; the incumbent then stays in use."""
    started = datetime.now(UTC)
    with Workers(plan.workers) as workers:
        return _run(Stages(plan, parts, workers), started)


def _run(night: Stages, started: datetime) -> AnyNight:
    plan, journal = night.plan, night.parts.journal
    day = _once(journal, stage_names.INGEST, IngestRecord, night.watch_the_day)
    view = _once(journal, stage_names.VIEW, ViewRecord, lambda: night.look_at_the_view(day))
    if not view.fit_to_train:
        return UnusableNight(**_head(plan, started), ingest=day, view=view)
    label = _once(journal, stage_names.LABEL, LabelRecord, lambda: night.label(day))
    cull = _once(journal, stage_names.CULL, CullRecord, lambda: night.cull(day))
    size = _once(
        journal, stage_names.RESOLUTION, ResolutionRecord, lambda: night.find_resolution(day, cull)
    )
    arms = _once(journal, stage_names.TRAIN, ArmsRecord, lambda: night.train(day, cull, size))
    verdict = _once(journal, stage_names.JUDGE, JudgeRecord, lambda: night.judge(day, arms))
    results = (day, label, cull, size, arms, verdict)
    promotion = _once(
        journal, stage_names.PROMOTE, PromotionRecord, lambda: night.promote(*results)
    )
    if verdict.promoted and not promotion.promoted:
        verdict = verdict.model_copy(update={"promoted": False, "reason": _overruled(plan)})
    costs = [c for r in (day, label, size, arms.culled, verdict) for c in r.costs]
    price = ledger.price(costs, frames_seen=day.frames_seen, epochs=plan.full_epochs)
    record = NightRecord(
        **_head(plan, started),
        ingest=day,
        view=view,
        label=label,
        cull=cull,
        resolution=size,
        train=arms.culled,
        random_train=arms.random,
        judge=verdict,
        version=plan.run_id if promotion.promoted else None,
        cost_ratio=price.ratio,
        full_training_s=price.full_s,
        night_s=price.night_s,
        notes=plan.notes,
    )
    drift = drift_of_night(record, night.parts.history, plan.classes.names)
    return record.model_copy(update={"drift": drift})


def _head(plan: NightPlan, started: datetime) -> dict[str, Any]:
    """What every night's record says of it, now that it ends."""
    return {
        "camera": plan.camera,
        "date": plan.date,
        "run_id": plan.run_id,
        "source": plan.source,
        "classes": plan.classes.names,
        "student": plan.student_name,
        "teacher": plan.teacher_name,
        "code_version": plan.code_version,
        "started_at": started,
        "finished_at": datetime.now(UTC),
    }


def _overruled(plan: NightPlan) -> str:
    return (
        "it measured better, but another model was put to work by hand during the night, which "
        f"stays; `culling rollback {plan.camera} {plan.run_id}` puts this one to work"
    )


def _once(
    journal: Journal, stage: StageName, kind: type[_Stage], work: Callable[[], _Stage]
) -> _Stage:
    """A stage's record: from the journal, or made now and written there."""
    stored = journal.load(stage.key)
    if stored is not None:
        return kind.model_validate(stored)
    record = work()
    journal.save(stage.key, record.model_dump(mode="json"))
    return record


def exhibits(record: NightRecord, parts: NightParts, *, student_min_score: float) -> list[Exhibit]:
    """The first frames of the kept set with both detectors' boxes, for the report."""
    student = load_detections(parts.work / STUDENT_FILE)
    teacher = load_detections(parts.work / TEACHER_FILE)
    by_id = {d.frame_id: d for d in record.cull.survivors}
    return [
        Exhibit(
            image=load_image(parts.frames, frame),
            frame=frame,
            disagreement=by_id[frame.id],
            student=student[frame.id].above(student_min_score),
            teacher=teacher[frame.id],
        )
        for frame in frames_of(record.ingest, record.cull.kept[:EXHIBITS])
    ]


def glimpses(record: UnusableNight, parts: NightParts) -> list[Glimpse]:
    """Some control frames from the first to the last of the day, for the report."""
    frames = frames_of(record.ingest, record.ingest.control)
    last, count = len(frames) - 1, min(GLIMPSES, len(frames))
    chosen = [frames[round(k * last / max(count - 1, 1))] for k in range(count)]
    return [Glimpse(load_image(parts.frames, frame), frame) for frame in chosen]
