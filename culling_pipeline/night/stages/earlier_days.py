"""What old and new student are worth on control frames of earlier days: whether the new one has
forgotten something. The verdict goes by the day alone; the report says this beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.labels.replay import EarlierFrame, samples_again
from culling_pipeline.labels.teacher_labels import BATCH
from culling_pipeline.night.at_work import Night
from culling_pipeline.night.stages.replay import control_of_before
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.records.judging import EarlierDays
from culling_pipeline.run.workers import PooledModel, batched_images
from culling_pipeline.tasks.answers import Answer


def frames_of_before(night: Night, day: IngestRecord) -> list[EarlierFrame]:
    """Control frames of earlier days whose pictures can be read."""
    folder = night.parts.earlier_control.folder
    found = control_of_before(night, day)
    return [f for f in found if samples_again(folder, [f], night.task, None)]


def answers_of_before(
    night: Night, pool: PooledModel, frames: Sequence[EarlierFrame]
) -> list[Answer]:
    """What the pool's student says of these frames."""
    batches = pool.predict(batched_images(_pictures(night, frames), BATCH))
    return [answer for batch in batches for answer in batch]


def _pictures(night: Night, frames: Sequence[EarlierFrame]) -> Iterator[NDArray[np.uint8]]:
    """One picture after another, so that they need not all be in memory."""
    folder = night.parts.earlier_control.folder
    for frame in frames:
        for sample in samples_again(folder, [frame], night.task, None):
            yield sample.image


def on_earlier_days(
    night: Night, frames: Sequence[EarlierFrame], before: Sequence[Answer], after: Sequence[Answer]
) -> EarlierDays | None:
    """Both students' figures; None where there is no frame to measure on. Frames of one stretch of
    time, as long as a block of the control slice, are drawn together for the interval."""
    if not frames:
        return None
    task, plan = night.task, night.plan
    truths = [task.answer_from(frame.truth) for frame in frames]
    block_s = plan.ingest.control.block_s
    blocks = [int(frame.wall_time.timestamp() // block_s) for frame in frames]
    rng = np.random.default_rng([plan.judging.seed, 52])
    comparison = task.compare(before, after, truths, blocks, rng=rng)
    return EarlierDays(
        days=len({frame.date for frame in frames}),
        before=task.score(before, truths),
        after=task.score(after, truths),
        difference_low=comparison.low,
        difference_high=comparison.high,
    )
