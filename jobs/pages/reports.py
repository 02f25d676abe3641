"""The nights' reports, as they lie on disk: each is a whole page by itself."""

from __future__ import annotations

import re

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from jobs.bucket.sharing import open_sharing
from jobs.cameras.reports import report_path
from jobs.config.settings import Config
from jobs.pages.house import house_of

SANDBOXED = {
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
    ),
}
"""Reports have their style and their one script inside; the script can load nothing and read no
other page."""
RUN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[0-9]+)?", re.ASCII)


def report(request: Request) -> Response:
    """GET /reports/CAMERA/RUN/index.html, of a configured camera or group."""
    config = house_of(request).config
    camera, run_id = request.path_params["camera"], request.path_params["run_id"]
    if RUN.fullmatch(run_id) is None:
        raise HTTPException(404)
    if camera in config.cameras:
        open_sharing(config).bring_report(camera, run_id)
    elif camera not in config.groups:
        raise HTTPException(404)
    try:
        page = report_path(config, camera, run_id).read_bytes()
    except FileNotFoundError as error:
        raise HTTPException(404) from error
    return HTMLResponse(page, headers=SANDBOXED)


def has_report(config: Config, camera: str, run_id: str) -> bool:
    """Whether a night's page is on this machine, or may be in the shared store."""
    return config.storage.url is not None or report_path(config, camera, run_id).is_file()
