"""What benchmarks/opt_resolution.py looks at: the fleet's cameras, the same worlds on larger
pictures, and clips of real cameras; of each the frames to train on and later ones to measure on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.culling import choose
from benchmarks.fleet import FLEET, MIN_SIDE, STUDENT, TASK, Camera, images, seen_day
from benchmarks.real_footage import PERSON, STREET
from culling_pipeline.labels.teacher_labels import truths_of
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.foreign import ForeignDetector
from models.boxes.recognition import PRESETS
from models.boxes.student import fit_to_camera, load_detector
from models.images import resize
from streams.open import open_source
from streams.sampler import Sampler

KEEP = 64
MAX_SIDE_PX = 640
"""A night's default for the student's longer side."""

LARGE = (
    Camera("street-22-640", 22, tuning=True, width_px=640, height_px=384),
    Camera("court-3-640", 3, tuning=True, kind="court", width_px=640, height_px=384),
    Camera("street-33-640", 33, tuning=False, width_px=640, height_px=384),
)
"""Worlds of the fleet on pictures of twice the side: all objects are twice as large. The teacher
brings them to its own size, 320×192, as most teachers do."""


@dataclass(frozen=True)
class Clip:
    """A fixed camera's recording: the file, frames a second to take, what to find."""

    name: str
    tuning: bool
    video: str
    fps: float
    classes: dict[str, list[str]]


CLIPS = (
    Clip("one-by-one", True, "intel_one-by-one-person_768x432.mp4", 3.0, PERSON),
    Clip("residential", False, "residential_street_640x352.mp4", 8.0, STREET),
    Clip("aisle", False, "retail_aisle_616x566.mp4", 8.0, PERSON),
)

VIEWS: dict[str, Camera | Clip] = {v.name: v for v in (*FLEET, *LARGE, *CLIPS)}

Pictures = list[NDArray[np.uint8]]


@dataclass(frozen=True)
class Lesson:
    """What a night would train on and what it is measured on."""

    kept: Pictures
    labels: list[Detections]
    later: Pictures
    truth: list[Detections]
    start: TorchDetector
    """The student before the night, at full size."""

    @property
    def full_size(self) -> tuple[int, int]:
        """Height and width."""
        return self.start.spec.height_px, self.start.spec.width_px


def lesson(
    view: Camera | Clip, seed: int, *, frames: tuple[int, int], cache: Path, data: Path | None
) -> Lesson:
    """Frames, labels and student of a view; the detectors' part is kept in `cache`. `frames`: how
    many the kept set is chosen from, and how many are measured on."""
    if isinstance(view, Camera):
        return _of_camera(view, seed, frames, cache)
    if data is None:
        message = f"{view.name}: say with --data where the videos and the teacher's weights are"
        raise SystemExit(message)
    return _of_clip(view, frames[1], data, cache)


def _of_camera(camera: Camera, seed: int, counts: tuple[int, int], cache: Path) -> Lesson:
    day = seen_day(camera, day=0, count=counts[0], cache=cache)
    later = seen_day(camera, day=1, count=counts[1], cache=cache)
    kept = choose(day, "strata", KEEP, seed).kept
    return Lesson(
        kept=list(images(camera, day.times_s[np.array(kept)])),
        labels=[day.teacher[i] for i in kept],
        later=list(images(camera, later.times_s)),
        truth=later.teacher,
        start=load_detector(STUDENT).at_size(camera.height_px, camera.width_px),
    )


def _of_clip(clip: Clip, tests: int, data: Path, cache: Path) -> Lesson:
    """Trained on even frames of the first 60 %, measured on the last third."""
    frames = _frames(data / "videos" / clip.video, clip.fps)
    early, late = int(0.6 * len(frames)), int(2 / 3 * len(frames))
    kept = np.unique(np.linspace(0, early - 1, KEEP).astype(int)).tolist()
    tested = np.unique(np.linspace(late, len(frames) - 1, tests).astype(int)).tolist()
    classes = ClassMap.from_config(clip.classes)
    labels = _taught(clip, frames, [*kept, *tested], classes, data=data, cache=cache)
    height, width = frames[0].shape[:2]
    return Lesson(
        kept=[frames[i] for i in kept],
        labels=[labels[i] for i in kept],
        later=[frames[i] for i in tested],
        truth=[labels[i] for i in tested],
        start=fit_to_camera(load_detector(STUDENT), classes, height_px=height, width_px=width),
    )


def _frames(path: Path, fps: float) -> Pictures:
    """The clip's sampled frames, no larger than a student's default."""
    with open_source(str(path), camera=path.stem) as source:
        found = [frame.image for frame in source.frames(Sampler(1 / fps))]
    height, width = found[0].shape[:2]
    share = min(1.0, MAX_SIDE_PX / max(height, width))
    return [resize(image, round(height * share), round(width * share)) for image in found]


def _taught(
    clip: Clip,
    frames: Pictures,
    wanted: Sequence[int],
    classes: ClassMap,
    *,
    data: Path,
    cache: Path,
) -> dict[int, Detections]:
    path = cache / f"{clip.name}-teacher.npz"
    if not path.exists():
        weights = data / "weights" / "person-vehicle-bike-detection-2003.xml"
        teacher = ForeignDetector(weights, PRESETS["person-vehicle-bike"], threads=1)
        cache.mkdir(parents=True, exist_ok=True)
        save_detections(path, {i: teacher.predict([frames[i]])[0] for i in wanted})
    height, width = frames[0].shape[:2]
    task = replace(TASK, classes=classes, teacher_min_score=0.3, teacher_min_side=MIN_SIDE)
    names = PRESETS["person-vehicle-bike"].class_names
    return truths_of(load_detections(path), task, names, height_px=height, width_px=width)
