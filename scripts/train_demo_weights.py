r"""Make the demo's weights: a slim student and a slim teacher, trained on synthetic streets.

Neither ever sees a demo, test or benchmark scene: training uses scene seeds from 100,000 on, the
figures at the end come from seeds 90,000 to 90,023. The teacher sees all hours and weathers of
thousands of scenes; the student sees a dozen scenes on fine days, as many a detector bought off the
shelf has. Run once by hand, each on one core:

    python scripts/train_demo_weights.py student --images 10000 --out models/weights
    python scripts/train_demo_weights.py guide --images 18000 --out build \
        --start-from models/weights/street-student.safetensors
    python scripts/train_demo_weights.py teacher --images 30000 --out models/weights \
        --start-from build/street-guide.safetensors --hints
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torchvision.models.resnet import BasicBlock, Bottleneck

from culling_pipeline.tasks.boxes.average_precision import coco_map
from models.boxes.detections import Detections
from models.boxes.detector import (
    SLIM_ANCHOR_PX,
    DetectorSpec,
    TorchDetector,
    build_model,
)
from models.boxes.losses import image_losses
from models.checkpoint import load_checkpoint, save_checkpoint
from models.images import to_tensor
from streams.synthetic.street.light import light_at
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import Scene, make_scene
from streams.synthetic.truth import CLASS_NAMES, Truth

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
    start_as_identity: bool


RECIPES = {
    "guide": Recipe("resnet34", 3000, False, learning_rate=1e-3, start_as_identity=True),
    "teacher": Recipe("resnet101", 3000, False, learning_rate=8e-4, start_as_identity=True),
    "student": Recipe("resnet18", 12, True, learning_rate=2e-3, start_as_identity=False),
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


class Guide:
    """A trained net of the same neck and heads that tells a deeper one what its maps should be:
    hints (Romero et al., FitNets, ICLR 2015) for every stage of the trunk, of which the deeper
    net's first channels are taken, and for every map of the neck."""

    def __init__(self, path: Path, spec: DetectorSpec, model: nn.Module) -> None:
        meta = load_checkpoint(path)[1]
        self.net = build_model(replace(spec, architecture=meta["spec"]["architecture"]))
        self.net.load_state_dict(load_checkpoint(path)[0])
        self.net.eval().requires_grad_(requires_grad=False)
        self._seen: dict[str, Any] = {}
        model.backbone.register_forward_hook(self._keep("maps"))
        model.backbone.body.register_forward_hook(self._keep("stages"))
        self._read_first_channels(model)

    def _keep(self, name: str) -> Callable[..., None]:
        def hook(_: nn.Module, given: tuple[Tensor, ...], output: dict[str, Tensor]) -> None:
            self._seen |= {"pixels": given[0], name: output}

        return hook

    def _read_first_channels(self, model: nn.Module) -> None:
        """The neck begins by reading the channels that the hints are for, and no other."""
        for own, wanted in zip(
            model.backbone.fpn.inner_blocks, self.net.backbone.fpn.inner_blocks, strict=True
        ):
            nn.init.zeros_(own[0].weight)
            own[0].weight.data[:, : wanted[0].weight.shape[1]] = wanted[0].weight.data

    def distance(self, targets: list[dict[str, Tensor]]) -> Tensor:
        """How far the maps of the model's last pass are from the guide's, mean over maps."""
        pixels, stages, maps = (self._seen[name] for name in ("pixels", "stages", "maps"))
        with torch.no_grad():
            wanted_stages = self.net.backbone.body(pixels)
            wanted_maps = self.net.backbone.fpn(wanted_stages)
        pairs = [(stages[k][:, : w.shape[1]], w) for k, w in wanted_stages.items()]
        pairs += [(maps[k], w) for k, w in wanted_maps.items() if k != "pool"]
        return torch.stack([hint(own, wanted, targets) for own, wanted in pairs]).mean()


def hint(own: Tensor, wanted: Tensor, targets: list[dict[str, Tensor]]) -> Tensor:
    """Squared difference by each channel's variance; places with objects count five times."""
    own, wanted = own.float(), wanted.float()
    rows, columns = wanted.shape[-2:]
    weight = torch.full((len(wanted), 1, rows, columns), 0.2)
    for place, target in zip(weight, targets, strict=True):
        for x1, y1, x2, y2 in target["boxes"].tolist():
            top, left = int(y1 * rows / HEIGHT_PX), int(x1 * columns / WIDTH_PX)
            bottom, right = int(y2 * rows / HEIGHT_PX), int(x2 * columns / WIDTH_PX)
            place[0, max(0, top - 1) : bottom + 2, max(0, left - 1) : right + 2] = 1.0
    spread = (wanted - wanted.mean((0, 2, 3), keepdim=True)).square().mean((0, 2, 3), keepdim=True)
    spread = spread + 1e-3 * wanted.square().mean()
    return ((own - wanted).square() / spread * weight).mean() / weight.mean()


class Losses(nn.Module):
    """The model as a function from a batch to its loss, which processes can share."""

    def __init__(self, model: nn.Module, guide: Guide | None) -> None:
        super().__init__()
        self.model = model
        self.guide = guide

    def forward(
        self, images: list[Tensor], targets: list[dict[str, Tensor]], hints: float
    ) -> Tensor:
        losses = image_losses(self.model, images, targets)
        total = torch.stack([value.sum() for value in losses.values()]).sum()
        if self.guide is not None and hints > 0:
            total = total + hints * self.guide.distance(targets)
        return total


