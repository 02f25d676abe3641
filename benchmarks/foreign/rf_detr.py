"""RF-DETR of Roboflow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case, shaken, spread


def cases(folder: Path) -> Iterator[Case]:
    """The smallest."""
    import torch
    from rfdetr import RFDETRNano

    detector = RFDETRNano(pretrain_weights=None, device="cpu")
    net = detector.model.model
    shaken(net.class_embed, 0.05)
    spread(net.bbox_embed.layers[-1])
    with torch.no_grad():  # a query is told by its place, not by its rank among near equals
        for embedding in (net.query_feat, net.refpoint_embed):
            embedding.weight[:] = embedding.weight[:1].clone()
    detector.export(output_dir=str(folder / "rf"), verbose=False)
    path = next((folder / "rf").glob("*.onnx"))

    def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
        with torch.no_grad():
            found = detector.predict(picture, threshold=least)
        return np.column_stack([found.xyxy, found.confidence, found.class_id]).astype(np.float64)

    yield Case(family="rf-detr", exporter="rfdetr", package="rfdetr", path=path, ask=ask)
