"""*Add a camera*: its address is pasted, its picture looked at, its classes are chosen, and it is
written into config.yaml. The address with its password stays in this process between the steps."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jobs.errors import UsageError
from jobs.pages.house import audit, form_of, house_of, require_change
from jobs.pages.sent import refusing, text_of
from jobs.pages.templating import render, see
from jobs.setup import add
from jobs.setup.camera_block import CLASSES
from jobs.setup.first_look import FirstLook, first_look, password_file
from streams.base import redact_url

KEPT_S = 600.0
"""How long a look waits for somebody to go on with it."""
MOST_KEPT = 20
LONGEST_ADDRESS = 2000
LONGEST_NAME, LONGEST_MORE = 64, 500
"""Of what is shown again; the page's fields take no more."""


class Looks:
    """Cameras that were looked at and not added yet, by random names."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._kept: OrderedDict[str, tuple[float, FirstLook]] = OrderedDict()
        self._one = threading.Lock()

    def keep(self, look: FirstLook) -> str:
        """Its name."""
        name = secrets.token_hex(16)
        with self._one:
            self._kept[name] = (self._now_s() + KEPT_S, look)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return name

    def find(self, name: str) -> FirstLook | None:
        """The look of this name, if it is not too old."""
        until_s, look = self._kept.get(name, (0.0, None))
        return look if self._now_s() < until_s else None

    def drop(self, name: str) -> None:
        """Its camera has been added."""
        self._kept.pop(name, None)


LOOKS = Looks()


def add_camera(request: Request) -> Response:
    """GET and POST /add: the address."""
    if request.method != "POST":
        return _address_page(request)
    require_change(request)
    form = form_of(request)
    try:
        with refusing():
            look = first_look(_request(request, form), device=_device(request))
    except HTTPException as refusal:
        return _address_page(request, form, refusal)
    return see(request, f"add/{LOOKS.keep(look)}")


def _address_page(
    request: Request, form: FormData | None = None, refusal: HTTPException | None = None
) -> Response:
    """With what was typed and why it was refused; a password has to be typed again."""
    typed = "" if form is None else text_of(form, "address").strip()
    if len(typed) > LONGEST_ADDRESS or not typed.isprintable():
        typed = ""
    shown = redact_url(typed)
    return render(
        request,
        "add.html",
        status_code=200 if refusal is None else refusal.status_code,
        can_save=house_of(request).source is not None,
        refused=None if refusal is None else refusal.detail,
        name="" if form is None else text_of(form, "name").strip()[:LONGEST_NAME],
        address=shown,
        is_hidden=shown != typed,
    )


def added_look(request: Request) -> Response:
    """GET and POST /add/LOOK: its picture; the classes."""
    look = _look(request)
    if request.method != "POST":
        return _classes_page(request, look)
    require_change(request)
    form = form_of(request)
    try:
        with refusing():
            added = add.add_camera(_to_add(look, form))
    except HTTPException as refusal:
        return _classes_page(request, look, form, refusal)
    LOOKS.drop(request.path_params["look"])
    audit(request, "camera added", camera=added.camera.name, detail=look.source)
    return render(request, "added.html", added=added, camera=added.camera.name)


def _classes_page(
    request: Request,
    look: FirstLook,
    form: FormData | None = None,
    refusal: HTTPException | None = None,
) -> Response:
    """With what was chosen and why it was refused; at first with what the teacher has found."""
    usual = [name for name in CLASSES if not look.known or name in look.known]
    return render(
        request,
        "add_look.html",
        status_code=200 if refusal is None else refusal.status_code,
        look=look,
        look_id=request.path_params["look"],
        camera=look.request.name,
        refused=None if refusal is None else refusal.detail,
        usual=usual,
        chosen=(look.found or usual) if form is None else form.getlist("classes"),
        more="" if form is None else text_of(form, "more")[:LONGEST_MORE],
    )


def add_picture(request: Request) -> Response:
    """GET /add/LOOK.jpg."""
    return Response(_look(request).jpeg, media_type="image/jpeg")


def _request(request: Request, form: FormData) -> add.Request:
    source, url = house_of(request).source, text_of(form, "address").strip()
    if source is None:
        message = "these pages know no config.yaml to write to"
        raise UsageError(message)
    if not url or len(url) > LONGEST_ADDRESS or not url.isprintable():
        message = f"address: give one of at most {LONGEST_ADDRESS} characters"
        raise UsageError(message)
    return add.Request(name=text_of(form, "name").strip(), url=url, config=source.path)


def _device(request: Request) -> str:
    from jobs.cameras.detectors import pick_device

    return pick_device(house_of(request).config.device)


def _look(request: Request) -> FirstLook:
    look = LOOKS.find(request.path_params["look"])
    if look is None:
        raise HTTPException(404, "this look is too old: paste the address again")
    return look


def _to_add(look: FirstLook, form: FormData) -> add.Request:
    """The camera as it is to be added; its password goes into a file that only this user reads."""
    chosen = [name for name in form.getlist("classes") if isinstance(name, str)]
    chosen += [name.strip() for name in text_of(form, "more").split(",")]
    classes = tuple(dict.fromkeys(name for name in chosen if name))
    if not classes:
        message = "choose at least one class"
        raise UsageError(message)
    unknown = [name for name in classes if look.known and name not in look.known]
    if unknown:
        message = (
            f"the teacher does not know {', '.join(unknown)[:200]}: it knows "
            f"{', '.join(look.known)}"
        )
        raise UsageError(message)
    path = password_file(look.request)
    if path is not None:
        os.makedirs(path.parent, mode=0o700, exist_ok=True)
    wish = replace(look.request.wish, classes=classes)
    return replace(look.request, wish=wish, look=False, password_file=path)
