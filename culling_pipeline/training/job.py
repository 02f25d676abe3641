"""One training run, as a job that another process can be given.

A night has two: the candidate on the kept set (arm `culled`), and beside it the same training on
random frames (arm `random`), which says what the choice of frames was worth. A first student
(`first_student.py`, arm `first`) is trained by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from culling_pipeline.day.frame_files import load_image
from culling_pipeline.labels.corrections import CorrectedFrame, samples_of
from culling_pipeline.labels.teacher_labels import load_detections
from culling_pipeline.records import Cost, EpochPoint, StoredFrame, TrainRecord
from culling_pipeline.stage_names import FIRST_STUDENT, RANDOM_FRAMES, TRAIN
from culling_pipeline.training.loop import Sample, TrainPlan, fine_tune
from models.boxes.detector import TorchDetector
from models.boxes.student import load_detector, meta_of
from models.checkpoint import save_checkpoint
from models.errors import WeightsError
from models.zones import NO_ZONES, Zones

Arm = Literal["culled", "random", "first"]
OnEpoch = Callable[[EpochPoint], None]
_STAGES: dict[Arm, str] = {
    "culled": TRAIN.words,
    "random": TRAIN.of(RANDOM_FRAMES),
    "first": TRAIN.of(FIRST_STUDENT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One training run as something another process can be given. `others` are labelled frames
    that are not trained on, but may give objects to paste."""

    arm: Arm
    start: Path
    size: tuple[int, int]
    frames: tuple[StoredFrame, ...]
    folder: Path
    labels: Path
    out: Path
    plan: TrainPlan
    device: str
    others: tuple[StoredFrame, ...] = ()
    zones: Zones = NO_ZONES
    corrected: tuple[CorrectedFrame, ...] = ()
    corrections: Path = Path()


def run_training(job: TrainJob, on_epoch: OnEpoch | None = None) -> TrainRecord:
    """Train a copy of the incumbent on the job's frames, those corrected by hand among them, and
    write it to `job.out`."""
    labels = load_detections(job.labels)
    ignored = job.zones.map() if job.zones else None

    def sample_of(frame: StoredFrame) -> Sample:
        return Sample(load_image(job.folder, frame), labels[frame.id], ignored)

    samples = [sample_of(frame) for frame in job.frames]
    detector = load_detector(job.start, device=job.device).at_size(*job.size)
    samples += samples_of(
        job.corrections, job.corrected, detector.class_names, zones=job.zones, ignored=ignored
    )
    record = train_to(
        job.out,
        detector,
        samples,
        job.plan,
        arm=job.arm,
        others=(sample_of(frame) for frame in job.others),
        on_epoch=on_epoch,
    )
    return record.model_copy(update={"corrected": len(job.corrected)})


def train_to(
    out: Path,
    detector: TorchDetector,
    samples: Sequence[Sample],
    plan: TrainPlan,
    *,
    arm: Arm,
    others: Iterable[Sample] = (),
    on_epoch: OnEpoch | None = None,
) -> TrainRecord:
    """Train `detector` in place and write it to `out`; `others` as in `fine_tune`."""
    course = fine_tune(detector, samples, plan, others=others, on_epoch=on_epoch)
    save_candidate(out, detector)
    cost = Cost(
        stage=_STAGES[arm],
        activity="train",
        purpose="comparison" if arm == "random" else "own",
        images=course.images,
        seconds=course.seconds,
        device=detector.device.type,
        backend="",
    )
    return TrainRecord(
        arm=arm,
        schedule=plan.schedule,
        images=len(samples),
        givers=course.givers,
        epochs=course.epochs,
        computation=course.computation,
        seed=plan.seed,
        costs=(cost,),
    )


def save_candidate(path: Path, detector: TorchDetector) -> None:
    """Write a trained student beside the night's other results.

    A disk's error leaves as itself: a cause is lost on the way out of another process, and with
    it the word that the disk is full.
    """
    try:
        save_checkpoint(path, detector.model.state_dict(), meta_of(detector))
    except WeightsError as error:
        if isinstance(error.__cause__, OSError):
            raise OSError(error.__cause__.errno, str(error), str(path)) from error
        raise
