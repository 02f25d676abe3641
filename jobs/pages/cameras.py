"""The first page: a card for each camera, what needs attention first."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.report import words
from culling_pipeline.report.courses import sparkline
from jobs.cameras.reports import report_path
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.disk.use import GB
from jobs.pages.frames_today import coverage_of, frames_of_today
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
class Past:
    """What a camera's done nights say: the name of the last one, the latest score as "before →
    after", its metric, the line of the scores in use, the frames of the last day."""

    run_id: str | None
    score: str
    metric: str
    spark: Markup
    frames: str


@dataclass(frozen=True, slots=True)
class Card:
    """What the page says of one camera."""

    glance: Glance
    past: Past
    classes: str
    picture: Newest | None
    age: str
    version: str | None
    frames: str
    storage: str
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
    camera, night = config.cameras[glance.name], glance.night
    key = (glance.name, None if night is None else (night.id, night.state, night.attempt))
    past: Past = house.cards.get(key, lambda: _past(house, glance))
    picture = newest(config, glance.name, past.run_id)
    return Card(
        glance=glance,
        past=past,
        classes=", ".join(camera.class_names),
        picture=picture,
        age=_age(picture, past),
        version=_version(config, glance.name),
        frames=frames_of_today(house, camera) or past.frames,
        storage=_storage(house, camera),
        slot=glance.slot or _slot(camera),
        has_report=past.run_id is not None and has_report(config, glance.name, past.run_id),
    )


def _past(house: House, glance: Glance) -> Past:
    """What the done nights say, until there is another one."""
    nights: list[Night] = []
    if glance.night is not None:
        nights = house.store.nights(glance.name, state="done", limit=NIGHTS)
    measured = [night for night in nights if night.figures is not None]
    known = [night.figures for night in measured if night.figures is not None]
    run_id = nights[0].run_id if nights else None
    if not known:
        return Past(run_id, words.NOTHING, "", Markup(""), "no frames yet")
    last = known[0]
    of_metric = [f for f in reversed(known) if f.metric == last.metric]
    values = [f.score_after if f.promoted else f.score_before for f in of_metric]
    label = f"{last.metric} of the student in use over {words.count(len(values), 'night')}"
    score = f"{last.score_before:.3f} → {last.score_after:.3f}"
    frames = f"{words.count(last.frames_seen)} frames, {words.count(last.kept)} kept"
    if (recorded := coverage_of(house, glance.name, measured[0])) is not None:
        frames += f". {recorded}"
    return Past(run_id, score, last.metric, sparkline(values, label), frames)


def _age(picture: Newest | None, past: Past) -> str:
    if picture is None:
        return ""
    return ago(picture.stored_at) if picture.watched else f"of the night {past.run_id}"


def _version(config: Config, camera: str) -> str | None:
    try:
        return ModelVersions(config.models_root).incumbent(camera)
    except WeightsError:
        return "damaged"


def _storage(house: House, camera: CameraConfig) -> str:
    """What its frames take on disk, as far as it was measured."""
    used = house.disk_use.of(camera.name)
    if used is None:
        return ""
    most = camera.disk_budget_gb
    of = "" if most is None else f" of {words.figure(most, 1)}"
    return f"{words.figure(used / GB, 2 if used < GB else 1)}{of} GB on disk"


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
