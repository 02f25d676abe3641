"""The student's layouts for recorders in a recorder's own detector classes: the same boxes there?

The recorder is Frigate (MIT). Nothing of it is here: the command is told a folder that its source
lies in. It runs in an environment that has this program's packages and what Frigate's detectors
import (`ruamel.yaml`, `peewee`, `unidecode`, `pyzmq`, `ai_edge_litert`), on the CPU. Its package
of search and speech is left out, but for the names of its kinds of models.

    python -m benchmarks.recorder FOLDER_OF_FRIGATE [--frames 6]

Frames are rendered streets through the day at the size of the file. Frigate takes the twenty best
boxes of a frame, so that many of ours are compared. OpenVINO is asked in its usual precision, as
Frigate asks it, and in 32 bits: what differs between the two is no matter of layout. Written to
benchmarks/results/recorder.json.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.export import HEIGHT, WIDTH, street_frames
from jobs.cameras.detectors import BUILTIN_FOLDER
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.export import SUFFIXES, export_detector
from models.boxes.export_layouts import label_map
from models.boxes.exported import agreement
from models.boxes.student import load_detector

RESULT = Path(__file__).parent / "results" / "recorder.json"
MIN_SCORE = 0.3
MOST = 20
"""Frigate's table has so many rows."""
WAYS = (
    ("openvino", "ssd", "usual"),
    ("openvino", "ssd", "32 bits"),
    ("openvino", "yolo-nas-flat", "usual"),
    ("openvino", "yolo-nas-flat", "32 bits"),
    ("onnx", "yolo-nas-flat", "usual"),
)
"""Format, layout, precision. Frigate's ONNX detector takes no SSD."""
KINDS = {"ssd": "ssd", "yolo-nas-flat": "yolonas"}
CLASSES = {"openvino": "OvDetector", "onnx": "ONNXDetector"}


@contextmanager
def precision(name: str) -> Iterator[None]:
    """OpenVINO as it is, or told to compute in 32 bits."""
    import openvino

    usual = openvino.Core.compile_model

    def exact(core: Any, model: Any, *, device_name: str, config: Any = None) -> Any:
        config = {**(config or {}), "INFERENCE_PRECISION_HINT": "f32"}
        return usual(core, model, device_name, config)

    if name == "32 bits":
        openvino.Core.compile_model = exact
    try:
        yield
    finally:
        openvino.Core.compile_model = usual


def detector_of(format_: str, layout: str, path: Path) -> Any:
    """Frigate's detector with the exported file, configured as its documentation says."""
    config = importlib.import_module("frigate.detectors.detector_config")
    plugin = importlib.import_module(f"frigate.detectors.plugins.{format_}")
    model = config.ModelConfig(
        path=str(path),
        labelmap_path=str(label_map(path)),
        width=WIDTH,
        height=HEIGHT,
        model_type=KINDS[layout],
        input_pixel_format="rgb",
        input_tensor="nhwc",
        input_dtype="int",
    )
    build = getattr(plugin, CLASSES[format_])
    settings = next(
        kind
        for kind in vars(plugin).values()
        if isinstance(kind, type)
        and issubclass(kind, config.BaseDetectorConfig)
        and kind is not config.BaseDetectorConfig
    )
    made = build(settings(type=format_, device="CPU", model=model))
    made.names = model.merged_labelmap
    return made


def found_by(detector: Any, image: NDArray[np.uint8]) -> Detections:
    """What it says of a frame, in pixels. A row: class, score, y1, x1, y2, x2 in shares."""
    rows = np.asarray(detector.detect_raw(np.ascontiguousarray(image[None])))
    rows = rows[rows[:, 1] > 0]
    boxes = rows[:, [3, 2, 5, 4]] * np.array([WIDTH, HEIGHT] * 2, np.float32)
    return Detections(boxes.astype(np.float32), rows[:, 1], rows[:, 0].astype(np.int64))


def row_of(way: tuple[str, str, str], student: TorchDetector, frames: list[Any]) -> dict[str, Any]:
    """One format and layout over all frames."""
    format_, layout, bits = way
    with TemporaryDirectory() as folder, precision(bits):
        path = Path(folder) / f"student{SUFFIXES[format_]}"
        about = {"class_names": list(student.class_names), "height_px": HEIGHT, "width_px": WIDTH}
        export_detector(student, path, format_, about, layout=layout)
        theirs_of = detector_of(format_, layout, path)
        theirs = [found_by(theirs_of, frame) for frame in frames]
    ours = [best(found) for found in student.predict(frames)]
    seen = agreement(ours, theirs, min_score=MIN_SCORE)
    names = [str(theirs_of.names.get(n)) for n in range(len(student.class_names))]
    return {
        "recorder": f"Frigate, {CLASSES[format_]}",
        "layout": layout,
        "format": format_,
        "precision": bits,
        "frames": len(frames),
        "boxes": sum(len(found.above(MIN_SCORE)) for found in ours),
        "unmatched": seen.unmatched,
        "boxes_px": round(seen.max_box_px, 5),
        "scores": round(seen.max_score, 6),
        "names": names == list(student.class_names),
        "equal": seen.is_close and not seen.unmatched,
    }


def without_search(folder: Path) -> None:
    """Modules of `frigate.embeddings` load without what the package itself imports."""
    package = ModuleType("frigate.embeddings")
    package.__path__ = [str(folder / "frigate" / "embeddings")]
    sys.modules[package.__name__] = package


def best(found: Detections) -> Detections:
    """As many as Frigate has room for; they come best first."""
    return Detections(found.boxes_xyxy[:MOST], found.scores[:MOST], found.labels[:MOST])


def commit_of(folder: Path) -> str:
    """The commit of a clone; what was unpacked says none."""
    asked = ["git", "-C", str(folder), "rev-parse", "--short", "HEAD"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the folder `frigate` of its source is")
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--commit", help="of Frigate, where the folder is no clone")
    given = parser.parse_args()
    sys.path.insert(0, str(given.folder))
    without_search(given.folder)
    torch.set_num_threads(1)
    student = load_detector(BUILTIN_FOLDER / "street-student.safetensors").at_size(HEIGHT, WIDTH)
    frames = [image for image, _ in street_frames(given.frames)]
    rows = []
    for way in WAYS:
        rows.append(row_of(way, student, frames))
        print(rows[-1], flush=True)
    found = {"frigate": given.commit or commit_of(given.folder), "rows": rows}
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
