"""The few figures of a night that lists, plans and metrics need; its whole record is elsewhere."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from culling_pipeline.judging.cost_ratio import seconds_by_stage
from culling_pipeline.records import DriftRecord, NightRecord


class Past(NamedTuple):
    """Of a night's figures those that the order of nights goes by."""

    map50_before: float
    map50_after: float
    promoted: bool
    mean_loss: float | None
    device_s: float


class Figures(BaseModel):
    """What a night came to. Accuracies are mAP50 on the control slice, 0…1; `mean_loss` is the
    day's mean L_conf; seconds are of detector work, `device_s` with the comparison's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    frames_seen: int
    kept: int
    scale: float
    map50_before: float
    map50_after: float
    map50_random: float | None
    promoted: bool
    mean_loss: float | None
    device_s: float
    seconds: dict[str, float]
    drift: str | None = None
    """What has drifted, on the day of an alarm."""

    @classmethod
    def of(cls, record: NightRecord) -> Self:
        """From the whole record."""
        judge, course = record.judge, record.ingest.course
        seconds = seconds_by_stage(record.ledger)
        frames = [point.frames for point in course]
        return cls(
            frames_seen=record.ingest.frames_seen,
            kept=len(record.cull.kept),
            scale=record.resolution.scale,
            map50_before=judge.before.map50,
            map50_after=judge.after.map50,
            map50_random=None if judge.random is None else judge.random.map50,
            promoted=judge.promoted,
            mean_loss=(
                float(np.average([p.mean for p in course], weights=frames)) if sum(frames) else None
            ),
            device_s=sum(seconds.values()),
            seconds=seconds,
            drift=_alarm(record.drift),
        )


def _alarm(drift: DriftRecord | None) -> str | None:
    return drift.reason if drift is not None and drift.state == "drift" else None
