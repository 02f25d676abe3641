"""The first page: a card for each camera, what needs attention first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.report import words
from culling_pipeline.report.courses import sparkline
from jobs.cameras.reports import report_path
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.pages.house import House, house_of
from jobs.pages.moments import ago, zone_of
from jobs.pages.overview import Glance
from jobs.pages.pictures import Newest, newest
from jobs.pages.reports import has_report
from jobs.pages.templating import render
from models.errors import WeightsError
from models.versions import ModelVersions

A_PAGE = 24
"""Cards."""
NIGHTS = 30
"""Of the line on a card."""
SHOWS = ("all", "attention", "promoted", "no night")


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one camera."""

    glance: Glance
    classes: str
    picture: Newest | None
    age: str
    version: str | None
    score: str
    metric: str
    spark: Markup
    frames: str
    slot: str
    has_report: bool


def cameras(request: Request) -> Response:
    """GET /?q=WORD&show=WHICH&page=N."""
    house = house_of(request)
    config = house.config
    found = house.overview.glances(config)
    asked = request.query_params
    q, show = asked.get("q", "").strip()[:80], asked.get("show", "all")
    show = show if show in SHOWS else "all"
    chosen = [g for g in found if _fits(g, config.cameras[g.name], q=q, show=show)]
    pages = max(1, -(-len(chosen) // A_PAGE))
    page = min(max(_number(asked.get("page")), 1), pages)
    shown = chosen[A_PAGE * (page - 1) : A_PAGE * page]
    return render(
        request,
        "cameras.html",
        cards=[_card(house, config, glance) for glance in shown],
        groups=_groups(house, config) if page == 1 else [],
        total=len(found),
        attention=sum(glance.rank > 0 for glance in found),
        chosen=len(chosen),
        q=q,
        show=show,
        shows=SHOWS,
        page=page,
        pages=pages,
    )


def _fits(glance: Glance, camera: CameraConfig, *, q: str, show: str) -> bool:
    word = q.casefold()
    if word and not any(word in name.casefold() for name in (glance.name, *camera.class_names)):
        return False
    figures = None if glance.night is None else glance.night.figures
    return {
        "attention": glance.rank > 0,
        "promoted": figures is not None and figures.promoted,
        "no night": glance.night is None,
    }.get(show, True)


def _card(house: House, config: Config, glance: Glance) -> Card:
    camera = config.cameras[glance.name]
    nights = house.store.nights(glance.name, state="done", limit=NIGHTS)
    picture = newest(config, glance.name, nights[0].run_id if nights else None)
    score, metric, spark = _score(nights)
    return Card(
        glance=glance,
        classes=", ".join(camera.class_names),
        picture=picture,
        age=_age(picture, nights),
        version=_version(config, glance.name),
        score=score,
        metric=metric,
        spark=spark,
        frames=_frames(house, camera, nights),
        slot=glance.slot or _slot(camera),
        has_report=bool(nights) and has_report(config, glance.name, nights[0].run_id),
    )


def _score(nights: Sequence[Night]) -> tuple[str, str, Markup]:
    """The latest score as "before → after", its metric, and the line of the scores in use."""
    known = [night.figures for night in nights if night.figures is not None]
    if not known:
        return words.NOTHING, "", Markup("")
    last = known[0]
    of_metric = [f for f in reversed(known) if f.metric == last.metric]
    values = [f.score_after if f.promoted else f.score_before for f in of_metric]
    label = f"{last.metric} of the student in use over {words.count(len(values), 'night')}"
    text = f"{last.score_before:.3f} → {last.score_after:.3f}"
    return text, last.metric, sparkline(values, label)


def _age(picture: Newest | None, nights: Sequence[Night]) -> str:
    if picture is None:
        return ""
    if picture.watched:
        return ago(picture.stored_at)
    return f"of the night {nights[0].run_id}"


def _version(config: Config, camera: str) -> str | None:
    try:
        return ModelVersions(config.models_root).incumbent(camera)
    except WeightsError:
        return "damaged"


def _frames(house: House, camera: CameraConfig, nights: Sequence[Night]) -> str:
    """Frames of the camera's latest day in a night, and of how many they were kept."""
    watch = house.watch()
    feed = None if watch is None else watch.feeds.get(camera.name)
    if feed is not None:
        return f"{words.count(feed.tally.seen, 'frame')} since the service began"
    figures = nights[0].figures if nights else None
    if figures is None:
        return "no frames yet"
    return f"{words.count(figures.frames_seen)} frames, {words.count(figures.kept)} kept"


def _slot(camera: CameraConfig) -> str:
    if camera.schedule is None:
        return "no night planned"
    when = f"at {camera.schedule}" if ":" in camera.schedule else f"cron {camera.schedule}"
    return f"night {when} {zone_of(camera)[1]}"


def _groups(house: House, config: Config) -> list[tuple[str, str]]:
    """Groups whose last night has a report of its own."""
    found = []
    for group, names in config.groups.items():
        night = house.store.latest_night(names[0])
        if night is not None and report_path(config, group, night.run_id).is_file():
            found.append((group, night.run_id))
    return found


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else 1
