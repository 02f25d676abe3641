"""Make the demo's weights: a slim student and a slim teacher, trained on synthetic streets.

Neither ever sees a demo, test or benchmark scene: training uses scene seeds from 100,000 on, the
figures at the end come from seeds 90,000 to 90,023. The teacher sees all hours and weathers of
thousands of scenes; the student sees a dozen scenes on fine days, as many a detector bought off the
shelf has. Run once by hand, each on one core:

    python scripts/train_demo_weights.py teacher --images 36000 --out models/weights
    python scripts/train_demo_weights.py student --images 10000 --out models/weights
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from culling_pipeline.metrics import coco_map
from models.boxes import Detections
from models.checkpoint import save_checkpoint
from models.detector import SLIM_ANCHOR_PX, DetectorSpec, TorchDetector, build_model, to_tensor
from models.losses import image_losses
from streams.street.light import light_at
from streams.street.render import StreetRenderer, Truth
from streams.street.scene import Scene, make_scene
from streams.street.traffic import CLASS_NAMES

TRAIN_SEEDS = 100_000
TEST_SEEDS = 90_000
WIDTH_PX, HEIGHT_PX = 320, 192


@dataclass(frozen=True)
class Recipe:
    """How one of the two is trained."""

    architecture: str
    scenes: int
    by_day_only: bool
    learning_rate: float


RECIPES = {
    "teacher": Recipe("resnet101", scenes=3000, by_day_only=False, learning_rate=2e-3),
    "student": Recipe("resnet18", scenes=12, by_day_only=True, learning_rate=2e-3),
}


def random_hour(scene: Scene, rng: np.random.Generator, *, by_day_only: bool) -> float:
    """An hour of the day: full daylight, or any with the dark and the dusk well represented."""
    if by_day_only:
        return float(rng.uniform(scene.sunrise_h + 1.0, scene.sunset_h - 1.0))
    return float(rng.uniform(5, 23)) if rng.random() < 0.8 else float(rng.uniform(0, 24))


def bad_weather(scene: Scene, time_s: float) -> bool:
    """Rain or fog."""
    light = light_at(scene, time_s)
    return light.rain > 0.1 or light.fog > 0.3


def samples(recipe: Recipe, seed: int) -> Iterator[tuple[NDArray[np.uint8], Truth]]:
    """Endless training pictures; a pool of scenes is open at a time and slowly exchanged."""
    rng = np.random.default_rng(seed)
    pool: list[StreetRenderer] = []
    for count in range(1 << 40):
        if len(pool) < min(48, recipe.scenes) or (recipe.scenes > 48 and count % 14 == 0):
            fresh = StreetRenderer(make_scene(TRAIN_SEEDS + int(rng.integers(recipe.scenes))))
            if len(pool) >= 48:
                pool[int(rng.integers(48))] = fresh
            else:
                pool.append(fresh)
        renderer = pool[int(rng.integers(len(pool)))]
        hour = random_hour(renderer.scene, rng, by_day_only=recipe.by_day_only)
        day = int(rng.integers(0, 30))
        if recipe.by_day_only and bad_weather(renderer.scene, (day * 24 + hour) * 3600):
            continue
        image, truth = renderer.render((day * 24 + hour) * 3600)
        if rng.random() > (0.1, 0.3, 0.6, 1.0)[min(len(truth.labels), 3)]:
            continue  # a full street teaches more at the same cost
        if rng.random() < 0.5:
            image, truth = flipped(image, truth)
        yield image, truth


def flipped(image: NDArray[np.uint8], truth: Truth) -> tuple[NDArray[np.uint8], Truth]:
    """Mirror image with its boxes."""
    boxes = truth.boxes_xyxy.copy()
    boxes[:, [0, 2]] = image.shape[1] - truth.boxes_xyxy[:, [2, 0]]
    return np.ascontiguousarray(image[:, ::-1]), Truth(boxes, truth.labels)


def as_target(truth: Truth) -> dict[str, Tensor]:
    """torchvision's target: labels count from 1."""
    return {
        "boxes": torch.from_numpy(truth.boxes_xyxy.reshape(-1, 4)),
        "labels": torch.from_numpy(truth.labels) + 1,
    }


