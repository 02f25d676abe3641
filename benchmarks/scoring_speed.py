"""How fast student and teacher score, plain and by other means, and how far each is from plain.

    python -m benchmarks.scoring_speed [--rounds 3]

Plain is torchvision's own model in float32, eight images at once. All run in turns in one process
with one thread, and what counts is the CPU time of an image, so that other work on the machine
weighs on all alike; times are the best of the rounds. Distances are those to plain, of boxes with a
score of 0.05 or more, and mean something for trained nets only (ours, on streets they have not
seen); `real size` ones have random weights. Results: benchmarks/results/scoring_speed.json and .md.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from benchmarks.book import markdown
from benchmarks.fleet import STUDENT, TEACHER
from models.boxes import Detections
from models.detector import DetectorSpec, TorchDetector, build_model
from models.export import export_detector
from models.exported import ExportedDetector, agreement, foreign_options
from models.foreign import ForeignDetector
from models.student import load_detector
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

RESULTS = Path(__file__).parent / "results"
BATCH, MIN_SCORE = 8, 0.05
FEW = {"student": 8, "teacher": 2}
"""Images for nets of real size, which take seconds each."""
CLOSE_PX, CLOSE_SCORE = 0.5, 0.01
"""How near a net must be to plain, to take its place."""

Images = Sequence[NDArray[np.uint8]]
Predict = Callable[[Images], list[Detections]]


def nets() -> dict[str, Callable[[], TorchDetector]]:
    """The nets that are timed, by name."""
    return {
        "student, built in (ResNet-18 × 0.25, 320×192)": lambda: load_detector(STUDENT),
        "teacher, built in (ResNet-101, slim, 320×192)": lambda: load_detector(TEACHER),
        "student, real size (ResNet-18, 640×360)": lambda: random_net("resnet18"),
        "teacher, real size (ResNet-101, 640×360)": lambda: random_net("resnet101"),
    }


def random_net(architecture: str) -> TorchDetector:
    torch.manual_seed(0)
    spec = DetectorSpec(
        architecture=architecture, class_names=("person", "car", "bicycle"),
        height_px=360, width_px=640,
    )  # fmt: skip
    return TorchDetector(build_model(spec), spec)


def pictures(height_px: int, width_px: int, count: int) -> list[NDArray[np.uint8]]:
    """Frames of an unseen street, through the whole day."""
    renderer = StreetRenderer(make_scene(131, width_px=width_px, height_px=height_px))
    return [renderer.render(86_400 * (k + 0.5) / count)[0] for k in range(count)]


# -- the ways --------------------------------------------------------------------------------------


def ways(detector: TorchDetector, folder: Path) -> dict[str, Predict]:
    """Each way to predict, by name; `plain` is the first."""
    spec = detector.spec
    folded = TorchDetector(fold(copy.deepcopy(detector.model)), spec)
    last = TorchDetector(copy.deepcopy(folded.model).to(memory_format=torch.channels_last), spec)
    made: dict[str, Predict] = {
        "plain": detector.predict,
        "plain, one by one": lambda images: [d for i in images for d in detector.predict([i])],
        "batch norm folded": folded.predict,
        "… and channels last": last.predict,
        "… and bfloat16": lambda images: in_bfloat16(last, images),
    }
    about = {
        "class_names": spec.class_names, "height_px": spec.height_px, "width_px": spec.width_px,
    }  # fmt: skip
    for format_, suffix in (("torchscript", ".pt"), ("onnx", ".onnx"), ("openvino", ".xml")):
        path = folder / f"net{suffix}"
        export_detector(detector, path, format_, about)
        name = {"torchscript": "TorchScript", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}
        made[name[format_]] = ExportedDetector(path).predict
    made["OpenVINO, bfloat16"] = openvino_in_bfloat16(folder / "net.xml", about)
    return made


def fold(model: nn.Module) -> nn.Module:
    """Each batch norm in the convolution before it."""
    before: tuple[str, nn.Module] | None = None
    model.eval()
    for name, child in list(model.named_children()):
        if (
            isinstance(child, nn.BatchNorm2d)
            and before is not None
            and isinstance(before[1], nn.Conv2d)
        ):
            setattr(model, before[0], fuse_conv_bn_eval(before[1], child))
            setattr(model, name, nn.Identity())
        else:
            fold(child)
        before = name, child
    return model


def in_bfloat16(detector: TorchDetector, images: Images) -> list[Detections]:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return detector.predict(images)


def openvino_in_bfloat16(path: Path, about: dict[str, Any]) -> Predict:
    """OpenVINO at the precision it would choose itself on a CPU that has bfloat16."""
    openvino = import_module("openvino")
    foreign = ForeignDetector(path, foreign_options(about))
    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16"}
    foreign._net._model = core.compile_model(core.read_model(path), "CPU", settings)
    return foreign.predict


# -- measuring -------------------------------------------------------------------------------------


def measure(name: str, detector: TorchDetector, *, rounds: int) -> list[dict[str, Any]]:
    """One net by all ways."""
    trained = "built in" in name
    images = pictures(
        detector.spec.height_px, detector.spec.width_px, 48 if trained else FEW[name[:7]]
    )
    few = images[:BATCH]
    batches = [images[k : k + BATCH] for k in range(0, len(images), BATCH)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = ways(detector, Path(folder))
        found = {way: [d for batch in batches for d in run(batch)] for way, run in made.items()}
        best = dict.fromkeys(made, float("inf"))
        for _ in range(rounds):
            for way, run in made.items():
                began = time.process_time()
                run(few)
                best[way] = min(best[way], (time.process_time() - began) / len(few))
    for way in made:
        row = {"net": name, "way": way, "ms": 1000 * best[way], "ratio": best["plain"] / best[way]}
        if trained:
            near = agreement(found["plain"], found[way], min_score=MIN_SCORE)
            row |= {
                "boxes": near.boxes,
                "unmatched": near.unmatched,
                "max_box_px": near.max_box_px,
                "max_score": near.max_score,
                "close": near.unmatched == 0
                and near.max_box_px <= CLOSE_PX
                and near.max_score <= CLOSE_SCORE,
            }
        rows.append(row)
        print(json.dumps(row), flush=True)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """A table a net."""
    parts = []
    for net in dict.fromkeys(row["net"] for row in rows):
        lines = [shown(row) for row in rows if row["net"] == net]
        parts.append(f"## {net}\n\n{markdown(lines)}")
    return "\n".join(parts)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row as people read it."""
    line = {"way": row["way"], "CPU ms": f"{row['ms']:.0f}", "plain ÷ this": f"{row['ratio']:.2f}"}
    if "boxes" in row:
        line["boxes, px"] = f"{row['max_box_px']:.2g}"
        line["scores"] = f"{row['max_score']:.2g}"
        line["without a match"] = f"{row['unmatched']} of {row['boxes']}"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    rows = [row for name, net in nets().items() for row in measure(name, net(), rounds=rounds)]
    result = {"machine": platform.machine(), "batch": BATCH, "rows": rows}
    (RESULTS / "scoring_speed.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "scoring_speed.md").write_text(table(rows))


if __name__ == "__main__":
    main()