def hints_weight(done: float) -> float:
    """Full for the first 40 % of the training, then falling to nothing at 80 %."""
    return min(1.0, max(0.0, (0.8 - done) / 0.4))


def one_cycle(done: float, peak: float) -> float:
    """The rate when a share `done` of the training is over: up for 8 %, then down as a cosine."""
    if done < 0.08:
        return peak * (0.04 + 0.96 * done / 0.08)
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (done - 0.08) / 0.92)))


def new_model(spec: DetectorSpec, recipe: Recipe, start_from: Path | None) -> nn.Module:
    """Random weights, or as far as they fit those of another net of the same width, trunk, neck
    and heads. A deeper net then starts as exactly that other one: the blocks it has more start as
    identities."""
    model = build_model(spec)
    if start_from is None and not recipe.start_as_identity:
        return model
    own = model.state_dict()
    state = {} if start_from is None else load_checkpoint(start_from)[0]
    known = {
        name for name, value in state.items() if name in own and own[name].shape == value.shape
    }
    for name, module in model.named_modules():
        last = "bn3" if isinstance(module, Bottleneck) else "bn2"
        if isinstance(module, Bottleneck | BasicBlock) and f"{name}.{last}.weight" not in known:
            nn.init.zeros_(getattr(module, last).weight)
    model.load_state_dict(model.state_dict() | {name: state[name] for name in known})
    return model


def train(rank: int, model: nn.Module, recipe: Recipe, args: argparse.Namespace) -> nn.Module:
    """AdamW on freshly rendered pictures, one cycle of the rate; the moving average is returned."""
    torch.set_num_threads(1)
    guide = Guide(args.start_from, args.spec, model) if args.hints else None
    shared: nn.Module = Losses(model, guide)
    if args.processes > 1:
        dist.init_process_group("gloo", rank=rank, world_size=args.processes)
        shared = DistributedDataParallel(shared)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.999), use_buffers=True)
    stream, started = samples(recipe, args.seed + 1000 * rank), time.time()
    recent: list[float] = []
    for step in itertools.count(1):
        done = (time.time() - started) / (60 * args.minutes)
        if args.images:
            done = step * args.batch * args.processes / args.images
        if args.processes > 1:
            agreed = torch.tensor([done])
            dist.broadcast(agreed, 0)
            done = float(agreed)
        if done > 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = one_cycle(done, recipe.learning_rate)
        chosen = [next(stream) for _ in range(args.batch)]
        model.train()
        with torch.autocast("cpu", torch.bfloat16):
            pictures, targets = [to_tensor(i) for i, _ in chosen], [as_target(t) for _, t in chosen]
            total = shared(pictures, targets, hints_weight(done))
        if not torch.isfinite(total):
            raise RuntimeError(f"loss is {total.item()} at step {step}")  # noqa: EM102
        optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        average.update_parameters(model)
        recent.append(float(total.detach()))
        if rank == 0 and step % 200 == 0:
            seen = step * args.batch * args.processes
            mean, rate = np.mean(recent[-200:]), seen / (time.time() - started)
            print(f"{seen} images, {done:.0%}, loss {mean:.3f}, {rate:.1f}/s", flush=True)
        if rank == 0 and step % 1500 == 0:
            report(average.module, args.spec, f"after {step * args.batch * args.processes}", 120)
    return average.module


def work(rank: int, args: argparse.Namespace) -> None:
    """One of the training processes; the first one measures and writes."""
    torch.manual_seed(args.seed)
    recipe = RECIPES[args.role]
    model = new_model(args.spec, recipe, args.start_from)
    started = time.time()
    model = train(rank, model, recipe, args)
    if rank:
        return
    print(f"trained in {(time.time() - started) / 60:.1f} minutes", flush=True)
    meta = {"spec": asdict(args.spec), "made_by": "scripts/train_demo_weights.py"}
    path = args.out / f"street-{args.role}.safetensors"
    save_checkpoint(path, model.state_dict(), meta, half=True)
    figures = report(model, args.spec, "finished", 480)
    save_checkpoint(path, model.state_dict(), {**meta, **figures}, half=True)


def report(model: nn.Module, spec: DetectorSpec, title: str, frames: int) -> dict[str, object]:
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
            "map50": round(accuracy.score.value, 4),
            "map": round(accuracy.further[0].value, 4),
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
    parser.add_argument("--images", type=int, default=0, help="stop after as many pictures …")
    parser.add_argument("--minutes", type=float, default=60.0, help="… or after this time")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start-from", type=Path, help="start from these weights")
    parser.add_argument("--hints", action="store_true", help="… and be guided by them")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4, help="pictures a step and process")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    args.spec = spec_of(RECIPES[args.role].architecture)
    print(f"{args.role}: {RECIPES[args.role]}", flush=True)
    if args.processes == 1:
        work(0, args)
        return
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT="29561")
    spawn(work, (args,), nprocs=args.processes)


if __name__ == "__main__":
    main()
