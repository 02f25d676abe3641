"""Converted weights against their own frameworks: the largest differences of boxes and scores.

    python -m benchmarks.conversion

The same weights, made of names and shapes by `recipe_weights`, ran through MMDetection's and
Detectron2's own code once, on the picture of `recipe_picture`; what came out is in
`tests/golden/NET.json` (docs/design/pretrained.md says how it was made, to be done again). Here
they are converted and run through our net. Writes `benchmarks/results/conversion.json`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torchvision
from numpy.typing import NDArray

from models.boxes.classes import COCO_80
from models.boxes.detector import (
    DetectorSpec,
    TorchDetector,
    build_model,
    set_image_size,
)
from models.boxes.layout import LAYOUTS
from models.checkpoint import load_into
from models.images import to_tensor
from models.pretrained.catalogue import published
from models.pretrained.convert import COCO_91_GAPS, converted
from models.pretrained.open import open_published

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
RESULT = ROOT / "benchmarks" / "results" / "conversion.json"

COMPARED = 90
SAME_BOX_PX = 1.0

GAINS = (
    (r"stem\.conv1\.weight", 1 / 60),
    (r"rpn_cls|objectness_logits", 0.5),
    (r"rpn_reg|anchor_deltas", 0.1),
    (r"fc_cls", 2.0),
    (r"cls_score", 0.7),
    (r"fc_reg|bbox_pred", 1.0),
)
"""The first that is found in a tensor's name makes its weights that much larger: the stem of
Detectron2 sees 0…255, and heads are to give scores and moves that are neither all alike nor all
at their limits."""


TORCHVISION_GAINS = {"mobilenet-320": 60.0, "mobilenet": 60.0, "r50-v2": 20.0}
"""How much more these nets' class rows need for scores that differ."""


def recipe_weights(shapes: Mapping[str, list[int]]) -> dict[str, NDArray[Any]]:
    """Weights for every name: even random numbers from the Mersenne twister (whose stream numpy
    has promised not to change), seeded by the name's CRC-32."""
    return {name: _recipe_tensor(name, tuple(shape)) for name, shape in shapes.items()}


