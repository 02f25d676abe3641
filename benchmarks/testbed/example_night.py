"""An example night for the report: invented but plausible records, and pictures drawn with cv2.

`python -m benchmarks.testbed.example_night PATH.html` writes the report, for a browser.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from culling_pipeline.records.costs import Activity, Cost, Purpose
from culling_pipeline.records.day import IngestRecord, LossPoint, StoredFrame
from culling_pipeline.records.judging import ControlFrame, Errors, JudgeRecord
from culling_pipeline.records.labels import CullRecord, Disagreement, LabelRecord
from culling_pipeline.records.night import NightRecord
from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.records.training import EpochPoint, ResolutionRecord, ScalePoint, TrainRecord
from culling_pipeline.report.clock import UTC_CLOCK
from culling_pipeline.report.page import render_report
from culling_pipeline.report.pictures import Exhibit
from culling_pipeline.report.worse import Half, Pair, Side, embedded
from culling_pipeline.stage_names import INGEST, JUDGE, LABEL, RESOLUTION, TRAIN
from culling_pipeline.tasks.boxes import drawing
from models.boxes.detections import Detections

CLASSES = ("person", "car", "bicycle")
MIDNIGHT = datetime(2026, 3, 14, tzinfo=UTC)
WIDTH_PX, HEIGHT_PX = 1280, 720
SURVIVORS, KEPT, CONTROL = 1536, 256, 480


def example_night(**changes: object) -> NightRecord:
    """A good night on a busy crossing; `changes` replace fields of the record."""
    ingest = example_ingest()
    night = NightRecord(
        camera="Crossing north",
        date=date(2026, 3, 14),
        run_id="2026-03-14-crossing-north-7f3a",
        source="rtsp://operator:hunter2@10.0.4.17/stream1",
        classes=CLASSES,
        student="ssdlite320, 3.4 M weights",
        teacher="fasterrcnn-resnet50-v2",
        code_version="0.1.0+4e2a5b0",
        started_at=MIDNIGHT + timedelta(days=1, minutes=10),
        finished_at=MIDNIGHT + timedelta(days=1, minutes=51, seconds=12),
        ingest=ingest,
        label=LabelRecord(
            labelled=2272, objects=11402, costs=(cost(LABEL.words, "label", 2272, 1181.0),)
        ),
        cull=example_cull(),
        resolution=example_resolution(),
        train=example_training("culled", computation=0.46),
        random_train=example_training("random", computation=0.46),
        judge=example_judge(frames=example_control(ingest.control)),
        version="v0012",
        cost_ratio=38.4,
        full_training_s=89_100.0,
        night_s=2_320.0,
        notes=("The stream was lost from 13:04 to 13:52 UTC; 2,880 frames are missing.",),
    )
    return night.model_copy(update=changes)


def cost(
    stage: str, activity: Activity, images: int, seconds: float, *, purpose: Purpose = "own"
) -> Cost:
    return Cost(
        stage=stage,
        activity=activity,
        purpose=purpose,
        images=images,
        seconds=seconds,
        device="cpu",
        backend="" if activity == "train" else "lean",
    )


def example_judge(**changes: object) -> JudgeRecord:
    judge = JudgeRecord(
        before=accuracy(0.712, 0.431, person=0.681, car=0.812, bicycle=0.643),
        after=accuracy(0.861, 0.548, person=0.842, car=0.915, bicycle=0.826),
        random=accuracy(0.823, 0.509, person=0.801, car=0.897, bicycle=0.771),
        difference_low=0.112,
        difference_high=0.187,
        promoted=True,
        reason="better by 0.149, and the whole 95 % interval lies above zero.",
        costs=(cost(JUDGE.words, "measure", 1440, 96.0, purpose="control"),),
    )
    return judge.model_copy(update=changes)


def example_control(ids: Sequence[int]) -> tuple[ControlFrame, ...]:
    """Control frames on which the new student mostly gains, and loses bicycles in the evening."""
    frames = []
    for i in ids:
        evening = i >= 18 * 3600
        new = Errors(found=(0, 1), missed=(2,)) if evening else Errors(found=(0, 1, 2))
        frames.append(
            ControlFrame(
                frame_id=i,
                before=Errors(found=(1, 2), missed=(0,)) if i % 7 else Errors(found=(0, 1, 2)),
                after=new.changed(invented=(0,)) if evening and i % 3 == 0 else new,
                random=Errors(found=(0, 1), missed=(2,), invented=(1,)),
            )
        )
    return tuple(frames)


def example_worse(number: int = 2) -> list[Side]:
    """Drawn street scenes on which the new student misses something."""
    exhibits = example_exhibits(number)
    pairs = [
        Pair(
            exhibit.frame,
            (WIDTH_PX, HEIGHT_PX),
            (
                Half("old model", "all right", exhibit.drawing),
                Half("new model", "missed 1 bicycle", exhibit.drawing),
            ),
        )
        for exhibit in exhibits
    ]
    return embedded(pairs, [exhibit.image for exhibit in exhibits], UTC_CLOCK)


def accuracy(map50: float, mean: float, **per_class: float | None) -> Accuracy:
    return Accuracy(
        score=Score(metric="mAP50", value=map50),
        further=(Score(metric="mAP", value=mean),),
        per_class=per_class,
        frames=CONTROL,
        objects=2391,
    )


def example_ingest() -> IngestRecord:
    ids = range(0, 86_400, 40)
    frames = tuple(stored_frame(i, loss=0.4 + 2.6 * abs(math.sin(i * 0.7))) for i in ids)
    hardest = sorted(frames, key=lambda frame: -frame.confidence_loss)
    edges = tuple(0.1 * step for step in range(41))
    counts = tuple(round(9_800 * math.exp(-((0.1 * k - 0.7) ** 2) / 0.9)) + 3 for k in range(40))
    return IngestRecord(
        frames_seen=86_400,
        width_px=WIDTH_PX,
        height_px=HEIGHT_PX,
        frames=frames,
        survivors=tuple(frame.id for frame in hardest[:SURVIVORS]),
        control=tuple(frame.id for frame in hardest[-CONTROL:]),
        random=tuple(frame.id for frame in frames[:KEPT]),
        control_is="random blocks of 600 s, one in 6, over the whole day",
        histogram_edges=edges,
        histogram_counts=counts,
        course=tuple(example_course()),
        costs=(cost(INGEST.words, "look", 51_240, 740.0),),
    )


def stored_frame(number: int, *, loss: float) -> StoredFrame:
    return StoredFrame(
        id=number,
        path=f"{number:06d}.jpg",
        time_s=float(number),
        wall_time=MIDNIGHT + timedelta(seconds=number),
        part=number // 21_600,
        confidence_loss=loss,
    )


def example_course() -> list[LossPoint]:
    points = []
    for quarter in range(96):
        hour = quarter / 4
        rush = math.exp(-((hour - 8) ** 2) / 3) + 0.8 * math.exp(-((hour - 17.5) ** 2) / 5)
        mean = 0.35 + 0.8 * rush + 0.05 * math.sin(quarter * 1.7)
        if not 13 <= hour < 14:
            at = MIDNIGHT + timedelta(hours=hour)
            points.append(LossPoint(wall_time=at, frames=900, mean=mean, p90=1.9 * mean))
    return points


def example_cull() -> CullRecord:
    survivors = tuple(
        disagreement(40 * index, missed=index % 5, invented=index % 3) for index in range(300)
    )
    return CullRecord(
        strategy="strata",
        kept=tuple(range(KEPT)),
        survivors=survivors,
        teacher_calls=SURVIVORS,
    )


def disagreement(frame_id: int, *, missed: int, invented: int) -> Disagreement:
    return Disagreement(
        frame_id=frame_id,
        teacher_objects=6,
        missed=missed,
        invented=invented,
        average_precision=0.5,
    )


def example_resolution() -> ResolutionRecord:
    changes = (0.0, 0.004, 0.007, 0.012, 0.019, 0.031, 0.058, 0.094)
    points = tuple(
        ScalePoint(scale=0.9**n, relative_mse=change, computation=0.9 ** (2 * n))
        for n, change in enumerate(changes)
    )
    return ResolutionRecord(
        height_px=HEIGHT_PX,
        width_px=WIDTH_PX,
        scale=points[4].scale,
        threshold=0.025,
        points=points,
        student_passes=1024,
        costs=(cost(RESOLUTION.words, "look", 1024, 18.0),),
    )


def example_training(arm: str, *, computation: float, epochs: int = 24) -> TrainRecord:
    points = tuple(
        EpochPoint(
            epoch=epoch + 1,
            images=min(KEPT, 60 + 22 * epoch) if epoch < 12 else (256, 96, 48)[epoch % 3],
            loss=0.35 + 2.1 * math.exp(-epoch / 6) + (0.12 if epoch % 3 == 0 else 0.0),
            learning_rate=0.01,
        )
        for epoch in range(epochs)
    )
    images = sum(point.images for point in points)
    return TrainRecord.model_validate(
        {
            "arm": arm,
            "schedule": "CLIP, then drop and pick",
            "images": KEPT,
            "epochs": points,
            "computation": computation,
            "seed": 7,
            "costs": (cost(TRAIN.of(arm), "train", images, 0.107 * images),),
        }
    )


def example_exhibits(number: int = 24) -> list[Exhibit]:
    """Drawn street scenes with boxes: some agreed, some missed, some invented."""
    return [_exhibit(np.random.default_rng(seed), seed) for seed in range(number)]


def _exhibit(rng: np.random.Generator, number: int) -> Exhibit:
    image = _street(rng)
    truth, labels = _traffic(image, rng)
    missed, invented = int(rng.integers(0, 3)), int(rng.integers(0, 3))
    boxes = (truth + rng.normal(0, 3, truth.shape))[missed:]
    ghosts = rng.uniform((40, 300), (1000, 500), (invented, 2))
    boxes = np.concatenate([boxes, np.hstack([ghosts, ghosts + np.array((90, 60))])])
    student_labels = np.concatenate([labels[missed:], np.ones(invented, np.int64)])
    frame = stored_frame(3_500 * number + 1_234, loss=3.9 - 0.07 * number)
    return Exhibit(
        image=image,
        frame=frame,
        disagreement=disagreement(frame.id, missed=missed, invented=invented),
        drawing=tuple(
            drawing.boxes(
                _detections(boxes, student_labels, rng),
                _detections(truth, labels, rng),
                CLASSES,
                width_px=WIDTH_PX,
            )
        ),
    )


def _detections(
    boxes: NDArray[np.float64], labels: NDArray[np.int64], rng: np.random.Generator
) -> Detections:
    scores = np.sort(rng.uniform(0.3, 0.97, len(boxes)))[::-1]
    return Detections(boxes.astype(np.float32), scores.astype(np.float32), labels)


def _street(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Sky, houses, road and lane marks, with the grain of a cheap camera."""
    light = float(rng.uniform(0.45, 1.0))
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), (178, 196, 212), np.uint8)
    for x in range(0, WIDTH_PX, 160):
        shade = [int(value) for value in rng.integers(95, 175, 3)]
        cv2.rectangle(image, (x, 90 + x % 110), (x + 152, 330), shade, -1)
    cv2.rectangle(image, (0, 320), (WIDTH_PX, HEIGHT_PX), (96, 97, 100), -1)
    for x in range(-100, WIDTH_PX, 180):
        cv2.line(image, (x, 545), (x + 90, 540), (214, 214, 205), 7, cv2.LINE_AA)
    grain = rng.normal(0, 7, (HEIGHT_PX // 2, WIDTH_PX // 2)).astype(np.float32)
    grain = cv2.resize(grain, (WIDTH_PX, HEIGHT_PX))[..., None]
    return np.clip(image * np.float32(light) + grain, 0, 255).astype(np.uint8)


def _traffic(
    image: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    boxes, labels = [], []
    for slot in rng.choice(7, 5, replace=False):
        label = int(rng.integers(0, 3))
        width, height = ((46, 118), (230, 104), (104, 84))[label]
        x, y = 30 + 172 * int(slot), int(rng.integers(350, 560))
        colour = [int(value) for value in rng.integers(20, 220, 3)]
        if label == 1:
            cv2.rectangle(image, (x, y + 34), (x + width, y + 88), colour, -1, cv2.LINE_AA)
            cv2.ellipse(image, (x + 115, y + 36), (74, 34), 0, 180, 360, colour, -1, cv2.LINE_AA)
        else:
            cv2.circle(image, (x + width // 2, y + 14), 13, (190, 158, 140), -1, cv2.LINE_AA)
            cv2.rectangle(image, (x + width // 4, y + 28), (x + 3 * width // 4, y + 74), colour, -1)
        for wheel in (x + width // 5, x + 4 * width // 5):
            cv2.circle(image, (wheel, y + height - 17), 15, (30, 30, 32), -1, cv2.LINE_AA)
        boxes.append((x, y, x + width, y + height))
        labels.append(label)
    return np.array(boxes, np.float64), np.array(labels, np.int64)


def main() -> int:
    """Write the report to the path that is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("path", type=Path)
    path: Path = parser.parse_args().path
    page = render_report(example_night(), example_exhibits(), worse=example_worse())
    path.write_text(page, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
