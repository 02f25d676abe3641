"""The built-in student in every export format: how far its boxes move, what it costs, and that the
ONNX and OpenVINO files run where there is no torch.

    python -m benchmarks.export [FRAMES]

Frames are rendered streets of several seeds, through the day and the night; the truth is where the
objects were drawn. For ONNX and OpenVINO a virtual environment is made in a temporary folder, with
the runtime and numpy and nothing else (it needs a package index), where `scripts/run_exported.py`
says what it finds. Writes `benchmarks/results/export.json` and `export.md`.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import markdown
from culling_pipeline.tasks.boxes.average_precision import coco_map
from jobs.cameras.detectors import BUILTIN_FOLDER
from models.boxes.detections import Detections, Detector
from models.boxes.detector import TorchDetector
from models.boxes.export import FORMATS, SUFFIXES, export_detector, export_files
from models.boxes.exported import ExportedDetector, agreement
from models.boxes.student import load_detector
from streams.sampler import Sampler
from streams.synthetic.source import SyntheticCamera

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "export.json"
SCRIPT = ROOT / "scripts" / "run_exported.py"
HEIGHT, WIDTH = 192, 320
SEEDS = (101, 102, 103)
MIN_SCORE = 0.5
ALONE = {"onnx": "onnxruntime", "openvino": "openvino"}
BATTERY = 16
"""Frames that are looked at in the scratch environment."""


def street_frames(count: int) -> Iterator[tuple[NDArray[np.uint8], Detections]]:
    """Rendered frames and where the objects were drawn, through the day."""
    each = -(-count // len(SEEDS))
    for seed in SEEDS:
        url = f"synthetic://street?seed={seed}&hours=24&width={WIDTH}&height={HEIGHT}"
        with SyntheticCamera.from_url(url, camera=str(seed)) as source:
            for frame in source.frames(Sampler(24 * 3600 / each)):
                truth = source.truth(frame.time_s)
                sure = np.ones(len(truth.labels), np.float32)
                yield frame.image, Detections(truth.boxes_xyxy, sure, truth.labels)


def timed(
    detector: Detector, images: Sequence[NDArray[np.uint8]]
) -> tuple[list[Detections], float]:
    """What it finds, and its median seconds a frame."""
    found, seconds = [], []
    for image in images:
        began = time.perf_counter()
        found += detector.predict([image])
        seconds.append(time.perf_counter() - began)
    return found, float(np.median(seconds))


def row_of(
    format_: str,
    there: Detector,
    ours: Sequence[Detections],
    images: Sequence[NDArray[np.uint8]],
    truths: Sequence[Detections],
    names: Sequence[str],
) -> dict[str, Any]:
    found, seconds = timed(there, images)
    seen = agreement(ours, found, min_score=0.05)
    before, after = (coco_map(f, truths, names).score.value for f in (ours, found))
    return {
        "format": format_,
        "frames": len(images),
        "boxes": seen.boxes,
        "unmatched": seen.unmatched,
        "max_box_px": seen.max_box_px,
        "max_score": seen.max_score,
        "map50": after,
        "map50_change": after - before,
        "seconds_a_frame": seconds,
    }


def without_torch(
    format_: str, model: Path, images: Sequence[NDArray[np.uint8]], ours: Sequence[Detections]
) -> dict[str, Any]:
    """The file in an environment of its own: how far its boxes lie from ours there."""
    with TemporaryDirectory() as folder:
        python = Path(folder) / "venv" / "bin" / "python"
        subprocess.run([sys.executable, "-m", "venv", python.parents[1]], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", ALONE[format_], "numpy"]
        subprocess.run(pip, check=True)
        blind = subprocess.run([python, "-c", "import torch"], capture_output=True, check=False)
        np.save(Path(folder) / "frames.npy", np.stack(images))
        command = [python, SCRIPT, model, Path(folder) / "frames.npy"]
        said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    clear = [d.above(MIN_SCORE) for d in ours]
    assert [len(line["boxes"]) for line in lines] == [len(d) for d in clear]
    apart = [
        float(np.abs(np.array(line["boxes"]) - d.boxes_xyxy).max())
        for line, d in zip(lines, clear, strict=True)
        if len(d)
    ]
    return {
        "torch_there": blind.returncode == 0,
        "frames": len(lines),
        "boxes": sum(map(len, clear)),
        "max_box_px": max(apart),
        "seconds_a_frame": float(np.median([line["seconds"] for line in lines])),
    }


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", nargs="?", type=int, default=96)
    count = parser.parse_args().frames
    student: TorchDetector = load_detector(BUILTIN_FOLDER / "street-student.safetensors")
    student = student.at_size(HEIGHT, WIDTH)
    names = student.class_names
    images, truths = map(list, zip(*street_frames(count), strict=True))
    ours, seconds = timed(student, images)
    map50 = coco_map(ours, truths, names).score.value
    torch_row = {"format": "torch", "frames": len(images), "map50": map50}
    rows: list[dict[str, Any]] = [{**torch_row, "seconds_a_frame": seconds}]
    alone = {}
    about = {
        "class_names": list(names),
        "height_px": HEIGHT,
        "width_px": WIDTH,
        "min_score": MIN_SCORE,
    }
    with TemporaryDirectory() as folder:
        for format_ in FORMATS:
            path = Path(folder) / f"student{SUFFIXES[format_]}"
            export_detector(student, path, format_, about)
            row = row_of(format_, ExportedDetector(path), ours, images, truths, names)
            size = sum(file.stat().st_size for file in export_files(path, format_))
            rows.append({**row, "megabytes": size / 1e6})
            if format_ in ALONE:
                alone[format_] = without_torch(format_, path, images[:BATTERY], ours[:BATTERY])
            print(rows[-1], alone.get(format_))
    result = {
        "machine": f"{platform.machine()}, one thread",
        "size": [HEIGHT, WIDTH],
        "rows": rows,
        "without_torch": alone,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text(markdown(rows, number=".4g"), encoding="utf-8")


if __name__ == "__main__":
    main()
