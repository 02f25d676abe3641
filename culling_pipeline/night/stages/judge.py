"""Judge: old and new student on the control slice, which nobody trained on."""

from __future__ import annotations

from culling_pipeline.judging.verdict import judge
from culling_pipeline.labels.teacher_labels import answers_of
from culling_pipeline.monitoring.daily_figures import day_figures
from culling_pipeline.night.at_work import Night, Spent, frames_of
from culling_pipeline.records import ArmsRecord, Cost, IngestRecord, JudgeRecord
from culling_pipeline.stage_names import JUDGE, RANDOM_FRAMES
from culling_pipeline.tasks.base import Answer
from culling_pipeline.training.job import Arm


def judge_students(night: Night, day: IngestRecord, arms: ArmsRecord) -> JudgeRecord:
    """The verdict on the candidate, and what the random arm would have been worth."""
    found, costs = _measured(
        night, day, ["culled"] if arms.random is None else ["culled", "random"]
    )
    frames, truths = frames_of(day, day.control), night.task.load(night.truths)
    before = night.task.load(night.answers)

    def control(answers: dict[int, Answer]) -> list[Answer]:
        return [answers[i] for i in day.control]

    return judge(
        task=night.task,
        truths=control(truths),
        before=control(before),
        after=control(found["culled"]),
        random=None if arms.random is None else control(found["random"]),
        blocks=day.control_blocks,
        plan=night.plan.judging,
        costs=costs,
        figures=day_figures(
            frames, found["culled"], night.task, day=night.plan.date, student=night.plan.run_id
        ),
    )


def _measured(
    night: Night, day: IngestRecord, arms: list[Arm]
) -> tuple[dict[Arm, dict[int, Answer]], tuple[Cost, ...]]:
    """What the students of these arms say of the control slice."""
    frames, parts = frames_of(day, day.control), night.parts
    found: dict[Arm, dict[int, Answer]] = {}
    costs: list[Cost] = []
    with parts.progress.stage(JUDGE.words, len(arms) * len(frames)) as advance:
        for arm in arms:
            pool = night.student(night.candidate(arm))
            found[arm] = answers_of(pool, frames, parts.frames, advance)
            costs.append(_judging(Spent.by(pool), arm))
    return found, tuple(costs)


def _judging(spent: Spent, arm: Arm) -> Cost:
    if arm == "random":
        return spent.cost(JUDGE.of(RANDOM_FRAMES), "measure", "comparison")
    return spent.cost(JUDGE.words, "measure", "control")
