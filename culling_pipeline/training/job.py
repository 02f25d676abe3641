"""One training run, as a job that can be sent to another process.

A night has two: the candidate on the kept set (arm `culled`), and for comparison the same training
on random frames (arm `random`), which shows the effect of the choice of frames. A first student
(`first_student.py`, arm `first`) is trained by the same code.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from culling_pipeline.day.frame_files import load_image
from culling_pipeline.labels.corrections import samples_of
from culling_pipeline.labels.replay import EarlierFrame, samples_again
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import CorrectedFrame
from culling_pipeline.records.training import EpochPoint, TrainRecord
from culling_pipeline.stage_names import FIRST_STUDENT, RANDOM_FRAMES, TRAIN
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import TrainPlan, fine_tune
from models.base import Trainable
from models.checkpoint import save_checkpoint
from models.errors import WeightsError

Arm = Literal["culled", "random", "first"]
OnEpoch = Callable[[EpochPoint], None]
_STAGES: dict[Arm, str] = {
    "culled": TRAIN.words,
    "random": TRAIN.of(RANDOM_FRAMES),
    "first": TRAIN.of(FIRST_STUDENT),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """One training run that can be sent to another process. `others` are labelled frames that are
    not trained on, but may provide objects to paste."""

    arm: Arm
    task: Task
    start: Path
    size: tuple[int, int]
    frames: tuple[StoredFrame, ...]
    folder: Path
    labels: Path
    out: Path
    plan: TrainPlan
    device: str
    others: tuple[StoredFrame, ...] = ()
    corrected: tuple[CorrectedFrame, ...] = ()
    corrections: Path = Path()
    replayed: tuple[EarlierFrame, ...] = ()
    replay: Path = Path()


class JobSamples(NamedTuple):
    """What a job trains on, the last `replayed` of them frames of earlier nights, and the labelled
    frames that only provide objects."""

    own: list[Sample]
    others: Iterator[Sample]
    replayed: int


def run_training(job: TrainJob, on_epoch: OnEpoch | None = None) -> TrainRecord:
    """Train a copy of the incumbent on the job's frames, those corrected by hand and those of
    earlier nights among them, and write it to `job.out`."""
    samples, others, replayed = samples_of_job(job)
    return train_to(
        job.out,
        job.task.open_student(job.start, device=job.device).at_size(*job.size),
        job.task,
        samples,
        job.plan,
        arm=job.arm,
        corrected=len(job.corrected),
        replayed=replayed,
        others=others,
        on_epoch=on_epoch,
    )


def samples_of_job(job: TrainJob) -> JobSamples:
    """The job's frames with their labels."""
    truths = job.task.load(job.labels)
    ignored = job.task.zones.map() if job.task.zones else None

    def sample_of(frame: StoredFrame) -> Sample:
        return Sample(load_image(job.folder, frame), truths[frame.id], ignored)

    samples = [sample_of(frame) for frame in job.frames]
    samples += samples_of(job.corrections, job.corrected, job.task, ignored)
    again = samples_again(job.replay, job.replayed, job.task, ignored)
    others = (sample_of(frame) for frame in job.others)
    return JobSamples(samples + again, others, len(again))


def train_to(
    out: Path,
    student: Trainable,
    task: Task,
    samples: Sequence[Sample],
    plan: TrainPlan,
    *,
    arm: Arm,
    corrected: int = 0,
    replayed: int = 0,
    others: Iterable[Sample] = (),
    on_epoch: OnEpoch | None = None,
) -> TrainRecord:
    """Train `student` in place and write it to `out`; `others` as in `fine_tune`. `corrected` of
    the samples have labels that people have corrected, `replayed` are of earlier nights."""
    course = fine_tune(student, task, samples, plan, others=others, on_epoch=on_epoch)
    save_candidate(out, student)
    cost = Cost(
        stage=_STAGES[arm],
        activity="train",
        purpose="comparison" if arm == "random" else "own",
        images=course.images,
        seconds=course.seconds,
        device=student.device.type,
        backend="",
    )
    return TrainRecord(
        arm=arm,
        schedule=plan.schedule,
        images=len(samples),
        corrected=corrected,
        replayed=replayed,
        givers=course.givers,
        epochs=course.epochs,
        computation=course.computation,
        seed=plan.seed,
        costs=(cost,),
    )


def save_candidate(path: Path, student: Trainable) -> None:
    """Write a trained student beside the night's other results.

    A disk's error leaves as itself: a cause is lost on the way out of another process, and with
    it the word that the disk is full.
    """
    try:
        save_checkpoint(path, student.model.state_dict(), student.meta())
    except WeightsError as error:
        if isinstance(error.__cause__, OSError):
            raise OSError(error.__cause__.errno, str(error), str(path)) from error
        raise
