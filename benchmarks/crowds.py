"""CLIP's own experiment in miniature: three density nets, standard training against CLIP.

    python -m benchmarks.crowds --data ../shared/data/crowds --out benchmarks/results/crowds.json

Three nets × {standard, CLIP linear, CLIP quadratic} × seeds on 150 photographs of ShanghaiTech
part A, measured on 50 others. CLIP's runs get more epochs, so that each run trains on about as many
images. The difficulty is a trained CSRNet's loss, as in the paper: the run csrnet, standard, seed 0
comes first and keeps it in its row. A finished run is a row at once; the same command goes on.
About an hour of one core.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import torch

from benchmarks.book import Book, Row, line
from culling_pipeline.records.training import EpochPoint
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.tasks.density.datasets import read_points
from culling_pipeline.tasks.density.gallery import Gallery
from culling_pipeline.training.density import (
    DensityPlan,
    losses_of,
    measure_density,
    train_density,
)
from culling_pipeline.training.options import EVERYTHING, ScheduleOptions, show
from models.density.student import DensityStudent, new_density_student

NETS = {"csrnet": 0.25, "csrnet_lite": 0.25, "mcnn": 0.5}
"""The nets and the factor on their channels that a CPU allows."""
CLIP = replace(EVERYTHING, start=0.25, pace_end=0.5, prune_ratio=0.05)
KINDS: dict[str, tuple[str, ScheduleOptions]] = {
    "standard": ("standard", EVERYTHING),
    "clip, linear": ("clip", replace(CLIP, pace_power=1)),
    "clip, quadratic": ("clip", replace(CLIP, pace_power=2)),
}
SCORER = {"net": "csrnet", "kind": "standard", "seed": 0}
PRINTED = {
    "mcnn": {"A": "110.2 → 102.3 (−7 %)", "B": "26.4 → 20.2 (−23 %)"},
    "csrnet": {"A": "68.2 → 65.2 (−4 %)", "B": "10.6 → 8.2 (−22 %)"},
    "csrnet_lite": {"A": "66.4 → 63.3 (−4 %)", "B": "9.6 → 8.2 (−14 %)"},
}
"""MAE of standard training → CLIP in the paper (section IV.A), on ShanghaiTech A and B."""
KEYS = ("net", "kind", "seed", "epochs", "max_side_px", "crop_px", "width")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all runs."""

    train: Gallery
    test: Gallery
    epochs: int
    max_side_px: int
    crop_px: int
    sigma_px: float
    learning_rate: float
    batch_size: int
    width: float | None
    device: str

    def named(self, net: str, kind: str, seed: int) -> Row:
        """The name of a row."""
        values = (net, kind, seed, self.epochs, self.max_side_px, self.crop_px, self.width_of(net))
        return dict(zip(KEYS, values, strict=True))

    def width_of(self, net: str) -> float:
        """The factor on this net's channels."""
        return NETS[net] if self.width is None else self.width

    def rows_of(self, book: Book) -> list[Row]:
        """The finished runs of this setting."""
        return [row for row in book.rows if row == row | self.named(*(row[k] for k in KEYS[:3]))]


