"""What teacher, old and new student said of a night's frames, as far as it is still on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from culling_pipeline import svg
from culling_pipeline.night.files import NEW_FILE, OLD_FILE, TEACHER_FILE
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.frame_by_frame import Said
from jobs.cameras.task import task_of
from jobs.config.settings import Config
from models.boxes.classes import ClassMap


@dataclass(frozen=True, slots=True)
class StoredAnswers:
    """By frame id. A night that an older release ran has no students' answers; the new student has
    answered the control frames alone."""

    task: Task
    said: Said

    def students(self, frame_id: int) -> list[tuple[str, Answer]]:
        """Whose answers to this frame are there: the old, the new one."""
        both = (("old model", self.said.before), ("new model", self.said.after))
        return [(who, answers[frame_id]) for who, answers in both if frame_id in answers]

    def drawing(self, frame_id: int, answer: Answer, width_px: int) -> tuple[Markup, ...]:
        """A student's answer beside the teacher's, over the frame's picture."""
        truth = self.said.teacher[frame_id]
        return tuple(self.task.drawing(answer, truth, width_px=width_px))

    def errors(self, frame_id: int, answer: Answer) -> Disagreement:
        """How it differs from the teacher."""
        return self.task.disagreement(frame_id, answer, self.said.teacher[frame_id])

    def teacher_alone(self, frame_id: int) -> tuple[Markup, ...]:
        """The teacher's objects, for a frame that no student has answered."""
        drawn = []
        for x1, y1, x2, y2 in self.task.labelled(self.said.teacher[frame_id]).boxes_xyxy.tolist():
            for look in ("halo", "box teacher"):
                drawn.append(svg.rect((x1, y1), (x2 - x1, y2 - y1), look))
        return tuple(drawn)


def stored_answers(config: Config, record: NightRecord) -> StoredAnswers | None:
    """The answers of a night; None if the teacher's are gone, or if the camera has another task
    by now."""
    task = task_of(config.cameras[record.camera], ClassMap.from_config(record.classes))
    folder = config.frames_dir(record.camera, record.run_id)
    if task.metric.name != record.judge.after.score.metric:
        return None
    teacher, old, new = (_load(task, folder / name) for name in (TEACHER_FILE, OLD_FILE, NEW_FILE))
    return StoredAnswers(task, Said(teacher, old, new)) if teacher else None


def _load(task: Task, path: Path) -> Mapping[int, Answer]:
    try:
        return task.load(path)
    except FileNotFoundError:
        return {}
