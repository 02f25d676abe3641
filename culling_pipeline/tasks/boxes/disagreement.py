"""Where student and teacher differ on a frame.

The second stage of Dataset Culling (sec. 2.1): the teacher's answers count as truth.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.labels import Disagreement
from models.boxes.detections import Detections, match

AP_MIN_SCORE = 0.05
"""The student's boxes below this score do not enter a frame's average precision either."""


def disagreement(
    frame_id: int,
    student: Detections,
    teacher: Detections,
    *,
    n_classes: int,
    student_min_score: float,
    min_iou: float = 0.5,
    ap_min_score: float = AP_MIN_SCORE,
) -> Disagreement:
    """What the student got wrong on one frame, with the teacher (already cleaned) as truth.

    *Missed* are the teacher's boxes that no box of the student's of the same class and of
    `student_min_score` or more matches (greedily, by `min_iou` or more); *invented* are such
    boxes of the student's that match none of the teacher's. A box with the right place and the
    wrong class is both. Counts, unlike the paper's precision, are no ratio: a frame with three
    missed objects is worth more than a frame with one.

    `average_precision` is the paper's figure: AP by all-point interpolation, a mean over the
    classes the teacher sees here, of all the student's boxes down to `ap_min_score`. The paper
    leaves the empty cases open. Nothing in either: 1 (easy). One of them empty: 0 (hard). With
    no teacher box, the student is empty when nothing reaches its *working* threshold, or every
    frame of an empty street would be as hard as can be for one box of score 0.06.
    """
    for name, found in (("student", student), ("teacher", teacher)):
        if len(found) and found.labels.max() >= n_classes:
            message = (
                f"frame {frame_id}: {name} label {found.labels.max()} "
                f"must be below n_classes = {n_classes}"
            )
            raise ValueError(message)
    working = student.above(student_min_score)
    taken = match(working, teacher, min_iou=min_iou)
    hits = int((taken >= 0).sum())
    missed = np.setdiff1d(np.arange(len(teacher)), taken)
    if len(teacher):
        precision = _mean_precision(student.above(ap_min_score), teacher, min_iou=min_iou)
    else:
        precision = 0.0 if len(working) else 1.0
    return Disagreement(
        frame_id=frame_id,
        teacher_objects=len(teacher),
        missed=len(teacher) - hits,
        invented=len(working) - hits,
        average_precision=precision,
        found_labels=tuple(working.labels[taken >= 0].tolist()),
        missed_labels=tuple(teacher.labels[missed].tolist()),
        invented_labels=tuple(working.labels[taken < 0].tolist()),
    )


def differ(one: Detections, other: Detections, *, min_score: float) -> bool:
    """Whether an object of one (a detection of `min_score` or more) has no counterpart in the
    other: same class, IoU ≥ 0.5, half of `min_score` or more."""
    return _unmatched(one, other, min_score) or _unmatched(other, one, min_score)


def _unmatched(objects: Detections, among: Detections, min_score: float) -> bool:
    return bool((match(objects.above(min_score), among.above(min_score / 2)) < 0).any())


def _mean_precision(student: Detections, teacher: Detections, *, min_iou: float) -> float:
    """AP averaged over the classes present in `teacher`, which must not be empty."""
    matched = match(student, teacher, min_iou=min_iou) >= 0
    figures = []
    for label in np.unique(teacher.labels):
        own = student.labels == label
        best_first = np.argsort(-student.scores[own], kind="stable")
        figures.append(
            _average_precision(matched[own][best_first], int((teacher.labels == label).sum()))
        )
    return float(np.mean(figures))


def _average_precision(hits: NDArray[np.bool_], n_truth: int) -> float:
    """Area under the precision envelope: `hits` (N bool, best first) say which boxes are right.

    All-point interpolation; no box gives 0. `n_truth` must be 1 or more.
    """
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / n_truth)
