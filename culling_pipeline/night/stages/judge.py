"""Judge: old and new student on the control slice, which nobody trained on.

Both are asked about the stored pictures, which the teacher has labelled. What the incumbent said
during the day was about the frames before they became JPEG files: with that the comparison was
off by a point of mAP50 on the demo (docs/log/2026-11.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from culling_pipeline.judging.verdict import judge
from culling_pipeline.labels.replay import EarlierFrame
from culling_pipeline.labels.teacher_labels import answers_of
from culling_pipeline.monitoring.daily_figures import day_figures
from culling_pipeline.night.at_work import Night, Spent
from culling_pipeline.night.stages.earlier_days import (
    answers_of_before,
    frames_of_before,
    on_earlier_days,
)
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.training import ArmsRecord
from culling_pipeline.stage_names import INCUMBENT, JUDGE, RANDOM_FRAMES
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.frame_by_frame import Said, control_frames, count_points

Found = dict[str, dict[int, Answer]]


def judge_students(night: Night, day: IngestRecord, arms: ArmsRecord) -> JudgeRecord:
    """The verdict on the candidate, and what the random arm would have been worth."""
    students = {INCUMBENT: night.incumbent, "culled": night.candidate("culled")}
    if arms.random is not None:
        students["random"] = night.candidate("random")
    earlier = frames_of_before(night, day)
    found, said, costs = _measured(night, day, students, earlier)
    frames, truths = day.frames_of(day.control), night.task.load(night.truths)

    def control(answers: dict[int, Answer]) -> list[Answer]:
        return [answers[i] for i in day.control]

    verdict = judge(
        task=night.task,
        truths=control(truths),
        before=control(found[INCUMBENT]),
        after=control(found["culled"]),
        random=None if arms.random is None else control(found["random"]),
        blocks=day.control_blocks,
        plan=night.plan.judging,
        costs=costs,
        earlier=on_earlier_days(night, earlier, said[INCUMBENT], said["culled"]),
        figures=day_figures(
            frames, found["culled"], night.task, day=night.plan.date, student=night.plan.run_id
        ),
    )
    all_said = Said(truths, found[INCUMBENT], found["culled"], found.get("random"))
    _keep_for_the_pages(night, all_said)
    return verdict.changed(
        counts=count_points(night.task, frames, all_said),
        frames=control_frames(night.task, frames, all_said),
    )


def _keep_for_the_pages(night: Night, said: Said) -> None:
    """What both students said, as far as it is sure enough to be shown."""
    for path, answers in ((night.judged_old, said.before), (night.judged_new, said.after)):
        night.task.save(path, {i: night.task.at_threshold(a) for i, a in answers.items()})


def _measured(
    night: Night, day: IngestRecord, students: dict[str, Path], earlier: Sequence[EarlierFrame]
) -> tuple[Found, dict[str, list[Answer]], tuple[Cost, ...]]:
    """What these students say of the control slice, and the old and the new one of earlier days'
    control frames."""
    frames, parts = day.frames_of(day.control), night.parts
    found: Found = {}
    of_before: dict[str, list[Answer]] = {}
    costs: list[Cost] = []
    with parts.progress.stage(JUDGE.words, len(students) * len(frames)) as advance:
        for name, path in students.items():
            pool = night.student(path)
            found[name] = answers_of(pool, frames, parts.frames, advance)
            if name != "random":
                of_before[name] = answers_of_before(night, pool, earlier)
            costs.append(_judging(Spent.by(pool), name))
    return found, of_before, tuple(costs)


def _judging(spent: Spent, name: str) -> Cost:
    if name == "random":
        return spent.cost(JUDGE.of(RANDOM_FRAMES), "measure", "comparison")
    if name == INCUMBENT:
        return spent.cost(JUDGE.of(INCUMBENT), "measure", "control")
    return spent.cost(JUDGE.words, "measure", "control")
