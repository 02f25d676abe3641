"""A camera's student: its weights as a version's folder, its head in the camera's classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.boxes.classes import ClassMap
from models.boxes.detector import DetectorSpec, TorchDetector, build_model
from models.checkpoint import load_checkpoint, load_into
from models.errors import WeightsError

FRESH_PROPOSALS = 300
"""Regions that the second stage of a net made for one camera looks at."""
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
    try:
        stored = dict(meta["spec"])
        stored["class_names"] = tuple(stored["class_names"])
        stored["anchor_px"] = tuple(stored["anchor_px"])
        return DetectorSpec(**stored)
    except (KeyError, TypeError) as exc:
        message = f"{source}: its description holds no usable 'spec' ({exc}); export it again"
        raise WeightsError(message) from exc


def load_detector(path: Path, *, device: str = "cpu") -> TorchDetector:
    """The detector in a checkpoint of ours, at the size it was saved for."""
    state, meta = load_checkpoint(path)
    spec = spec_from_meta(meta, source=path)
    model = build_model(spec)
    load_into(model, state, source=path)
    return TorchDetector(model, spec, device=device)


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
    model = build_model(spec)
    load_into(model, state, source=detector.spec.architecture)
    return TorchDetector(model, spec, device=str(detector.device))


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
