"""The few figures of a night that lists, plans and metrics need; its whole record is elsewhere."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, ConfigDict

from culling_pipeline.judging.cost_ratio import seconds_by_stage
from culling_pipeline.records.monitoring import DriftRecord
from culling_pipeline.records.night import NightRecord


class Past(NamedTuple):
    """The figures of a night that decide the order of the next ones."""

    score_before: float
    score_after: float
    promoted: bool
    mean_loss: float | None
    device_s: float


class Figures(BaseModel):
    """A night's results. Scores are of `metric` on the control slice; `mean_loss` is the day's mean
    L_conf; seconds are detector work, `device_s` includes the comparison's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    frames_seen: int
    kept: int
    scale: float
    metric: str = "mAP50"
    score_before: float
    score_after: float
    score_random: float | None
    promoted: bool
    mean_loss: float | None
    device_s: float
    seconds: dict[str, float]
    drift: str | None = None
    """What has drifted, if there was an alarm."""

    @classmethod
    def of(cls, record: NightRecord) -> Self:
        """The figures of a whole record."""
        judge, course = record.judge, record.ingest.course
        seconds = seconds_by_stage(record.ledger)
        frames = [point.frames for point in course]
        return cls(
            frames_seen=record.ingest.frames_seen,
            kept=len(record.cull.kept),
            scale=record.resolution.scale,
            metric=judge.after.score.metric,
            score_before=judge.before.score.value,
            score_after=judge.after.score.value,
            score_random=None if judge.random is None else judge.random.score.value,
            promoted=judge.promoted,
            mean_loss=(
                float(np.average([p.mean for p in course], weights=frames)) if sum(frames) else None
            ),
            device_s=sum(seconds.values()),
            seconds=seconds,
            drift=_alarm(record.drift),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values; for boxes under the names of 0.1 as well, which scripts may read."""
        plain = self.model_dump(mode="json")
        if self.metric != "mAP50":
            return plain
        return plain | {f"map50_{at}": plain[f"score_{at}"] for at in ("before", "after", "random")}


def _alarm(drift: DriftRecord | None) -> str | None:
    return drift.reason if drift is not None and drift.state == "drift" else None
