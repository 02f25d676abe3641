"""RT-DETR and D-FINE as their own repositories export them: labels, boxes and scores, with the
picture's size (`orig_target_sizes`) as a second input."""

from __future__ import annotations

from models.boxes.classes import COCO_80
from models.boxes.families.base import RGB_SHARES, Family, Fit, Look, Settings, read_columns
from models.boxes.families.boxes_scores_labels import ROLES, columns, has_three


def _recognise(look: Look) -> Settings | None:
    if not has_three(look) or not any("size" in name for name in look.inputs):
        return None
    return {"class_names": COCO_80} if not look.class_names else {}


FAMILY = Family(
    name="detr-decoded",
    title="RT-DETR or D-FINE (labels, boxes, scores; takes the picture's size)",
    roles=ROLES,
    recognise=_recognise,
    columns=columns,
    read=read_columns(columns),
    usual=RGB_SHARES,
    fit=Fit(smooth=True),
)
