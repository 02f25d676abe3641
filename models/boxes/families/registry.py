"""All families, by name. A new one is a file beside this, a line here and its name in `names`."""

from __future__ import annotations

from models.boxes.families import (
    boxes_labels,
    boxes_scores_labels,
    detr,
    detr_decoded,
    detr_rows,
    ssd,
    tf_ssd,
    yolo,
    yolo_end2end,
    yolo_nas,
    yolo_v5,
    yolox,
)
from models.boxes.families.base import Family

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        boxes_labels.FAMILY,
        boxes_scores_labels.FAMILY,
        yolox.RAW,
        yolox.DECODED,
        yolo.FAMILY,
        yolo_v5.FAMILY,
        yolo_end2end.FAMILY,
        yolo_nas.FLAT,
        yolo_nas.BATCH,
        detr.FAMILY,
        detr.RF_DETR,
        detr_rows.FAMILY,
        detr_decoded.FAMILY,
        ssd.FAMILY,
        tf_ssd.FAMILY,
    )
}
