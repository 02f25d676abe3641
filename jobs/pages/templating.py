"""Makes a page of a template and values."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from culling_pipeline.report import page as report
from culling_pipeline.report import words

PAGES = Environment(
    loader=ChoiceLoader([FileSystemLoader(Path(__file__).parent / "templates"), report.LOADER]),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.globals["words"] = words


def root_of(request: Request) -> str:
    """The way from this page to the first one, such as `../../`; so no page has the token of its
    address in it."""
    return "../" * (str(request.scope["path"]).count("/") - 1)


def render(request: Request, template: str, *, status_code: int = 200, **values: Any) -> Response:
    """The page. Every template also has `root`, `static`, `visitor`, `here` and `words`."""
    root = root_of(request)
    statics = request.scope["culling.house"].statics
    text = PAGES.get_template(template).render(
        root=root,
        static=lambda name: root + statics.path(name),
        visitor=request.scope.get("culling.visitor"),
        by_token=request.scope["culling.by_token"],
        here=request.scope["path"].removeprefix("/"),
        **values,
    )
    return HTMLResponse(text, status_code)


def see(request: Request, path: str) -> Response:
    """After a form: the browser goes on to this page, given as below the first one."""
    return RedirectResponse((root_of(request) or "./") + quote(path, safe="/?=&.#"), 303)
