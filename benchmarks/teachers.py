"""How far our reading of other people's detectors is from their own post-processing.

For each family a net with random weights is made with the family's own package and exported with
its own exporter. The family's own program then answers two pictures, and so does `ForeignDetector`,
which knows the exported file alone. No weights are downloaded.

It runs in an environment of its own, in which this program's packages and those of the families
are: `ultralytics`, `yolox`, `super-gradients`, `transformers`, `rfdetr`, `torchvision`, `onnx`,
`onnxruntime`. A package that is missing leaves its rows out. None of them is needed by the program.

    PYTHONPATH=. python benchmarks/teachers.py [FAMILY ...]

Written to benchmarks/results/teachers.json, rows: family, exporter and version, boxes (that their
program finds), unmatched (of theirs or ours, with no partner), boxes_px and scores (the largest
differences), equal.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import chdir
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RESULT = Path(__file__).parent / "results" / "teachers.json"
SIZES = ((360, 640), (480, 854))
"""Height and width of the pictures: one that fits the nets' width, one that is shrunk."""
CLOSE_PX, CLOSE_SCORE = 1.0, 0.01
NEAR_SCORE = 0.005
"""A box whose score is so near to the threshold may be missing."""
KEPT = 60
"""The threshold lets about so many of their boxes through."""

Boxes = NDArray[np.float64]
"""N×6: x1 y1 x2 y2 score class."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An exported file, and the family's own program: picture (RGB) and threshold → boxes."""

    family: str
    exporter: str
    package: str
    path: Path
    ask: Callable[[NDArray[np.uint8], float], Boxes]
    options: tuple[tuple[str, Any], ...] = ()


