"""The smallest night record there is, for tests of what keeps and shows one."""

from __future__ import annotations

from datetime import UTC, date, datetime

from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.labels import CullRecord, LabelRecord
from culling_pipeline.records.monitoring import SlotView, ViewRecord
from culling_pipeline.records.night import NightRecord, UnusableNight
from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.records.training import ResolutionRecord, TrainRecord

DAY = date(2026, 11, 21)
START = datetime(2026, 11, 21, 22, tzinfo=UTC)


def night_record(camera: str = "yard", run_id: str = "2026-11-21") -> NightRecord:
    """A done night with no picture and next to no figure."""
    accuracy = Accuracy(
        score=Score(metric="mAP50", value=0.5),
        further=(Score(metric="mAP", value=0.3),),
        per_class={"person": 0.5},
        frames=9,
        objects=3,
    )
    train = TrainRecord(
        arm="culled", schedule="dap", images=4, epochs=(), computation=0.6, seed=0, costs=()
    )
    return NightRecord(
        camera=camera, date=DAY, run_id=run_id, source="synthetic", classes=("person",),
        student="s", teacher="t", code_version="0", started_at=START, finished_at=START,
        ingest=IngestRecord(
            frames_seen=100, width_px=64, height_px=48, frames=(), survivors=(1, 2), control=(),
            random=(), histogram_edges=(), histogram_counts=(), course=(), costs=(),
        ),
        label=LabelRecord(labelled=1, objects=1, costs=()),
        cull=CullRecord(strategy="strata", kept=(1,), survivors=(), teacher_calls=2),
        resolution=ResolutionRecord(
            height_px=192,
            width_px=320,
            scale=0.9, threshold=0.05, points=(), student_passes=1, costs=()
        ),
        train=train, random_train=None,
        judge=JudgeRecord(
            before=accuracy, after=accuracy, random=accuracy, difference_low=0.0,
            difference_high=0.1, promoted=True, reason="better", costs=(),
        ),
        version="v1", cost_ratio=0.1, full_training_s=10.0, night_s=1.0,
    )  # fmt: skip


def unusable_night(camera: str = "yard", run_id: str = "2026-11-21") -> UnusableNight:
    """A night whose lens was covered from the afternoon on."""
    usual = night_record(camera, run_id)
    slot = SlotView(slot=7, state="covered", agreement=0.1, lost=0.6, why="60 % is hidden")
    head = {name: getattr(usual, name) for name in UnusableNight.model_fields if name != "view"}
    return UnusableNight(
        **head,
        view=ViewRecord(
            date=DAY, state="covered", reason="60 % is hidden", since_hour=14, slots=(slot,)
        ),
    )
