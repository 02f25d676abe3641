"""Replay: frames of earlier nights that are trained on again, and control frames of earlier nights
that are measured on again; tonight's for later ones.

Not a stage of its own: training and judging ask for the frames, and the night's end adds to them.
What is in the stores changes only at the end, so a stage that was cut off begins again with the
same frames.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from datetime import datetime

from culling_pipeline.day.frame_files import frame_name, load_image
from culling_pipeline.labels.corrections import Moment, unseen
from culling_pipeline.labels.replay import EarlierFrame, ReplayStore, light_of, spread
from culling_pipeline.night.at_work import Night
from culling_pipeline.records.day import IngestRecord, StoredFrame
from culling_pipeline.records.labels import CullRecord
from culling_pipeline.records.monitoring import ViewRecord

logger = logging.getLogger(__name__)


def frames_again(
    night: Night, day: IngestRecord, most: int, *, beside: Sequence[Moment]
) -> tuple[EarlierFrame, ...]:
    """At most so many frames of earlier nights to train on beside these, with corrected labels
    where there are any, and these first."""
    if not most:
        return ()
    plan, task = night.plan, night.task
    free = unseen(
        night.parts.replay.usable(plan.date),
        beside=beside,
        control=day.frames_of(day.control),
        gap_s=plan.ingest.control.block_s,
    )
    known = night.parts.corrections.by_time(task.class_names)
    chosen = spread(free, most, corrected=known, salt=plan.date.isoformat())
    return tuple(
        frame.changed(truth=task.as_json(task.corrected(known[frame.wall_time])))
        if frame.wall_time in known
        else frame
        for frame in chosen
    )


def control_of_before(night: Night, day: IngestRecord) -> list[EarlierFrame]:
    """Control frames of earlier nights, which nobody has trained on. What people have corrected
    may have been; so may tonight's frames of a recording that has grown since. What was taken
    within a block of these is left out."""
    return unseen(
        night.parts.earlier_control.usable(night.plan.date),
        beside=(),
        control=[*day.frames, *night.parts.corrections.frames],
        gap_s=night.plan.ingest.control.block_s,
    )


def mind_the_view(night: Night, view: ViewRecord) -> None:
    """A new place that has become the usual one: frames of before show another view."""
    if view.state == "settled":
        night.parts.replay.begin_anew(night.plan.date)
        night.parts.earlier_control.begin_anew(night.plan.date)


def keep_for_later(night: Night, day: IngestRecord, cull: CullRecord) -> None:
    """Tonight's kept set and some of the control slice, with their labels, go to the frames for
    later nights."""
    parts = night.parts
    corrected = parts.corrections.by_time(night.task.class_names)
    _add(night, parts.replay, day.frames_of(cull.kept), corrected=corrected)
    every = max(1, -(-len(day.control) // max(1, parts.earlier_control.most)))
    untrained = {frame.image for frame in control_of_before(night, day)}
    _add(night, parts.earlier_control, day.frames_of(day.control[::every]), still=untrained)


def _add(
    night: Night,
    store: ReplayStore,
    of_tonight: Sequence[StoredFrame],
    *,
    corrected: Collection[datetime] = (),
    still: Collection[str] | None = None,
) -> None:
    """These frames with their labels go to a store; what it may not hold any more is deleted."""
    plan, task, folder = night.plan, night.task, night.parts.frames
    truths, kept = task.load(night.truths), of_tonight if store.most else ()
    try:
        frames = [
            EarlierFrame(
                run_id=plan.run_id,
                date=plan.date,
                wall_time=frame.wall_time,
                image=f"{plan.run_id}-{frame_name(frame.id)}",
                kind=store.kind,
                light=light_of(load_image(folder, frame)),
                truth=task.as_json(truths[frame.id]),
            )
            for frame in kept
        ]
        pictures = {e.image: folder / f.path for e, f in zip(frames, kept, strict=True)}
        store.add(frames, pictures, corrected=corrected, still=still)
    except OSError as error:
        logger.warning("camera %s: nothing is kept for later nights: %s", plan.camera, error)
