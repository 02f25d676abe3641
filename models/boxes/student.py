"""A camera's student: its weights as a version's folder, its head in the camera's classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.boxes.classes import ClassMap
from models.boxes.detector import DetectorSpec, TorchDetector, with_weights
from models.checkpoint import load_checkpoint
from models.errors import WeightsError
from models.specs import check_kind, check_values, is_whole, is_width, unusable

FRESH_PROPOSALS = 300
"""Regions that the second stage of a net made for one camera looks at."""
MOST_PROPOSALS = 10_000
"""No net of ours has more; larger numbers are damage."""
_CLASS_ROWS = "roi_heads.box_predictor.cls_score"
_BOX_ROWS = "roi_heads.box_predictor.bbox_pred"


def fresh_spec(
    architecture: str, class_names: tuple[str, ...], *, max_side_px: int, width: float
) -> DetectorSpec:
    """A net for cameras whose longer side is `max_side_px`: the smallest anchor is a fortieth of
    that, 8 px at least (32 px at 1,280, the size COCO's nets are made for)."""
    smallest = max(8, round(max_side_px / 40))
    return DetectorSpec(
        architecture=architecture,
        class_names=class_names,
        height_px=max_side_px,
        width_px=max_side_px,
        width=width,
        anchor_px=(smallest, 2 * smallest, 4 * smallest, 8 * smallest, 16 * smallest),
        proposals=FRESH_PROPOSALS,
    )


def spec_from_meta(meta: Mapping[str, Any], *, source: object) -> DetectorSpec:
    """The spec stored beside weights; `WeightsError` where it is missing or of another kind."""
    check_kind(meta, "architecture", source=source)
    try:
        stored = dict(meta["spec"])
        names = stored["class_names"]
        stored["class_names"] = () if isinstance(names, str) else tuple(names)
        stored["anchor_px"] = tuple(stored["anchor_px"])
        spec = DetectorSpec(**stored)
    except (KeyError, TypeError, ValueError) as exc:
        raise unusable(str(exc), source=source) from exc
    check_values(spec, _RIGHT, source=source)
    return spec


def _are_names(value: tuple[object, ...]) -> bool:
    return bool(value) and all(isinstance(name, str) and name for name in value)


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "architecture": lambda value: isinstance(value, str),
    "class_names": _are_names,
    "height_px": is_whole,
    "width_px": is_whole,
    "width": is_width,
    "anchor_px": lambda value: len(value) == 5 and all(map(is_whole, value)),
    "proposals": lambda value: is_whole(value, MOST_PROPOSALS),
    "layout": lambda value: isinstance(value, str),
}


def load_detector(path: Path, *, device: str = "cpu") -> TorchDetector:
    """The detector in a checkpoint of ours, at the size it was saved for."""
    state, meta = load_checkpoint(path)
    spec = spec_from_meta(meta, source=path)
    return with_weights(spec, state, source=path, device=device)


def meta_of(detector: TorchDetector, **more: Any) -> dict[str, Any]:
    """What is stored beside a detector's weights: its spec, and whatever else is known."""
    return {"spec": asdict(detector.spec), **more}


def fit_to_camera(
    detector: TorchDetector, classes: ClassMap, *, height_px: int, width_px: int, seed: int = 0
) -> TorchDetector:
    """The same detector with the camera's classes in its head and the camera's size.

    The predictor's rows of a class the detector knows are carried over (of merged classes, the
    first one known); a class it does not know starts as a small random row. Only a Faster R-CNN
    can change its classes; others raise `WeightsError` unless the classes are the same.
    """
    spec = replace(detector.spec, class_names=classes.names, height_px=height_px, width_px=width_px)
    rows = classes.rows_for(detector.class_names)
    state = detector.model.state_dict()
    if list(classes.names) != list(detector.class_names):
        if f"{_CLASS_ROWS}.weight" not in state:
            message = (
                f"{detector.spec.architecture}: its classes are fixed "
                f"({', '.join(detector.class_names)}); name the camera's classes so"
            )
            raise WeightsError(message)
        generator = torch.Generator().manual_seed(seed)
        state = dict(state)
        for name, per_class in ((_CLASS_ROWS, 1), (_BOX_ROWS, 4)):
            for kind in ("weight", "bias"):
                key = f"{name}.{kind}"
                state[key] = _carried(state[key], rows, per_class, generator)
    device = str(detector.device)
    return with_weights(spec, state, source=detector.spec.architecture, device=device)


def _carried(
    old: Tensor, rows: list[int | None], per_class: int, generator: torch.Generator
) -> Tensor:
    """Rows of the predictor for background and each class (`per_class` rows a class)."""
    groups = old.reshape(-1, per_class, *old.shape[1:])
    fresh = torch.randn((len(rows) + 1, *groups.shape[1:]), generator=generator) * 0.01
    fresh[0] = groups[0]
    for new, row in enumerate(rows, start=1):
        if row is not None:
            fresh[new] = groups[row + 1]
    return fresh.reshape(-1, *old.shape[1:])
