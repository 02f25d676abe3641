"""Published weights as a detector of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.boxes.detector import DetectorSpec, TorchDetector, build_model, with_weights
from models.checkpoint import load_into, load_pth
from models.errors import WeightsError
from models.pretrained.catalogue import PublishedWeights
from models.pretrained.convert import converted
from models.pretrained.download import verify


def open_published(
    entry: PublishedWeights, path: Path, *, spec: DetectorSpec | None = None, device: str = "cpu"
) -> TorchDetector:
    """The detector in `path`, the entry's file, which is verified and converted; `spec` may give it
    another size. A damaged or other file and a backbone, which finds no boxes, raise
    `WeightsError`."""
    if entry.is_backbone:
        message = (
            f"pretrained:{entry.name}: a backbone, which finds no boxes: it can begin a training, "
            "but can't be a student or a teacher; name a detector"
        )
        raise WeightsError(message)
    state = published_state(entry, path)
    spec = entry.spec if spec is None else spec
    return with_weights(spec, state, source=path, device=device)


def published_state(entry: PublishedWeights, path: Path) -> dict[str, Tensor]:
    """The file's tensors under our names (a backbone's: under torchvision's), verified."""
    if not path.is_file():
        message = f"{path}: no such file: fetch it again"
        raise WeightsError(message)
    verify(entry, path)
    state = load_pth(path)
    return state if entry.is_backbone else converted(state, entry.layout, source=path)


def with_backbone(
    spec: DetectorSpec, trunk: Mapping[str, Tensor], *, source: object
) -> TorchDetector:
    """A detector of ours that begins with a trunk (a whole ResNet's state dict, ImageNet's at width
    1.0); the pyramid and the heads start from torch's random numbers, so seed them first."""
    model = build_model(spec)
    body = {f"backbone.body.{name}": v for name, v in trunk.items() if not name.startswith("fc.")}
    rest = {n: v for n, v in model.state_dict().items() if not n.startswith("backbone.body.")}
    counters = {
        f"{name.removesuffix('running_var')}num_batches_tracked": torch.tensor(0)
        for name in body
        if name.endswith("running_var")
    }
    load_into(model, {**counters, **body, **rest}, source=source)
    return TorchDetector(model, spec)
