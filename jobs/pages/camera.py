"""One camera: its latest picture, its day, its score over weeks, its nights, what it costs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import courses, words
from culling_pipeline.report.courses import NightPoint
from jobs.config.settings import Config
from jobs.database.nights import Night
from jobs.exports.checking import teacher_agreement
from jobs.pages.frame_answers import frame_page, frame_src, frames_to_show
from jobs.pages.house import House, camera_of, house_of
from jobs.pages.moments import ago, clock_of, stamp
from jobs.pages.night import said_of
from jobs.pages.pictures import newest
from jobs.pages.templating import render

NIGHTS = 90
"""Of the charts."""
A_PAGE = 30
"""Nights of the table."""
SIZES_S = 600.0
"""How long the sizes of a camera's folders hold: adding them up takes seconds for full days."""
FOLDERS = ("days", "frames", "replay", "models", "reports")


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a night's day: a frame with its page, and how many frames there are to see. The
    frame is one of the control slice if there is one, for that has both models' answers."""

    hour: str
    src: str
    page: str
    kept: int
    control: int


@dataclass(frozen=True, slots=True)
class Past:
    """A camera's nights, the latest first, and what the charts of them show."""

    nights: Sequence[Night]
    points: Sequence[NightPoint]
    score_chart: str
    unsure_chart: str


class Sizes:
    """Bytes of each camera's folders, added up now and then."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, dict[str, int]]] = {}
        self._adding = threading.Lock()

    def of(self, data_dir: Path, camera: str) -> dict[str, int]:
        """By folder; at most `SIZES_S` old."""
        known = self._known.get(camera)
        if known is None or time.monotonic() - known[0] >= SIZES_S:
            with self._adding:
                found = {name: _bytes(data_dir / name / camera) for name in FOLDERS}
                self._known[camera] = known = (time.monotonic(), found)
        return known[1]


SIZES = Sizes()


def camera(request: Request) -> Response:
    """GET /camera/CAMERA?page=N."""
    house, name = house_of(request), camera_of(request)
    config = house.config
    settings = config.cameras[name]
    past = _past(house, name)
    nights = past.nights
    page, pages = _page(request, len(nights))
    latest = next((n for n in nights if n.state == "done"), None)
    picture = newest(config, name, None if latest is None else latest.run_id)
    glance = next((g for g in house.overview.glances(config) if g.name == name), None)
    sizes = SIZES.of(config.data_dir, name)
    last = next((n.figures for n in nights if n.figures is not None), None)
    return render(
        request,
        "camera.html",
        camera=name,
        settings=settings,
        zone=clock_of(settings).name,
        glance=glance,
        picture=picture,
        age="" if picture is None else (ago(picture.stored_at) if picture.watched else ""),
        taken="" if picture is None else stamp(picture.stored_at, settings),
        latest=latest,
        hours=_hours(house, config, name, latest),
        last=last,
        points=past.points,
        away=[night for night in nights if night.unusable is not None],
        score_chart=past.score_chart,
        unsure_chart=past.unsure_chart,
        nights=nights[A_PAGE * (page - 1) : A_PAGE * page],
        page=page,
        pages=pages,
        sizes=[(folder, _size(count)) for folder, count in sizes.items() if count],
        total_size=_size(sum(sizes.values())),
        stamp=lambda moment: stamp(moment, settings),
        changes=house.store.audit.last(8, camera=name),
        agreement=teacher_agreement(config, name),
    )


def _past(house: House, name: str) -> Past:
    """The camera's nights and their charts; worked out once, until a night begins or ends."""
    last = house.store.latest_night(name)
    key = (name, None if last is None else (last.id, last.state, last.attempt, last.finished_at))

    def make() -> Past:
        nights = house.store.nights(name, limit=NIGHTS)
        points = _points(nights)
        away = [night.night_date for night in reversed(nights) if night.unusable is not None]
        charts = (
            _score_chart(points, nights, away),
            courses.unsureness_course(points, unusable=away),
        )
        return Past(nights, list(reversed(points)), *charts)

    past: Past = house.nights.get(key, make)
    return past


def _points(nights: Sequence[Night]) -> list[NightPoint]:
    """The nights that trained, the oldest first, as far as they are judged as the last one is."""
    known = [(night, night.figures) for night in nights if night.figures is not None]
    metric = known[0][1].metric if known else ""
    return [
        NightPoint(
            day=night.night_date,
            in_use=f.score_after if f.promoted else f.score_before,
            new=f.score_after,
            promoted=f.promoted,
            drifted=f.drift is not None,
            mean_loss=f.mean_loss,
        )
        for night, f in reversed(known)
        if f.metric == metric
    ]


def _score_chart(
    points: Sequence[NightPoint], nights: Sequence[Night], away: Sequence[date]
) -> str:
    metric = next((n.figures.metric for n in nights if n.figures is not None), "")
    is_share = metric == "mAP50"
    kind = f"{'accuracy' if is_share else 'error'} ({metric})"
    return courses.score_course(points, kind=kind, most=1.0 if is_share else None, unusable=away)


def _hours(house: House, config: Config, name: str, latest: Night | None) -> list[Hour]:
    """The day of the last night by the camera's clock, as far as its frames are on disk."""
    if latest is None or not config.frames_dir(name, latest.run_id).is_dir():
        return []
    record, _ = said_of(house, latest)
    if not isinstance(record, NightRecord):
        return []
    clock, control = clock_of(config.cameras[name]), set(record.ingest.control)
    by_hour: dict[int, list[StoredFrame]] = {}
    for frame in frames_to_show(record):
        by_hour.setdefault(clock.hour(frame.wall_time), []).append(frame)
    hours = []
    for hour, frames in sorted(by_hour.items()):
        first = next((frame for frame in frames if frame.id in control), frames[0])
        measuring = sum(frame.id in control for frame in frames)
        hours.append(
            Hour(
                hour=f"{hour:02d}",
                src=frame_src(record, first, width=240),
                page=frame_page(record, first.id),
                kept=len(frames) - measuring,
                control=measuring,
            )
        )
    return hours


def _page(request: Request, count: int) -> tuple[int, int]:
    pages = max(1, -(-count // A_PAGE))
    asked = request.query_params.get("page", "1")
    number = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1
    return min(max(number, 1), pages), pages


def _bytes(folder: Path) -> int:
    total = 0
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    total += _bytes(Path(entry.path))
                else:
                    total += entry.stat(follow_symlinks=False).st_size
    except OSError:  # not there, or deleted meanwhile
        pass
    return total


def _size(count: float) -> str:
    for size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= size:
            return f"{words.figure(count / size, 1)} {unit}"
    return f"{count:.0f} bytes"
