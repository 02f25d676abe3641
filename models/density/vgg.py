"""The front end of CSRNet and CSRNet_lite as VGG-16 knows ImageNet."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from models.checkpoint import load_into
from models.density.nets import NETS, CsrNet

VGG = "pretrained:vgg16-imagenet"


def takes_vgg(net: str, width: float) -> bool:
    """Whether this net begins with VGG-16's layers: not MCNN, and at full width only."""
    return issubclass(NETS[net], CsrNet) and width == 1.0


def begin_with_vgg(model: nn.Module, state: Mapping[str, Tensor], *, source: object) -> None:
    """Put torchvision's VGG-16 into the front end; the rest stays as it is. Weights of another
    architecture raise `WeightsError`."""
    own = model.state_dict()
    names = {name: f"features{name.removeprefix('front')}" for name in own if "front." in name}
    found = {name: state[theirs] for name, theirs in names.items() if theirs in state}
    rest = {name: value for name, value in own.items() if name not in names}
    load_into(model, {**rest, **found}, source=source)
