"""The trunk: batch norm folded into the convolutions, these packed, ReLUs and sums inside them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_weights
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import FrozenBatchNorm2d

from models.boxes.lean.packed import PackedConv

STAGES = ("layer1", "layer2", "layer3", "layer4")


def folded(net: nn.Module) -> nn.Module:
    """A copy without batch norms: each is in the convolution before it."""
    own: nn.Module = copy.deepcopy(net).eval()
    _fold(own)
    return own.to(memory_format=torch.channels_last)


def _fold(net: nn.Module) -> None:
    before: nn.Module | None = None
    for name, child in list(net.named_children()):
        if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d) and isinstance(before, nn.Conv2d):
            norm: Any = child
            weight, bias = fuse_conv_bn_weights(
                before.weight,
                before.bias,
                norm.running_mean,
                norm.running_var,
                norm.eps,
                norm.weight,
                norm.bias,
            )
            before.weight, before.bias = weight, bias
            setattr(net, name, nn.Identity())
        else:
            _fold(child)
        before = child


class LeanTrunk:
    """A ResNet's stages, 1×3×H×W → {name: 1×C×h×w}; a trunk of another kind runs as it is, folded.

    `body` is torchvision's IntermediateLayerGetter.
    """

    def __init__(self, body: nn.Module) -> None:
        self._names: dict[str, str] = dict(body.return_layers)  # type: ignore[arg-type]
        self._body = folded(body)
        self._is_resnet = _is_resnet(self._body)
        self._convs = {
            conv: PackedConv(conv) for conv in self._body.modules() if isinstance(conv, nn.Conv2d)
        }

    def __call__(self, image: Tensor) -> dict[str, Tensor]:
        if not self._is_resnet:
            found: dict[str, Tensor] = self._body(image)
            return found
        parts = dict(self._body.named_children())
        out = halved_by_max(self._convs[parts["conv1"]](image, relu=True))  # type: ignore[index]
        stages = {}
        for name in STAGES:
            if name not in parts:
                break
            for block in parts[name].children():
                out = self._block(block, out)
            if name in self._names:
                stages[self._names[name]] = out
        return stages

    def _block(self, block: nn.Module, before: Tensor) -> Tensor:
        """A residual block: He et al., Deep residual learning, Fig. 5."""
        straight = before
        if block.downsample is not None:
            straight = self._convs[block.downsample[0]](before)  # type: ignore[index]
        out = self._convs[block.conv1](before, relu=True)  # type: ignore[index]
        if isinstance(block, BasicBlock):
            return self._convs[block.conv2](out, plus=straight)
        out = self._convs[block.conv2](out, relu=True)  # type: ignore[index]
        return self._convs[block.conv3](out, plus=straight)  # type: ignore[index]


def _is_resnet(body: nn.Module) -> bool:
    parts = dict(body.named_children())
    pool = parts.get("maxpool")
    if not isinstance(pool, nn.MaxPool2d) or (pool.kernel_size, pool.stride, pool.padding) != (
        3,
        2,
        1,
    ):
        return False
    blocks = [block for name in STAGES if name in parts for block in parts[name].children()]
    known = ["conv1", "bn1", "relu", "maxpool", *STAGES]
    return (
        list(parts) == known[: len(parts)]
        and len(parts) > 4
        and isinstance(parts["conv1"], nn.Conv2d)
        and all(isinstance(block, BasicBlock | Bottleneck) for block in blocks)
    )


def halved_by_max(image: Tensor) -> Tensor:
    """`max_pool2d(image, 3, stride=2, padding=1)`, by comparing rows, then columns."""
    if image.shape[2] % 2 or image.shape[3] % 2:
        return functional.max_pool2d(image, 3, stride=2, padding=1)
    rows = torch.maximum(image[:, :, 0::2], image[:, :, 1::2])
    rows[:, :, 1:] = torch.maximum(rows[:, :, 1:], image[:, :, 1:-1:2])
    out = torch.maximum(rows[..., 0::2], rows[..., 1::2])
    out[..., 1:] = torch.maximum(out[..., 1:], rows[..., 1:-1:2])
    return out
