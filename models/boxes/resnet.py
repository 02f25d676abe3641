"""ResNet trunks of any width: torchvision's blocks and parameter names, channels times `width`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

LAYERS: dict[str, tuple[Any, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
}
"""Block and number of blocks per stage (He et al., Deep residual learning, Table 1)."""


class ResNetTrunk(nn.Module):
    """A ResNet without its classifier. At width 1.0 it is torchvision's net, name for name.

    Takes N×3×H×W float, gives the last stage's N×C×H/32×W/32; the stages are attributes
    `layer1` … `layer4`, of `stage_channels` channels.
    """

    def __init__(self, name: str, *, width: float = 1.0) -> None:
        super().__init__()
        block, counts = LAYERS[name]
        base = max(8, round(64 * width))
        self._channels = base
        self.conv1 = nn.Conv2d(3, base, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(base)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = self._stage(block, base, counts[0], stride=1)
        self.layer2 = self._stage(block, base * 2, counts[1], stride=2)
        self.layer3 = self._stage(block, base * 4, counts[2], stride=2)
        self.layer4 = self._stage(block, base * 8, counts[3], stride=2)
        self.stage_channels = [base * 2**k * block.expansion for k in range(4)]
        self._start_weights()

    def _stage(self, block: Any, planes: int, count: int, *, stride: int) -> nn.Module:
        out = planes * block.expansion
        shortcut: nn.Module | None = None
        if stride != 1 or self._channels != out:
            shortcut = nn.Sequential(conv1x1(self._channels, out, stride), nn.BatchNorm2d(out))
        blocks = [block(self._channels, planes, stride, shortcut)]
        self._channels = out
        blocks += [block(out, planes) for _ in range(1, count)]
        return nn.Sequential(*blocks)

    def _start_weights(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        out = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return torch.as_tensor(self.layer4(self.layer3(self.layer2(self.layer1(out)))))
