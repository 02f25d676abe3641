"""View: whether the camera still looks where it did, by its control frames."""

from __future__ import annotations

from culling_pipeline.monitoring.background import background_of
from culling_pipeline.night.at_work import Night
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.monitoring import ViewRecord
from culling_pipeline.stage_names import VIEW


def compare_the_view(night: Night, day: IngestRecord) -> ViewRecord:
    """The verdict on the day's view, against the reference views of earlier days."""
    with night.parts.progress.stage(VIEW.words, None):
        frames = day.frames_of(day.control)
        return night.parts.views.judge(
            background_of(night.parts.frames, frames, day=night.plan.date)
        )