def pictures() -> list[NDArray[np.uint8]]:
    """Shapes and colours on a grain, so that every wrong pixel counts."""
    random, made = np.random.default_rng(7), []
    for high, wide in SIZES:
        small = random.integers(0, 256, (high // 24, wide // 24, 3), dtype=np.uint8)
        made.append(cv2.resize(small, (wide, high), interpolation=cv2.INTER_CUBIC))
    return made


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


# --- the families ---------------------------------------------------------------------------------


def shaken(module: Any, spread: float) -> None:
    """Random weights that find many things: the last layers' numbers are drawn wider."""
    import torch

    torch.nn.init.normal_(module.weight, std=spread)
    if module.bias is not None:
        torch.nn.init.normal_(module.bias, mean=-2.0, std=0.5)


def warmed(net: Any, scale: float = 255.0) -> None:
    """Give batch norms the statistics of pictures; without them random nets see nothing."""
    import torch

    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = None
        norm.reset_running_stats()
        norm.train()
    with torch.no_grad():
        for picture in pictures():
            small = cv2.resize(picture, (640, 640)).transpose(2, 0, 1)
            net(torch.from_numpy(small[None] / scale).float())
    net.eval()


def ultralytics(folder: Path) -> Iterator[Case]:
    """YOLO of every kind that the package makes, and its RT-DETR."""
    from ultralytics import RTDETR, YOLO

    kinds: dict[str, dict[str, Any]] = {
        "yolov5n": {},
        "yolov8n": {},
        "yolo11n": {},
        "yolo12n": {},
        "yolov8n-seg": {},
        "yolov8n-pose": {},
        "yolov10n": {"nms": False},
        "yolo26n": {"nms": False},
        "rtdetr-resnet50": {},
    }
    for name, more in kinds.items():
        net = (RTDETR if "rtdetr" in name else YOLO)(f"{name}.yaml")
        head = net.model.model[-1]
        for key in ("cv3", "one2one_cv3"):
            for branch in getattr(head, key, None) or ():
                shaken(branch[-1], 0.08)
        for layer in getattr(head, "dec_score_head", ()):
            shaken(layer, 0.05)
        if "rtdetr" not in name:
            warmed(net.model)

        for form, suffix in (("onnx", ""), ("openvino", "_openvino_model")):
            if form == "openvino" and name not in ("yolov8n", "yolov8n-seg"):
                continue
            made = Path(net.export(format=form, imgsz=640, verbose=False, **more))
            path = next(made.glob("*.xml")) if suffix else made

            def ask(
                picture: NDArray[np.uint8],
                least: float,
                net: Any = net,
                more: dict[str, Any] = more,
            ) -> Boxes:
                (result,) = net.predict(
                    picture[:, :, ::-1],
                    conf=max(least, 1e-4),
                    iou=0.7,
                    imgsz=640,
                    rect=False,
                    max_det=3000,
                    verbose=False,
                    **more,
                )
                rows: Boxes = result.boxes.data.numpy().astype(np.float64)
                return rows[:, :6]

            yield Case(
                family=name, exporter=f"ultralytics, {form}", package="ultralytics",
                path=folder / path, ask=ask,
            )  # fmt: skip


def yolox(folder: Path) -> Iterator[Case]:
    """Megvii's, not decoded and decoded."""
    import torch
    from yolox.data.data_augment import preproc
    from yolox.exp import get_exp
    from yolox.utils import postprocess

    experiment = get_exp(exp_name="yolox-nano")
    net = experiment.get_model().eval()
    for kind in ("cls_preds", "obj_preds"):
        for layer in getattr(net.head, kind):
            shaken(layer, 0.08)
    warmed(net, 1.0)
    for decoded in (False, True):
        path = folder / f"yolox-{decoded}.onnx"
        net.head.decode_in_inference = decoded
        torch.onnx.export(net, (torch.rand(1, 3, 416, 416),), str(path), dynamo=False)

        def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
            net.head.decode_in_inference = True
            image, ratio = preproc(picture[:, :, ::-1], (416, 416))
            with torch.no_grad():
                raw = net(torch.from_numpy(image[None]))
            (found,) = postprocess(raw, 80, least, 0.45)
            rows = found.numpy().astype(np.float64)
            scores = rows[:, 4] * rows[:, 5]
            return np.column_stack([rows[:, :4] / ratio, scores, rows[:, 6]])

        yield Case(
            family="yolox-decoded" if decoded else "yolox", exporter="yolox, torch.onnx",
            package="yolox", path=path, ask=ask,
        )  # fmt: skip


def yolo_nas(folder: Path) -> Iterator[Case]:
    """Deci's, in both layouts."""
    import torch
    from super_gradients.conversion import DetectionOutputFormatMode as Mode
    from super_gradients.training import models
    from super_gradients.training.processing.processing import (
        default_yolo_nas_coco_processing_params,
    )

    honest = torch.onnx.export
    torch.onnx.export = lambda *a, **k: honest(*a, **{**k, "dynamo": False})
    net = models.get("yolo_nas_s", num_classes=80).eval()
    net.set_dataset_processing_params(**default_yolo_nas_coco_processing_params())
    for number in (1, 2, 3):
        shaken(getattr(net.heads, f"head{number}").cls_pred, 0.08)
    warmed(net)
    names = (("class_names", tuple(f"class {number}" for number in range(80))),)
    for layout in (Mode.FLAT_FORMAT, Mode.BATCH_FORMAT):
        path = folder / f"nas-{layout.value}.onnx"
        net.export(
            str(path),
            output_predictions_format=layout,
            confidence_threshold=0.01,
            nms_threshold=0.7,
            num_pre_nms_predictions=3000,
            max_predictions_per_image=1000,
            onnx_simplify=False,
        )

        def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
            found = net.predict(
                picture, conf=max(least, 0.01), iou=0.7, fuse_model=False,
                nms_top_k=3000, max_predictions=1000,
            ).prediction  # fmt: skip
            return np.column_stack([found.bboxes_xyxy, found.confidence, found.labels])

        yield Case(
            family=f"yolo-nas, {layout.value}", exporter="super-gradients",
            package="super-gradients", path=path, ask=ask, options=names,
        )  # fmt: skip


def transformers(folder: Path) -> Iterator[Case]:
    """RT-DETR and D-FINE."""
    import torch
    from transformers import (
        DFineConfig,
        DFineForObjectDetection,
        RTDetrConfig,
        RTDetrForObjectDetection,
        RTDetrImageProcessor,
    )

    processor = RTDetrImageProcessor()
    kinds = {
        "rt-detr": (RTDetrForObjectDetection, RTDetrConfig),
        "d-fine": (DFineForObjectDetection, DFineConfig),
    }
    for name, (build, config) in kinds.items():
        net = build(config(num_labels=80, use_pretrained_backbone=False)).eval()
        for layer in net.model.decoder.class_embed:
            shaken(layer, 0.05)

        class Plain(torch.nn.Module):
            def __init__(self, net: Any) -> None:
                super().__init__()
                self.net = net

            def forward(self, pixel_values: Any) -> Any:
                said = self.net(pixel_values=pixel_values)
                return said.logits, said.pred_boxes

        path = folder / f"{name}.onnx"
        torch.onnx.export(
            Plain(net), (torch.rand(1, 3, 640, 640),), str(path), dynamo=False, opset_version=17,
            input_names=["pixel_values"], output_names=["logits", "pred_boxes"],
        )  # fmt: skip

        def ask(picture: NDArray[np.uint8], least: float, net: Any = net) -> Boxes:
            fed = processor(images=picture, return_tensors="pt")
            with torch.no_grad():
                said = net(**fed)
            sizes = torch.tensor([picture.shape[:2]])
            (found,) = processor.post_process_object_detection(
                said, threshold=least, target_sizes=sizes
            )
            parts = (found[key].numpy() for key in ("boxes", "scores", "labels"))
            return np.column_stack(list(parts)).astype(np.float64)

        yield Case(
            family=name, exporter="transformers, torch.onnx", package="transformers", path=path,
            ask=ask,
        )  # fmt: skip


def rf_detr(folder: Path) -> Iterator[Case]:
    """Roboflow's."""
    import torch
    from rfdetr import RFDETRNano

    detector = RFDETRNano(pretrain_weights=None, device="cpu")
    net = detector.model.model
    shaken(net.class_embed, 0.05)
    detector.export(output_dir=str(folder / "rf"), verbose=False)
    path = next((folder / "rf").glob("*.onnx"))

    def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
        with torch.no_grad():
            found = detector.predict(picture, threshold=least)
        return np.column_stack([found.xyxy, found.confidence, found.class_id]).astype(np.float64)

    yield Case(family="rf-detr", exporter="rfdetr", package="rfdetr", path=path, ask=ask)


def torchvision(folder: Path) -> Iterator[Case]:
    """Faster R-CNN, RetinaNet and SSD, at the size of the first picture."""
    import torch
    from torchvision.models import detection

    for name in (
        "fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn",
        "ssdlite320_mobilenet_v3_large",
    ):  # fmt: skip
        net = getattr(detection, name)(weights=None, weights_backbone=None).eval()
        if name.startswith("faster"):
            shaken(net.roi_heads.box_predictor.cls_score, 0.05)
            net.roi_heads.score_thresh = 0.005  # random scores are near 1/91
        elif name.startswith("retina"):
            shaken(net.head.classification_head.cls_logits, 0.02)
        path = folder / f"{name}.onnx"
        torch.onnx.export(
            net, ([torch.rand(3, *SIZES[0])],), str(path), dynamo=False, opset_version=17,
        )  # fmt: skip

        def ask(picture: NDArray[np.uint8], least: float, net: Any = net) -> Boxes:
            scale = min(SIZES[0][0] / picture.shape[0], SIZES[0][1] / picture.shape[1])
            wide, high = (round(side * scale) for side in picture.shape[1::-1])
            small = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_LINEAR)
            padded = np.zeros((*SIZES[0], 3), np.uint8)
            padded[:high, :wide] = small
            with torch.no_grad():
                (found,) = net([torch.from_numpy(padded.transpose(2, 0, 1) / 255).float()])
            labels, scores = found["labels"].numpy() - 1, found["scores"].numpy()
            boxes = found["boxes"].numpy() / np.tile([wide, high], 2)
            boxes = boxes * np.tile(picture.shape[1::-1], 2)
            rows = np.column_stack([boxes, scores, labels]).astype(np.float64)
            return rows[scores >= least]

        names = tuple(f"class {number}" for number in range(90))
        yield Case(
            family=name, exporter="torch.onnx", package="torchvision", path=path, ask=ask,
            options=(("class_names", names),),
        )  # fmt: skip


FAMILIES = (ultralytics, yolox, yolo_nas, transformers, rf_detr, torchvision)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [family.__name__ for family in FAMILIES]
    parser.add_argument("families", nargs="*", choices=[*names, []])
    wanted = parser.parse_args().families or names
    os.environ |= {"YOLO_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "YOLO_AUTOINSTALL": "false"}
    import torch

    torch.set_num_threads(2)
    before = json.loads(RESULT.read_text(encoding="utf-8"))["rows"] if RESULT.is_file() else []
    known = {f"{row['family']} {row['exporter']}": row for row in before}
    for family in FAMILIES:
        if family.__name__ not in wanted:
            continue
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder, chdir(folder):
            try:
                for case in family(Path(folder)):
                    row = compare(case)
                    print(row, flush=True)
                    known[f"{row.family} {row.exporter}"] = asdict(row)
                    write(list(known.values()))
            except ImportError as error:
                print(f"{family.__name__}: left out ({error})")


def write(rows: list[dict[str, Any]]) -> None:
    """All rows so far: an exporter may take minutes, and a run may be stopped."""
    text = json.dumps({"rows": rows}, indent=1, ensure_ascii=False)
    RESULT.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
