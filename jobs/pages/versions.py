"""*Go back a version*: which of a camera's models is in use, changed after a second question and
undone within a minute; *pin*; and *retrain now*."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from jobs.bucket.sharing import open_registry
from jobs.cameras.versions import Switch, accuracy_words, roll_back, set_pin, undo, version_rows
from jobs.config.settings import CameraConfig
from jobs.nights.asked import ask_for_night
from jobs.pages.house import audit, camera_of, form_of, house_of, require_change
from jobs.pages.moments import stamp
from jobs.pages.sent import refusing, text_of
from jobs.pages.templating import render, see
from models.registry import ModelRegistry

UNDO_S = 60
"""How long a switch can be undone on the page."""


def versions(request: Request) -> Response:
    """GET /camera/CAMERA/versions; `?use=VERSION` asks the second question."""
    camera, registry = camera_of(request), _registry(request)
    settings = house_of(request).config.cameras.get(camera)
    with refusing():
        rows = [
            {
                **row,
                "figures": accuracy_words(row["metrics"]),
                "made": _made(row["created_at"], settings),
            }
            for row in reversed(version_rows(registry, camera))
        ]
    known, asked = {row["version"] for row in rows}, request.query_params.get("use")
    in_use = next((row["version"] for row in rows if row["in_use"]), None)
    return render(
        request,
        "versions.html",
        camera=camera,
        rows=rows,
        in_use=in_use,
        asked=asked if asked in known else None,
        done=_done(request, known, in_use),
        undo_s=UNDO_S,
    )


def _made(created_at: str | None, camera: CameraConfig | None) -> str:
    """When a version was made, as people read it."""
    return "–" if created_at is None else stamp(datetime.fromisoformat(created_at), camera)


def use(request: Request) -> Response:
    """POST /camera/CAMERA/use: put a version to work."""
    require_change(request)
    camera = camera_of(request)
    with refusing():
        done = roll_back(_registry(request), camera, text_of(form_of(request), "version"))
    audit(request, "version put to work", camera=camera, detail=f"{done.now} for {done.before}")
    said = {"now": done.now, "before": done.before or "", "at": int(time.time())}
    return see(request, f"camera/{camera}/versions?{urlencode(said)}")


def undo_use(request: Request) -> Response:
    """POST /camera/CAMERA/undo: put back the version that was in use before."""
    require_change(request)
    camera, form = camera_of(request), form_of(request)
    switch = Switch(camera, text_of(form, "before") or None, text_of(form, "now"))
    with refusing():
        done = undo(_registry(request), switch)
    audit(request, "version put back", camera=camera, detail=f"{done.now} for {done.before}")
    return see(request, f"camera/{camera}/versions?undone=1")


def pin(request: Request) -> Response:
    """POST /camera/CAMERA/pin: keep a version for ever, or no longer."""
    require_change(request)
    camera, form = camera_of(request), form_of(request)
    version, pinned = text_of(form, "version"), text_of(form, "pinned") == "yes"
    with refusing():
        set_pin(_registry(request), camera, version, pinned=pinned)
    what = "version pinned" if pinned else "version unpinned"
    audit(request, what, camera=camera, detail=version)
    return see(request, f"camera/{camera}/versions")


def retrain(request: Request) -> Response:
    """POST /camera/CAMERA/retrain: ask for a night now."""
    require_change(request)
    camera, house = camera_of(request), house_of(request)
    with refusing():
        said = ask_for_night(house.config, camera, house.store, now=datetime.now(UTC))
    audit(request, "night asked for", camera=camera, detail=said)
    return see(request, f"camera/{camera}/asked?said={said}")


def asked(request: Request) -> Response:
    """GET /camera/CAMERA/asked: what has become of it."""
    camera, house = camera_of(request), house_of(request)
    return render(
        request,
        "asked.html",
        camera=camera,
        said=request.query_params.get("said"),
        waiting=[due for due in house.store.dues.all(camera) if due.state == "queued"],
        running=house.store.dues.all(camera, state="running"),
        window=house.config.service.window,
    )


def _registry(request: Request) -> ModelRegistry:
    with refusing():
        return open_registry(
            house_of(request).config, [camera_of(request)], may_lag=request.method == "GET"
        )


def _done(request: Request, known: set[str], in_use: str | None) -> Switch | None:
    """A switch of the last minute that can still be undone."""
    query = request.query_params
    now, before, at = query.get("now"), query.get("before"), query.get("at", "")
    recent = at.isascii() and at.isdigit() and 0 <= time.time() - int(at[:12]) <= UNDO_S
    if not recent or now is None or now != in_use or before not in known:
        return None
    return Switch(camera_of(request), before, now)
