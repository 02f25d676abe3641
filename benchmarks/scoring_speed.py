r"""How fast student and teacher score, plain and by other means, and how far each is from plain.

    python -m benchmarks.scoring_speed \
        [--rounds 3] [--net "student, real"] [--only lean] [--compile]

`--net` measures one net and leaves the others' results as they are; `--compile` adds torch.compile,
which needs a C++ compiler and minutes; `--only` measures some ways and leaves the others' results.

Plain is torchvision's own model in float32, eight images at once. All run in turns in one process
with one thread, and what counts is the CPU time of an image, so that other work on the machine
weighs on all alike; times are the best of the rounds. Distances are those to plain, of boxes with a
score of 0.05 or more, on streets the nets have not seen. `Real size` ones are the built-in nets in
nets of width 1.0 whose further channels are zeros (`wide.py`): they cost what real ones cost and
find what the slim ones find. Results: benchmarks/results/scoring_speed.json and .md.
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
from benchmarks.wide import widened
from models.boxes.backend import at_work
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.export import export_detector, quietly
from models.boxes.exported import (
    CLOSE_PX,
    CLOSE_SCORE,
    ExportedDetector,
    agreement,
    foreign_options,
)
from models.boxes.foreign import ForeignDetector
from models.boxes.lean.detector import LeanDetector
from models.boxes.student import load_detector
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

RESULTS = Path(__file__).parent / "results"
BATCH, MIN_SCORE = 8, 0.05
FEW = {"student": 8, "teacher": 2}
"""Images for nets of real size, which take seconds each."""

Images = Sequence[NDArray[np.uint8]]
Predict = Callable[[Images], list[Detections]]


def nets() -> dict[str, Callable[[], TorchDetector]]:
    """The nets that are timed, by name."""
    return {
        "student, built in (ResNet-18 × 0.25, 320×192)": lambda: load_detector(STUDENT),
        "teacher, built in (ResNet-101, slim, 320×192)": lambda: load_detector(TEACHER),
        "student, real size (ResNet-18, 640×360)": lambda: real_size(STUDENT),
        "teacher, real size (ResNet-101, 640×360)": lambda: real_size(TEACHER),
    }


def real_size(weights: Path) -> TorchDetector:
    return widened(load_detector(weights), height_px=360, width_px=640, proposals=1000)


def pictures(height_px: int, width_px: int, count: int) -> list[NDArray[np.uint8]]:
    """Frames of an unseen street, through the whole day."""
    renderer = StreetRenderer(make_scene(131, width_px=width_px, height_px=height_px))
    return [renderer.render(86_400 * (k + 0.5) / count)[0] for k in range(count)]


# -- the ways --------------------------------------------------------------------------------------


def ways(
    detector: TorchDetector, folder: Path, *, with_compiler: bool = False
) -> dict[str, Predict]:
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
        "plain, trunk in bfloat16": trunk_in_bfloat16(detector),
        "plain, first layer of the box head in bfloat16": first_layer_in_bfloat16(detector),
    }
    if with_compiler:
        made["trunk and pyramid by torch.compile"] = compiled(detector)
    made |= lean_ways(detector, folder)
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


def lean_ways(detector: TorchDetector, folder: Path) -> dict[str, Predict]:
    """Ours, what single parts of it bring, and ours with its dense part in OpenVINO."""
    lean = at_work(detector, "lean")
    assert isinstance(lean, LeanDetector), "a way that disagrees is not measured as ours"
    made: dict[str, Predict] = {"lean": lean.predict}
    if lean.regions.looks_twice:
        once = LeanDetector(detector)
        once.regions.looks_twice = False
        made["lean, each region once, in full"] = once.predict
    direct = LeanDetector(detector)
    for conv in [*direct.proposals._convs, *direct._pyramid._level]:
        conv._fits = False
    made["lean, without Winograd"] = direct.predict
    made["lean, pyramid and first stage by OpenVINO"] = OpenVinoInside(detector, folder).predict
    return made


class DensePart(nn.Module):
    """Image in; levels, objectness and moves of all levels out."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.backbone, self.head = model.backbone, model.rpn.head

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        levels = list(self.backbone(image).values())
        scores, moves = self.head(levels)
        return (*levels, *scores, *moves)


