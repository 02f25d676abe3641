"""Where the time of a night's training goes: a profile of one training and of its judging.

    python -m benchmarks.training_profile

The built-in student on a street's frames, stored as JPEG files of 1280×720 as a night stores them,
by the default recipe on one core. CPU seconds of each part, timed around the night's own functions:
with one thread they are the wall time of a quiet core, whatever else this machine does. `losses
before` is each frame's loss before training, which CLIP sorts by: forward passes as well. Results:
benchmarks/results/training_profile.json and training_profile.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from benchmarks.book import Row, markdown
from benchmarks.fleet import FLEET, STUDENT, TASK, moments
from culling_pipeline.culling.budget import EPOCHS
from culling_pipeline.day.frame_files import as_jpeg, frame_name, load_images
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.tasks.boxes.augment import BoxPictures
from culling_pipeline.tasks.boxes.task import BoxTask
from culling_pipeline.training import job, loop
from culling_pipeline.training.job import TrainJob, run_training
from jobs.config.night import TrainingSettings
from models.boxes.backend import at_work
from models.boxes.detections import Detections
from models.boxes.student import load_detector
from streams.synthetic.source import WORLDS

RESULTS = Path(__file__).parent / "results"
WIDTH_PX, HEIGHT_PX = 1280, 720
CONTROL = 24
COMPUTATION = ("losses before", "forward", "backward")
PARTS: tuple[tuple[str, object, str], ...] = (
    ("decode", job, "load_image"),
    ("prepare", BoxTask, "pictures"),
    ("losses before", loop, "difficulty"),
    ("vary", BoxPictures, "__call__"),
    ("forward", BoxTask, "losses"),
    ("backward", torch.Tensor, "backward"),
    ("optimizer", torch.nn.utils, "clip_grad_norm_"),
    ("optimizer", torch.optim.AdamW, "step"),
    ("save", job, "save_candidate"),
)
"""What each part is, and where the night calls it."""


class Clock:
    """CPU seconds and calls by part; what runs inside of a part counts as that part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._busy = False

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time what is done here."""
        if self._busy:
            yield
            return
        self._busy, began = True, time.process_time()
        try:
            yield
        finally:
            self._busy = False
            self.seconds[name] += time.process_time() - began
            self.calls[name] += 1

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, timed."""

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return timed


def stored(folder: Path, count: int, day: int) -> tuple[list[StoredFrame], dict[int, Detections]]:
    """A street's frames through a day as a night stores them, and what is in them."""
    camera = FLEET[0]
    renderer = WORLDS[camera.kind](camera.seed, WIDTH_PX, HEIGHT_PX)
    folder.mkdir(exist_ok=True)
    frames, truths = [], {}
    for i, time_s in enumerate(moments(camera, day, count)):
        image, truth = renderer.render(float(time_s))
        (folder / frame_name(i)).write_bytes(as_jpeg(image))
        ones = np.ones(len(truth.labels), np.float32)
        truths[i] = Detections(truth.boxes_xyxy, ones, truth.labels)
        when = datetime.fromtimestamp(float(time_s), UTC)
        frames.append(
            StoredFrame(
                id=i, path=frame_name(i), time_s=float(time_s), wall_time=when, part=0,
                confidence_loss=0.0,
            )
        )  # fmt: skip
    return frames, truths


def training_job(folder: Path, count: int, epochs: int) -> TrainJob:
    """A night's candidate on so many frames."""
    frames, truths = stored(folder / "day", count, 0)
    TASK.save(folder / "teacher.npz", truths)
    return TrainJob(
        arm="culled",
        task=TASK,
        start=STUDENT,
        size=load_detector(STUDENT).size,
        frames=tuple(frames),
        folder=folder / "day",
        labels=folder / "teacher.npz",
        out=folder / "culled.safetensors",
        plan=TrainingSettings(epochs=epochs).to_plan(),
        device="cpu",
    )


def judge(clock: Clock, folder: Path, count: int) -> None:
    """A student on control frames: pictures, answers, figures."""
    frames, truths = stored(folder / "control", count, 1)
    student = at_work(load_detector(folder / "culled.safetensors"), "auto")
    with clock.part("judge: decode"):
        pictures = list(load_images(folder / "control", frames))
    with clock.part("judge: look"):
        answers = [student.predict([picture])[0] for picture in pictures]
    with clock.part("judge: figures"):
        TASK.score(answers, list(truths.values()))


def measure(count: int, epochs: int) -> list[Row]:
    """One row for each part."""
    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as patches:
        todo = training_job(Path(scratch), count, epochs)
        for name, where, what in PARTS:
            timed = clock.around(name, getattr(where, what))
            patches.enter_context(patch.object(where, what, timed))
        began = time.process_time()
        record = run_training(todo)
        whole = time.process_time() - began
        patches.close()
        clock.seconds["rest"] = whole - sum(clock.seconds.values())
        clock.calls["rest"] = 1
        parts = list(clock.seconds)
        judge(clock, Path(scratch), CONTROL)
    images = record.costs[0].images
    rows: list[Row] = [
        {
            "part": name,
            "calls": clock.calls[name],
            "seconds": clock.seconds[name],
            "ms_an_image": 1000 * clock.seconds[name] / (images if name in parts else CONTROL),
            "share_of_training": clock.seconds[name] / whole if name in parts else None,
        }
        for name in clock.seconds
    ]
    return rows


def computation(rows: list[Row]) -> str:
    """How much of the training is forward and backward."""
    share = sum(row["share_of_training"] for row in rows if row["part"] in COMPUTATION)
    return f"Forward and backward, the losses before among them: {share:.1%} of the training."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(args.frames, args.epochs)
    (RESULTS / "training_profile.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = (
        "# One training, part by part\n\nMade by `python -m benchmarks.training_profile`: "
        f"{args.frames} frames, {args.epochs} epochs. An image is one that was trained on; in "
        f"judging, one that was looked at.\n\n{markdown(rows)}\n{computation(rows)}\n"
    )
    (RESULTS / "training_profile.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
