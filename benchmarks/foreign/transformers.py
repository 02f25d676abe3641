"""RT-DETR and D-FINE of Hugging Face's Transformers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case, shaken, spread, warmed


def cases(folder: Path) -> Iterator[Case]:
    """Both with fewer layers than usual: the layout is the same, the time is not."""
    import torch
    from transformers import RTDetrImageProcessor

    processor = RTDetrImageProcessor()
    for name in ("rt-detr", "d-fine"):
        net = _made(name)
        path = folder / f"{name}.onnx"
        torch.onnx.export(
            _plain(net), (torch.rand(1, 3, 640, 640),), str(path), dynamo=False, opset_version=17,
            input_names=["pixel_values"], output_names=["logits", "pred_boxes"],
        )  # fmt: skip

        def ask(picture: NDArray[np.uint8], least: float, net: Any = net) -> Boxes:
            fed = processor(images=picture, return_tensors="pt")
            with torch.no_grad():
                said = net(**fed)
            sizes = torch.tensor([picture.shape[:2]])
            (found,) = processor.post_process_object_detection(
                said, threshold=least, target_sizes=sizes
            )
            parts = (found[key].numpy() for key in ("boxes", "scores", "labels"))
            return np.column_stack(list(parts)).astype(np.float64)

        yield Case(
            family=name, exporter="transformers, torch.onnx", package="transformers", path=path,
            ask=ask,
        )  # fmt: skip


def _made(name: str) -> Any:
    from transformers import (
        DFineConfig,
        DFineForObjectDetection,
        RTDetrConfig,
        RTDetrForObjectDetection,
    )

    few = {"num_labels": 80, "decoder_layers": 2}
    if name == "rt-detr":
        net: Any = RTDetrForObjectDetection(RTDetrConfig(**few))
    else:
        net = DFineForObjectDetection(DFineConfig(**few))
    warmed(net)
    shaken(net.model.enc_score_head, 0.5)  # else the queries are drawn by rounding: all score alike
    for layer in net.model.decoder.class_embed:
        shaken(layer, 0.05)
    for head in net.model.decoder.bbox_embed:
        spread(head.layers[-1])
    return net.eval()


def _plain(net: Any) -> Any:
    """The net with its two outputs alone; the exporter puts it back into the mode it comes in."""
    import torch

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixel_values: Any) -> Any:
            said = self.net(pixel_values=pixel_values)
            return said.logits, said.pred_boxes

    return Plain().eval()
