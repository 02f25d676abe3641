"""Whether a counting student's file says what the student says: asked on the control slice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from culling_pipeline.day.frame_files import load_images
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.density.metrics import mae
from jobs.nights.last_night import LastNight
from models.base import Model

CLOSE_SHARE, CLOSE = 0.005, 0.05
"""Two counts are the same where they are no further apart than this share, or than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountCheck:
    """How the student and its file compare on `frames` control frames: the largest difference of
    their counts, the largest count, and the mean absolute errors of both against the teacher (None
    if its counts are gone)."""

    frames: int
    max_difference: float
    max_count: float
    mae_student: float | None = None
    mae_file: float | None = None

    @property
    def trouble(self) -> str | None:
        """How the file differs from the student, or None."""
        allowed = max(CLOSE, CLOSE_SHARE * self.max_count)
        if self.max_difference <= allowed:
            return None
        return f"its counts are up to {self.max_difference:.2f} off ({allowed:.2f} are allowed)"

    @property
    def in_words(self) -> str:
        """How far the file is from the student."""
        said = f"counts of up to {self.max_count:.0f}, at most {self.max_difference:.3f} off"
        if self.mae_student is not None and self.mae_file is not None:
            said = f"MAE {self.mae_student:.2f} → {self.mae_file:.2f}, {said}"
        return f"on {self.frames} control frames: {said}"


def checked_counts(student: Model, file: Model, night: LastNight, progress: Progress) -> CountCheck:
    """Compare both on the control slice, count by count."""
    frames, ours, theirs = night.control, list[float](), list[float]()
    with progress.stage("checking the file", len(frames)) as advance:
        for image in load_images(night.folder, frames):
            ours.append(student.predict([image])[0].count)
            theirs.append(file.predict([image])[0].count)
            advance(1)
    labels = night.labels
    truths = None if labels is None else np.array([labels[frame.id].count for frame in frames])
    student_says, file_says = np.array(ours), np.array(theirs)
    return CountCheck(
        frames=len(frames),
        max_difference=float(np.abs(student_says - file_says).max()),
        max_count=float(student_says.max()),
        mae_student=None if truths is None else mae(student_says, truths),
        mae_file=None if truths is None else mae(file_says, truths),
    )
