"""The places of `benchmarks/real_days.py`: pictures at the student's size, reference boxes, labels.

Pictures and answers are kept under build/, never in the project: people are visible in them.
"""

from __future__ import annotations

import csv
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.real_days_arms import Budget
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from culling_pipeline.tasks.boxes.task import BoxTask
from jobs.cameras.task import task_of
from jobs.config.settings import CameraDefaults
from models.boxes.classes import COCO_80, ClassMap
from models.boxes.detections import Detections, iou_matrix
from models.boxes.foreign import ForeignDetector
from models.boxes.recognition import PRESETS
from models.images import resize
from streams.base import FrameSource, StreamError
from streams.open import open_source
from streams.pictures import read_picture
from streams.recorded.folder import DatedFolder

CACHE = Path("build/real-days")
TEACHER = "person-vehicle-bike-detection-2003"
TRUSTED = 0.35
"""Reference boxes below this score do not count."""
TEACHER_SCORE = 0.3
"""The teacher's boxes below this do not count: its precision on the site's first two days is 0.57
there and its recall 0.49; at 0.5, a camera's default, 0.90 and 0.11."""
EDGE_PX = 3
"""A box this near to an inner edge of a window is cut off there: another window has it whole."""
SAME_IOU, INSIDE = 0.5, 0.8
"""Of boxes from several windows that overlap this much, or lie this much in another, the best
stays."""
VEHICLES = {"vehicle": ["vehicle", "car", "bus", "truck"]}


@dataclass(frozen=True, kw_only=True)
class Place:
    """A fixed camera of some days. `top_px` rows are cut off, `size` is what the student works at,
    `dark_h` are the hours (as in the file names) that are dark, `windows` (x from, x to) is how the
    teacher is asked; none: people have labelled.

    `start_days` are for setting the camera up, with `start_images` shown; `night` is what a night
    may spend beside its looks. A first night of the untrained student spends `first` on the first
    `first_days` and is measured on the three days after. Full training on everything so far is made
    before the days of these numbers."""

    name: str
    reference: str
    width_px: int
    top_px: int = 0
    size: tuple[int, int]
    dark_h: frozenset[int] = frozenset()
    windows: tuple[tuple[int, int], ...] = ()
    classes: dict[str, list[str]] = field(default_factory=lambda: VEHICLES)
    night: Budget
    start_days: int = 2
    start_images: int = 1_024
    first: Budget | None = None
    first_days: int = 5
    full_before: tuple[int, ...] = ()


JANUARY_NIGHT = frozenset([*range(7), *range(19, 24)])
HALVES = ((0, 720), (560, 1280))
PLACES = {
    place.name: place
    for place in (
        Place(
            name="building_site",
            reference="building_site_reference.json",
            width_px=1024,
            top_px=420,
            size=(218, 640),
            dark_h=frozenset(range(3, 12)),
            windows=((0, 512), (256, 768), (512, 1024)),
            night=Budget(16, 256),
            first=Budget(48, 768),
            full_before=(4, 7, 12),
        ),
        Place(
            name="checkpoint_2701",
            reference="checkpoints_reference.json",
            width_px=1280,
            top_px=180,
            size=(270, 640),
            dark_h=JANUARY_NIGHT,
            windows=HALVES,
            night=Budget(3, 96),
        ),
        Place(
            name="checkpoint_4703",
            reference="checkpoints_reference.json",
            width_px=1280,
            size=(360, 640),
            dark_h=JANUARY_NIGHT,
            windows=HALVES,
            night=Budget(3, 96),
        ),
        Place(
            name="delivery_yard",
            reference="delivery_yard_boxes.csv",
            width_px=1280,
            size=(253, 448),
            classes={name: [name] for name in ("fedex_truck", "jimmy_johns", "ups_truck")},
            night=Budget(16, 256),
            start_days=1,
        ),
    )
}


