"""A camera's earlier views on disk: one small file a day, with the verdict on that day.

Only days that later ones are compared with are kept (`viewpoint.references`), some ten files a
camera.
"""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.monitoring.background import Background
from culling_pipeline.monitoring.viewpoint import SETTLED, PastDay, references, watch_view
from culling_pipeline.records.monitoring import ViewRecord, ViewState

logger = logging.getLogger(__name__)

COMPARED_WITH = ("learning", "same", "moved", "settled")
"""States of days that later ones are compared with. A covered day shows nothing, and a month of
them must not replace the usual view."""


@dataclass(frozen=True, slots=True)
class ReferenceViews:
    """One camera's folder of earlier days."""

    folder: Path

    def judge(self, today: Background) -> ViewRecord:
        """The verdict on this day, given the days before it; the day is kept for later ones. A
        second call for the same day gives the same verdict."""
        past = self._before(today.date)
        verdict = watch_view(past, today)
        path = self._path(today.date)
        if verdict.state in COMPARED_WITH:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            save_day(PastDay(today, verdict.state), path)
        else:
            path.unlink(missing_ok=True)
        return verdict

    def _before(self, day: date) -> list[PastDay]:
        """The earlier days that still count, oldest first; the files of the others are deleted. A
        second call for the same day needs none of these: the same days count then."""
        loaded = [_load_or_drop(path) for path in sorted(self.folder.glob("*.npz"))]
        past = [p for p in loaded if p is not None and p.background.date < day]
        usual, moved = references(past)
        counts = {b.date for b in [*usual, *moved[-SETTLED:]]}
        for earlier in past:
            if earlier.background.date not in counts:
                self._path(earlier.background.date).unlink(missing_ok=True)
        return [p for p in past if p.background.date in counts]

    def _path(self, day: date) -> Path:
        return self.folder / f"{day.isoformat()}.npz"


def save_day(past: PastDay, path: Path) -> None:
    """Write a day as one compressed file (.npz, some 100 kB), complete or not at all."""
    day, state = past
    facts = np.array([day.date.toordinal(), day.full_width_px])
    arrays: dict[str, NDArray[Any]] = {"facts": facts, "state": np.array(state)}
    arrays |= {f"slot{slot}": picture for slot, picture in day.slots.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    aside = path.with_name(path.name + ".tmp")
    aside.write_bytes(packed.getvalue())
    aside.replace(path)


def load_day(path: Path) -> PastDay:
    """What `save_day` has written; `FileNotFoundError` if it is not there, `ValueError` if it is
    damaged."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            day, width_px = (int(v) for v in stored["facts"])
            state = _state(str(stored["state"]))
            slots = {int(n[4:]): stored[n] for n in stored.files if n.startswith("slot")}
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError) as error:
        message = f"{path}: not a background, or damaged: delete it"
        raise ValueError(message) from error
    return PastDay(Background(date.fromordinal(day), width_px, slots), state)


def _state(text: str) -> ViewState:
    for state in get_args(ViewState):
        if state == text:
            found: ViewState = state
            return found
    message = f"got {text!r}, must be a state of a view"
    raise ValueError(message)


def _load_or_drop(path: Path) -> PastDay | None:
    """One day; a damaged file must not make every later night fail."""
    try:
        return load_day(path)
    except ValueError as error:
        logger.warning("%s; it is deleted", error)
        path.unlink(missing_ok=True)
        return None
