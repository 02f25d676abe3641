"""Convolutions and linear layers with weights packed for this CPU, as oneDNN likes them.

What is used of torch here goes by names that begin with an underscore; where a version of torch
lacks one, `packing_works` says so and nothing is arranged.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import torch
from torch import Tensor, nn
from torch.nn import functional

WINOGRAD_CHANNELS, WINOGRAD_CELLS = 128, 2000
"""From these on NNPACK's Winograd convolution is the faster one (docs/log/)."""


@cache
def packing_works() -> bool:
    """Whether this torch has what is needed, on a CPU for which it was measured."""
    capable = torch.cpu.get_capabilities()
    return (
        capable.get("architecture") == "x86_64"
        and bool(capable.get("avx2"))
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_convolution_pointwise")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


@cache
def winograd_works() -> bool:
    """Whether torch was built with NNPACK; asking also starts it, without which it fails."""
    has_nnpack: bool = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return has_nnpack and hasattr(torch, "_nnpack_spatial_convolution")


@cache
def has_int8_dot() -> bool:
    """Whether the CPU multiplies bytes and adds them up in 32 bits; without that oneDNN may
    saturate at 16."""
    capable = torch.cpu.get_capabilities()
    return bool(capable.get("avx512_vnni")) and hasattr(torch, "_int_mm")


class PackedConv:
    """A convolution over 1×C×H×W in channels-last order, a ReLU behind it at no cost."""

    def __init__(self, conv: nn.Conv2d) -> None:
        self.conv = conv
        self._how: tuple[Any, ...] = (
            list(conv.padding), list(conv.stride), list(conv.dilation), conv.groups,
        )  # fmt: skip
        self._bias = None if conv.bias is None else conv.bias.detach()
        self._packed: Tensor | None = None

    def __call__(self, image: Tensor, *, relu: bool = False, plus: Tensor | None = None) -> Tensor:
        """`plus` is added before the ReLU, which is always there with it."""
        weight, ops = self._weight(list(image.shape)), torch.ops.mkldnn
        if plus is not None:
            added: Tensor = ops._convolution_pointwise.binary(
                image, plus, weight, self._bias, *self._how, "add", 1.0, "relu", [], ""
            )
            return added
        after = "relu" if relu else "none"
        out: Tensor = ops._convolution_pointwise(
            image, weight, self._bias, *self._how, after, [], ""
        )
        return out

    def _weight(self, shape: list[int]) -> Tensor:
        """Packed for the first image that comes; at another size oneDNN may pack anew."""
        if self._packed is None:
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.conv.weight.detach(), *self._how, shape
            )
        return self._packed


class PackedLinear:
    """x · Wᵀ + b over rows, float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous())
        self._bias = bias.detach()

    def __call__(self, rows: Tensor, *, relu: bool = False) -> Tensor:
        after = "relu" if relu else "none"
        out: Tensor = torch.ops.mkldnn._linear_pointwise(
            rows, self._weight, self._bias, after, [], ""
        )
        return out


class PyramidConv:
    """A 3×3 convolution over a level of the pyramid, by Winograd's way where that is faster.

    Winograd's wants C×H×W in memory, everything else H×W×C.
    """

    def __init__(self, conv: nn.Conv2d) -> None:
        self._packed = PackedConv(conv)
        self._weight = conv.weight.detach().contiguous()
        self._bias = None if conv.bias is None else conv.bias.detach()
        fits = (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
        plain = conv.groups == 1 and conv.dilation == (1, 1)
        self._fits = fits and plain and conv.in_channels >= WINOGRAD_CHANNELS

    def __call__(self, level: Tensor, *, relu: bool = False) -> Tensor:
        """1×C×H×W in, 1×C×H×W out, each in either order."""
        if not (self._fits and level[0, 0].numel() >= WINOGRAD_CELLS and winograd_works()):
            return self._packed(cells_first(level), relu=relu)
        out: Tensor = torch._nnpack_spatial_convolution(
            channels_first(level), self._weight, self._bias, 1, 1
        )
        return functional.relu_(out) if relu else out


def cells_first(level: Tensor) -> Tensor:
    """1×C×H×W with the channels of a cell side by side in memory."""
    if not level.is_contiguous() or level.is_contiguous(memory_format=torch.channels_last):
        return level
    _, channels, height, width = level.shape
    rows = transposed(level.view(channels, height * width))
    return rows.view(1, height, width, channels).permute(0, 3, 1, 2)


def channels_first(level: Tensor) -> Tensor:
    """1×C×H×W with the cells of a channel side by side in memory."""
    if level.is_contiguous():
        return level
    _, channels, height, width = level.shape
    return transposed(table(level)).view(1, channels, height, width)


def table(level: Tensor) -> Tensor:
    """1×C×H×W as H·W×C."""
    return cells_first(level)[0].flatten(1).t()


def transposed(matrix: Tensor) -> Tensor:
    """OpenCV does it in an eighth of torch's time."""
    return torch.from_numpy(cv2.transpose(matrix.numpy()))