@dataclass(frozen=True, eq=False)
class Scene:
    """All days of a place. Row i of `pictures` (N×H×W×3 uint8) is the file `names[i]`, taken at
    `moments[i]`; boxes are in its pixels."""

    data: Path
    place: Place
    names: tuple[str, ...]
    moments: tuple[datetime, ...]
    pictures: NDArray[np.uint8]
    reference: list[Detections]

    @cached_property
    def task(self) -> BoxTask:
        """The camera's task, by default settings but for the teacher's threshold."""
        return task_for(self.place)

    @cached_property
    def days(self) -> list[str]:
        """The days in the order of the calendar."""
        return sorted(set(self.day_of))

    @cached_property
    def day_of(self) -> list[str]:
        """N: each picture's day."""
        return [moment.date().isoformat() for moment in self.moments]

    @cached_property
    def _said(self) -> dict[int, Detections]:
        return {}

    def teacher(self, rows: Iterable[int]) -> list[Detections]:
        """What the teacher says of these pictures, uncut by score; a person's boxes where no
        teacher knows the classes. The teacher is asked about a whole day at a time, and once."""
        rows = list(rows)
        for day in sorted({self.day_of[i] for i in rows if i not in self._said}):
            ids = self.rows_of([day]).tolist()
            if self.place.windows:
                self._said.update(_of_day(self, day, ids))
            else:
                self._said.update((i, self.reference[i]) for i in ids)
        return [self._said[i] for i in rows]

    def labels(self, rows: Iterable[int]) -> list[Detections]:
        """The boxes that these pictures are trained with."""
        high, wide = self.place.size
        names = list(self.place.classes)
        return [
            self.task.truth(said, names, height_px=high, width_px=wide)
            for said in self.teacher(rows)
        ]

    def rows_of(self, days: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of these days' pictures, in order of time."""
        return np.array([i for i, day in enumerate(self.day_of) if day in days], np.int64)

    @cached_property
    def dark(self) -> NDArray[np.bool_]:
        """N: whether a picture was taken at night."""
        return np.array([moment.hour in self.place.dark_h for moment in self.moments])

    @cached_property
    def times_s(self) -> NDArray[np.float64]:
        """N: seconds since midnight."""
        clocks = [moment.time() for moment in self.moments]
        return np.array([3600 * c.hour + 60 * c.minute + c.second for c in clocks], float)

    @cached_property
    def looks(self) -> NDArray[np.float32]:
        """N×160: each picture in little, grey, brought to mean 0 and deviation 1. What differs
        between two of them is the scene, not the light."""
        small = [cv2.resize(p, (20, 8), interpolation=cv2.INTER_AREA) for p in self.pictures]
        grey = np.stack([s.astype(np.float32).mean(axis=2).ravel() for s in small])
        grey -= grey.mean(axis=1, keepdims=True)
        return np.asarray(grey / (grey.std(axis=1, keepdims=True) + 1e-6), np.float32)


def task_for(place: Place) -> BoxTask:
    """The task of a place."""
    return task_of(
        CameraDefaults.model_validate(
            {
                "classes": {name: [name] for name in place.classes},
                "teacher": {"min_score": TEACHER_SCORE},
            }
        )
    )


def open_scene(data: Path, place: Place) -> Scene:
    """All that is known of a place; minutes the first time."""
    CACHE.mkdir(parents=True, exist_ok=True)
    try:
        source = open_source(str(data / "days" / place.name), camera=place.name)
    except StreamError as error:
        raise SystemExit(str(error)) from error
    assert isinstance(source, DatedFolder)
    taken = sorted(source.pictures)  # bursts by their names, as the stored rows have them
    names, moments = tuple(name for name, _ in taken), tuple(moment for _, moment in taken)
    pictures = _pictures(source, moments, place)
    reference = _reference(data / "days" / place.reference, place, names)
    return Scene(data, place, names, moments, pictures, reference)


def _pictures(source: FrameSource, moments: Sequence[datetime], place: Place) -> NDArray[np.uint8]:
    path = CACHE / f"{place.name}.npy"
    if not path.exists():
        row_of = {moment: row for row, moment in enumerate(moments)}
        small = np.zeros((len(moments), *place.size, 3), np.uint8)
        for frame in source:
            row = row_of.pop(frame.wall_time)
            small[row] = resize(_cut(frame.image, place), *place.size)
        if row_of:
            message = f"{source.info.location}: {len(row_of)} pictures cannot be used"
            raise SystemExit(message)
        np.save(path, small)
    return np.asarray(np.load(path), np.uint8)


def _read(file: Path, place: Place) -> NDArray[np.uint8]:
    return _cut(read_picture(file), place)


def _cut(picture: NDArray[np.uint8], place: Place) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[place.top_px :])


def _reference(path: Path, place: Place, names: Sequence[str]) -> list[Detections]:
    """Reference or human boxes of each picture, in the student's pixels and the place's classes."""
    if path.suffix == ".csv":
        return [_scaled(d, place) for d in _human(path, list(place.classes), names)]
    stored = json.loads(path.read_text())
    prefix = f"{place.name}/" if place.name.startswith("checkpoint") else ""
    merged = ClassMap(("vehicle",), (("car", "bus", "truck"),))
    found = []
    for name in names:
        rows = [row for row in stored.get(prefix + name, []) if row[4] >= TRUSTED]
        every = Detections(
            np.array([row[:4] for row in rows], np.float32).reshape(-1, 4),
            np.array([row[4] for row in rows], np.float32),
            np.array([row[5] for row in rows], np.int64),
        )
        found.append(_scaled(merged.translate(every, COCO_80), place))
    return found


