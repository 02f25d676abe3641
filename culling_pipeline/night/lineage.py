"""The origin of a model version, stored with a candidate's weights."""

from __future__ import annotations

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Any

from culling_pipeline.judging.cost_ratio import seconds_by_stage
from culling_pipeline.night.inputs import NightPlan, Results
from culling_pipeline.records.base import Record
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.labels import CullRecord


def lineage(plan: NightPlan, parent: str, results: Results) -> dict[str, Any]:
    """Parent, frames, settings, accuracy, cost and code of a night's candidate, as plain values.

    `settings` is the fingerprint of the camera's configuration; `promoted` the judge's word on
    this night, whatever was put to work later.
    """
    day, label, cull, size, arms, verdict = results
    interval = (verdict.difference_low, verdict.difference_high)
    records = (day, label, size, arms.culled, verdict)
    return {
        "parent": parent,
        "created_at": datetime.now(UTC).isoformat(),
        "run_id": plan.run_id,
        "frames": {
            "count": len(cull.kept),
            "ids": list(cull.kept),
            "sha256": _fingerprint(day, cull),
            "corrected": arms.culled.corrected,
            "replayed": arms.culled.replayed,
        },
        "settings": plan.settings,
        "student": plan.student_name,
        "teacher": plan.teacher_name,
        "full_size": list(plan.full_size),
        "scale": size.scale,
        "score": _plain(verdict.after.score),
        "metrics": {
            "before": _plain(verdict.before),
            "after": _plain(verdict.after),
            "difference_95": [end if math.isfinite(end) else None for end in interval],
        },
        "promoted": verdict.promoted,
        "ledger_s": seconds_by_stage(cost for record in records for cost in record.costs),
        "code_version": plan.code_version,
    }


def _plain(record: Record) -> Any:
    """A record's figures; one that is not finite is null, as in every record's JSON. A day without
    anything on it measures nothing."""
    return json.loads(record.model_dump_json())


def _fingerprint(day: IngestRecord, cull: CullRecord) -> str:
    """A fingerprint of the kept frames' times: equal for two nights on the same frames."""
    times = {frame.id: frame.wall_time for frame in day.frames}
    text = "\n".join(sorted(times[i].isoformat() for i in cull.kept))
    return hashlib.sha256(text.encode()).hexdigest()
