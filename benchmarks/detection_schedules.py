"""What the schedules buy on detection, beside what people would use instead.

    python -m benchmarks.detection_schedules street-21 --seeds 0 1 2
    python -m benchmarks.detection_schedules pets09 building_site --data DATA --seeds 0 1 2

The built-in student is trained on one kept set of a scene: standard training at its full length,
and every other way with the share `--share` of its images at most (`--epochs` are standard
training's). DATA is a folder with `videos/`, `labels/`, `weights/` and `days/` (see
real_footage.py). Resumable: every training is a row of benchmarks/results/detection_schedules.json
and is not run again; a table and a picture beside it. `--pages` only makes them.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.book import Book, Row
from benchmarks.detection_loop import (
    DEFAULT,
    KINDS,
    Kind,
    Length,
    Training,
    epochs_of,
    held_out_loss,
)
from benchmarks.detection_pages import write_pages
from benchmarks.detection_scenes import SCENES, Scene, scene_of
from culling_pipeline.tasks.boxes.augment import prepared
from jobs.config.night import TrainingSettings
from models.boxes.detector import TorchDetector

RESULTS = Path(__file__).parent / "results"
BOOK = RESULTS / "detection_schedules.json"
KEYS = ("scene", "frames", "epochs", "share", "kind", "seed")
HELD_OUT = 12
"""Frames whose loss is measured after each epoch, evenly of those that measure."""
MAIN = tuple(KINDS)[:7]


@dataclass(frozen=True)
class Setting:
    """A scene and how long standard training is."""

    name: str
    scene: Scene
    length: Length
    device: str

    def named(self, kind: str, seed: int) -> Row:
        """The name of a row."""
        values = (self.name, len(self.scene.kept), self.length.epochs, self.length.share)
        return dict(zip(KEYS, (*values, kind, seed), strict=True))


def run(setting: Setting, kind: Kind, seed: int) -> Row:
    """Train once and measure: the row."""
    began, scene = time.perf_counter(), setting.scene
    epochs = epochs_of(kind, len(scene.kept), setting.length)
    settings = TrainingSettings().changed(epochs=epochs, schedule=kind.schedule, seed=seed)
    student = _on(scene.student(), setting.device)
    step = max(1, len(scene.measured) // HELD_OUT)
    held_out = [prepared(s, *student.size) for s in scene.measured[::step][:HELD_OUT]]
    training = Training(
        student,
        scene.task,
        scene.kept,
        scene.others,
        kind,
        settings.to_plan(),
        setting.length.share,
    )
    training.run(held_out_loss(held_out))
    return {
        **setting.named(kind.name, seed),
        **scene.map50(student),
        "default": kind.way == "course" and kind.schedule == DEFAULT,
        "own_epochs": len(training.curve),
        "images": training.shown,
        "looked_at": training.looked,
        "measured": len(scene.measured),
        "train_cpu_s": training.cpu_s,
        "seconds": time.perf_counter() - began,
        "device": torch.cuda.get_device_name() if setting.device == "cuda" else "cpu",
        "losses": training.curve,
    }


def _on(student: TorchDetector, device: str) -> TorchDetector:
    """The student there."""
    return TorchDetector(student.model, student.spec, device=device)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    parser.add_argument("--data", type=lambda p: Path(p).absolute())
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=[*KINDS], default=[*MAIN], metavar="KIND")
    parser.add_argument("--frames", type=int, default=96, help="the kept set")
    parser.add_argument("--epochs", type=int, default=15, help="standard training's")
    parser.add_argument("--share", type=float, default=0.6, help="of standard training's images")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--out", type=Path, default=BOOK)
    parser.add_argument("--pages", action="store_true", help="only make table and picture")
    args = parser.parse_args()
    torch.set_num_threads(1)
    book = Book(args.out, KEYS)
    for name in [] if args.pages else args.scenes:
        scene = scene_of(name, args.frames, args.data)
        setting = Setting(name, scene, Length(args.epochs, args.share), args.device)
        for seed, kind in itertools.product(args.seeds, args.kinds):
            if not book.has(**setting.named(kind, seed)):
                row = run(setting, KINDS[kind], seed)
                book.add(row)
                print({k: v for k, v in row.items() if k != "losses"}, flush=True)
                write_pages(book.rows, args.out.parent)
    write_pages(book.rows, args.out.parent)


if __name__ == "__main__":
    main()
