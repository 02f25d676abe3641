"""How far our reading of other people's detectors is from their own post-processing.

For each family a net with random weights is made with the family's own package and exported with
its own exporter. The family's own program then answers two pictures, and so does `ForeignDetector`,
which knows the exported file alone. No weights are downloaded.

It runs in an environment of its own, in which this program's packages and those of the families
are: `ultralytics`, `yolov5`, `yolox`, `super-gradients`, `transformers`, `rfdetr`, `torchvision`,
`openvino`, `onnx`, `onnxruntime`. A package that is missing leaves its rows out. None of them is
needed by the program.

    python -m benchmarks.teachers [FAMILY ...]

Written to benchmarks/results/teachers.json, rows: family, exporter and version, boxes (that their
program finds), unmatched (of theirs or ours, with no partner), boxes_px and scores (the largest
differences), equal.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from contextlib import chdir
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.foreign.case import Boxes, Case, pictures

RESULT = Path(__file__).parent / "results" / "teachers.json"
CLOSE_PX, CLOSE_SCORE = 1.0, 0.01
NEAR_SCORE = 0.005
"""A box whose score is so near to the threshold may be missing."""
KEPT = 60
"""The threshold lets about so many of their boxes through."""
FAMILIES = (
    "ultralytics",
    "yolov5",
    "yolox",
    "yolo_nas",
    "transformers",
    "rf_detr",
    "torchvision",
    "openvino",
)
"""Files of `benchmarks/foreign`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One family's comparison."""

    family: str
    exporter: str
    version: str
    read_as: str
    boxes: int
    unmatched: int
    boxes_px: float
    scores: float
    equal: bool


def compare(case: Case) -> Row:
    """Their boxes and ours on the same pictures."""
    from models.boxes.foreign import ForeignDetector
    from models.boxes.recognition import GivenOptions

    boxes = unmatched = 0
    px = score = 0.0
    read_as = ""
    for picture in pictures():
        least = _threshold(case.ask(picture, 0.0))
        given = (*case.options, ("min_score", max(least - 2 * NEAR_SCORE, 0.001)))
        ours_of = ForeignDetector(case.path, GivenOptions(given), threads=2)
        read_as = ours_of.options.outputs
        found = ours_of.predict([picture])[0]
        ours = np.column_stack([found.boxes_xyxy, found.scores, found.labels])
        theirs = case.ask(picture, least)
        theirs[:, [0, 2]] = theirs[:, [0, 2]].clip(0, picture.shape[1])
        theirs[:, [1, 3]] = theirs[:, [1, 3]].clip(0, picture.shape[0])
        theirs = theirs[(theirs[:, 2:4] > theirs[:, :2]).all(axis=1)]
        boxes += len(theirs)
        for one, other in ((theirs, ours), (ours[ours[:, 4] > least + NEAR_SCORE], theirs)):
            missing, far_px, far_score = _apart(one, other, least)
            unmatched, px, score = unmatched + missing, max(px, far_px), max(score, far_score)
    return Row(
        family=case.family,
        exporter=case.exporter,
        version=version(case.package),
        read_as=read_as,
        boxes=boxes,
        unmatched=unmatched,
        boxes_px=round(px, 3),
        scores=round(score, 5),
        equal=boxes > 0 and not unmatched and px <= CLOSE_PX and score <= CLOSE_SCORE,
    )


def _threshold(found: Boxes) -> float:
    """A score that so many boxes have, in a gap between two of them."""
    scores = np.sort(found[:, 4])[::-1][: KEPT + 20]
    if len(scores) < 2:
        return 0.01
    gaps = scores[:-1] - scores[1:]
    at = int(np.argmax(gaps[len(gaps) // 2 :])) + len(gaps) // 2
    return float((scores[at] + scores[at + 1]) / 2)


def _apart(one: Boxes, other: Boxes, least: float) -> tuple[int, float, float]:
    """How many have no partner of their class within `CLOSE_PX` · 5, and how far the others are
    from theirs, in pixels and in score."""
    missing, px, score = 0, 0.0, 0.0
    for box in one:
        same = other[other[:, 5] == box[5]]
        far = np.abs(same[:, :4] - box[:4]).max(axis=1) + np.abs(same[:, 4] - box[4])
        if not len(same) or far.min() > 5 * CLOSE_PX:
            missing += int(box[4] > least + NEAR_SCORE)
            continue
        partner = same[far.argmin()]
        px = max(px, float(np.abs(partner[:4] - box[:4]).max()))
        score = max(score, float(abs(partner[4] - box[4])))
    return missing, px, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []])
    wanted = parser.parse_args().families or FAMILIES
    os.environ |= {"YOLO_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "YOLO_AUTOINSTALL": "false"}
    import torch

    torch.set_num_threads(2)
    for family in wanted:
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            try:
                for case in import_module(f"benchmarks.foreign.{family}").cases(Path(folder)):
                    row = compare(case)
                    print(row, flush=True)
                    keep(row)
            except ImportError as error:
                print(f"{family}: left out ({error})")


def keep(row: Row) -> None:
    """Every row at once: an exporter may take minutes, and a run may be stopped."""
    before = json.loads(RESULT.read_text(encoding="utf-8"))["rows"] if RESULT.is_file() else []
    known = {(one["family"], one["exporter"]): one for one in before}
    known[row.family, row.exporter] = asdict(row)
    text = json.dumps({"rows": list(known.values())}, indent=1, ensure_ascii=False)
    RESULT.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
