r"""Make the counting demo's teacher: a CSRNet_lite of a quarter of its channels, trained on drawn
squares.

It never sees a demo, test or benchmark square: training uses seeds from 100,000 on, the figures at
the end come from seeds from 90,000 on. Run once by hand, on one core, in some minutes:

    python -m scripts.train_plaza_teacher --images 6000 --out models/weights
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from culling_pipeline.tasks.density.counted import Counted
from culling_pipeline.tasks.density.pictures import density_pictures, losses_by_image
from culling_pipeline.tasks.samples import FLIPPED, Prepared, Sample
from models.checkpoint import save_checkpoint
from models.density.student import DensityStudent, new_density_student
from streams.synthetic.plaza.render import PlazaRenderer
from streams.synthetic.plaza.scene import make_plaza

TRAIN_SEEDS, TEST_SEEDS = 100_000, 90_000
FRAME_PX, SIZE_PX, SIGMA_SHARE = (192, 320), (96, 160), 0.0125
WIDTH, BATCH, LEARNING_RATE = 0.25, 4, 1.5e-3
POOL, SHOWN = 16, 5
"""So many squares are open at a time, and so often each picture is shown, mirrored or not."""


def sample_of(renderer: PlazaRenderer, rng: np.random.Generator) -> Sample:
    """A moment of any day, more often of a busy hour."""
    hour = float(rng.uniform(7, 23.5)) if rng.random() < 0.85 else float(rng.uniform(0, 24))
    image, truth = renderer.render((int(rng.integers(30)) * 24 + hour) * 3600)
    said = Counted.of_points(truth.points, *FRAME_PX, sigma_share=SIGMA_SHARE)
    return Sample(image, said)


def samples(rng: np.random.Generator) -> Iterator[Sample]:
    """Endless samples from a pool of squares that is slowly exchanged."""
    pool = [PlazaRenderer(make_plaza(TRAIN_SEEDS + k)) for k in range(POOL)]
    for number in range(1 << 40):
        if number % 12 == 11:
            seed = TRAIN_SEEDS + POOL + number
            pool[int(rng.integers(POOL))] = PlazaRenderer(make_plaza(seed))
        yield sample_of(pool[int(rng.integers(POOL))], rng)


def shown(rng: np.random.Generator) -> Iterator[Prepared]:
    """Samples in batches' order: each picture `SHOWN` times among others, turned as it comes."""
    source, waiting = samples(rng), list[tuple[int, Prepared]]()
    for _ in range(1 << 40):
        while len(waiting) < 24:
            made = density_pictures(
                [next(source)], size=SIZE_PX, variation=FLIPPED, sigma_share=SIGMA_SHARE
            )
            waiting.append((0, made.plain[0]))
        place = int(rng.integers(len(waiting)))
        times, (image, target) = waiting.pop(place)
        if times + 1 < SHOWN:
            waiting.append((times + 1, (image, target)))
        axes = [axis for axis in (1, 2) if rng.random() < 0.5]
        yield image.flip(axes), {name: value.flip(axes) for name, value in target.items()}


def train(images: int) -> DensityStudent:
    """Train from random weights; the learning rate falls along a cosine."""
    torch.manual_seed(0)
    student = new_density_student("csrnet_lite", "person", SIZE_PX, width=WIDTH)
    student.model.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(student.model.parameters(), lr=LEARNING_RATE)
    pictures, steps = shown(np.random.default_rng(1)), images // BATCH
    began, lately = time.process_time(), list[float]()
    for step in range(steps):
        rate = 0.5 * (1 + math.cos(math.pi * step / steps)) * min(1.0, (step + 1) / 50)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * rate + 1e-6
        loss: Tensor = losses_by_image(student, [next(pictures) for _ in range(BATCH)]).sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.model.parameters(), 5.0)
        optimizer.step()
        lately.append(float(loss.detach()))
        if step % 100 == 99:
            print(
                f"{step + 1} of {steps}: loss {np.mean(lately):.2f}, "
                f"{time.process_time() - began:.0f} s",
                flush=True,
            )
            lately.clear()
    student.model.eval().to(memory_format=torch.contiguous_format)
    return student


def measure(student: DensityStudent, *, frames: int = 60) -> tuple[float, float]:
    """The error of its counts on squares it has never seen, and the mean count there."""
    rng = np.random.default_rng(2)
    tests = [sample_of(PlazaRenderer(make_plaza(TEST_SEEDS + k % 12)), rng) for k in range(frames)]
    wanted = np.array([sample.truth.count for sample in tests])
    found = np.array([student.predict([sample.image])[0].count for sample in tests])
    return float(np.abs(found - wanted).mean()), float(wanted.mean())


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("models/weights"))
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    student = train(wanted.images)
    mae, mean = measure(student)
    about = {
        "trained_on": f"drawn squares, seeds from {TRAIN_SEEDS}",
        "images": wanted.images,
        "cpu_seconds": round(time.process_time() - began),
        "mae": round(mae, 2),
        "mean_count": round(mean, 1),
    }
    print(about)
    path = wanted.out / "plaza-teacher.safetensors"
    save_checkpoint(path, student.model.state_dict(), student.meta(**about), half=True)


if __name__ == "__main__":
    main()
