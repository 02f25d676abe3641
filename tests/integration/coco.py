"""A tiny set in COCO's layout: streets of the synthetic camera with their true boxes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2

from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene
from streams.synthetic.truth import CLASS_NAMES


def write_coco(folder: Path, split: str = "train2017", count: int = 8) -> Path:
    """`count` pictures of two shapes, 144×96 and 96×96; ids have gaps, as COCO's do. Scaled to a
    shorter side of 64 px both need no padding: of pictures that are mostly padding torchvision's
    RoIAlign would take the scale of its levels wrongly, and keep it."""
    (folder / split).mkdir(parents=True)
    (folder / "annotations").mkdir(exist_ok=True)
    renderers = [
        StreetRenderer(make_scene(seed, width_px=width, height_px=96))
        for seed, width in ((3, 144), (4, 96))
    ]
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(count):
        picture, truth = renderers[number % 2].render(8 * 3600 + 40 * number)
        name = f"{10 * number:012d}.jpg"
        cv2.imwrite(str(folder / split / name), picture[..., ::-1])
        height, width = picture.shape[:2]
        image = {"id": 10 * number, "file_name": name, "height": height, "width": width}
        images.append(image)
        for (x1, y1, x2, y2), label in zip(
            truth.boxes_xyxy.tolist(), truth.labels.tolist(), strict=True
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 3 * label + 1,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "iscrowd": 0,
                }
            )
    categories = [{"id": 3 * n + 1, "name": name} for n, name in enumerate(CLASS_NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories[::-1]}
    path = folder / "annotations" / f"instances_{split}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return folder
