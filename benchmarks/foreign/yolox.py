"""YOLOX of Megvii, not decoded and decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.foreign.case import Boxes, Case, shaken, warmed


def cases(folder: Path) -> Iterator[Case]:
    """The same net twice."""
    import torch
    from yolox.data.data_augment import preproc
    from yolox.exp import get_exp
    from yolox.utils import postprocess

    experiment = get_exp(exp_name="yolox-nano")
    net = experiment.get_model().eval()
    for kind in ("cls_preds", "obj_preds"):
        for layer in getattr(net.head, kind):
            shaken(layer, 0.08)
    warmed(net, 1.0)
    for decoded in (False, True):
        path = folder / f"yolox-{decoded}.onnx"
        net.head.decode_in_inference = decoded
        torch.onnx.export(net, (torch.rand(1, 3, 416, 416),), str(path), dynamo=False)

        def ask(picture: NDArray[np.uint8], least: float) -> Boxes:
            net.head.decode_in_inference = True
            image, ratio = preproc(picture[:, :, ::-1], (416, 416))
            with torch.no_grad():
                raw = net(torch.from_numpy(image[None]))
            (found,) = postprocess(raw, 80, least, 0.45)
            rows = found.numpy().astype(np.float64)
            scores = rows[:, 4] * rows[:, 5]
            return np.column_stack([rows[:, :4] / ratio, scores, rows[:, 6]])

        yield Case(
            family="yolox-decoded" if decoded else "yolox", exporter="yolox, torch.onnx",
            package="yolox", path=path, ask=ask,
        )  # fmt: skip
