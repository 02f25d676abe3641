"""What `training.crops` changes, on whole frames and on the squares that recorders look at.

    python -m benchmarks.crops DATA

DATA is a folder with `videos/`, `labels/` and `weights/` (see real_footage.py). On the PETS clip
the synthetic student is trained on frames of its first part, labelled by an OpenVINO teacher, with
shares of crops and seeds in turn. Measured is mAP50 against human boxes on the last part: on whole
frames, and on a square around each object, scaled to the student's input as a recorder does.
Writes benchmarks/results/crops.json and a table beside it.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.book import Book, markdown
from benchmarks.real_footage import CLIPS, human_boxes
from culling_pipeline.tasks.boxes.augment import prepared
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.boxes.crops import LEAST_SHARE, cropped, square_of
from culling_pipeline.tasks.boxes.labels import clean_labels
from culling_pipeline.tasks.samples import Prepared, Sample
from culling_pipeline.training.loop import fine_tune
from jobs.cameras.detectors import configured_detector
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.student import fit_to_camera
from streams.open import open_source
from streams.sampler import Sampler

RESULTS = Path(__file__).parent / "results"
KEYS = ("crops", "seed")
TRAINED_ON, MEASURED_ON = range(0, 480, 10), range(540, 795, 5)
"""Frames of the clip; between the two lie nine seconds."""
SIZE = (240, 320)
"""Height and width of the student."""
EPOCHS = 12


def camera_of(data: Path) -> CameraConfig:
    """The camera as a user would write it."""
    teacher = {
        "weights": str(data / "weights" / "person-vehicle-bike-detection-2003.xml"),
        "io": {"preset": "person-vehicle-bike"},
        "min_score": 0.3,
    }
    content = {
        "name": "pets09",
        "source": str(data / "videos" / CLIPS["pets09"].video),
        "classes": {"person": ["person"]},
        "teacher": teacher,
        "training": {"epochs": EPOCHS},
    }
    return CameraConfig.model_validate(content)


def pictures_of(camera: CameraConfig) -> list[np.ndarray]:
    """All frames of the clip."""
    with open_source(camera.source, camera=camera.name) as source:
        return [frame.image for frame in source.frames(Sampler(1e-3))]


def labelled(camera: CameraConfig, images: list[np.ndarray]) -> list[Sample]:
    """These pictures with the teacher's labels."""
    teacher = configured_detector(camera.teacher, device="cpu")()
    classes, samples = ClassMap.from_config(camera.classes), []
    for image in images:
        found = classes.translate(teacher.predict([image])[0], teacher.class_names)
        height, width = image.shape[:2]
        clean = clean_labels(
            found,
            min_score=camera.teacher.min_score,
            min_side=camera.teacher.min_side_share,
            height_px=height,
            width_px=width,
        )
        samples.append(Sample(image, clean))
    return samples


def squares(samples: list[Sample]) -> list[Prepared]:
    """A square around an object for each object of the samples, as a recorder would show it."""
    rng, found = np.random.default_rng(5), []
    for sample in samples:
        whole = prepared(sample, *sample.image.shape[:2])
        for _ in range(len(sample.truth)):
            square = square_of(whole, rng, least_px=LEAST_SHARE * max(SIZE))
            found.append(cropped(whole, square, size=SIZE))
    return found


def map50(detector: Any, shown: list[Prepared]) -> float:
    """mAP50 on these pictures; what lies where something was cut off counts for nothing."""
    answers, truths = [], []
    for image, target in shown:
        answer = detector.predict([image.permute(1, 2, 0).numpy()])[0]
        if "ignored" in target:
            answer = _outside(answer, target["ignored"].numpy())
        answers.append(answer)
        boxes = target["boxes"].numpy()
        truths.append(Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), int)))
    return float(coco_map(answers, truths, ["person"]).score.value)


def _outside(answer: Detections, ignored: np.ndarray) -> Detections:
    centres = (answer.boxes_xyxy[:, :2] + answer.boxes_xyxy[:, 2:]) / 2 / [SIZE[1], SIZE[0]]
    columns, rows = (centres * ignored.shape[0]).astype(int).clip(0, ignored.shape[0] - 1).T
    keep = ~ignored[rows, columns]
    return Detections(answer.boxes_xyxy[keep], answer.scores[keep], answer.labels[keep])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=lambda p: Path(p).absolute())
    parser.add_argument("--crops", type=float, nargs="+", default=[0.0, 0.5])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    args = parser.parse_args()
    torch.set_num_threads(1)
    camera, book = camera_of(args.data), Book(RESULTS / "crops.json", KEYS)
    images = pictures_of(camera)
    known = human_boxes(args.data / "labels" / str(CLIPS["pets09"].labels))
    samples = labelled(camera, [images[i] for i in TRAINED_ON])
    measured = [Sample(images[i], known.get(i, Detections.empty())) for i in MEASURED_ON]
    whole, parts = [prepared(sample, *SIZE) for sample in measured], squares(measured)
    task, classes = task_of(camera), ClassMap.from_config(camera.classes)
    for seed, crops in itertools.product(args.seeds, args.crops):
        if book.has(crops=crops, seed=seed):
            continue
        began = time.perf_counter()
        known_student = configured_detector(camera.student, device="cpu").torch_detector()
        student = fit_to_camera(known_student, classes, height_px=SIZE[0], width_px=SIZE[1])
        plan = camera.training.changed(seed=seed, crops=crops).to_plan()
        result = fine_tune(student, task, samples, plan)
        row = {"crops": crops, "seed": seed, "frames": len(samples), "images": result.images}
        row |= {"whole_frames": len(whole), "map50_whole": map50(student, whole)}
        row |= {"squares": len(parts), "map50_squares": map50(student, parts)}
        row["seconds"] = time.perf_counter() - began
        book.add(row)
        print(row, flush=True)
    (RESULTS / "crops.md").write_text(markdown(book.rows))


if __name__ == "__main__":
    main()
