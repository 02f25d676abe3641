"""*Mask a window*: privacy masks and ignore zones, drawn on the picture and written into
config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from culling_pipeline.report.words import count
from jobs.errors import UsageError
from jobs.nights.last_night import last_night
from jobs.pages.house import House, audit, camera_of, form_of, house_of, require_change
from jobs.pages.sent import number, refusing, text_of
from jobs.pages.templating import render, see
from jobs.setup.areas import AreaChange, AreaKey, Areas, areas_of, save_areas

KEYS: tuple[AreaKey, ...] = get_args(AreaKey)
NAMES: dict[AreaKey, str] = {"mask": "Privacy masks", "ignore_zones": "Ignore zones"}
MEANINGS: dict[AreaKey, str] = {
    "mask": "black before a frame is stored, scored or shown",
    "ignore_zones": "seen, but nothing in it counts",
}


def masks(request: Request) -> Response:
    """GET and POST /camera/CAMERA/masks."""
    camera, house = camera_of(request), house_of(request)
    if request.method == "POST":
        return _save(request, camera)
    settings = house.config.cameras[camera]
    return render(
        request,
        "masks.html",
        camera=camera,
        has_picture=_picture(house, camera) is not None,
        areas=[(key, NAMES[key], MEANINGS[key], as_text(areas_of(settings, key))) for key in KEYS],
        saved="saved" in request.query_params,
        can_save=house.source is not None,
    )


def masks_picture(request: Request) -> Response:
    """GET /camera/CAMERA/masks.jpg: what is drawn on."""
    path = _picture(house_of(request), camera_of(request))
    if path is None:
        raise HTTPException(404)
    return Response(path.read_bytes(), media_type="image/jpeg")


def _save(request: Request, camera: str) -> Response:
    require_change(request)
    house, form = house_of(request), form_of(request)
    if house.source is None:
        raise HTTPException(400, "these pages know no config.yaml to write to")
    change = AreaChange(
        camera=camera,
        areas={key: from_text(text_of(form, key)) for key in KEYS},
        instead_of={key: from_text(text_of(form, f"{key}_before")) for key in KEYS},
    )
    with refusing():
        save_areas(house.source.path, change)
    for key in KEYS:
        if change.areas[key] != change.instead_of[key]:
            what = "mask saved" if key == "mask" else "ignore zones saved"
            audit(request, what, camera=camera, detail=count(len(change.areas[key]), "area"))
    return see(request, f"camera/{camera}/masks?saved=1")


def _picture(house: House, camera: str) -> Path | None:
    """A frame of the middle of the camera's last day, else the picture that `culling add` took."""
    try:
        night = last_night(house.config, camera, house.store)
        frames = sorted(night.kept or night.control, key=lambda frame: frame.wall_time)
        if frames:
            return night.folder / frames[len(frames) // 2].path
    except UsageError:  # no night yet
        pass
    taken = house.config.data_dir / "snapshots" / f"{camera}.jpg"
    return taken if taken.is_file() else None


# -- polygons as text ------------------------------------------------------------------------------


def as_text(areas: Areas) -> str:
    """A line an area, its corners as percent of width and height: `0,0 30,0 0,50`."""
    return "\n".join(" ".join(f"{_percent(x)},{_percent(y)}" for x, y in area) for area in areas)


def from_text(text: str) -> Areas:
    """What `as_text` or a person wrote; 400 where a corner is not two numbers."""
    return tuple(
        tuple(_corner(corner) for corner in line.split())
        for line in text.splitlines()
        if line.strip()
    )


def _corner(text: str) -> tuple[float, float]:
    parts = text.split(",")
    if len(parts) != 2:
        raise HTTPException(
            400, f"got {text[:40]!r}, must be a corner as two percents, such as 30,50"
        )
    x, y = (round(number(part) / 100, 6) for part in parts)
    return x, y


def _percent(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".")
