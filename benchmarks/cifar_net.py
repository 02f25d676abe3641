"""The small ResNet of benchmarks/cifar.py, its data on the device, and one training step there.

A step over rows of the data set is captured once as a CUDA graph and replayed, so a small net is
not held up by Python. Random numbers are drawn on the CPU: equal seeds give equal draws anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

BATCH, PAD, SIDE = 128, 4, 32
MOMENTUM, DECAY = 0.9, 1e-4


class Block(nn.Module):
    """Two 3×3 convolutions and a way past them; where the size changes, the way past takes every
    other pixel and fills the new channels with 0 (He et al., 2016, option A)."""

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels)
        self._stride, self._new = stride, channels - before

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.norm1(self.conv1(x)))
        out = self.norm2(self.conv2(out))
        if self._new:
            x = F.pad(x[:, :, :: self._stride, :: self._stride], (0, 0, 0, 0, 0, self._new))
        return F.relu(out + x)


class ResNet(nn.Module):
    """He et al.'s ResNet for CIFAR: 6 · `blocks` + 2 layers."""

    def __init__(self, blocks: int = 3, width: int = 16) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        parts, before = [], width
        for stage in range(3):
            for number in range(blocks):
                stride = 2 if stage and not number else 1
                parts.append(Block(before, width << stage, stride))
                before = width << stage
        self.parts = nn.Sequential(*parts)
        self.head = nn.Linear(before, 10)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.parts(F.relu(self.norm(self.conv(x))))
        result: Tensor = self.head(x.mean((2, 3)))
        return result


