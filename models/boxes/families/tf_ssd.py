"""SSD of TensorFlow's detection models: boxes 1×N×4 (y1 x1 y2 x2 in shares), classes from 1 and
scores, told apart by their names."""

from __future__ import annotations

from models.boxes.classes import COCO_IDS
from models.boxes.families.base import (
    Arrays,
    Family,
    ForeignOptions,
    Found,
    Look,
    Settings,
    Wanted,
    as_found,
    read_columns,
    same_count,
)

_NAMES = {"boxes": "detection_boxes", "scores": "detection_scores", "labels": "detection_classes"}


def _recognise(look: Look) -> Settings | None:
    found: dict[str, object] = {}
    for role, word in _NAMES.items():
        names = [name for name in look.outputs if name.partition(":")[0].endswith(word)]
        if len(names) != 1:
            return None
        found[f"{role}_output"] = names[0]
    return found if look.class_names else found | {"class_names": COCO_IDS[1:]}


def _columns(found: Arrays, options: ForeignOptions) -> Found:
    boxes = found["boxes"].reshape(-1, 4)
    same_count(len(boxes), found["labels"].size)
    return as_found(boxes[:, [1, 0, 3, 2]], found["scores"], found["labels"])


FAMILY = Family(
    name="tf-ssd",
    title="SSD of TensorFlow",
    roles={
        "boxes": Wanted((None, 4)),
        "scores": Wanted((None,)),
        "labels": Wanted((None,), "fiu"),
    },
    recognise=_recognise,
    columns=_columns,
    read=read_columns(_columns),
    usual={"box_units": "shares", "channel_order": "rgb", "label_offset": -1},
    usual_size=(320, 320),
)
