"""The night's page: the frames it shows, and the file, written complete or not at all."""

from __future__ import annotations

from pathlib import Path

from culling_pipeline.day.frame_files import load_image
from culling_pipeline.night.at_work import Night
from culling_pipeline.night.stages.answers import new_answers, old_answers
from culling_pipeline.records.night import NightRecord, UnusableNight
from culling_pipeline.report import PAGE
from culling_pipeline.report.clock import Clock
from culling_pipeline.report.page import render_report
from culling_pipeline.report.pictures import MAX_PICTURES, Exhibit
from culling_pipeline.report.unusable import MAX_GLIMPSES, Glimpse, render_unusable
from culling_pipeline.report.worse import Side, embedded, worse_pairs
from culling_pipeline.tasks.frame_by_frame import Said


def report_night(night: Night, record: NightRecord) -> Path:
    """Write the page of a whole night; where it is."""
    clock = Clock.of(night.plan.zone)
    page = render_report(
        record, _exhibits(night, record), worse=_worse(night, record, clock), clock=clock
    )
    return _write(night.parts.report, page)


def report_unusable(night: Night, record: UnusableNight) -> Path:
    """Write the page of a night that ended early; where it is."""
    page = render_unusable(record, _glimpses(night, record), clock=Clock.of(night.plan.zone))
    return _write(night.parts.report, page)


def _exhibits(night: Night, record: NightRecord) -> list[Exhibit]:
    """The first frames of the kept set with the answers of both models."""
    answers, truths = old_answers(night), night.task.load(night.truths)
    by_id = {d.frame_id: d for d in (*record.cull.survivors, *record.cull.shown)}
    exhibits = []
    looked_at = [i for i in record.cull.kept if i in by_id]  # older nights: not all
    for frame in record.ingest.frames_of(looked_at[:MAX_PICTURES]):
        image = load_image(night.parts.frames, frame)
        drawing = night.task.drawing(answers[frame.id], truths[frame.id], width_px=image.shape[1])
        exhibits.append(Exhibit(image, frame, by_id[frame.id], tuple(drawing)))
    return exhibits


def _worse(night: Night, record: NightRecord, clock: Clock) -> list[Side]:
    """The control frames on which the new student is worst, with both answers."""
    said = Said(night.task.load(night.truths), old_answers(night), new_answers(night))
    pairs = worse_pairs(record, night.task, said)
    images = [load_image(night.parts.frames, pair.frame) for pair in pairs]
    return embedded(pairs, images, clock)


def _glimpses(night: Night, record: UnusableNight) -> list[Glimpse]:
    """Some control frames from the first to the last of the day."""
    frames = record.ingest.frames_of(record.ingest.control)
    last, count = len(frames) - 1, min(MAX_GLIMPSES, len(frames))
    chosen = [frames[round(k * last / max(count - 1, 1))] for k in range(count)]
    return [Glimpse(load_image(night.parts.frames, frame), frame) for frame in chosen]


def _write(folder: Path, page: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = folder / f"{PAGE}.tmp"
    try:
        aside.write_text(page, encoding="utf-8")
        return aside.replace(folder / PAGE)
    except OSError:
        aside.unlink(missing_ok=True)
        raise