class OpenVinoInside(LeanDetector):
    """Ours, with trunk, pyramid and the first stage's convolutions as one graph in OpenVINO."""

    def __init__(self, detector: TorchDetector, folder: Path) -> None:
        super().__init__(detector)
        openvino = import_module("openvino")
        path, spec = folder / "dense.onnx", detector.spec
        size = [-(-side // 32) * 32 for side in (spec.height_px, spec.width_px)]
        part = DensePart(detector.model).eval()
        with quietly(), torch.no_grad():
            torch.onnx.export(part, (torch.rand(1, 3, *size),), str(path), dynamo=False)
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        core = openvino.Core()
        self._net = core.compile_model(core.read_model(path), "CPU", settings)
        self._maps: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.proposals.maps = lambda _: self._maps  # type: ignore[method-assign]

    def levels(self, placed: torch.Tensor) -> list[torch.Tensor]:
        result = self._net([placed.contiguous().numpy()])
        out = [torch.from_numpy(np.array(result[i])) for i in range(len(self._net.outputs))]
        count = len(out) // 3
        self._maps = []
        for score, move in zip(out[count : 2 * count], out[2 * count :], strict=True):
            _, anchors, high, wide = score.shape
            by_cell = move.view(anchors, 4, high, wide).permute(2, 3, 0, 1)
            self._maps.append((score[0].permute(1, 2, 0).flatten(), by_cell.reshape(-1, 4)))
        return out[:count]


def compiled(detector: TorchDetector) -> Predict:
    """torch.compile, which needs a C++ compiler, of what is dense."""
    own = TorchDetector(copy.deepcopy(detector.model), detector.spec)
    model: Any = own.model
    model.backbone.forward = torch.compile(fold(model.backbone).forward)
    model.rpn.head.forward = torch.compile(model.rpn.head.forward)
    return own.predict


def trunk_in_bfloat16(detector: TorchDetector) -> Predict:
    own = TorchDetector(copy.deepcopy(detector.model), detector.spec)
    model: Any = own.model
    whole = model.backbone.body.forward

    def forward(image: torch.Tensor) -> dict[str, torch.Tensor]:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return {name: out.float() for name, out in whole(image).items()}

    model.backbone.body.forward = forward
    return own.predict


def first_layer_in_bfloat16(detector: TorchDetector) -> Predict:
    own = TorchDetector(copy.deepcopy(detector.model), detector.spec)
    layer: Any = own.model.roi_heads.box_head.fc6  # type: ignore[union-attr]
    layer.to(torch.bfloat16)
    whole = layer.forward
    layer.forward = lambda rows: whole(rows.bfloat16()).float()
    return own.predict


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


def measure(
    name: str,
    detector: TorchDetector,
    *,
    rounds: int,
    with_compiler: bool,
    only: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """One net by all ways."""
    count = 48 if "built in" in name else FEW[name[:7]]
    images = pictures(detector.spec.height_px, detector.spec.width_px, count)
    few = images[:BATCH]
    batches = [images[k : k + BATCH] for k in range(0, len(images), BATCH)]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if only == ["lean"]:  # the rest takes minutes to make
            made: dict[str, Predict] = {"lean": at_work(detector, "lean").predict}
        else:
            made = ways(detector, Path(folder), with_compiler=with_compiler)
        made = {"plain": detector.predict} | made
        if only:
            made = {way: run for way, run in made.items() if way == "plain" or way in only}
        for run in made.values():
            run(images[:1])  # packs, compiles
        found = {}
        best = dict.fromkeys(made, float("inf"))
        for turn in range(rounds):
            for way, run in made.items():
                began = time.process_time()
                seen = run(few)
                best[way] = min(best[way], (time.process_time() - began) / len(few))
                if not turn:
                    found[way] = [*seen, *(d for batch in batches[1:] for d in run(batch))]
    for way in made:
        row = {"net": name, "way": way, "ms": 1000 * best[way], "ratio": best["plain"] / best[way]}
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
    line["boxes, px"] = f"{row['max_box_px']:.2g}"
    line["scores"] = f"{row['max_score']:.2g}"
    line["without a match"] = f"{row['unmatched']} of {row['boxes']}"
    line["equal"] = "yes" if row["close"] else "no"
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--net", default="")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--only", nargs="*", help="ways, by name; plain is always among them")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    stored = RESULTS / "scoring_speed.json"
    rows = json.loads(stored.read_text())["rows"] if wanted.net and stored.exists() else []
    for name, net in nets().items():
        if wanted.net in name:
            more = measure(
                name,
                net(),
                rounds=wanted.rounds,
                with_compiler=wanted.compile,
                only=wanted.only,
            )
            fresh = {row["way"] for row in more}
            kept = wanted.only and [r for r in rows if r["net"] == name and r["way"] not in fresh]
            rows = [row for row in rows if row["net"] != name] + more + (kept or [])
    rows = [r for name in nets() for r in rows if r["net"] == name and "close" in r]
    result = {"machine": platform.machine(), "batch": BATCH, "rows": rows}
    stored.write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "scoring_speed.md").write_text(table(rows))


if __name__ == "__main__":
    main()