def _human(path: Path, classes: list[str], names: Sequence[str]) -> list[Detections]:
    boxes: Mapping[str, list[tuple[list[float], int]]] = defaultdict(list)
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            corners = [float(row[key]) for key in ("x1_px", "y1_px", "x2_px", "y2_px")]
            boxes[row["file"]].append((corners, classes.index(row["class"])))
    return [
        Detections(
            np.array([c for c, _ in boxes[name]], np.float32).reshape(-1, 4),
            np.ones(len(boxes[name]), np.float32),
            np.array([label for _, label in boxes[name]], np.int64),
        )
        for name in names
    ]


def _scaled(found: Detections, place: Place) -> Detections:
    """Boxes of the whole picture in the pixels of the cut and shrunk one; what lies above the cut
    is left out."""
    factor = place.size[1] / place.width_px
    boxes = found.boxes_xyxy - np.array([0, place.top_px, 0, place.top_px], np.float32)
    boxes = np.clip(boxes * factor, 0, np.array([*place.size[::-1]] * 2, np.float32))
    whole = (boxes[:, 2:] - boxes[:, :2] > 1).all(axis=1)
    return Detections(boxes[whole].astype(np.float32), found.scores[whole], found.labels[whole])


def _of_day(scene: Scene, day: str, rows: Sequence[int]) -> dict[int, Detections]:
    """The teacher's answers to a day's pictures, from the cache if they are there."""
    place = scene.place
    path = CACHE / f"{place.name}-teacher-{day}.npz"
    if not path.exists():
        teacher = open_teacher(scene.data)
        said = {}
        for i in rows:
            picture = _read(scene.data / "days" / place.name / scene.names[i], place)
            said[i] = _scaled(asked(teacher, picture, place), place)
        save_detections(path, said)
    return load_detections(path)


def open_teacher(data: Path) -> ForeignDetector:
    """The detector that labels."""
    return ForeignDetector(data / "weights" / f"{TEACHER}.xml", PRESETS["person-vehicle-bike"])


def label_s(scene: Scene, count: int = 8) -> float:
    """CPU seconds of a label; 0 where people label."""
    if not scene.place.windows:
        return 0.0
    teacher = open_teacher(scene.data)
    folder = scene.data / "days" / scene.place.name
    pictures = [_read(folder / name, scene.place) for name in scene.names[:count]]
    began = time.process_time()
    for picture in pictures:
        asked(teacher, picture, scene.place)
    return (time.process_time() - began) / count


def asked(teacher: ForeignDetector, picture: NDArray[np.uint8], place: Place) -> Detections:
    """The teacher's vehicles in a picture, asked window by window: its input is too small for the
    whole width. Boxes are in the pixels of the uncut picture."""
    classes = ClassMap(("vehicle",), (("vehicle",),))
    found = []
    for left, right in place.windows:
        window = np.ascontiguousarray(picture[:, left:right])
        here = classes.translate(teacher.predict([window])[0], teacher.class_names)
        x1, x2 = here.boxes_xyxy[:, 0], here.boxes_xyxy[:, 2]
        cut = ((x1 < EDGE_PX) & (left > 0)) | (
            (x2 > right - left - EDGE_PX) & (right < picture.shape[1])
        )
        moved = here.boxes_xyxy + np.array([left, place.top_px] * 2, np.float32)
        found.append(Detections(moved[~cut], here.scores[~cut], here.labels[~cut]))
    return _each_once(found)


def _each_once(found: Sequence[Detections]) -> Detections:
    """Several windows' boxes as one answer, best first, each object once."""
    boxes = np.concatenate([d.boxes_xyxy for d in found])
    scores = np.concatenate([d.scores for d in found])
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    inside = shared / np.minimum(area[:, None], area[None, :])
    same = (iou_matrix(boxes, boxes) > SAME_IOU) | (inside > INSIDE)
    gone, kept = np.zeros(len(scores), np.bool_), []
    for index in np.argsort(-scores, kind="stable"):
        if not gone[index]:
            kept.append(index)
            gone |= same[index]
    rows = np.array(kept, np.int64)
    return Detections(boxes[rows], scores[rows], np.zeros(len(rows), np.int64))
