"""One frame of a night: the picture with what the teacher and both students see in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline import svg
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import words
from jobs.pages.frame_answers import answers_of, differences, frame_src, frames_to_show
from jobs.pages.house import House, camera_of, house_of
from jobs.pages.moments import clock_of
from jobs.pages.night import found_night, said_of
from jobs.pages.templating import render, root_of


@dataclass(frozen=True, slots=True)
class View:
    """The frame as one of the students sees it, beside the teacher."""

    who: str
    drawing: Markup
    said: str


def frame(request: Request) -> Response:
    """GET /camera/CAMERA/night/RUN/frame/NUMBER."""
    house, camera = house_of(request), camera_of(request)
    found = found_night(request, camera)
    record, _ = said_of(house, found)
    if not isinstance(record, NightRecord):
        raise HTTPException(404, f"night {found.run_id} has no frame to show")
    clock, shown = clock_of(house.config.cameras[camera]), frames_to_show(record)
    at = _place(shown, request.path_params["frame"])
    now = shown[at]
    hour = clock.hour(now.wall_time)
    return render(
        request,
        "a_frame.html",
        camera=camera,
        found=found,
        has_report=False,
        record=record,
        views=_views(house, record, now, root_of(request)),
        taken=clock.stamp(now.wall_time, seconds=True),
        now=now,
        before=shown[at - 1] if at else None,
        after=shown[at + 1] if at + 1 < len(shown) else None,
        kind="control slice" if now.id in record.ingest.control else "kept set",
        beside=[
            (one, clock.time(one.wall_time), frame_src(record, one, width=240))
            for one in shown
            if clock.hour(one.wall_time) == hour
        ],
    )


def _place(shown: Sequence[StoredFrame], asked: str) -> int:
    for place, one in enumerate(shown):
        if str(one.id) == asked:
            return place
    raise HTTPException(404, "this night has no such frame to show")


def _views(house: House, record: NightRecord, now: StoredFrame, root: str) -> list[View]:
    answers = answers_of(house, record)
    picture = root + frame_src(record, now, width=960)
    if answers is None or now.id not in answers.said.teacher:
        return [View("", _drawn(record, picture, (), "The frame"), "")]
    width = record.ingest.width_px
    views = []
    for who, answer in answers.students(now.id):
        said = differences(record, answers.errors(now.id, answer))
        drawing = answers.drawing(now.id, answer, width)
        views.append(View(who, _drawn(record, picture, drawing, f"{who}: {said}"), said))
    if views:
        return views
    alone = answers.teacher_alone(now.id)
    objects = answers.task.objects(answers.said.teacher[now.id])
    said = f"the teacher sees {words.count(objects, 'object')}"
    return [View("teacher", _drawn(record, picture, alone, said), said)]


def _drawn(record: NightRecord, picture: str, over: Sequence[Markup], label: str) -> Markup:
    size = (record.ingest.width_px, record.ingest.height_px)
    return svg.picture(svg.image(picture, size), over, size, label)
