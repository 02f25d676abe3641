"""The style sheet and the script, each at an address that changes with its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

import culling_pipeline.report

HERE = Path(__file__).parent / "static"
REPORT = Path(culling_pipeline.report.__file__).parent
PARTS = {
    "style.css": (REPORT / "style.css", HERE / "pages.css", HERE / "changes.css"),
    "pages.js": tuple(HERE / f"{name}.js" for name in ("pages", "drawing", "boxes", "areas")),
    "icon.svg": (HERE / "icon.svg",),
}
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = "private, max-age=31536000, immutable"


class Statics:
    """What is served as it lies in the program, read once."""

    def __init__(self) -> None:
        self._content = {
            name: b"\n".join(part.read_bytes() for part in parts) for name, parts in PARTS.items()
        }
        self._paths = {
            f"{hashlib.sha256(content).hexdigest()[:16]}/{name}": name
            for name, content in self._content.items()
        }
        self._path_of = {name: path for path, name in self._paths.items()}

    def path(self, name: str) -> str:
        """Where it is, below the first page."""
        return f"static/{self._path_of[name]}"

    def answer(self, path: str) -> Response:
        """It, to be kept by browsers for ever; 404 for anything else."""
        name = self._paths.get(path)
        if name is None:
            raise HTTPException(404)
        kind = KINDS[Path(name).suffix]
        return Response(self._content[name], media_type=kind, headers={"Cache-Control": FOR_EVER})


async def static(request: Request) -> Response:
    """GET /static/HASH/NAME."""
    statics: Statics = request.scope["culling.house"].statics
    return statics.answer(request.path_params["path"])
