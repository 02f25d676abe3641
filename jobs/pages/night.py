"""One night: what its report says, with a gallery of all kept frames that can be filtered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import AnyNight, NightRecord, UnusableNight
from culling_pipeline.report import words
from culling_pipeline.report.clock import Clock
from culling_pipeline.report.page import report_values
from culling_pipeline.report.unusable import unusable_values
from jobs.database.nights import Night
from jobs.pages.frame_answers import differences, frame_page, worse_sides
from jobs.pages.house import House, camera_of, house_of
from jobs.pages.moments import clock_of
from jobs.pages.pictures import picture_src
from jobs.pages.reports import RUN, has_report
from jobs.pages.templating import render, root_of
from streams.base import redact_url

A_PAGE = 48
"""Pictures."""
DIFFERS = ("any", "missed", "invented", "agreed")


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame of the gallery."""

    src: str
    large: str
    page: str
    time: str
    loss: str
    said: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """The frames that fit the filters, a page of them."""

    shots: Sequence[Shot]
    fitting: int
    total: int
    page: int
    pages: int
    hours: Sequence[str]
    zone: str
    asked: dict[str, str]


def night(request: Request) -> Response:
    """GET /camera/CAMERA/night/RUN."""
    house, camera = house_of(request), camera_of(request)
    found = found_night(request, camera)
    record, values = said_of(house, found)
    about: dict[str, Any] = {"camera": camera, "found": found, "has_report": False}
    clock = clock_of(house.config.cameras[camera])
    if record is None:
        return render(request, "a_night_unfinished.html", **about, clock=clock)
    about["has_report"] = has_report(house.config, camera, found.run_id)
    if isinstance(record, UnusableNight):
        return render(request, "an_unusable_night.html", **about, **values, pictures=[])
    gallery = _gallery(record, clock, request.query_params)
    return render(
        request,
        "a_night.html",
        **about,
        **values,
        pictures=[],
        gallery=gallery,
        differs=DIFFERS,
        worse_sides=worse_sides(house, record, root_of(request)),
    )


def said_of(house: House, found: Night) -> tuple[AnyNight | None, dict[str, Any]]:
    """The night's record, and what its report says: worked out once, for it cannot change but by
    the camera's time zone."""
    if found.state != "done":
        return None, {}
    clock = clock_of(house.config.cameras.get(found.camera))

    def make() -> tuple[AnyNight | None, dict[str, Any]]:
        record = house.store.record(found.id)
        if record is None:
            return None, {}
        if isinstance(record, UnusableNight):
            return record, unusable_values(record, clock)
        return record, report_values(record, clock)

    made: tuple[AnyNight | None, dict[str, Any]] = house.nights.get(
        (found.id, found.attempt, clock.name), make
    )
    return made


def night_json(request: Request) -> Response:
    """GET /camera/CAMERA/night/RUN.json: the whole record."""
    found = found_night(request, camera_of(request))
    record = house_of(request).store.record(found.id)
    if record is None:
        raise HTTPException(404, f"this night is {found.state}: it has no record")
    public = record.changed(source=redact_url(record.source))
    return Response(public.model_dump_json(indent=1), media_type="application/json")


def found_night(request: Request, camera: str) -> Night:
    """The night that the path names; 404 where there is none."""
    run_id = request.path_params["run_id"]
    if RUN.fullmatch(run_id) is None:
        raise HTTPException(404)
    found = house_of(request).store.night_named(camera, run_id)
    if found is None:
        raise HTTPException(404, f"camera {camera} has no night {run_id}")
    return found


def _gallery(record: NightRecord, clock: Clock, asked: QueryParams) -> Gallery:
    frames = {frame.id: frame for frame in record.ingest.frames}
    known = {d.frame_id: d for d in (*record.cull.survivors, *record.cull.shown)}
    kept = [(frames[i], known.get(i)) for i in record.cull.kept if i in frames]
    hours = sorted({_hour(frame, clock) for frame, _ in kept})
    wanted = {key: asked.get(key, "") for key in ("hour", "class", "differs")}
    label = record.classes.index(wanted["class"]) if wanted["class"] in record.classes else None
    fitting = [
        (frame, differs)
        for frame, differs in kept
        if wanted["hour"] in ("", _hour(frame, clock)) and _fits(differs, wanted["differs"], label)
    ]
    pages = max(1, -(-len(fitting) // A_PAGE))
    number = asked.get("page", "1")
    page = min(max(int(number) if number.isascii() and number.isdigit() else 1, 1), pages)
    shown = fitting[A_PAGE * (page - 1) : A_PAGE * page]
    return Gallery(
        shots=[_shot(record, frame, differs, clock) for frame, differs in shown],
        fitting=len(fitting),
        total=len(kept),
        page=page,
        pages=pages,
        hours=hours,
        zone=clock.name,
        asked=wanted,
    )


def _hour(frame: StoredFrame, clock: Clock) -> str:
    return f"{clock.hour(frame.wall_time):02d}"


def _fits(found: Disagreement | None, differs: str, label: int | None) -> bool:
    if found is None:
        return not differs and label is None
    by_kind = {
        "missed": found.missed_labels,
        "invented": found.invented_labels,
        "agreed": found.found_labels,
    }
    if differs == "agreed" and (found.missed or found.invented):
        return False
    if differs in ("missed", "invented") and not getattr(found, differs):
        return False
    labels = by_kind.get(differs) or [i for labels in by_kind.values() for i in labels]
    return label is None or label in labels


def _shot(
    record: NightRecord, frame: StoredFrame, found: Disagreement | None, clock: Clock
) -> Shot:
    name = frame.path.rpartition("/")[2]
    src, large = (
        picture_src(record.camera, record.run_id, name, width=width) for width in (240, 960)
    )
    said = "not looked at by the student" if found is None else differences(record, found)
    return Shot(
        src=src,
        large=large,
        page=frame_page(record, frame.id),
        time=clock.time(frame.wall_time),
        loss=words.figure(frame.confidence_loss),
        said=said,
    )
