"""All pages of the service, one line each.

To add a page: a function `def page(request: Request) -> Response` in a module of this folder, a
template that begins with `{% extends "frame.html" %}`, and a `Route` in `ROUTES`. The function runs
in a thread and returns `render(request, "page.html", …)` (`templating.py`). `house_of(request)` has
configuration, store and live cameras, `camera_of(request)` the camera that the path names. Raise
`HTTPException(404, "why")` for what is not there; `door.py` makes a page of it.

To add an action: a `Route` with `methods=["POST"]`. Before it is called, `door.py` has read the
form (`form_of(request)`), checked its token and that the visitor may change something. In the
template the form begins with `{{ csrf() }}` (`forms.html`, imported with context); a script sends
the header `X-CSRF-Token` from `<meta name="csrf">` and a form's encoding. The function calls
`require_change(request)` first, then makes the change, then
`audit(request, "what was done", camera=…, detail=…)`, and returns `see(request, "camera/…")`, so
that loading the page again does not send the form again. A page that takes more than 256 KiB has a
line in `door.LONGER_BODIES`.

Paths have no token in them here: `door.py` has taken it off. Links begin with `{{ root }}`.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from jobs.pages.camera import camera
from jobs.pages.cameras import cameras
from jobs.pages.changes import CHANGES
from jobs.pages.frames import frame
from jobs.pages.login import login, logout
from jobs.pages.night import night, night_json
from jobs.pages.pictures import picture
from jobs.pages.reports import report
from jobs.pages.statics import static
from jobs.pages.system import events, system

ROUTES = [
    Route("/", cameras),
    Route("/login", login, methods=["GET", "POST"]),
    Route("/logout", logout, methods=["POST"]),
    Route("/static/{path:path}", static),
    Route("/system", system),
    Route("/system/events", events),
    Route("/camera/{camera}", camera),
    Route("/camera/{camera}/night/{run_id}.json", night_json),
    Route("/camera/{camera}/night/{run_id}", night),
    Route("/camera/{camera}/night/{run_id}/frame/{frame}", frame),
    Route("/camera/{camera}/picture/{folder}/{name}", picture),
    Route("/reports/{camera}/{run_id}/index.html", report),
    *CHANGES,
]


def make_app() -> Router:
    """What answers a request that `door.Door` has let in."""
    return Router(ROUTES, redirect_slashes=False, default=_nothing)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    raise HTTPException(404)