def train(spec: DetectorSpec, recipe: Recipe, *, images: int, seed: int, batch: int) -> nn.Module:
    """One-cycle AdamW over freshly rendered pictures; returns the model's moving average."""
    model, steps = build_model(spec), images // batch
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=steps, pct_start=0.08
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    stream, started, recent = samples(recipe, seed), time.time(), []
    for step in range(1, steps + 1):
        chosen = [next(stream) for _ in range(batch)]
        model.train()
        with torch.autocast("cpu", torch.bfloat16):
            losses = image_losses(
                model, [to_tensor(i) for i, _ in chosen], [as_target(t) for _, t in chosen]
            )
        total = torch.stack([v.sum() for v in losses.values()]).sum()
        if not torch.isfinite(total):
            raise RuntimeError(f"loss is {total.item()} at step {step}")  # noqa: EM102
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        recent.append(float(total.detach()))
        if step % 250 == 0:
            rate = (time.time() - started) / (step * batch)
            print(
                f"step {step}/{steps} loss {np.mean(recent[-250:]):.3f}, {rate * 1e3:.0f} ms/image",
                flush=True,
            )
        if step % 1500 == 0:
            report(average.module, spec, f"after {step * batch} images", frames=240)
    return average.module


def report(model: nn.Module, spec: DetectorSpec, title: str, *, frames: int) -> dict[str, object]:
    """Accuracy against true boxes on unseen scenes: whole day, and full daylight only."""
    figures: dict[str, object] = {}
    was_training = model.training
    for name, by_day in (("all_hours", False), ("daylight", True)):
        found, true = [], []
        detector = TorchDetector(model, spec)
        rng = np.random.default_rng(5)
        for index in range(24):
            renderer = StreetRenderer(make_scene(TEST_SEEDS + index))
            for _ in range(frames // 24):
                hour = random_hour(renderer.scene, rng, by_day_only=by_day)
                image, truth = renderer.render(hour * 3600)
                found += detector.predict([image])
                ones = np.ones(len(truth.labels), np.float32)
                true.append(Detections(truth.boxes_xyxy, ones, truth.labels))
        accuracy = coco_map(found, true, CLASS_NAMES)
        figures[name] = {
            "map50": round(accuracy.map50, 4),
            "map": round(accuracy.map, 4),
            "per_class": accuracy.per_class,
            "frames": accuracy.frames,
            "objects": accuracy.objects,
        }
    model.train(was_training)
    print(title, json.dumps(figures), flush=True)
    return figures


def spec_of(architecture: str) -> DetectorSpec:
    """Both are a quarter as wide as the standard nets."""
    return DetectorSpec(
        architecture=architecture,
        class_names=CLASS_NAMES,
        height_px=HEIGHT_PX,
        width_px=WIDTH_PX,
        width=0.25,
        anchor_px=SLIM_ANCHOR_PX,
        proposals=150,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("role", choices=sorted(RECIPES))
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    recipe = RECIPES[args.role]
    spec = spec_of(recipe.architecture)
    print(f"{args.role}: {recipe}, {args.images} images, seed {args.seed}", flush=True)
    started = time.time()
    model = train(spec, recipe, images=args.images, seed=args.seed, batch=args.batch)
    seconds = time.time() - started
    figures = report(model, spec, "finished", frames=960)
    meta = {"spec": asdict(spec), "trained_on": f"{args.images} synthetic pictures", **figures}
    save_checkpoint(
        args.out / f"street-{args.role}.safetensors", model.state_dict(), meta, half=True
    )
    print(f"trained in {seconds / 60:.1f} minutes", flush=True)


if __name__ == "__main__":
    main()