def runs(seeds: Sequence[int], nets: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Whole seeds one after the other, so that a cut-off benchmark has pairs to compare."""
    for seed in seeds:
        yield from ((net, kind, seed) for net in nets for kind in KINDS)


def epochs_for(kind: str, samples: int, standard: int) -> int:
    """The epochs after which this schedule has trained on as many images as the standard one."""
    name, options = KINDS[kind]
    wanted = samples * standard
    found = range(standard, 3 * standard)
    return min(found, key=lambda n: abs(sum(show(name, samples, n, options).per_epoch) - wanted))


def run(setting: Setting, net: str, kind: str, seed: int, difficulty: Sequence[float]) -> Row:
    """One training, measured."""
    fresh = new_density_student(
        net, "person", (setting.crop_px,) * 2, width=setting.width_of(net), seed=seed
    )
    student = DensityStudent(fresh.model, fresh.spec, device=setting.device)
    name, options = KINDS[kind]
    plan = DensityPlan(
        schedule=name,  # type: ignore[arg-type]
        epochs=epochs_for(kind, len(setting.train), setting.epochs),
        batch_size=setting.batch_size,
        learning_rate=setting.learning_rate,
        sigma_px=setting.sigma_px,
        crop_px=setting.crop_px,
        seed=seed,
        options=options,
    )
    began = time.process_time()
    scores = None if kind == "standard" else np.array(difficulty)
    points = train_density(student, setting.train, plan, difficulty=scores, progress=NoProgress())
    trained_s = time.process_time() - began
    row = figures(setting, student) | curve(points) | {"train_cpu_s": round(trained_s, 1)}
    if {"net": net, "kind": kind, "seed": seed} == SCORER:
        row["difficulty"] = losses_of(student, setting.train, setting.sigma_px).tolist()
    return row


def figures(setting: Setting, student: DensityStudent) -> Row:
    """The paper's metrics on the test pictures."""
    found = measure_density(student, setting.test, sigma_px=setting.sigma_px, progress=NoProgress())
    return {
        "mae": found.mae,
        "rmse": found.rmse,
        **{f"game{level}": value for level, value in enumerate(found.game)},
        "ssim": found.ssim,
        "psnr": found.psnr,
    }


def curve(points: Sequence[EpochPoint]) -> Row:
    """Loss against samples seen (the paper's figure 3)."""
    seen = list(accumulate(point.images for point in points))
    return {
        "images": seen[-1],
        "curve": [[n, round(point.loss, 3)] for n, point in zip(seen, points, strict=True)],
    }


def constant_guess(setting: Setting) -> float:
    """The MAE of whoever says the training pictures' median count for every picture."""
    return float(np.abs(setting.test.counts - np.median(setting.train.counts)).mean())


# ------------------------------------------------------------------ the table


def table(rows: Sequence[Row], guess: float) -> str:
    """Means over the seeds, the change of MAE from standard training of the same seed, and what
    the paper prints."""
    by: dict[tuple[str, str], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        by[row["net"], row["kind"]][row["seed"]] = row
    lines = [
        "| net | schedule | seeds | images | MAE | change of MAE by seed, % | RMSE | GAME(1) "
        "| GAME(2) | GAME(4) | SSIM | PSNR, dB | loss at ¼, ½, end | paper, A | paper, B |",
        "|" + "---|" * 15,
    ]
    for net in sorted(NETS):
        for kind in KINDS:
            found = by.get((net, kind), {})
            if found:
                lines.append(_line(net, kind, found, by.get((net, "standard"), {})))
    return "\n".join([*lines, "", f"A constant guess (the training pictures' median): {guess:.1f}"])


def _line(net: str, kind: str, found: dict[int, Row], base: dict[int, Row]) -> str:
    def mean(key: str) -> float:
        return float(np.mean([row[key] for row in found.values()]))

    changes = [
        f"{100 * (row['mae'] / base[seed]['mae'] - 1):+.0f}"
        for seed, row in sorted(found.items())
        if seed in base and kind != "standard"
    ]
    printed = PRINTED[net] if kind == "clip, quadratic" else {"A": "", "B": ""}
    return line([
        net, kind, len(found), round(mean("images")), f"{mean('mae'):.1f}", ", ".join(changes),
        f"{mean('rmse'):.1f}", *(f"{mean(f'game{level}'):.0f}" for level in (1, 2, 4)),
        f"{mean('ssim'):.3f}", f"{mean('psnr'):.2f}",
        ", ".join(f"{loss_at(found.values(), share):.1f}" for share in (0.25, 0.5, 1)),
        printed["A"], printed["B"],
    ])  # fmt: skip


def loss_at(rows: Iterable[Row], share: float) -> float:
    """The training loss when this share of the images has been seen; the mean over the seeds."""
    return float(np.mean([
        next(loss for seen, loss in row["curve"] if seen >= share * row["images"]) for row in rows
    ]))  # fmt: skip


def main() -> None:
    args = arguments()
    torch.set_num_threads(1)
    train, test = (
        Gallery(read_points(args.data, split).pictures, max_side_px=args.max_side)
        for split in ("train", "test")
    )
    setting = Setting(
        train, test, args.epochs, args.max_side, args.crop, args.sigma, args.rate, args.batch,
        args.width, args.device,
    )  # fmt: skip
    book = Book(args.out, KEYS)
    for net, kind, seed in runs(args.seeds, args.nets):
        name = setting.named(net, kind, seed)
        if book.has(**name):
            continue
        rows = setting.rows_of(book)
        difficulty = next((row["difficulty"] for row in rows if "difficulty" in row), ())
        if kind != "standard" and not difficulty:
            print(f"{net}, {kind}: needs the row of {SCORER} first")
            continue
        row = run(setting, net, kind, seed, difficulty)
        more = {"sigma_px": args.sigma, "learning_rate": args.rate, "batch_size": args.batch,
                "device": name_of(args.device)}  # fmt: skip
        book.add(name | more | row)
        print(
            f"{net}, {kind}, seed {seed}: MAE {row['mae']:.1f}, {row['train_cpu_s']} s", flush=True
        )
        text = table(setting.rows_of(book), constant_guess(setting))
        args.out.with_suffix(".md").write_text(text + "\n")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/crowds.json"))
    parser.add_argument(
        "--epochs", type=int, default=60, help="of standard training; 20 are too few"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--nets", nargs="+", choices=[*NETS], default=[*NETS])
    parser.add_argument(
        "--width", type=float, help="the factor on all nets' channels; 1: the published nets"
    )
    parser.add_argument("--max-side", type=int, default=320)
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--sigma", type=float, default=3.0)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument(
        "--rate", type=float, default=3e-4,
        help="the paper's 1e-4 is for a front end that knows ImageNet",
    )  # fmt: skip
    return parser.parse_args()


def name_of(device: str) -> str:
    """The device as a row names it."""
    return torch.cuda.get_device_name() if device == "cuda" else "cpu"


if __name__ == "__main__":
    main()
