"""Label: the teacher on what survived, on the control slice, and on the random frames."""

from __future__ import annotations

from collections.abc import Sequence

from culling_pipeline.labels.teacher_labels import answers_of, truths_of
from culling_pipeline.night.at_work import TEACHER_FILE, Night, Spent, frames_of
from culling_pipeline.records import Cost, IngestRecord, LabelRecord, Purpose
from culling_pipeline.stage_names import CONTROL_SLICE, LABEL, RANDOM_FRAMES, SURVIVORS
from culling_pipeline.tasks.base import Truth

Group = tuple[str, Purpose, Sequence[int]]


def ask_the_teacher(night: Night, day: IngestRecord) -> LabelRecord:
    """The teacher's labels, each frame once; where a person has corrected one, theirs."""
    truths, costs = _labelled(night, day)
    frames = frames_of(day, list(truths))
    corrected = night.parts.corrections.truths_of(frames, night.task)
    truths |= corrected
    night.task.save(night.truths, truths)
    return LabelRecord(
        labelled=len(truths),
        objects=sum(night.task.objects(truth) for truth in truths.values()),
        corrected=len(corrected),
        costs=tuple(costs),
    )


def keep_labels(night: Night) -> None:
    """The labels stay with the frames they are of; the rest of the night's work goes."""
    night.task.save(night.parts.frames / TEACHER_FILE, night.task.load(night.truths))


def _groups(night: Night, day: IngestRecord) -> list[Group]:
    groups: list[Group] = [
        (SURVIVORS, "own", day.survivors),
        (CONTROL_SLICE, "control", day.control),
    ]
    if night.compares(day):
        groups.append((RANDOM_FRAMES, "comparison", night.random_frames(day)))
    return groups


def _labelled(night: Night, day: IngestRecord) -> tuple[dict[int, Truth], list[Cost]]:
    truths: dict[int, Truth] = {}
    costs: list[Cost] = []
    groups, parts = _groups(night, day), night.parts
    pool = night.workers.model(night.task.teacher_opener(parts.open_teacher))
    with parts.progress.stage(LABEL.words, sum(len(ids) for _, _, ids in groups)) as advance:
        for part, purpose, ids in groups:
            todo = [i for i in ids if i not in truths]
            advance(len(ids) - len(todo))
            before = Spent.by(pool)
            said = answers_of(pool, frames_of(day, todo), parts.frames, advance)
            truths |= truths_of(
                said,
                night.task,
                pool.class_names,
                height_px=day.height_px,
                width_px=day.width_px,
            )
            costs.append(Spent.by(pool, since=before).cost(LABEL.of(part), "label", purpose))
    return truths, costs
