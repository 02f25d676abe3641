"""A counting student as a file that runs elsewhere: ONNX, OpenVINO IR or TorchScript.

One image goes in, 3×height×width float32 RGB of 0…255 at the student's size, and one map comes out,
h×w float32, whose sum is the count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.boxes.export import INPUT, SUFFIXES, open_script, read_about, write_net
from models.density.answer import DensityMap
from models.density.student import DensityStudent
from models.images import resize
from models.runtimes import open_net

OUTPUT = "density"


class _Exportable(nn.Module):
    """One image in, one map out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """`image` is 3×H×W float32 in 0…255."""
        density: Tensor = self.model(image[None] / 255.0)
        return density[0, 0]


def export_counter(
    student: DensityStudent, path: Path, format_: str, about: Mapping[str, Any]
) -> None:
    """Write the student at its size to `path`; `about` goes inside, each value as JSON. Its model
    is on the CPU afterwards. A missing package raises `ExportError`."""
    net = _Exportable(student.model.cpu().eval())
    image = torch.rand(3, *student.size) * 255
    write_net(net, image, path, format_, about, outputs=[OUTPUT], called=student.spec.net)


class ExportedCounter:
    """A file of `export_counter`, fed as the student is: resized by area, then asked."""

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        self.about = read_about(path)
        self._script: Any = None
        if path.suffix == SUFFIXES["torchscript"]:
            self._script = open_script(path)
        else:
            self._net = open_net(path, threads)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What is counted."""
        return tuple(self.about["class_names"])

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[DensityMap]:
        """See `models.base.Model.predict`."""
        size = (self.about["height_px"], self.about["width_px"])
        return [
            DensityMap(self._map_of(resize(image, *size)), *image.shape[:2]) for image in images
        ]

    def _map_of(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        fed = np.ascontiguousarray(image.transpose(2, 0, 1), np.float32)
        if self._script is not None:
            with torch.inference_mode():
                return np.asarray(self._script(torch.from_numpy(fed)).numpy(), np.float32)
        [said] = self._net.run({INPUT: fed}).values()
        return np.asarray(said, np.float32).clip(0)
