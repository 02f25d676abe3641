"""The nets, pictures and device of benchmarks/gpu.py. Needs `models/`, `streams/synthetic/`, torch,
torchvision, numpy and cv2, and nothing else.
"""

from __future__ import annotations

import contextlib
import gc
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.gpu_parts import BFLOAT16, COMPILED, COMPILED_GRAPH, GRAPH, Cell
from models.boxes.detector import DetectorSpec, TorchDetector, build_model
from models.boxes.student import fresh_spec
from models.images import to_tensor
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene
from streams.synthetic.truth import CLASS_NAMES, Truth

Pictures = list[tuple[NDArray[np.uint8], Truth]]
DISTINCT = 8
"""Different pictures; larger batches show them again."""


class Bench:
    """One net at a time on one device. Random weights cost what trained ones do, but for the number
    of boxes: that of a busy picture at most (`boxes` in the rows)."""

    def __init__(self, device: str, *, tiny: bool) -> None:
        self.device, self.tiny = device, tiny
        self.cell_s = 0.2 if tiny else 0.5
        """So long a cell is repeated."""
        self._nets: dict[str, TorchDetector] = {}
        self._pictures: dict[tuple[int, int], Pictures] = {}

    # -- the device ----------------------------------------------------------------------------

    def wait(self) -> None:
        """Until the device has done all that it was given."""
        if self.device == "cuda":
            torch.cuda.synchronize()

    def forget_peak(self) -> None:
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def peak_mib(self) -> float | None:
        """The most memory that tensors took on the GPU since `forget_peak`."""
        return torch.cuda.max_memory_allocated() / 2**20 if self.device == "cuda" else None

    def start_anew(self) -> None:
        """After a failure: no net and no memory of the last cell."""
        self._nets.clear()
        gc.collect()
        if self.device == "cuda":
            with contextlib.suppress(RuntimeError):
                torch.cuda.empty_cache()

    def why_not(self, cell: Cell) -> str | None:
        """Why a cell makes no sense here; None where it does."""
        if self.device != "cuda" and cell.way in (GRAPH, COMPILED, COMPILED_GRAPH):
            return "only on a GPU"
        return None

    # -- nets and pictures ---------------------------------------------------------------------

    def net(self, cell: Cell) -> TorchDetector:
        """The cell's net at its size, arranged as it says. One that a cell changes is its own."""
        name = cell.net if cell.way not in (GRAPH, COMPILED, COMPILED_GRAPH) else repr(cell)
        if name not in self._nets:
            self._nets.clear()
            torch.manual_seed(0)
            spec = self._spec(cell)
            self._nets[name] = TorchDetector(build_model(spec), spec, device=self.device)
            self._learn_norms(self._nets[name], cell)
        net = self._nets[name].at_size(cell.height_px, cell.width_px)
        wanted = torch.channels_last if cell.channels_last else torch.contiguous_format
        net.model.to(memory_format=wanted)
        return net

    def _spec(self, cell: Cell) -> DetectorSpec:
        longest, width = max(cell.height_px, cell.width_px), 0.25 if self.tiny else 1.0
        if cell.net == "student":
            return fresh_spec("resnet18", CLASS_NAMES, max_side_px=longest, width=width)
        return DetectorSpec(
            architecture="resnet101",
            class_names=CLASS_NAMES,
            height_px=longest,
            width_px=longest,
            width=width,
        )

    def _learn_norms(self, net: TorchDetector, cell: Cell) -> None:
        """Batch norm's statistics from some pictures: without them the numbers grow layer by layer
        beyond what any trained net has."""
        norms = [m for m in net.model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        with torch.no_grad():
            net.model.backbone(torch.stack(self.tensors(cell, 2)).to(self.device))  # type: ignore[operator]
        net.model.eval()

    def pictures(self, height_px: int, width_px: int) -> Pictures:
        """Frames of a street by day, with what is to be seen in them."""
        size = (height_px, width_px)
        if size not in self._pictures:
            scene = make_scene(131, width_px=width_px, height_px=height_px)
            renderer, count = StreetRenderer(scene), 2 if self.tiny else DISTINCT
            self._pictures[size] = [renderer.render(9 * 3600.0 + 400 * k) for k in range(count)]
        return self._pictures[size]

    def shown(self, cell: Cell, count: int) -> Pictures:
        """So many of them at the cell's size."""
        pictures = self.pictures(cell.height_px, cell.width_px)
        return [pictures[k % len(pictures)] for k in range(count)]

    def tensors(self, cell: Cell, count: int) -> list[Tensor]:
        """The same as a net takes them."""
        return [to_tensor(image) for image, _ in self.shown(cell, count)]

    def precision(self, cell: Cell) -> Any:
        """Around everything that computes. Its cache of weights is off where a graph is recorded:
        what is in it would be of another replay."""
        return torch.autocast(
            self.device,
            torch.bfloat16,
            enabled=cell.dtype == BFLOAT16,
            cache_enabled=cell.way not in (GRAPH, COMPILED_GRAPH),
        )
