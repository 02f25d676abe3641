"""The figures of a row of `benchmarks/real_days.py`: accuracy against reference and teacher, by day
and at night, how well the student's own scores rank its errors, and what was chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.book import Row
from benchmarks.real_days_arms import LOSS, MIN_SCORE
from benchmarks.real_days_places import Scene
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.disagreement import disagreement
from models.boxes.detections import Detections, match


def figures(scene: Scene, said: Sequence[Detections], rows: NDArray[np.int64]) -> Row:
    """mAP50 of these answers against the reference (`map50`) and the teacher, also by day and at
    night alone."""
    names = list(scene.place.classes)
    row: Row = {"frames": len(rows)}
    truths = {"map50": _reference(scene, rows), "map50_teacher": scene.labels(rows.tolist())}
    for key, truth in truths.items():
        for part, wanted in _parts(scene, rows):
            true = [t for t, w in zip(truth, wanted, strict=True) if w]
            objects = sum(len(t) for t in true)
            accuracy = coco_map([d for d, w in zip(said, wanted, strict=True) if w], true, names)
            row[f"{key}{part}"] = accuracy.score.value if objects else None
            if not part and key == "map50":
                row["map"] = accuracy.further[0].value
                row["objects"] = objects
    return row


def _reference(scene: Scene, rows: NDArray[np.int64]) -> list[Detections]:
    return [scene.reference[i] for i in rows]


def _parts(scene: Scene, rows: NDArray[np.int64]) -> list[tuple[str, NDArray[np.bool_]]]:
    dark = scene.dark[rows]
    return [("", np.ones(len(rows), np.bool_)), ("_day", ~dark), ("_night", dark)]


def ranks(scene: Scene, said: Sequence[Detections], rows: NDArray[np.int64]) -> Row:
    """Spearman's rank correlation of what a student says of itself with its errors (missed and
    invented objects): of L_conf and of the number of its detections, with the errors against the
    reference, with those that the teacher would count, and by day alone."""
    losses = np.array([LOSS.loss_of(d) for d in said])
    counts = np.array([len(d.above(LOSS.min_score)) for d in said])
    errors = {
        "": _errors(scene, said, _reference(scene, rows)),
        "_teacher": _errors(scene, said, scene.labels(rows.tolist())),
    }
    day = ~scene.dark[rows]
    row = {}
    for name, values in (("rank_l_conf", losses), ("rank_objects", counts)):
        for against, wrong in errors.items():
            row[f"{name}{against}"] = _spearman(values, wrong)
        row[f"{name}_day"] = _spearman(values[day], errors[""][day])
    row["errors"] = float(errors[""].mean())
    return row


def _errors(
    scene: Scene, said: Sequence[Detections], truths: Sequence[Detections]
) -> NDArray[np.float64]:
    found = [
        disagreement(i, s, t, n_classes=len(scene.place.classes), student_min_score=MIN_SCORE)
        for i, (s, t) in enumerate(zip(said, truths, strict=True))
    ]
    return np.array([d.missed + d.invented for d in found], np.float64)


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """None where one of them is the same everywhere."""
    if len(a) < 5 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(spearmanr(a, b).statistic)


def chosen_figures(scene: Scene, chosen: Sequence[int]) -> Row:
    """What the chosen frames are like: how right the teacher is on them (F1 against the reference),
    how many objects it names, the share taken at night, and how far they lie apart."""
    labels, truths = scene.labels(chosen), [scene.reference[i] for i in chosen]
    pairs = zip(labels, truths, strict=True)
    hits = sum(int((match(label, truth) >= 0).sum()) for label, truth in pairs)
    named, true = sum(map(len, labels)), sum(map(len, truths))
    looks = scene.looks[list(chosen)]
    apart = np.sqrt(((looks[:, None] - looks[None]) ** 2).mean(axis=2))
    return {
        "label_f1": 2 * hits / (named + true) if named + true else None,
        "label_precision": hits / named if named else None,
        "chosen_objects": named / len(chosen),
        "chosen_night": float(scene.dark[list(chosen)].mean()),
        "chosen_apart": float(apart.mean()),
    }


def teacher_ranks(scene: Scene, said: Sequence[Detections], rows: NDArray[np.int64]) -> Row:
    """Whether the teacher errs where the student is unsure: Spearman's correlation of L_conf with
    the teacher's errors a picture, with its F1, and the F1 in the lower, middle and upper third by
    L_conf. Pictures taken by day only: at night there is little to be wrong about."""
    day = ~scene.dark[rows]
    mine = rows[day]
    losses = np.array([LOSS.loss_of(d) for d, light in zip(said, day, strict=True) if light])
    labels = scene.labels(mine.tolist())
    counts = np.array(
        [
            (int((match(label, truth) >= 0).sum()), len(label) + len(truth))
            for label, truth in zip(labels, _reference(scene, mine), strict=True)
        ]
    ).reshape(-1, 2)
    hits, boxes = counts[:, 0], counts[:, 1]
    thirds = np.array_split(np.argsort(losses, kind="stable"), 3)
    return {
        "rank_l_conf_label_errors": _spearman(losses, (boxes - 2 * hits).astype(np.float64)),
        "rank_l_conf_label_f1": _spearman(losses, 2 * hits / np.maximum(boxes, 1)),
        **{
            f"label_f1_{name}_third": float(2 * hits[third].sum() / max(1, boxes[third].sum()))
            for name, third in zip(("sure", "middle", "unsure"), thirds, strict=True)
        },
    }
