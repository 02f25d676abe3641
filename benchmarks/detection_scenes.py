"""What `benchmarks/detection_schedules.py` trains on and measures with: synthetic streets, the PETS
clip against people's boxes, and the building site against its reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.crops import camera_of, labelled
from benchmarks.culling import TEST_FRAMES, TRAIN_FRAMES, choose, samples
from benchmarks.equal_cost_runs import CAMERAS
from benchmarks.fleet import CACHE, STUDENT, TASK, images, seen_day
from benchmarks.real_days_places import PLACES, open_scene
from benchmarks.real_days_students import Students
from benchmarks.real_footage import CLIPS, human_boxes
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.boxes.average_precision import coco_map
from culling_pipeline.tasks.samples import Sample
from jobs.cameras.detectors import configured_detector
from jobs.cameras.task import task_of
from models.boxes.backend import at_work
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.student import fit_to_camera, load_detector
from streams.open import open_source
from streams.sampler import Sampler

PETS_SIZE = (240, 320)
"""Height and width of the student on the PETS clip."""
PETS_TRAIN, PETS_TEST = (0, 480), range(540, 795, 5)
"""Frames of the clip; between the two lie nine seconds."""
SITE_DAYS = 5
"""The days of the building site that are trained on; measured are the three after them."""
SITE_TEST = 3


@dataclass(frozen=True, eq=False)
class Scene:
    """Frames to train on, frames that only give objects, frames to measure with, and a student as
    it is before."""

    task: Task
    kept: list[Sample]
    others: list[Sample]
    measured: list[Sample]
    student: Callable[[], TorchDetector]

    def map50(self, student: TorchDetector) -> dict[str, float]:
        """The student's figures on the frames to measure with."""
        watching = at_work(student, "auto")
        found = [watching.predict([sample.image])[0] for sample in self.measured]
        truths = [sample.truth for sample in self.measured]
        accuracy = coco_map(found, truths, self.task.class_names)
        return {"map50": accuracy.score.value, "map": accuracy.further[0].value}


def open_street(name: str, frames: int) -> Scene:
    """What the night's strategy keeps of a street's day; measured is every other frame of the
    benchmark's next day, against the teacher."""
    camera = next(c for c in CAMERAS if c.name == name)
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=CACHE)
    later = seen_day(camera, day=1, count=TEST_FRAMES, cache=CACHE)
    choice = choose(day, "mixed", frames, seed=0)
    rows = range(0, TEST_FRAMES, 2)
    pictures = images(camera, later.times_s[list(rows)])
    measured = [Sample(p, later.teacher[i]) for p, i in zip(pictures, rows, strict=True)]
    kept, others = (list(samples(day, ids)) for ids in (choice.kept, choice.others))
    return Scene(TASK, kept, others, measured, partial(load_detector, STUDENT))


def open_pets(data: Path, frames: int) -> Scene:
    """Frames evenly over the clip's first part; measured are people's boxes in the last."""
    camera, clip = camera_of(data), CLIPS["pets09"]
    chosen = np.linspace(*PETS_TRAIN, frames, endpoint=False).astype(int).tolist()
    wanted = {*chosen, *PETS_TEST}
    with open_source(camera.source, camera=camera.name) as source:
        all_frames = enumerate(source.frames(Sampler(1e-3)))
        pictures = {i: frame.image for i, frame in all_frames if i in wanted}
    known = human_boxes(data / "labels" / str(clip.labels))
    measured = [Sample(pictures[i], known.get(i, Detections.empty())) for i in PETS_TEST]
    kept = labelled(camera, [pictures[i] for i in chosen])

    def student() -> TorchDetector:
        first = configured_detector(camera.student, device="cpu").torch_detector()
        high, wide = PETS_SIZE
        classes = ClassMap.from_config(camera.classes)
        return fit_to_camera(first, classes, height_px=high, width_px=wide)

    return Scene(task_of(camera), kept, [], measured, student)


def open_site(data: Path, frames: int) -> Scene:
    """Frames drawn at random from the site's first days; measured against the reference."""
    site = open_scene(data, PLACES["building_site"])
    pool = site.rows_of(site.days[:SITE_DAYS])
    test = site.rows_of(site.days[SITE_DAYS : SITE_DAYS + SITE_TEST])
    students = Students(site, 0)
    rng = np.random.default_rng([0, 61])
    chosen = sorted(int(i) for i in rng.permutation(pool)[:frames])
    kept = [Sample(site.pictures[i], t) for i, t in zip(chosen, site.labels(chosen), strict=True)]
    measured = [Sample(site.pictures[i], site.reference[i]) for i in test]
    return Scene(site.task, kept, [], measured, students.start)


def scene_of(name: str, frames: int, data: Path | None) -> Scene:
    """A scene by its name."""
    if name.startswith("street-"):
        return open_street(name, frames)
    if data is None:
        message = f"{name}: needs --data, a folder with `videos/`, `labels/`, `weights/`, `days/`"
        raise SystemExit(message)
    return open_pets(data, frames) if name == "pets09" else open_site(data, frames)


SCENES = (*(c.name for c in CAMERAS if c.kind == "street"), "pets09", "building_site")
