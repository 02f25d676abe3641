"""Promote: the candidate becomes a version and, if it measured better, is put into use."""

from __future__ import annotations

from culling_pipeline.night.at_work import Night
from culling_pipeline.night.inputs import Results
from culling_pipeline.night.lineage import lineage
from culling_pipeline.records.judging import JudgeRecord, PromotionRecord


def promote(night: Night, results: Results) -> PromotionRecord:
    """Keep the candidate as a version; put it into use if it measured better, unless another model
    was put into use by hand since the night began."""
    plan, registry, parent = night.plan, night.parts.registry, night.incumbent.name
    if registry.incumbent(plan.camera) == plan.run_id:  # killed just after promotion
        return PromotionRecord(version=plan.run_id, promoted=True)
    candidate = night.task.open_student(night.candidate("culled"), device=plan.device)
    meta = candidate.meta(**lineage(plan, parent, results))
    registry.add(plan.camera, plan.run_id, candidate.model.state_dict(), meta)
    promoted = results.verdict.promoted and registry.promote(
        plan.camera, plan.run_id, instead_of=parent
    )
    return PromotionRecord(version=plan.run_id, promoted=promoted)


def overruled(night: Night, verdict: JudgeRecord, promotion: PromotionRecord) -> JudgeRecord:
    """The verdict, with the reason if it was not followed."""
    if promotion.promoted or not verdict.promoted:
        return verdict
    plan = night.plan
    reason = (
        "it measured better, but another model was put to work by hand during the night, which "
        f"stays; `culling rollback {plan.camera} {plan.run_id}` puts this one to work"
    )
    return verdict.changed(promoted=False, reason=reason)
