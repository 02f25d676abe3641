"""*Try a detection*: a camera's model on a picture or clip that somebody sends."""

from __future__ import annotations

from base64 import b64encode

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.report.words import count
from jobs.exports.trial import MOST_BYTES, MOST_FRAMES, try_detection
from jobs.pages.house import audit, camera_of, form_of, house_of, require_change
from jobs.pages.sent import refusing
from jobs.pages.templating import render


def try_it(request: Request) -> Response:
    """GET and POST /try/CAMERA. What is sent is looked at, shown and forgotten."""
    camera, seen = camera_of(request), []
    if request.method == "POST":
        require_change(request)
        with refusing():
            seen = try_detection(house_of(request).config, camera, _sent(request))
        audit(request, "detection tried", camera=camera, detail=count(len(seen), "frame"))
    return render(
        request,
        "try.html",
        camera=camera,
        pictures=[
            (f"data:image/jpeg;base64,{b64encode(one.jpeg).decode()}", one.said) for one in seen
        ],
        sent=request.method == "POST",
        most_mib=MOST_BYTES // 2**20,
        most_frames=MOST_FRAMES,
    )


def _sent(request: Request) -> bytes:
    file = form_of(request).get("file")
    return file.file.read() if isinstance(file, UploadFile) else b""
