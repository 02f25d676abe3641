"""The names of the families, as `teacher.io.outputs` knows them (no numpy: the configuration reads
this)."""

from __future__ import annotations

from typing import Literal, get_args

FamilyName = Literal[
    "boxes-labels",
    "boxes-scores-labels",
    "yolox",
    "yolox-decoded",
    "yolo",
    "yolo-v5",
    "yolo-end2end",
    "yolo-nas-flat",
    "yolo-nas-batch",
    "detr",
    "rf-detr",
    "detr-rows",
    "detr-decoded",
    "ssd",
    "tf-ssd",
]
FAMILY_NAMES: tuple[str, ...] = get_args(FamilyName)
