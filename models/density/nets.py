"""The nets that answer a picture with a density map: MCNN, CSRNet and CSRNet_lite.

Each takes N×3×H×W float32 in 0…1 (normalised inside by ImageNet's mean and deviation) and gives
N×1×h×w float32, 0 or more, whose sum is the count; h = ⌈H/stride⌉, w = ⌈W/stride⌉. `width`
multiplies all channels; 1 is the published net.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

POOL = "pool"
"""In a list of layers: the picture is halved here."""
VGG_TO_CONV3 = (64, 64, POOL, 128, 128, POOL, 256, 256, 256)
VGG_TO_CONV4 = (*VGG_TO_CONV3, POOL, 512, 512, 512)
"""VGG-16's convolutions of 3×3 up to the third of its third and fourth stage."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DensityNet(nn.Module):
    """What the three share: normalising, the first weights, and that no density is negative."""

    stride: ClassVar[int]
    """Pixels of the picture on each side of a cell of the map."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False
        )

    def raw(self, images: Tensor) -> Tensor:
        """The map of normalised images, which may be negative."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        """The density map, 0 or more.

        In training, the gradient goes through as if nothing had been cut off. With the plain
        gradient of a cut, a net whose map is 0 everywhere could not learn any more.
        """
        raw = self.raw((images - self.mean) / self.deviation)
        density = raw.relu()
        return raw + (density - raw).detach() if self.training else density

    def start_weights(self) -> None:
        """He's initialisation, so that maps of a deep net without batch norm keep their size; the
        last layer starts near 0, as densities are."""
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        nn.init.normal_(convolutions[-1].weight, std=0.01)


class Mcnn(DensityNet):
    """MCNN (Zhang et al., Single-image crowd counting via multi-column CNN, CVPR 2016, figure 2):
    three columns of large, medium and small kernels, joined by a 1×1 convolution."""

    stride: ClassVar[int] = 4

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        columns = (
            ((9, 7, 7, 7), (16, 32, 16, 8)),
            ((7, 5, 5, 5), (20, 40, 20, 10)),
            ((5, 3, 3, 3), (24, 48, 24, 12)),
        )
        self.columns = nn.ModuleList(
            _column(kernels, [_times(c, width) for c in channels]) for kernels, channels in columns
        )
        self.fuse = nn.Conv2d(sum(_times(channels[-1], width) for _, channels in columns), 1, 1)
        self.start_weights()

    def raw(self, images: Tensor) -> Tensor:
        """See `DensityNet.raw`."""
        density: Tensor = self.fuse(torch.cat([column(images) for column in self.columns], dim=1))
        return density


class CsrNet(DensityNet):
    """CSRNet (Li et al., CVPR 2018, table 3, B): VGG-16 up to conv4_3, then a back end of dilation
    2 and a 1×1 convolution. At width 1 the front end is torchvision's VGG-16, number for number."""

    stride: ClassVar[int] = 8
    front_layers: ClassVar[tuple[int | str, ...]] = VGG_TO_CONV4
    back_layers: ClassVar[tuple[int, ...]] = (512, 512, 512, 256, 128, 64)

    def __init__(self, *, width: float = 1.0) -> None:
        super().__init__()
        front = [_times(c, width) if isinstance(c, int) else c for c in self.front_layers]
        back = [_times(c, width) for c in self.back_layers]
        last = front[-1]
        assert isinstance(last, int)
        self.front = _layers(front, 3, dilation=1)
        self.back = _layers(back, last, dilation=2)
        self.output = nn.Conv2d(back[-1], 1, 1)
        self.start_weights()

    def raw(self, images: Tensor) -> Tensor:
        """See `DensityNet.raw`."""
        density: Tensor = self.output(self.back(self.front(images)))
        return density


class CsrNetLite(CsrNet):
    """CSRNet_lite: CSRNet without VGG's fourth stage, so with two poolings and a map of 1/4.

    CLIP (section III.A) uses it without a word on its layers. These are those of the authors'
    published code: a front end up to 256 channels, a back end of 256, 256, 256, 128, 64, 64.
    """

    stride: ClassVar[int] = 4
    front_layers: ClassVar[tuple[int | str, ...]] = VGG_TO_CONV3
    back_layers: ClassVar[tuple[int, ...]] = (256, 256, 256, 128, 64, 64)


NETS: Mapping[str, type[Mcnn | CsrNet]] = {
    "mcnn": Mcnn,
    "csrnet": CsrNet,
    "csrnet_lite": CsrNetLite,
}
"""The nets by the name they have in a configuration."""


def _times(channels: int, width: float) -> int:
    return max(4, round(channels * width))


def _column(kernels: Sequence[int], channels: Sequence[int]) -> nn.Sequential:
    """Four convolutions, the first two followed by a pooling."""
    parts: list[nn.Module] = []
    given = 3
    for number, (kernel, made) in enumerate(zip(kernels, channels, strict=True)):
        parts += [nn.Conv2d(given, made, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]
        if number < 2:
            parts.append(_pool())
        given = made
    return nn.Sequential(*parts)


def _layers(layers: Sequence[int | str], given: int, *, dilation: int) -> nn.Sequential:
    """Convolutions of 3×3 with these channels, and poolings."""
    parts: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, str):
            parts.append(_pool())
            continue
        convolution = nn.Conv2d(given, layer, 3, padding=dilation, dilation=dilation)
        parts += [convolution, nn.ReLU(inplace=True)]
        given = layer
    return nn.Sequential(*parts)


def _pool() -> nn.Module:
    """Halves a picture, rounding up: no border is lost, whatever the picture's size."""
    return nn.MaxPool2d(2, ceil_mode=True)
