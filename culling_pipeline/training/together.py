"""One student for a group of cameras: trained once on the frames of them all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path

from culling_pipeline.records.costs import Cost
from culling_pipeline.records.training import TrainRecord
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.first_student import canvas_of, on_canvas, zones_on_canvas
from culling_pipeline.training.job import (
    JobSamples,
    OnEpoch,
    TrainJob,
    samples_of_job,
    save_candidate,
    train_to,
)
from culling_pipeline.training.loop import TrainPlan


def train_together(
    jobs: Mapping[str, TrainJob], start: Path, plan: TrainPlan, on_epoch: OnEpoch | None = None
) -> TrainRecord:
    """Train a copy of `start` on the frames of all cameras' jobs and write it to each one's `out`,
    at the size that it works at there. The record's costs are one camera's share.

    Pictures of several sizes lie on one canvas, so none is distorted; objects are pasted into
    frames of their own camera only.
    """
    canvas = canvas_of([job.size for job in jobs.values()])
    placed = [_placed(camera, job, canvas) for camera, job in jobs.items()]
    first = next(iter(jobs.values()))
    student = first.task.open_student(start, device=first.device).at_size(*canvas)
    record = train_to(
        first.out,
        student,
        first.task,
        [sample for one in placed for sample in one.own],
        plan,
        arm="culled",
        corrected=sum(len(job.corrected) for job in jobs.values()),
        replayed=sum(one.replayed for one in placed),
        others=chain.from_iterable(one.others for one in placed),
        on_epoch=on_epoch,
    )
    for job in jobs.values():
        save_candidate(job.out, student.at_size(*job.size))
    return record.changed(costs=tuple(_share(cost, len(jobs)) for cost in record.costs))


def _placed(camera: str, job: TrainJob, canvas: tuple[int, int]) -> JobSamples:
    """A camera's samples on the canvas, and those that only give objects."""
    zones = zones_on_canvas(job.task.zones, job.size, canvas)
    own, others, replayed = samples_of_job(job)

    def place(sample: Sample) -> Sample:
        return replace(on_canvas(sample, job.task, job.size, canvas, zones), scene=camera)

    return JobSamples([place(s) for s in own], (place(s) for s in others), replayed)


def _share(cost: Cost, cameras: int) -> Cost:
    return cost.changed(images=round(cost.images / cameras), seconds=cost.seconds / cameras)
