"""Frames of all cameras are scored together where student and size are the same."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from jobs.cameras.detectors import weights_path
from jobs.watch.scoring import BATCH, MAX_WAIT_S, Scorer, Student, Students
from models.base import backend_of
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector
from models.boxes.student import load_detector, meta_of
from models.registry import ModelRegistry
from tests.unit.plans import box_task

TASK = box_task("person", "car", "bicycle")


class Counting:
    """Finds as many boxes as the picture's first pixel says; notes the size of each batch."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, images: Sequence[np.ndarray]) -> list[Detections]:
        self.gate.wait(120)
        self.batches.append(len(images))
        return [self._boxes(int(image[0, 0, 0])) for image in images]

    def _boxes(self, count: int) -> Detections:
        boxes = np.tile(np.array([[0, 0, 5, 5]], np.float32), (count, 1))
        return Detections(boxes, np.full(count, 0.5, np.float32), np.zeros(count, np.int64))


def student(detector: Counting, kind: str = "a") -> Student:
    return Student("v1", kind, cast("TorchDetector", detector))


def picture(first: int, size: tuple[int, int] = (12, 16)) -> np.ndarray:
    return np.full((*size, 3), first, np.uint8)


@pytest.fixture
def clock() -> list[float]:
    return [0.0]


def test_cameras_with_one_student_and_size_share_a_batch(clock: list[float]) -> None:
    shared, other = Counting(), Counting()
    scorer: Scorer[Any] = Scorer(2, clock=lambda: clock[0])
    for k in range(BATCH):
        scorer.add(student(shared), picture(k), ("one", k))
    scorer.add(student(shared), picture(3, (20, 20)), ("another size", 3))
    scorer.add(student(other, "b"), picture(4), ("another student", 4))
    results = scorer.collect(flush=True)
    scorer.close()
    assert sorted(shared.batches) == [1, BATCH]
    assert other.batches == [1]
    assert len(results) == BATCH + 2
    assert all(len(scored.found) == scored.ticket[1] for scored in results)
    assert all(scored.seconds > 0 for scored in results)


def test_a_lone_frame_waits_for_company_but_not_for_long(clock: list[float]) -> None:
    detector = Counting()
    scorer: Scorer[int] = Scorer(1, clock=lambda: clock[0])
    scorer.add(student(detector), picture(1), 1)
    clock[0] = MAX_WAIT_S - 0.1
    assert scorer.collect() == []
    assert detector.batches == []
    clock[0] = MAX_WAIT_S
    scorer.collect()
    scorer.wait()
    assert detector.batches == [1]
    scorer.close()


def test_it_says_when_it_is_full(clock: list[float]) -> None:
    detector = Counting()
    detector.gate.clear()
    scorer: Scorer[int] = Scorer(1, clock=lambda: clock[0])
    for k in range(2 * BATCH):
        assert not scorer.is_full
        scorer.add(student(detector), picture(1), k)
    assert scorer.is_full
    detector.gate.set()
    assert len(scorer.collect(flush=True)) == 2 * BATCH
    assert not scorer.is_full
    scorer.close()


def test_a_batch_that_fails_takes_no_other_with_it(clock: list[float]) -> None:
    scorer: Scorer[int] = Scorer(1, clock=lambda: clock[0])
    broken = Counting()
    broken.predict = lambda images: 1 / 0  # type: ignore[method-assign, assignment]
    scorer.add(student(broken, "broken"), picture(1), 1)
    scorer.add(student(Counting()), picture(2), 2)
    assert [scored.ticket for scored in scorer.collect(flush=True)] == [2]
    assert [ticket for ticket, _ in scorer.failures()] == [1]
    assert scorer.failures() == []
    scorer.close()


def test_versions_with_the_same_weights_are_one_student(tmp_path: Path) -> None:
    detector = load_detector(weights_path("builtin:street-student"))
    registry = ModelRegistry(tmp_path)
    weights = detector.model.state_dict()
    smaller = detector.at_size(96, 160)
    for camera, version, made in (
        ("yard", "start", detector),
        ("gate", "start", detector),
        ("gate", "small", smaller),
    ):
        registry.add(camera, version, weights, meta_of(made, parent=camera))
    students = Students("cpu")
    yard = students.open(registry.path("yard", "start"), TASK)
    gate = students.open(registry.path("gate", "start"), TASK)
    small = students.open(registry.path("gate", "small"), TASK)
    assert yard.detector is gate.detector
    assert small.kind != gate.kind
    plain = students.open(registry.path("yard", "start"), replace(TASK, backend="torch"))
    assert plain.kind != yard.kind
    assert backend_of(plain.detector) == "torch"
    students.keep_only({small.kind})
    assert students.open(registry.path("yard", "start"), TASK).detector is not yard.detector
