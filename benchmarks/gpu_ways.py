"""What the cells of benchmarks/gpu.py do: looks and labels as `predict` does them, training steps
as the loop does them, their dense part also by torch.compile or from a CUDA graph.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.gpu_nets import Bench
from benchmarks.gpu_parts import COMPILED, COMPILED_GRAPH, GRAPH, Cell
from models.boxes.detections import Detections
from models.boxes.losses import losses_by_image
from streams.synthetic.truth import Truth


@dataclass(frozen=True)
class Looking:
    """A batch through `predict`, from pictures in memory to boxes in memory (`whole`); the net
    alone, on what lies on the device (`net`)."""

    whole: Callable[[], list[Detections]]
    net: Callable[[], object]


def looking(bench: Bench, cell: Cell) -> Looking:
    """A look, or a label."""
    net, images = bench.net(cell), [image for image, _ in bench.shown(cell, cell.batch)]
    there = [tensor.to(bench.device) for tensor in bench.tensors(cell, cell.batch)]

    def whole() -> list[Detections]:
        with bench.precision(cell):
            return net.predict(images)

    def alone() -> object:
        with torch.inference_mode(), bench.precision(cell):
            return net.model(there)

    rearrange(net.model, cell)
    if cell.way == GRAPH:
        net.predict(images)  # sets the size
        record(bench, net.model, cell, there)
    return Looking(whole, alone)


def training_step(bench: Bench, cell: Cell) -> Callable[[], object]:
    """Pictures to the device, losses, gradients, AdamW (`culling_pipeline.training.loop`)."""
    net = bench.net(cell)
    model = net.model.train()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    rearrange(model, cell)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=1e-4)
    batch = [
        (torch.from_numpy(image).permute(2, 0, 1), as_target(truth))
        for image, truth in bench.shown(cell, cell.batch)
    ]

    def step() -> None:
        moved = [
            (image.to(bench.device), {k: v.to(bench.device) for k, v in target.items()})
            for image, target in batch
        ]
        with bench.precision(cell):
            each = losses_by_image(net, moved)
        if not bool(torch.isfinite(each).all()):
            message = "a loss is not finite"
            raise ArithmeticError(message)
        optimizer.zero_grad()
        each.sum().backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    return step


def rearrange(model: Any, cell: Cell) -> None:
    """The dense part (trunk, pyramid, the first stage's convolutions) through torch.compile."""
    if cell.way not in (COMPILED, COMPILED_GRAPH):
        return
    mode = "reduce-overhead" if cell.way == COMPILED_GRAPH else None
    for module in (model.backbone, model.rpn.head):
        module.forward = torch.compile(module.forward, mode=mode, dynamic=False)


def record(bench: Bench, model: Any, cell: Cell, there: list[Tensor]) -> None:
    """Record the dense part once and play it again for every batch of this shape."""
    with torch.inference_mode():
        given = model.transform(there)[0].tensors.clone()
    trunk, head = model.backbone.forward, model.rpn.head.forward

    def dense() -> tuple[dict[str, Tensor], Any]:
        with torch.inference_mode(), bench.precision(cell):
            levels = trunk(given)
            return levels, head(list(levels.values()))

    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            dense()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        levels, maps = dense()

    def replay(pixels: Tensor) -> dict[str, Tensor]:
        given.copy_(pixels)
        graph.replay()
        return levels

    model.backbone.forward = replay
    model.rpn.head.forward = lambda _: maps


def as_target(truth: Truth) -> dict[str, Tensor]:
    """torchvision's target: labels count from 1."""
    return {
        "boxes": torch.from_numpy(truth.boxes_xyxy.reshape(-1, 4)),
        "labels": torch.from_numpy(truth.labels) + 1,
    }
