"""`culling pretrain`: trains a student on COCO, in as many processes as `torchrun` started."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
import torch.distributed as dist

from culling_pipeline.records.scores import Accuracy
from culling_pipeline.run.progress import NoProgress, Progress
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.coco_dataset import CocoError, Labelled, has_split, read_split
from culling_pipeline.training.loop import TrainingError
from culling_pipeline.training.pretraining import Group, PretrainPlan, pretrain
from jobs.cameras.detectors import bring_weights, pick_device
from jobs.cameras.student_origin import COCO
from jobs.config.weights import StudentSettings
from jobs.errors import NightError, UsageError
from jobs.program import code_version
from models.boxes.detections import Detections
from models.boxes.detector import DetectorSpec, TorchDetector, build_model
from models.boxes.student import meta_of
from models.checkpoint import save_checkpoint
from models.images import to_tensor
from models.pretrained.catalogue import published
from models.pretrained.download import fetch
from models.pretrained.open import published_state, with_backbone
from models.versions import ORIGIN_META

EXPECTED = (
    "the recipe is torchvision's reference for Faster R-CNN; of ResNet-18 at full width 33 to 35 "
    "box AP on val2017 are to be expected, an estimate: it was never run on COCO itself"
)
"""Shown before it begins; docs/design/first-student.md has the source."""
TRAIN, VAL = "train2017", "val2017"
WHOLE_SIDE_PX, WHOLE_ANCHOR_PX = 1333, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainWish:
    """What the operator asked for: the data, the net, its picture size, where to write."""

    coco: Path
    out: Path
    architecture: str = "resnet18"
    width: float = 1.0
    from_scratch: bool = False
    min_side_px: int = 800
    max_side_px: int = WHOLE_SIDE_PX
    device: str = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretrained:
    """The result; `accuracy` is on val2017, None if that is not there."""

    weights: Path
    pictures: int
    accuracy: Accuracy | None


def run_pretraining(
    wish: PretrainWish, plan: PretrainPlan, progress: Progress
) -> Pretrained | None:
    """Train, measure and write; None in all processes but the first."""
    _check(wish)
    with _processes(pick_device(wish.device)) as (group, device):
        if group.rank:
            progress = NoProgress()
        progress.note(EXPECTED)
        try:
            data = read_split(wish.coco, TRAIN)
            spec = _spec(wish, data.class_names)
            detector = _begin(wish, spec, plan.seed, progress)
            detector.model.to(device)
            pretrain(
                detector.model,
                data.pictures,
                plan,
                group=group,
                device=device,
                checkpoint=wish.out.with_suffix(".checkpoint"),
                progress=progress,
            )
            if group.rank:
                return None
            trained = TorchDetector(detector.model, spec, device=device.type)
            return _finish(wish, plan, group, trained, len(data.pictures), progress)
        except CocoError as error:
            raise UsageError(str(error)) from error
        except TrainingError as error:
            message = f"pretrain: {error}"
            raise NightError(message) from error


def _check(wish: PretrainWish) -> None:
    if wish.out.suffix != ".safetensors":
        message = f"--out {wish.out}: must end in .safetensors"
        raise UsageError(message)
    if not wish.from_scratch and wish.width != 1.0:
        message = (
            f"--width {wish.width:g}: ImageNet's backbones have full width: "
            "leave it out, or give --from-scratch"
        )
        raise UsageError(message)


@contextmanager
def _processes(device: str) -> Iterator[tuple[Group, torch.device]]:
    """This process's rank among torchrun's, and its device; without torchrun there is only one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Group(), torch.device(device)
        return
    own = torch.device(device)
    if device == "cuda":
        own = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(own)
    else:
        torch.set_num_threads(1)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield Group(rank=dist.get_rank(), size=dist.get_world_size()), own
    finally:
        dist.destroy_process_group()


def _spec(wish: PretrainWish, class_names: tuple[str, ...]) -> DetectorSpec:
    """Anchors like torchvision's at COCO's usual size, and in proportion at others."""
    smallest = max(8, round(WHOLE_ANCHOR_PX * wish.max_side_px / WHOLE_SIDE_PX))
    return DetectorSpec(
        architecture=wish.architecture,
        class_names=class_names,
        height_px=wish.min_side_px,
        width_px=wish.max_side_px,
        width=wish.width,
        anchor_px=(smallest, 2 * smallest, 4 * smallest, 8 * smallest, 16 * smallest),
    )


def _begin(wish: PretrainWish, spec: DetectorSpec, seed: int, progress: Progress) -> TorchDetector:
    """The untrained net, the same in all processes."""
    torch.manual_seed(seed)
    if wish.from_scratch:
        return TorchDetector(build_model(spec), spec)
    weights = f"pretrained:{wish.architecture}-imagenet"
    entry = published(weights)
    assert entry is not None
    bring_weights(StudentSettings(weights=weights), progress)
    return with_backbone(spec, published_state(entry, fetch(entry)), source=entry.name)


def _finish(
    wish: PretrainWish,
    plan: PretrainPlan,
    group: Group,
    detector: TorchDetector,
    pictures: int,
    progress: Progress,
) -> Pretrained:
    accuracy = None
    if has_split(wish.coco, VAL):
        data = read_split(wish.coco, VAL, with_empty=True)
        found = _found(detector, data.pictures, progress)
        accuracy = coco_map(found, [p.truth for p in data.pictures], data.class_names)
    meta = meta_of(
        detector,
        created_at=datetime.now(UTC).isoformat(),
        code_version=code_version(),
        recipe=asdict(plan) | {"processes": group.size, "pictures": pictures},
        val=None if accuracy is None else accuracy.model_dump(),
        **{ORIGIN_META: COCO},
    )
    save_checkpoint(wish.out, detector.model.state_dict(), meta)
    return Pretrained(weights=wish.out, pictures=pictures, accuracy=accuracy)


def _found(
    detector: TorchDetector, pictures: Sequence[Labelled], progress: Progress
) -> list[Detections]:
    """The detections in pictures of all shapes, each at its picture's own size."""
    found = []
    with progress.stage("measuring", len(pictures)) as advance, torch.inference_mode():
        for picture in pictures:
            (output,) = detector.model.eval()([to_tensor(picture.read()).to(detector.device)])
            boxes = output["boxes"].float().cpu().numpy()
            whole = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            scores = output["scores"].float().cpu().numpy()
            labels = output["labels"].cpu().numpy() - 1
            found.append(Detections(boxes[whole], scores[whole], labels[whole]))
            advance(1)
    return found
