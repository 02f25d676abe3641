"""A counting camera's student: a density net at a fixed size, and its weights as a version's
folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.checkpoint import check_fits, load_checkpoint, load_into, save_checkpoint
from models.density.answer import DensityMap
from models.density.nets import NETS, DensityNet
from models.errors import ModelError
from models.images import resize, to_tensor
from models.shapes import shapes_only
from models.specs import check_kind, check_values, is_whole, is_width, unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class DensitySpec:
    """All that is needed to build a counting student again; stored beside its weights.

    `net` is one of `models.density.nets.NETS`, `class_name` what it counts, `height_px` and
    `width_px` the size the net sees; `width` multiplies the net's channels.
    """

    net: str
    class_name: str
    height_px: int
    width_px: int
    width: float = 1.0


class DensityStudent:
    """A density net at a fixed size, as a `models.base.Trainable`."""

    backend = "torch"

    def __init__(self, model: nn.Module, spec: DensitySpec, *, device: str = "cpu") -> None:
        self.spec = spec
        self.device = torch.device(device)
        self.model = model.to(self.device).eval()

    @property
    def class_names(self) -> tuple[str, ...]:
        """What is counted, as the only class."""
        return (self.spec.class_name,)

    @property
    def size(self) -> tuple[int, int]:
        """See `models.base.Trainable.size`."""
        return self.spec.height_px, self.spec.width_px

    @property
    def stride(self) -> int:
        """Pixels, at the size the net sees, on each side of a cell of its map."""
        return NETS[self.spec.net].stride

    def meta(self, **more: Any) -> dict[str, Any]:
        """What is stored beside its weights: its spec, and whatever else is known."""
        return {"spec": asdict(self.spec), **more}

    def at_size(self, height_px: int, width_px: int) -> DensityStudent:
        """The same weights working at another size. The two share the model: use one at a time."""
        spec = replace(self.spec, height_px=height_px, width_px=width_px)
        return DensityStudent(self.model, spec, device=str(self.device))

    def counting(self, class_name: str) -> DensityStudent:
        """The same weights, said to count something else."""
        spec = replace(self.spec, class_name=class_name)
        return DensityStudent(self.model, spec, device=str(self.device))

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[DensityMap]:
        """The density map of each image (H×W×3 uint8 RGB, all of one size)."""
        if not images:
            return []
        batch = torch.stack([to_tensor(resize(image, *self.size)) for image in images])
        with torch.inference_mode():
            maps = self.model.eval()(batch.to(self.device))[:, 0].float().cpu().numpy()
        return [
            DensityMap(density, image.shape[0], image.shape[1])
            for density, image in zip(maps, images, strict=True)
        ]

    def save(self, path: Path, **more: Any) -> None:
        """Write weights, or a new version's folder; `more` goes into the description."""
        save_checkpoint(path, self.model.state_dict(), self.meta(**more))


def new_density_student(
    net_name: str,
    class_name: str,
    size: tuple[int, int],
    *,
    width: float = 1.0,
    seed: int = 0,
) -> DensityStudent:
    """A student with random weights; `size` is the height and width it will see."""
    spec = DensitySpec(
        net=net_name, class_name=class_name, height_px=size[0], width_px=size[1], width=width
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DensityStudent(build_net(spec), spec)


def load_density_student(path: Path, device: str = "cpu") -> DensityStudent:
    """The student in a checkpoint of ours, at the size it was saved for."""
    state, meta = load_checkpoint(path)
    spec = spec_from_meta(meta, source=path)
    return with_weights(spec, state, source=path, device=device)


def with_weights(
    spec: DensitySpec, state: Mapping[str, Tensor], *, source: object, device: str = "cpu"
) -> DensityStudent:
    """The student of this spec with these tensors. What a spec claims takes no memory before its
    tensors are known to be there: its shapes alone are built first."""
    with shapes_only():
        check_fits(build_net(spec), state, source=source)
    model = build_net(spec)
    load_into(model, state, source=source)
    return DensityStudent(model, spec, device=device)


def build_net(spec: DensitySpec) -> DensityNet:
    """The net of this spec with random weights."""
    if spec.net not in NETS:
        message = f"unknown density net {spec.net!r}; allowed: {', '.join(NETS)}"
        raise ModelError(message)
    return NETS[spec.net](width=spec.width)


def spec_from_meta(meta: Mapping[str, Any], *, source: object) -> DensitySpec:
    """The spec stored beside weights; `WeightsError` where it is missing or of another kind."""
    check_kind(meta, "net", source=source)
    try:
        spec = DensitySpec(**meta["spec"])
    except (KeyError, TypeError, ValueError) as exc:
        raise unusable(str(exc), source=source) from exc
    check_values(spec, _RIGHT, source=source)
    return spec


_RIGHT: dict[str, Callable[[Any], bool]] = {
    "net": lambda value: isinstance(value, str) and value in NETS,
    "class_name": lambda value: isinstance(value, str) and bool(value),
    "height_px": is_whole,
    "width_px": is_whole,
    "width": is_width,
}
