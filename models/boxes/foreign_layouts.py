"""Whether a foreign detector's outputs can be what its options say. Nets of other layouts have
outputs of the same shape; what they return for a picture with things in it tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError

SCORE_SLACK = 1e-3
"""Scores may leave 0…1 by so much, by rounding."""
SHARE_LIMIT = 1.5
"""Boxes in shares of the picture reach little beyond 1, boxes in pixels reach far beyond."""
NEAR_PX = 8.0
"""A decoded grid has centres farther from the corner than this."""


def trial_picture(size: tuple[int, int]) -> NDArray[np.uint8]:
    """H×W×3: a bright sky over a dark ground, a car and two people as plain shapes."""
    high, wide = size
    picture = np.empty((high, wide, 3), np.uint8)
    picture[:] = np.linspace(210, 90, high, dtype=np.uint8)[:, None, None]
    shapes = [
        ((0.55, 0.80, 0.10, 0.50), (150, 30, 30)),
        ((0.62, 0.72, 0.18, 0.42), (30, 30, 40)),
        ((0.35, 0.85, 0.62, 0.70), (30, 60, 130)),
        ((0.25, 0.36, 0.63, 0.69), (220, 180, 150)),
        ((0.40, 0.80, 0.80, 0.86), (60, 110, 50)),
        ((0.32, 0.41, 0.805, 0.855), (200, 160, 130)),
    ]
    for (top, bottom, left, right), colour in shapes:
        rows = slice(round(top * high), round(bottom * high))
        picture[rows, round(left * wide) : round(right * wide)] = colour
    return picture


def check_finite(outputs: dict[str, NDArray[Any]], path: Path) -> None:
    """Refuse NaN and infinity in any of the outputs that are used."""
    for name, array in outputs.items():
        if not np.isfinite(array).all():
            message = (
                f"{path}: output {name!r} has values that are not finite (NaN): the model's "
                "weights are damaged, or its mean and scale are not those of teacher.io"
            )
            raise ModelError(message)


def check_boxes(
    found: tuple[NDArray[Any], NDArray[Any]],
    size: tuple[int, int],
    *,
    in_shares: bool,
    path: Path,
) -> bool:
    """Refuse boxes (N×4 as x1 y1 x2 y2, as the net gives them) and scores (N) of another layout;
    whether there was any box to judge by."""
    boxes, scores = found
    real = (boxes[:, 2:] != boxes[:, :2]).any(axis=1)  # not the zeros of padding
    if scores.size and scores.max() > 1 + SCORE_SLACK:
        _refuse_scores("up to", scores.max(), path)
    if real.any() and scores[real].min() < -SCORE_SLACK:
        _refuse_scores("down to", scores[real].min(), path)
    boxes = boxes[real & (scores > 0)]
    if not len(boxes):
        return False
    if (boxes[:, 2:] < boxes[:, :2]).any(axis=1).mean() > 0.5:
        message = (
            f"{path}: most boxes end before they begin (such as {in_words(boxes[0])}): these are "
            "no corners x1 y1 x2 y2, perhaps x y width height: export the model with corners"
        )
        raise ModelError(message)
    _check_units(boxes, size, in_shares=in_shares, path=path)
    return True


def _refuse_scores(how_far: str, score: float, path: Path) -> None:
    message = (
        f"{path}: scores {how_far} {score:.4g}, must be 0…1: export the model with its "
        "sigmoid or softmax, or name the right outputs (teacher.io.scores_output)"
    )
    raise ModelError(message)


def _check_units(
    boxes: NDArray[Any], size: tuple[int, int], *, in_shares: bool, path: Path
) -> None:
    shares = bool(np.abs(boxes).max() <= SHARE_LIMIT)
    if shares != in_shares:
        here, wanted = ("within 0…1", "shares") if shares else ("far beyond 1", "pixels")
        message = f"{path}: boxes lie {here} (such as {in_words(boxes[0])}): set "
        message += f"teacher.io.box_units: {wanted}"
        raise ModelError(message)
    limits = np.array([1, 1, 1, 1] if shares else [size[1], size[0]] * 2)
    if ((boxes > 2 * limits) | (boxes < -limits)).any(axis=1).mean() > 0.5:
        message = (
            f"{path}: most boxes lie far outside the input of {size[1]}×{size[0]} (such as "
            f"{in_words(boxes[0])}): set teacher.io.outputs to what the model returns"
        )
        raise ModelError(message)


def check_cells(
    boxes: NDArray[np.float32], decoded: NDArray[np.float32], size: tuple[int, int], path: Path
) -> None:
    """Refuse a grid (A×4) that is decoded already: `decoded` (A×4, x1 y1 x2 y2 in pixels) is what
    becomes of it, boxes of astronomical size."""
    limits = np.array([size[1], size[0]])
    centre, sides = (decoded[:, :2] + decoded[:, 2:]) / 2, decoded[:, 2:] - decoded[:, :2]
    beyond = (sides > 2 * limits) | (centre > 2 * limits) | (centre < -limits)
    if beyond.any(axis=1).mean() > 0.5:
        message = (
            f"{path}: the boxes are decoded already (such as {in_words(boxes[0])}): set "
            "teacher.io.outputs: yolox-decoded"
        )
        raise ModelError(message)


def check_decoded(boxes: NDArray[np.float32], path: Path, *, in_shares: bool) -> None:
    """Refuse a grid (A×4, centre and sides) that is not decoded."""
    near = np.abs(boxes).max() <= SHARE_LIMIT if in_shares else boxes[:, :2].max() >= NEAR_PX
    if (boxes[:, 2:] < 0).any() or not near:
        message = (
            f"{path}: the boxes are not decoded pixels (such as {in_words(boxes[0])}): set "
            "teacher.io.outputs: yolox, or teacher.io.box_units to what they are in"
        )
        raise ModelError(message)


def in_words(box: NDArray[Any]) -> str:
    """A box in words."""
    return " ".join(f"{value:.4g}" for value in box)


def shown(shape: Sequence[int | None]) -> str:
    """A shape in words."""
    return "×".join("?" if side is None else str(side) for side in shape) or "a single number"
