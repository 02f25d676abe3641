"""What all data sets of points have in common: pictures with points, and one line a bad file."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.errors import CullingError
from streams.pictures import PictureError, read_picture

Points = NDArray[np.float32]
"""N×2 float32: x and y in pixels of the picture."""
Entry = tuple[Path, Callable[[], Any]]
"""A picture's path, and what reads its points."""
_ODD = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError,
    NotImplementedError, UnicodeError, MemoryError, zlib.error,
)  # fmt: skip
"""What files of another form have been seen to raise; NotImplementedError: MATLAB's HDF5."""


class PointsError(CullingError):
    """A data set, or one file of it, is not what its form asks for."""


@dataclass(frozen=True, slots=True, eq=False)
class PointedPicture:
    """One picture on disk with its points."""

    path: Path
    points: Points

    def read(self) -> NDArray[np.uint8]:
        """The picture: H×W×3 uint8 RGB."""
        try:
            return read_picture(self.path, thorough=False)
        except PictureError as exc:
            message = f"{self.path}: no picture that can be read ({exc})"
            raise PointsError(message) from exc


@dataclass(frozen=True, slots=True, eq=False)
class PointSplit:
    """The good pictures of a split in their order, and a line for each bad file."""

    pictures: tuple[PointedPicture, ...]
    problems: tuple[str, ...]


def gathered(entries: Iterable[Entry]) -> PointSplit:
    """Read all points; what cannot be read becomes a line."""
    pictures, problems = [], []
    for path, read in entries:
        try:
            if not path.is_file():
                message = f"{path}: there are points for it, but no such picture"
                raise PointsError(message)
            pictures.append(PointedPicture(path, _checked(read(), path)))
        except PointsError as exc:
            problems.append(str(exc))
        except _ODD as exc:
            why = " ".join(str(exc).split()) or type(exc).__name__
            problems.append(f"{path}: its points cannot be read ({why})")
    return PointSplit(tuple(pictures), tuple(problems))


def _checked(found: object, path: Path) -> Points:
    points = np.asarray(found, np.float32)
    points = points.reshape(-1, 2) if points.size == 0 else points
    if points.ndim != 2 or points.shape[1] != 2:
        message = f"{path}: its points must be N×2 numbers, found {points.shape}"
        raise PointsError(message)
    odd = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(odd):
        x, y = points[odd[0]].tolist()
        message = f"{path}: its point {odd[0] + 1} is x {x:g}, y {y:g}: must be numbers of pixels"
        raise PointsError(message)
    return points


def mat(path: Path) -> dict[str, Any]:
    """The variables in a MATLAB file."""
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as exc:
        message = "reading .mat needs scipy: pip install culling-pipeline[counting]"
        raise CullingError(message) from exc
    if not path.is_file():
        message = f"{path}: not there"
        raise PointsError(message)
    try:
        return dict(loadmat(str(path)))
    except MatReadError as exc:
        message = f"{path}: no MATLAB file ({exc})"
        raise PointsError(message) from exc


def pictures_in(folder: Path) -> list[Path]:
    """The pictures directly in a folder, by name."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
