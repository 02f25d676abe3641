"""A night's frames for its pages: where their pictures are, and who says what of them."""

from __future__ import annotations

from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import words
from culling_pipeline.report.worse import Side, linked, worse_pairs
from jobs.nights.stored_answers import StoredAnswers, stored_answers
from jobs.pages.house import House
from jobs.pages.moments import clock_of
from jobs.pages.pictures import picture_src


def frames_to_show(record: NightRecord) -> list[StoredFrame]:
    """The kept set and the control slice, in the order of time."""
    wanted = {*record.cull.kept, *record.ingest.control}
    frames = [frame for frame in record.ingest.frames if frame.id in wanted]
    return sorted(frames, key=lambda frame: (frame.wall_time, frame.id))


def frame_src(record: NightRecord, shown: StoredFrame, *, width: int) -> str:
    """Where its picture is, below the first page."""
    name = shown.path.rpartition("/")[2]
    return picture_src(record.camera, record.run_id, name, width=width)


def frame_page(record: NightRecord, frame_id: int) -> str:
    """Where its page is, below the first page."""
    return f"camera/{record.camera}/night/{record.run_id}/frame/{frame_id}"


def worse_sides(house: House, record: NightRecord, root: str) -> list[Side]:
    """The frames on which the new student is worst, as far as they are on disk."""
    answers = answers_of(house, record)
    folder = house.config.frames_dir(record.camera, record.run_id)
    if answers is None:
        return []
    pairs = [
        pair
        for pair in worse_pairs(record, answers.task, answers.said)
        if (folder / pair.frame.path).is_file()
    ]
    addresses = [
        (root + frame_src(record, pair.frame, width=480), root + frame_page(record, pair.frame.id))
        for pair in pairs
    ]
    return linked(pairs, addresses, clock_of(house.config.cameras[record.camera]))


def answers_of(house: House, record: NightRecord) -> StoredAnswers | None:
    """What was said of the night's frames; read from disk when it is first asked for."""
    settings = house.config.cameras[record.camera]
    key = (record.camera, record.run_id, record.finished_at, settings.fingerprint)
    return house.answers.get(key, lambda: stored_answers(house.config, record))


def differences(record: NightRecord, found: Disagreement) -> str:
    """How a student and the teacher differ on a frame, by class."""
    if not (found.missed or found.invented):
        return f"both agree: {words.count(found.teacher_objects, 'object')}"
    said = []
    for kind, count, labels in (
        ("missed", found.missed, found.missed_labels),
        ("invented", found.invented, found.invented_labels),
    ):
        if count:
            said.append(f"{kind} {words.by_class(labels, record.classes) or count}")
    return " · ".join(said)
