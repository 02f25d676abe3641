"""Logging in and out, where the pages are not for this machine's user alone."""

from __future__ import annotations

import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from jobs.pages.access import SESSION_S
from jobs.pages.door import COOKIE
from jobs.pages.house import form_of, house_of
from jobs.pages.templating import render


def login(request: Request) -> Response:
    """GET and POST /login."""
    if request.scope["culling.by_token"]:
        raise HTTPException(404)
    if request.method != "POST":
        return render(request, "login.html", wrong=None)
    house, address = house_of(request), request.scope["culling.address"]
    role = house.passwords.role_of(str(form_of(request).get("password", "")), address)
    if role is not None:
        answer = RedirectResponse("./", 303)
        house.store.audit.note(f"{role} from {address}", "logged in")
        answer.set_cookie(
            COOKIE,
            house.sessions.begin(role),
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=house.config.service.is_encrypted,
        )
        return answer
    wait_s = house.passwords.wait_s(address)
    if wait_s > 0:
        later = render(
            request,
            "login.html",
            status_code=429,
            wrong=f"Too many wrong passwords: try again in {math.ceil(wait_s / 60)} min.",
        )
        later.headers["Retry-After"] = str(math.ceil(wait_s))
        return later
    return render(request, "login.html", status_code=403, wrong="This password is wrong.")


def logout(request: Request) -> Response:
    """POST /logout."""
    house_of(request).sessions.end(request.cookies.get(COOKIE))
    answer = RedirectResponse("./login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