class Data:
    """CIFAR10-5000 on the device: pictures normalised, with a border of zeros to shift in."""

    def __init__(self, path: Path, device: torch.device, *, at_most: int | None = None) -> None:
        with np.load(path) as file:
            train, test = file["x_train"][:at_most], file["x_test"][:at_most]
            labels, test_labels = file["y_train"][:at_most], file["y_test"][:at_most]
        mean, std = train.mean((0, 1, 2)) / 255, train.std((0, 1, 2)) / 255

        def ready(images: NDArray[np.uint8], pad: int) -> Tensor:
            scaled = ((images / 255 - mean) / std).astype(np.float32)
            wide = np.pad(scaled, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
            return torch.from_numpy(wide).to(device)

        self.train, self.test = ready(train, PAD), ready(test, 0)
        self.labels = torch.from_numpy(labels.astype(np.int64)).to(device)
        self.test_labels = torch.from_numpy(test_labels.astype(np.int64)).to(device)
        self.device = device

    def __len__(self) -> int:
        return len(self.labels)

    def varied(self, rows: Tensor, draws: Tensor) -> Tensor:
        """Pictures shifted and mirrored as drawn: B×3×32×32, channels last."""
        line = torch.arange(SIDE, device=self.device)
        across = torch.where(draws[:, :1] > 0, SIDE - 1 - line, line)
        y, x = draws[:, 1:2] + line, draws[:, 2:3] + across
        return self.train[rows[:, None, None], y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def draws(count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Whether each picture is mirrored, and its shift: the usual augmentation of CIFAR."""
    shift = rng.integers(0, 2 * PAD + 1, (count, 2))
    return np.concatenate([rng.integers(0, 2, (count, 1)), shift], axis=1)


class Rows:
    """The rows of an epoch's batches on the device, and how far they are done."""

    def __init__(self, batches: int, device: torch.device) -> None:
        self.index = torch.zeros(batches, BATCH, dtype=torch.int64, device=device)
        self.draws = torch.zeros(batches, BATCH, 3, dtype=torch.int64, device=device)
        self.weights = torch.zeros(batches, BATCH, device=device)
        self.losses = torch.zeros(batches, BATCH, device=device)
        self.at = torch.zeros(1, dtype=torch.int64, device=device)

    def load(
        self, order: NDArray[np.int64], drawn: NDArray[np.int64], weights: NDArray[np.float64]
    ) -> int:
        """Fill the batches; the last is filled up with samples that count nothing. A sample counts
        its weight over the real samples of its batch."""
        batches = -(-len(order) // BATCH)
        full = np.resize(np.arange(len(order)), batches * BATCH)
        real = np.arange(batches * BATCH) < len(order)
        counted = np.where(real, weights[full], 0.0).reshape(batches, BATCH)
        counted /= real.reshape(batches, BATCH).sum(axis=1, keepdims=True)
        self.index[:batches].copy_(torch.from_numpy(order[full].reshape(batches, BATCH)))
        self.draws[:batches].copy_(torch.from_numpy(drawn[full].reshape(batches, BATCH, 3)))
        self.weights[:batches].copy_(torch.from_numpy(counted))
        self.at.zero_()
        return batches

    def next(self) -> tuple[Tensor, Tensor, Tensor]:
        """This batch's rows, draws and weights."""
        return self.index[self.at][0], self.draws[self.at][0], self.weights[self.at][0]

    def done(self, losses: Tensor) -> None:
        self.losses.index_copy_(0, self.at, losses[None])
        self.at.add_(1)


class Learner:
    """A net in training: SGD with momentum on all weights as one array (PyTorch's rule)."""

    def __init__(
        self, data: Data, *, seed: int, graph: bool, blocks: int = 3, width: int = 16
    ) -> None:
        torch.manual_seed(seed)
        self.data, self.device = data, data.device
        self.net = ResNet(blocks, width).to(self.device).train()
        self.rate = torch.zeros((), device=self.device)
        self.flat, self.grads = _flattened(self.net)
        self.speed = torch.zeros_like(self.flat)
        batches = -(-len(data) // BATCH)
        self.training, self.looking = Rows(batches, self.device), Rows(batches, self.device)
        self._graph = graph
        self._step = self._captured(self._train_step, self.training)
        self._look: Callable[[], None] | None = None

    def train(
        self,
        order: NDArray[np.int64],
        drawn: NDArray[np.int64],
        *,
        rate: float,
        weights: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Train on these samples in this order: the loss of each."""
        self.rate.fill_(rate)
        weights = np.ones(len(order)) if weights is None else weights
        batches = self.training.load(order, drawn, weights)
        for _ in range(batches):
            self._step()
        return _losses(self.training, len(order))

    def looks(
        self, order: NDArray[np.int64], drawn: NDArray[np.int64]
    ) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """The losses of these samples batch by batch, without training; in between, train."""
        if self._look is None:
            self._look = self._captured(self._look_step, self.looking)
        for batch in range(self.looking.load(order, drawn, np.ones(len(order)))):
            self._look()
            part = slice(batch * BATCH, min(len(order), (batch + 1) * BATCH))
            yield part, self.looking.losses[batch, : part.stop - part.start].double().cpu().numpy()

    @torch.no_grad()
    def accuracy(self) -> float:
        """Share of the test pictures that are right."""
        right = 0
        for part in torch.arange(len(self.data.test), device=self.device).split(1000):
            found = self._plain(self.data.test[part]).argmax(1)
            right += int((found == self.data.test_labels[part]).sum())
        return right / len(self.data.test)

    @torch.no_grad()
    def plain_losses(self) -> NDArray[np.float64]:
        """The loss of each training picture as it is."""
        found = []
        for part in torch.arange(len(self.data), device=self.device).split(1000):
            middle = self.data.train[part, PAD : PAD + SIDE, PAD : PAD + SIDE]
            loss = F.cross_entropy(self._plain(middle), self.data.labels[part], reduction="none")
            found.append(loss.double().cpu().numpy())
        return np.concatenate(found)

    def _plain(self, images: Tensor) -> Tensor:
        self.net.eval()
        with self._precision():
            result: Tensor = self.net(images.permute(0, 3, 1, 2)).float()
        self.net.train()
        return result

    def _losses(self, rows: Tensor, drawn: Tensor) -> Tensor:
        with self._precision():
            found = self.net(self.data.varied(rows, drawn))
        return F.cross_entropy(found.float(), self.data.labels[rows], reduction="none")

    def _train_step(self) -> None:
        rows, drawn, weights = self.training.next()
        self.grads.zero_()
        losses = self._losses(rows, drawn)
        (losses * weights).sum().backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.speed.mul_(MOMENTUM).add_(self.grads).add_(self.flat, alpha=DECAY)
            self.flat.sub_(self.rate * self.speed)
            self.training.done(losses.detach())

    @torch.no_grad()
    def _look_step(self) -> None:
        rows, drawn, _ = self.looking.next()
        self.looking.done(self._losses(rows, drawn))

    def _precision(self) -> torch.autocast:
        cuda = self.device.type == "cuda"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=cuda, cache_enabled=False)

    def _captured(self, step: Callable[[], None], rows: Rows) -> Callable[[], None]:
        """The step as a CUDA graph, where there are such; the net is as before."""
        if not self._graph:
            return step
        kept = [part.clone() for part in self._parts(rows)]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                rows.at.zero_()
                step()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        rows.at.zero_()
        with torch.cuda.graph(graph):
            step()
        with torch.no_grad():
            for part, old in zip(self._parts(rows), kept, strict=True):
                part.copy_(old)
        return graph.replay

    def _parts(self, rows: Rows) -> list[Tensor]:
        return [self.flat, self.speed, rows.at, rows.losses, *self.net.buffers()]


def _losses(rows: Rows, count: int) -> NDArray[np.float64]:
    return rows.losses.flatten()[:count].double().cpu().numpy()


def _flattened(net: nn.Module) -> tuple[Tensor, Tensor]:
    """All weights as one array and their gradients as another; the net's own are views of them,
    those of convolutions channels last."""
    parameters = list(net.parameters())
    sizes = [p.numel() for p in parameters]
    flat = torch.empty(sum(sizes), device=parameters[0].device)
    grads = torch.zeros_like(flat)
    for p, mine, own in zip(parameters, flat.split(sizes), grads.split(sizes), strict=True):
        view, grad = _shaped(mine, p), _shaped(own, p)
        view.copy_(p.detach())
        p.data, p.grad = view, grad
    return flat, grads


def _shaped(part: Tensor, like: Tensor) -> Tensor:
    if like.dim() != 4:
        return part.view(like.shape)
    out, inside, height, width = like.shape
    return part.view(out, height, width, inside).permute(0, 3, 1, 2)
