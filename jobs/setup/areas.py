"""Privacy masks and ignore zones of a camera, written into config.yaml by a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jobs.config.edit import update_file
from jobs.config.edit_key import set_key
from jobs.config.load import parse_config
from jobs.config.settings import CameraConfig
from jobs.errors import UsageError

AreaKey = Literal["mask", "ignore_zones"]
Areas = tuple[tuple[tuple[float, float], ...], ...]
"""Polygons; corners as shares of the picture's width and height."""
MOST_AREAS, MOST_CORNERS = 50, 200
_DIGITS = 4
"""Of a share: a tenth of a pixel of a picture of 1,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaChange:
    """These polygons under each key, in place of those that whoever drew them had before their
    eyes."""

    camera: str
    areas: Mapping[AreaKey, Areas]
    instead_of: Mapping[AreaKey, Areas]


def areas_of(camera: CameraConfig, key: AreaKey) -> Areas:
    """The camera's polygons now."""
    return camera.mask if key == "mask" else camera.ignore_zones


def save_areas(path: Path, change: AreaChange) -> None:
    """Write the polygons into the camera's section of config.yaml; its comments and the order of
    its keys stay. What the configuration would refuse is refused before anything is written, and so
    is a change of areas that somebody else has changed meanwhile."""
    for key, areas in change.areas.items():
        _check_size(change.camera, key, areas)

    def changed(before: str | None) -> str:
        text = before or ""
        camera = _unchanged(text, path, change)
        for key, areas in change.areas.items():
            if not _same(areas, areas_of(camera, key)):
                text = set_key(text, change.camera, key, _rounded(areas))
        parse_config(text, path, as_written=True)
        return text

    update_file(path, changed)


def _check_size(camera: str, key: AreaKey, areas: Areas) -> None:
    corners = max((len(area) for area in areas), default=0)
    if len(areas) > MOST_AREAS or corners > MOST_CORNERS:
        message = (
            f"camera {camera!r}: {key}: at most {MOST_AREAS} areas of {MOST_CORNERS} corners can "
            "be drawn: join some"
        )
        raise UsageError(message)


def _unchanged(text: str, path: Path, change: AreaChange) -> CameraConfig:
    """The camera as the file has it now; `UsageError` if its areas are others by now."""
    camera = parse_config(text, path, as_written=True).cameras.get(change.camera)
    if camera is None:
        message = f"{path.name} has no camera {change.camera!r} any more"
        raise UsageError(message)
    for key, areas in change.instead_of.items():
        if not _same(areas_of(camera, key), areas):
            message = (
                f"camera {change.camera!r}: somebody has changed {key} in {path.name} since you "
                "opened the page: look at it again, then draw yours"
            )
            raise UsageError(message)
    return camera


def _same(one: Areas, other: Areas) -> bool:
    """Whether they are the same as far as a form shows them."""
    return _rounded(one) == _rounded(other)


def _rounded(areas: Areas) -> list[list[list[float]]]:
    return [[[round(x, _DIGITS), round(y, _DIGITS)] for x, y in area] for area in areas]
