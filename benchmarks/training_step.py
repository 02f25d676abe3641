"""What a training image costs on one core, and what of it could be saved.

    python -m benchmarks.training_step

The demo's student, pictures of a street in batches of eight, varied as in a night: forward and
backward, CPU seconds. Ways are taken in turn, so that what else this machine does falls on all of
them alike; only the ratios mean something. `regions` is how many regions of a picture the second
stage is trained on, `proposals` how many the first stage offers it, `frozen` which layers have no
gradient. Results: benchmarks/results/training_step.json and training_step.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.book import Row, markdown
from benchmarks.fleet import FLEET, STUDENT, TASK, images, moments
from benchmarks.tried.regions import fewer_regions
from culling_pipeline.tasks.samples import Pictures, Sample
from culling_pipeline.training.loop import train_mode
from jobs.config.night import TrainingSettings
from models.boxes.backend import at_work
from models.boxes.detector import TorchDetector
from models.boxes.student import load_detector

RESULTS = Path(__file__).parent / "results"
FRAMES, BATCH = 24, 8
BODY = "backbone.body."
STEM = (f"{BODY}conv1", f"{BODY}bn1")


def frozen(*begins: str) -> Callable[[TorchDetector], None]:
    """No gradient for the parameters whose names begin so."""

    def change(student: TorchDetector) -> None:
        for name, parameter in student.model.named_parameters():
            if name.startswith(begins):
                parameter.requires_grad_(False)

    return change


def proposals(count: int) -> Callable[[TorchDetector], None]:
    """So many proposals of the first stage in training."""

    def change(student: TorchDetector) -> None:
        rpn = student.model.rpn
        rpn._pre_nms_top_n["training"] = rpn._post_nms_top_n["training"] = count

    return change


WAYS: dict[str, Callable[[TorchDetector], None]] = {
    "as it is": lambda student: None,
    "64 regions": lambda student: fewer_regions(student, 64),
    "32 regions": lambda student: fewer_regions(student, 32),
    "half the proposals": proposals(150),
    "stem frozen": frozen(*STEM),
    "stem and first stage frozen": frozen(*STEM, f"{BODY}layer1"),
}


def samples() -> list[Sample]:
    """A street's frames through the day, as its own student sees them: what is in them costs."""
    camera = FLEET[0]
    times_s = moments(camera, 0, FRAMES)
    pictures = list(images(camera, times_s))
    seen = at_work(load_detector(STUDENT), "auto").predict(pictures)
    return [Sample(p, d.above(0.5)) for p, d in zip(pictures, seen, strict=True)]


def one_step(student: TorchDetector, pictures: Pictures, rng: np.random.Generator) -> float:
    """CPU seconds of one batch: pictures, forward, backward."""
    began = time.process_time()
    batch = [pictures(int(i), rng) for i in rng.permutation(FRAMES)[:BATCH]]
    TASK.losses(student, batch).sum().backward()
    return time.process_time() - began


def measure(repeats: int) -> list[Row]:
    """One row for each way."""
    torch.set_num_threads(1)
    variation = TrainingSettings().to_variation()
    shown, students = samples(), {}
    for name, change in WAYS.items():
        student = load_detector(STUDENT)
        change(student)
        student.model.to(memory_format=torch.channels_last)
        train_mode(student.model, measure_norms=False)
        students[name] = student
    size = students["as it is"].size
    pictures = TASK.pictures(shown, [], size=size, variation=variation)
    rng = np.random.default_rng(0)
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    for repeat in range(repeats + 1):
        for name, student in students.items():
            seconds = one_step(student, pictures, rng)
            if repeat:
                taken[name].append(1000 * seconds / BATCH)
    base = np.array(taken["as it is"])
    return [
        {
            "way": name,
            "ms": float(np.median(ms)),
            "ratio": float(np.median(np.array(ms) / base)),
            "ratio_low": float(np.quantile(np.array(ms) / base, 0.25)),
            "ratio_high": float(np.quantile(np.array(ms) / base, 0.75)),
        }
        for name, ms in taken.items()
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40)
    rows = measure(parser.parse_args().repeats)
    (RESULTS / "training_step.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = (
        f"# A training image\n\nMade by `python -m benchmarks.training_step`.\n\n{markdown(rows)}"
    )
    (RESULTS / "training_step.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