def _recipe_tensor(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    if name.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    even = np.random.RandomState(zlib.crc32(name.encode())).random_sample(shape)
    if name.endswith("running_var"):
        return (0.5 + even).astype(np.float32)
    if name.endswith(("bias", "running_mean")):
        return (0.2 * even - 0.1).astype(np.float32)
    if len(shape) == 1:
        return (0.3 + 0.3 * even).astype(np.float32)
    gain = next((gain for pattern, gain in GAINS if re.search(pattern, name)), 1.0)
    bound = gain * (6 / np.prod(shape[1:])) ** 0.5
    return np.asarray(bound * (2 * even - 1), np.float32)


def recipe_picture(height_px: int, width_px: int, seed: int = 7) -> NDArray[np.uint8]:
    """H×W×3 uint8 RGB: coloured squares of 12 px under noise."""
    random = np.random.RandomState(seed)
    squares = random.randint(0, 200, (height_px // 12 + 1, width_px // 12 + 1, 3))
    picture = squares.repeat(12, axis=0).repeat(12, axis=1)[:height_px, :width_px]
    return np.asarray(picture + random.randint(0, 56, picture.shape), np.uint8)


def our_net(golden: Mapping[str, Any], layout: str | None = None) -> TorchDetector:
    """Our net with the recipe's weights, converted; in another layout than theirs to see what
    that costs."""
    spec = DetectorSpec(
        architecture=golden["architecture"],
        class_names=COCO_80,
        height_px=golden["height_px"],
        width_px=golden["width_px"],
        width=golden["width"],
        layout=layout or golden["framework"],
    )
    theirs = {n: torch.from_numpy(w) for n, w in recipe_weights(golden["shapes"]).items()}
    model = build_model(spec)
    load_into(model, converted(theirs, golden["framework"], source="recipe"), source="recipe")
    return TorchDetector(model, spec)


def found_by(detector: TorchDetector) -> dict[str, Any]:
    """What it finds in the recipe's picture of its size."""
    picture = recipe_picture(detector.spec.height_px, detector.spec.width_px)
    found = detector.predict([picture])[0]
    return {"boxes_xyxy": found.boxes_xyxy, "scores": found.scores, "labels": found.labels}


def differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, float]:
    """How far the `COMPARED` best boxes of theirs are from the nearest of ours with their label:
    the largest difference of a coordinate (px) and of a score, over those that ours has within
    `SAME_BOX_PX`; `missing` counts the others. (The last of a hundred boxes may be another one
    for a rounding, so not all are compared.)"""
    boxes, scores, missing = 0.0, 0.0, 0
    for box, score, label in list(
        zip(theirs["boxes_xyxy"], theirs["scores"], theirs["labels"], strict=True)
    )[:COMPARED]:
        off_px = np.abs(ours["boxes_xyxy"] - np.asarray(box)).max(axis=1, initial=0)
        off_px[ours["labels"] != label] = np.inf
        nearest = int(off_px.argmin()) if len(off_px) else -1
        if nearest < 0 or off_px[nearest] > SAME_BOX_PX:
            missing += 1
            continue
        boxes = max(boxes, float(off_px[nearest]))
        scores = max(scores, abs(float(ours["scores"][nearest]) - score))
    return {"boxes_px": boxes, "scores": scores, "missing": missing}


def torchvision_pair(name: str, gain: float, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What ours and torchvision's own builder and loader (frozen batch norms, all 91 rows) find
    with one file of the recipe's weights, which is written to `folder`.

    The rows of ids that COCO never uses are kept from firing, as training does: ours has cut them.
    Nothing is suppressed at the end: of these boxes many are as good as their neighbours to a
    millionth, and which of two stays would be the roundings' choice.
    """
    entry = published(f"pretrained:{name}")
    assert entry is not None
    make = partial(torchvision.models.get_model, entry.architecture)
    with torch.device("meta"):
        state = make(weights=None, weights_backbone=None, num_classes=91).state_dict()
    shapes = {n: list(tensor.shape) for n, tensor in state.items()}
    recipe = recipe_weights(shapes)
    recipe["roi_heads.box_predictor.cls_score.weight"] *= gain
    recipe["roi_heads.box_predictor.cls_score.bias"][sorted(COCO_91_GAPS)] = -1e4
    path = folder / "checkpoints" / entry.file_name
    path.parent.mkdir(parents=True)
    torch.save({n: torch.from_numpy(weights) for n, weights in recipe.items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    ours = open_published(replace(entry, digest=digest), path)
    usual = torch.hub.get_dir()
    torch.hub.set_dir(str(folder))
    try:
        theirs = make(weights="COCO_V1").eval()
    finally:
        torch.hub.set_dir(usual)
    set_image_size(theirs, ours.spec.height_px, ours.spec.width_px)
    for model in (theirs, ours.model):
        model.roi_heads.nms_thresh = 1.0
    with torch.inference_mode():
        out = theirs([to_tensor(recipe_picture(ours.spec.height_px, ours.spec.width_px))])[0]
    ids = [i for i in range(1, 91) if i not in COCO_91_GAPS]
    labels = [ids.index(int(i)) for i in out["labels"]]
    boxes, scores = out["boxes"].tolist(), out["scores"].tolist()
    return found_by(ours), {"boxes_xyxy": boxes, "scores": scores, "labels": labels}


def main() -> None:
    """Compare all, print and write."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for path in sorted(GOLDEN.glob("*.json")):
        golden = json.loads(path.read_text())
        row: dict[str, Any] = {"made_with": golden["made_with"], "boxes": len(golden["labels"])}
        for layout in (golden["framework"], *(n for n in LAYOUTS if n != golden["framework"])):
            row[f"as {layout}"] = differences(found_by(our_net(golden, layout)), golden)
            print(path.stem, "as", layout, row[f"as {layout}"], flush=True)
        rows[path.stem] = row
    for name, gain in TORCHVISION_GAINS.items():
        with TemporaryDirectory() as folder:
            ours, theirs = torchvision_pair(name, gain, Path(folder))
        row = {
            "made_with": f"torchvision {torchvision.__version__}",
            "boxes": len(theirs["labels"]),
        }
        rows[f"torchvision_{name}"] = {**row, "as torchvision": differences(ours, theirs)}
        print(name, rows[f"torchvision_{name}"], flush=True)
    RESULT.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
