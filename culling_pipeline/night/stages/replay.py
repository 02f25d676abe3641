"""Replay: frames of earlier nights that are trained on again; tonight's kept set for later ones.

Not a stage of its own: training asks for the frames, and the night's end adds to them. What is in
the store changes only at the end, so a training that was cut off begins again with the same frames.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from culling_pipeline.day.frame_files import frame_name, load_image
from culling_pipeline.labels.corrections import Moment, unseen
from culling_pipeline.labels.replay import EarlierFrame, light_of, spread
from culling_pipeline.night.at_work import Night, frames_of
from culling_pipeline.records import CullRecord, IngestRecord, ViewRecord

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
        control=frames_of(day, day.control),
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


def mind_the_view(night: Night, view: ViewRecord) -> None:
    """A new place that has become the usual one: frames of before show another view."""
    if view.state == "settled":
        night.parts.replay.begin_anew(night.plan.date)


def keep_for_later(night: Night, day: IngestRecord, cull: CullRecord) -> None:
    """Tonight's kept set with its labels goes to the frames for later nights."""
    plan, task, store, folder = night.plan, night.task, night.parts.replay, night.parts.frames
    truths, kept = task.load(night.truths), frames_of(day, cull.kept if store.most else ())
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
        corrected = night.parts.corrections.by_time(task.class_names)
        store.add(frames, pictures, corrected=corrected)
    except OSError as error:
        logger.warning("camera %s: nothing is kept for later nights: %s", plan.camera, error)
