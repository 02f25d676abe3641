"""Answers: the teacher's labels and what both students say stay with the frames they are of.

Labels are corrected and exported later; the pages show a frame with all three answers.
"""

from __future__ import annotations

from culling_pipeline.night.at_work import Night
from culling_pipeline.night.files import NEW_FILE, OLD_FILE, TEACHER_FILE
from culling_pipeline.tasks.answers import Answer


def old_answers(night: Night) -> dict[int, Answer]:
    """The old student's answers to all frames that it has looked at. On control frames it is what
    the verdict goes by: of the day it was about the frames before they became JPEG files."""
    task, found = night.task, night.task.load(night.answers)
    for later in (night.shown, night.judged_old):
        if later.is_file():
            found |= task.load(later)
    return found


def new_answers(night: Night) -> dict[int, Answer]:
    """The new student's answers to the control frames; none in a night that an older release has
    judged."""
    return night.task.load(night.judged_new) if night.judged_new.is_file() else {}


def keep_answers(night: Night) -> None:
    """Write them beside the frames; the rest of the night's work goes."""
    task, frames = night.task, night.parts.frames
    task.save(frames / TEACHER_FILE, task.load(night.truths))
    old = {i: task.at_threshold(answer) for i, answer in old_answers(night).items()}
    task.save(frames / OLD_FILE, old)
    if new := new_answers(night):
        task.save(frames / NEW_FILE, new)
