"""COCO files as labelling tools write them, spoilt, and imported as corrections of a night."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt_json
from benchmarks.testbed.small_night import DAY, START, night_record
from culling_pipeline.day.frame_files import frame_name, write_image
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.tasks.boxes.coco_files import DatasetError, read_coco
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.exports.dataset import image_name, import_dataset

OURS = (DatasetError, UsageError)
CAMERA, CLASSES = "yard", ("person", "car")
WIDTH, HEIGHT, FRAMES = 64, 48, 6


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case imports one file."""
    path = folder / "config.yaml"
    path.write_text(
        f"data_dir: data\ncameras: {{{CAMERA}: {{source: a, classes: [person, car]}}}}\n"
    )
    config = load_config(path)
    store = Store(config.data_dir)
    _night(config, store)
    file = folder / "labels.json"

    def run(seed: int) -> Iterator[str]:
        rng = random.Random(seed)
        file.write_bytes(spoilt_json(_whole(rng), rng))
        if seed % 5:
            for image in read_coco(file, CLASSES):
                boxes = image.labels.boxes_xyxy
                assert np.isfinite(boxes).all()
                assert (boxes[:, 2:] > boxes[:, :2]).all()
                assert set(image.labels.labels.tolist()) <= {0, 1}
        yield repr(import_dataset(config, CAMERA, file, store=store))

    return lambda seed: Case(lambda: run(seed))


def _night(config: Config, store: Store) -> None:
    record = night_record(CAMERA)
    folder = config.frames_dir(CAMERA, record.run_id)
    folder.mkdir(parents=True)
    for number in range(FRAMES):
        write_image(folder, frame_name(number), np.full((HEIGHT, WIDTH, 3), 9 * number, np.uint8))
    rows = tuple(
        StoredFrame(
            id=number, path=frame_name(number), time_s=60.0 * number, part=0, confidence_loss=1.0,
            wall_time=START + timedelta(minutes=number),
        )
        for number in range(FRAMES)
    )  # fmt: skip
    update = {"frames": rows, "survivors": (0, 1, 2), "control": (5,), "width_px": WIDTH}
    ingest = record.ingest.model_copy(update={**update, "height_px": HEIGHT})
    record = record.model_copy(update={"ingest": ingest, "classes": CLASSES})
    with store.running_night(CAMERA, DAY) as journal:
        store.finish_night(journal.night.id, record)


def _whole(rng: random.Random) -> dict[str, Any]:
    """A file that would be taken, of this or that tool."""
    names = [image_name(CAMERA, "2026-11-21", n) for n in range(FRAMES - 1)]
    if rng.random() < 0.3:
        names = [f"images/{n.replace('.jpg', '_jpg.rf.0123456789abcdef.jpg')}" for n in names]
    root = [{"id": 0, "name": "things", "supercategory": "none"}] if rng.random() < 0.3 else []
    classes = [{"id": n, "name": name} for n, name in enumerate(CLASSES, start=1)]
    boxes = [
        {
            "id": n,
            "image_id": n % 5,
            "category_id": 1 + n % 2,
            "bbox": [
                rng.randint(0, 20),
                rng.randint(0, 20),
                rng.randint(1, 20),
                rng.uniform(1, 20),
            ],
            "iscrowd": 0,
            "area": 9,
            "segmentation": [],
            "attributes": {"rotation": 0.0, "occluded": False},
        }
        for n in range(rng.randint(0, 9))
    ]
    images = [
        {"id": n, "file_name": name, "width": WIDTH, "height": HEIGHT}
        for n, name in enumerate(names)
    ]
    return {"info": {}, "categories": root + classes, "images": images, "annotations": boxes}
