"""The door that each request passes: host, token or session, size, forged forms; and what every
answer has."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus

from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Match, Router
from starlette.types import Message, Receive, Scope, Send

from jobs.bucket.bucket import StorageError
from jobs.errors import describe
from jobs.exports.trial import MOST_BYTES
from jobs.pages.access import Visitor, form_token, is_same
from jobs.pages.house import House
from jobs.pages.port_token import TOKEN_FILE
from jobs.pages.templating import render
from jobs.service.outage import AWAY

logger = logging.getLogger(__name__)

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""Headers of every answer."""
USUAL = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
"""Headers of an answer that does not say otherwise."""
LONGEST_BODY = 256 * 1024
"""Bytes of a form …"""
LONGER_BODIES: dict[re.Pattern[str], int] = {
    re.compile(r"try/.*"): MOST_BYTES + 64 * 1024,
    re.compile(r"camera/[^/]+/labels"): 1024 * 1024,
}
"""… and of one that is sent to such a path: pictures, and all labels of a crowded frame."""
MOST_FIELDS = 2000
COOKIE = "culling_session"
METHODS = ("GET", "HEAD", "POST")
_LOCAL = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
OPEN = re.compile(r"login|static/[0-9a-f]{16}/[a-z.]+")
"""What somebody sees who has not logged in."""


class Door:
    """In front of all pages. With a `token`, it is the first part of each path; without one, people
    log in."""

    def __init__(self, house: House, inside: Router, token: str, *, by_token: bool) -> None:
        self._house, self._inside = house, inside
        self._token, self._by_token = token, by_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; whatever happens, the visitor gets a line and the log the rest."""
        if scope["type"] != "http":
            return
        begun = False

        async def and_note(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE.items():
                    headers[name] = value
                for name, value in USUAL.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._let_in(scope, receive, and_note)
        except HTTPException as error:
            answer = _refusal(scope, error)
        except (*AWAY, StorageError):  # the log has it from the service itself
            away = HTTPException(503, "the database or the disk is away, try again soon")
            answer = _refusal(scope, away)
        except Exception as error:  # the boundary: one visitor, not the service
            logger.warning("a page failed: %s", describe(error))
            logger.debug("page", exc_info=error)
            answer = _refusal(scope, HTTPException(500))
        else:
            return
        finally:
            await scope.get("culling.form", FormData()).close()
        if not begun:
            await answer(scope, receive, and_note)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        scope["culling.house"] = self._house
        self._check_host(request)
        path = scope["path"].removeprefix("/")
        if scope["method"] not in METHODS:
            raise HTTPException(405, headers={"Allow": "GET, HEAD"})
        if path == "metrics" and scope["method"] != "POST" and self._may_scrape(request):
            await (await self._metrics())(scope, receive, send)
            return
        if self._by_token:
            token, slash, path = path.partition("/")
            self._check_token(token)
            if not slash:  # without the slash, the links of the page would lead elsewhere
                await RedirectResponse(f"/{self._token}/", 308)(scope, receive, send)
                return
        scope["path"], scope["app"] = f"/{path}", self._inside
        scope["culling.by_token"] = self._by_token
        scope["culling.address"] = self.address_of(request)
        scope["culling.visitor"] = visitor = self._visitor(request)
        if visitor is None and not OPEN.fullmatch(path):
            await _to_login(request)(scope, receive, send)
            return
        if scope["method"] == "POST" and self._takes_posts(scope):
            await self._take_form(Request(scope, _at_most(_longest(path), receive)), path)
        await self._inside(scope, receive, send)

    def _takes_posts(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._inside.routes)

    def _check_host(self, request: Request) -> None:
        """The request has to name this machine: a page from elsewhere must not reach us through a
        name that it points here (DNS rebinding). With sessions it could: it has no cookie."""
        hosts = request.headers.getlist("Host")
        rule = _LOCAL if self._by_token else _HOST
        if len(hosts) != 1 or rule.fullmatch(hosts[0].strip()) is None:
            raise HTTPException(403, "unknown host")

    def _check_token(self, token: str) -> None:
        if not is_same(token, self._token):
            where = f"the address with the token is in the log of culling run ({TOKEN_FILE} has it)"
            raise HTTPException(403, where)

    def _may_scrape(self, request: Request) -> bool:
        """Prometheus cannot log in: it gives the token as `Authorization: Bearer TOKEN`."""
        if self._by_token:
            return True
        given = request.headers.get("Authorization", "")
        return is_same(given, f"Bearer {self._token}")

    async def _metrics(self) -> Response:
        text = await run_in_threadpool(generate_latest, self._house.figures)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _visitor(self, request: Request) -> Visitor | None:
        address = request.scope["culling.address"]
        if self._by_token:
            return Visitor("change", form_token(self._token), address)
        found = self._house.sessions.find(request.cookies.get(COOKIE))
        return None if found is None else Visitor(*found, address)

    def address_of(self, request: Request) -> str:
        """Where a request comes from. A proxy on this machine says for whom it asks; from elsewhere
        anybody could say so."""
        peer = "" if request.client is None else request.client.host
        settings = self._house.config.service
        if settings.proxy is None or not settings.is_loopback:
            return peer
        said = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        return said[:64] or peer

    async def _take_form(self, request: Request, path: str) -> None:
        """Read the form of a POST, and refuse one that no page of ours has sent."""
        if not _is_same_site(request):
            raise HTTPException(403, "the form was sent by another site")
        try:
            form = await request.form(max_files=8, max_fields=MOST_FIELDS)
        except (MultiPartException, HTTPException) as error:
            if getattr(error, "status_code", 400) == 413:
                raise
            raise HTTPException(400, "the form cannot be read") from error
        request.scope["culling.form"] = form
        visitor = request.scope["culling.visitor"]
        given = form.get("csrf") or request.headers.get("X-CSRF-Token")
        if visitor is not None and not (isinstance(given, str) and is_same(given, visitor.csrf)):
            raise HTTPException(403, "this form is too old: load the page again, then send it")
        if visitor is not None and not visitor.may_change and path != "logout":
            raise HTTPException(403, "this login may look, not change")


def _is_same_site(request: Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = request.headers.get("Origin")
    host = request.headers.get("Host", "").strip()
    return site == "same-origin" and (origin is None or origin.partition("://")[2] == host)


def _longest(path: str) -> int:
    longer = (size for paths, size in LONGER_BODIES.items() if paths.fullmatch(path))
    return max(longer, default=LONGEST_BODY)


def _at_most(size: int, receive: Receive) -> Receive:
    """`receive`, until a body is longer than this."""
    left = size

    async def limited() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413, f"too much: at most {size:,} bytes")
        return message

    return limited


def _to_login(request: Request) -> Response:
    """A page asks to log in first; what is no page is refused."""
    wants_page = "text/html" in request.headers.get("Accept", "")
    if request.method != "POST" and wants_page:
        depth = request.scope["path"].count("/") - 1
        return RedirectResponse("../" * depth + "login", 303)
    return PlainTextResponse("401: log in first\n", 401)


def _refusal(scope: Scope, error: HTTPException) -> Response:
    said = error.detail or HTTPStatus(error.status_code).phrase
    headers = dict(error.headers or {})
    if "Allow" in headers:
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
    request = Request(scope)
    if "culling.visitor" in scope and "text/html" in request.headers.get("Accept", ""):
        page = {"status": error.status_code, "said": said}
        return render(request, "error.html", status_code=error.status_code, **page)
    text = f"{error.status_code}: {said}\n"
    return PlainTextResponse(text, error.status_code, headers=headers)
