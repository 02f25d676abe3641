"""COCO's average precision of a detector, and the interval of the difference between two."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.tasks.metric import Comparison
from models.boxes.detections import Detections

RECALLS = np.linspace(0.0, 1.0, 101)
"""The 101 recalls at which COCO samples the precision."""


def coco_map(
    predictions: Sequence[Detections],
    truths: Sequence[Detections],
    class_names: Sequence[str],
) -> Accuracy:
    """COCO's figures for the predictions of F frames, by pycocotools: at most 100 boxes a frame
    and class, objects of every size.

    A class without a true object has no average precision: it is None and left out of the means.
    Without any true object the means and `objects` are 0.
    """
    _check(predictions, truths, len(class_names))
    with _silent():
        evaluation = _matched(predictions, truths, len(class_names), ious=_IOUS)
        evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, :, 0, 0]  # [T,R,K], −1 for classes without truth
    figures = np.where((precision > -1).all(axis=1), precision.mean(axis=1), np.nan)  # [T,K]
    return Accuracy(
        score=Score(metric="mAP50", value=_mean(figures[0])),
        further=(Score(metric="mAP", value=_mean(figures)),),
        per_class={
            name: None if np.isnan(figure) else float(figure)
            for name, figure in zip(class_names, figures[0], strict=True)
        },
        frames=len(truths),
        objects=sum(len(truth) for truth in truths),
    )


def paired_bootstrap(
    before: Sequence[Detections],
    after: Sequence[Detections],
    truths: Sequence[Detections],
    blocks: Sequence[int] | NDArray[np.int64],
    *,
    n_classes: int,
    rng: np.random.Generator,
    resamples: int = 500,
    confidence: float = 0.95,
) -> Comparison:
    """The gain in mAP50 between two detectors on the same F frames, with its interval.

    Frames a second apart show the same cars, so single frames must not be resampled: `blocks`
    (F) names the block of time of each, and whole blocks are drawn with replacement, the same
    for both detectors. Boxes are matched once, by pycocotools; a resample only counts them
    again, which is exact because each frame is matched separately.

    With fewer than two blocks, or no true object, the interval is −1…1.
    """
    _check(before, truths, n_classes)
    _check(after, truths, n_classes)
    _check_bootstrap(len(truths), len(blocks), resamples, confidence)
    if len(truths) == 0:
        return Comparison(0.0, 0.0, 0.0, -1.0, 1.0)
    names, block_of = np.unique(np.asarray(blocks), return_inverse=True)
    n_blocks = len(names)
    drawn = rng.multinomial(n_blocks, np.full(n_blocks, 1 / n_blocks), size=resamples).T  # [G,B]
    weights = np.concatenate([np.ones((n_blocks, 1)), drawn], axis=1)  # first column: as it is
    figures = [
        _resampled_map50(_tallies(predictions, truths, block_of, n_classes), weights)
        for predictions in (before, after)
    ]  # 2 × [1+B]
    point_before, point_after = float(figures[0][0]), float(figures[1][0])
    differences = (figures[1] - figures[0])[1:]
    differences = differences[~np.isnan(differences)]  # resamples without a true object say nothing
    if np.isnan(point_before):
        return Comparison(0.0, 0.0, 0.0, -1.0, 1.0)
    low, high = -1.0, 1.0
    if n_blocks >= 2 and len(differences):
        tail = (1 - confidence) / 2
        low, high = (float(q) for q in np.quantile(differences, [tail, 1 - tail]))
    return Comparison(point_before, point_after, point_after - point_before, low, high)


_IOUS = np.linspace(0.5, 0.95, 10)
_MAX_DETECTIONS = 100


@dataclass(frozen=True, slots=True)
class _Tally:
    """One class's matches, counted by block. For each of K right boxes, best first, and each of
    G blocks: how many right and wrong boxes have come up to there. `truth` (G): true objects."""

    right: NDArray[np.float64]
    wrong: NDArray[np.float64]
    truth: NDArray[np.float64]


def _tallies(
    predictions: Sequence[Detections],
    truths: Sequence[Detections],
    block_of: NDArray[np.int64],
    n_classes: int,
) -> list[_Tally]:
    """The tally of every class."""
    with _silent():
        evaluation = _matched(predictions, truths, n_classes, ious=_IOUS[:1])
    n_frames, n_blocks = len(truths), int(block_of.max()) + 1
    tallies = []
    for label in range(n_classes):
        results = evaluation.evalImgs[label * n_frames : (label + 1) * n_frames]
        seen = [(r, block) for r, block in zip(results, block_of, strict=True) if r is not None]
        scores = np.concatenate([np.zeros(0), *(r["dtScores"] for r, _ in seen)])
        hits = np.concatenate([np.zeros(0, bool), *(r["dtMatches"][0] > 0 for r, _ in seen)])
        blocks = np.repeat([block for _, block in seen], [len(r["dtScores"]) for r, _ in seen])
        order = np.argsort(-scores, kind="mergesort")  # as COCO's: ties by frame
        tallies.append(_tally(hits[order], blocks[order].astype(np.int64), _truth(seen, n_blocks)))
    return tallies


def _truth(seen: Sequence[tuple[dict[str, Any], np.int64]], n_blocks: int) -> NDArray[np.float64]:
    """How many true objects each block holds."""
    truth = np.zeros(n_blocks)
    for result, block in seen:
        truth[block] += len(result["gtIds"])
    return truth


def _tally(
    hits: NDArray[np.bool_], blocks: NDArray[np.int64], truth: NDArray[np.float64]
) -> _Tally:
    """Counts N boxes, best first. Only the places of right boxes matter: precision is highest
    there and recall grows only there."""
    places = np.cumsum(hits)  # right boxes so far
    n_right = int(places[-1]) if len(places) else 0
    right, wrong = np.zeros((n_right, len(truth))), np.zeros((n_right, len(truth)))
    right[np.arange(n_right), blocks[hits]] = 1
    counts = ~hits & (places < n_right)  # wrong boxes after the last right one lower nothing
    np.add.at(wrong, (places[counts], blocks[counts]), 1)
    return _Tally(right.cumsum(axis=0), wrong.cumsum(axis=0), truth)


def _resampled_map50(
    tallies: Sequence[_Tally], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """mAP50 of each of B resamples, `weights` (G×B) saying how often each block was drawn: B
    float64, NaN for a resample without a true object."""
    figures = np.stack([_resampled_ap(tally, weights) for tally in tallies])  # [C,B]
    known = ~np.isnan(figures)
    total = np.where(known, figures, 0).sum(axis=0)
    mean: NDArray[np.float64] = np.where(
        known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan
    )
    return mean


def _resampled_ap(tally: _Tally, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """COCO's AP of one class in each resample: the precision envelope read at 101 recalls."""
    right, wrong = tally.right @ weights, tally.wrong @ weights  # [K,B]
    objects = tally.truth @ weights  # [B]
    precision = right / (right + wrong + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    figures = np.zeros(weights.shape[1])
    for column in range(len(figures)):
        if objects[column] == 0:
            figures[column] = np.nan
            continue
        recall = right[:, column] / objects[column]
        rows = np.searchsorted(recall, RECALLS, side="left")
        figures[column] = envelope[rows[rows < len(recall)], column].sum() / len(RECALLS)
    return figures


def _matched(
    predictions: Sequence[Detections],
    truths: Sequence[Detections],
    n_classes: int,
    *,
    ious: NDArray[np.float64],
) -> Any:
    """A COCOeval that has matched the boxes of every frame and class."""
    evaluation = COCOeval(_coco(truths, n_classes), _coco(predictions, n_classes), "bbox")
    evaluation.params.iouThrs = ious
    evaluation.params.recThrs = RECALLS
    evaluation.params.maxDets = [_MAX_DETECTIONS]
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ["all"]
    evaluation.evaluate()
    return evaluation


def _coco(frames: Sequence[Detections], n_classes: int) -> Any:
    """Detections as pycocotools wants them. Ids count from 1: it takes 0 for "no match"."""
    coco = COCO()
    coco.dataset = {
        "images": [{"id": frame} for frame in range(1, len(frames) + 1)],
        "categories": [{"id": label} for label in range(n_classes)],
        "annotations": list(_annotations(frames)),
    }
    coco.createIndex()
    return coco


def _annotations(frames: Sequence[Detections]) -> Iterator[dict[str, Any]]:
    number = 0
    for frame, found in enumerate(frames, start=1):
        boxes = found.boxes_xyxy.astype(np.float64)
        sizes = boxes[:, 2:] - boxes[:, :2]
        for box, size, score, label in zip(
            boxes.tolist(),
            sizes.tolist(),
            found.scores.tolist(),
            found.labels.tolist(),
            strict=True,
        ):
            number += 1
            yield {
                "id": number,
                "image_id": frame,
                "category_id": label,
                "bbox": [*box[:2], *size],
                "area": size[0] * size[1],
                "score": score,
                "iscrowd": 0,
            }


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Swallows what pycocotools prints: stdout belongs to the command line."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def _mean(figures: NDArray[np.float64]) -> float:
    known = figures[~np.isnan(figures)]
    return float(known.mean()) if known.size else 0.0


def _check(predictions: Sequence[Detections], truths: Sequence[Detections], n_classes: int) -> None:
    if len(predictions) != len(truths):
        message = f"{len(predictions)} predictions for {len(truths)} frames with truth"
        raise ValueError(message)
    for kind, frames in (("prediction", predictions), ("truth", truths)):
        for index, found in enumerate(frames):
            if len(found) and found.labels.max() >= n_classes:
                message = (
                    f"{kind} {index}: label {found.labels.max()} is not one of {n_classes} classes"
                )
                raise ValueError(message)


def _check_bootstrap(frames: int, blocks: int, resamples: int, confidence: float) -> None:
    if blocks != frames:
        message = f"blocks: got {blocks}, must be one for each of {frames} frames"
        raise ValueError(message)
    if resamples < 1:
        message = f"resamples: got {resamples}, must be 1 or more"
        raise ValueError(message)
    if not 0 < confidence < 1:
        message = f"confidence: got {confidence}, must lie between 0 and 1"
        raise ValueError(message)
