"""*Check labels*: a person looks at a camera's frames and puts right what the teacher got wrong."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jobs.errors import UsageError
from jobs.exports.checking import (
    Checked,
    FrameToCheck,
    Label,
    Sitting,
    picture_of,
    save_check,
    sitting,
)
from jobs.pages.house import audit, camera_of, form_of, house_of, require_change
from jobs.pages.moments import stamp
from jobs.pages.sent import UNREADABLE, number, refusing, rows_of_json, text_of, whole
from jobs.pages.templating import render, see

MORE_ROWS = 3
"""Empty rows of the form, for objects that the teacher missed, where no script draws boxes."""
WHY = {
    "random": "drawn at random: it counts for the figure",
    "differs": "shown because student and teacher differ here: it does not count for the figure",
}


def labels(request: Request) -> Response:
    """GET and POST /camera/CAMERA/labels."""
    camera, house = camera_of(request), house_of(request)
    if request.method == "POST":
        return _save(request, camera)
    try:
        seen = sitting(house.config, camera, house.store)
    except UsageError as error:  # no night yet: a page that says so
        return render(request, "labels.html", camera=camera, seen=None, why_not=str(error))
    wanted = request.query_params.get("frame")
    now = _first_left(seen) if wanted is None else _at(seen, whole(wanted))
    settings = house.config.cameras.get(camera)
    place = next((k for k, frame in enumerate(seen.frames) if frame is now), -1)
    return render(
        request,
        "labels.html",
        camera=camera,
        seen=seen,
        now=now,
        place=place,
        before=seen.frames[place - 1] if place > 0 else None,
        after=seen.frames[place + 1] if now is not None and place + 1 < len(seen.frames) else None,
        why=WHY,
        more_rows=MORE_ROWS,
        taken=None if now is None else stamp(now.frame.wall_time, settings, seconds=True),
    )


def labels_picture(request: Request) -> Response:
    """GET /camera/CAMERA/labels/RUN/FRAME.jpg: a frame that is to be checked."""
    camera, house, names = camera_of(request), house_of(request), request.path_params
    with refusing():
        try:
            path = picture_of(
                house.config, camera, house.store, (names["run_id"], whole(names["frame"]))
            )
        except UsageError as error:
            raise HTTPException(404) from error
    return Response(
        path.read_bytes(),
        media_type="image/jpeg",
        headers={"Cache-Control": "private, max-age=600"},
    )


def _save(request: Request, camera: str) -> Response:
    require_change(request)
    house, form = house_of(request), form_of(request)
    said = Checked(text_of(form, "run_id"), whole(form.get("frame")), _labels(form))
    with refusing():
        done = save_check(house.config, camera, house.store, said)
    detail = (
        f"night {done.run_id}, frame {done.frame_id}: {done.right} of {done.boxes} right, "
        f"{done.missed} missed"
    )
    audit(request, "labels checked", camera=camera, detail=detail)
    return see(request, f"camera/{camera}/labels")


def _first_left(seen: Sitting) -> FrameToCheck | None:
    return next((frame for frame in seen.frames if not frame.checked), None)


def _at(seen: Sitting, frame_id: int) -> FrameToCheck:
    try:
        return seen.at(seen.run_id, frame_id)
    except UsageError as error:
        raise HTTPException(404, str(error)) from error


def _labels(form: FormData) -> tuple[Label, ...]:
    """The boxes: from the script that draws them in one field, else from the rows of the form."""
    drawn = text_of(form, "labels")
    if drawn:
        return tuple(_label(row) for row in rows_of_json(drawn))
    numbers = sorted(int(n[6:]) for n in form if n.startswith("class_") and n[6:].isdecimal())
    rows = []
    for n in numbers:
        name = text_of(form, f"class_{n}")
        if name and f"gone_{n}" not in form:
            rows.append(_label([name, *(form.get(f"{edge}_{n}") for edge in EDGES)]))
    return tuple(rows)


EDGES = ("x1", "y1", "x2", "y2")


def _label(row: Any) -> Label:
    if not isinstance(row, list) or len(row) != 5 or not isinstance(row[0], str):
        raise HTTPException(400, UNREADABLE)
    x1, y1, x2, y2 = (number(edge) for edge in row[1:])
    return Label((x1, y1, x2, y2), row[0])
