"""How long the counting nets take for a frame of 640×360 on one core, beside the box student.

    python -m benchmarks.density_speed [--rounds 3]

As benchmarks/scoring_speed.py: one thread, one frame at a time, CPU time, the best of the rounds,
all in turns in one process. Results: benchmarks/results/density_speed.json and .md.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.book import markdown
from benchmarks.fleet import STUDENT
from benchmarks.scoring_speed import Images, pictures, real_size
from models.base import Model
from models.boxes.backend import at_work
from models.boxes.student import load_detector
from models.density.nets import NETS
from models.density.student import DensityStudent, new_density_student

RESULTS = Path(__file__).parent / "results" / "density_speed.json"
SIZE = (360, 640)
WIDTHS = (1.0, 0.25)


def models() -> dict[str, Callable[[], Model]]:
    """What is timed, by name."""
    counting: dict[str, Callable[[], Model]] = {
        f"{net}, width {width:g}": lambda net=net, width=width: counter(net, width)
        for net in NETS
        for width in WIDTHS
    }
    return counting | {
        "box student, built in (ResNet-18 × 0.25), lean": lambda: at_work(
            load_detector(STUDENT).at_size(*SIZE), "lean"
        ),
        "box student, real size (ResNet-18), lean": lambda: at_work(real_size(STUDENT), "lean"),
    }


def counter(net: str, width: float) -> DensityStudent:
    return new_density_student(net, "person", SIZE, width=width)


def cpu_ms(model: Model, images: Images) -> float:
    """CPU milliseconds of one image."""
    began = time.process_time()
    for image in images:
        model.predict([image])
    return 1000 * (time.process_time() - began) / len(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = pictures(*SIZE, args.frames)
    opened = {name: build() for name, build in models().items()}
    best = dict.fromkeys(opened, float("inf"))
    for model in opened.values():
        model.predict(images[:1])
    for _ in range(args.rounds):
        for name, model in opened.items():
            best[name] = min(best[name], cpu_ms(model, images))
    rows = [
        {"net": name, "CPU ms a frame": round(ms), "million numbers": millions(opened[name])}
        for name, ms in best.items()
    ]
    about = {"machine": platform.machine(), "torch": str(torch.__version__), "size": SIZE}
    RESULTS.write_text(json.dumps(about | {"rows": rows}, indent=1, ensure_ascii=False) + "\n")
    RESULTS.with_suffix(".md").write_text(
        f"A frame of {SIZE[1]}×{SIZE[0]}, one thread, CPU time.\n\n" + markdown(rows, number=".2f")
    )
    print(markdown(rows, number=".2f"))


def millions(model: Model) -> float | None:
    """Numbers in a counting net; the detectors' are not asked."""
    if not isinstance(model, DensityStudent):
        return None
    return sum(p.numel() for p in model.model.parameters()) / 1e6


if __name__ == "__main__":
    main()
