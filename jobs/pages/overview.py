"""All cameras at a glance: what each needs of somebody, from a few queries, and not at each
request."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.pages.moments import stamp

if TYPE_CHECKING:
    from jobs.watch.watch import CameraWatch

FRESH_S = 5.0
"""How long a look at all cameras holds."""
OVERDUE = timedelta(days=2)
"""A scheduled camera without a night for so long needs somebody."""


@dataclass(frozen=True, slots=True)
class Glance:
    """One camera. `needs` says in words what somebody should look at, the gravest first; `rank` is
    higher the graver it is."""

    name: str
    rank: int
    state: str
    needs: tuple[str, ...]
    night: Night | None
    slot: str | None
    """Whether its night waits or runs now."""


class Overview:
    """The latest look at all cameras, those that need attention first."""

    def __init__(
        self,
        store: Store,
        watch: Callable[[], CameraWatch | None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._watch, self._now_s = store, watch, now_s
        self._known: tuple[float, Config, list[Glance]] | None = None
        self._looking = threading.Lock()

    def glances(self, config: Config) -> list[Glance]:
        """All cameras, at most `FRESH_S` old."""
        known = self._known
        if known is not None and known[1] is config and self._now_s() - known[0] < FRESH_S:
            return known[2]
        with self._looking:
            if self._known is not known and self._known is not None:
                return self._known[2]  # somebody else has looked meanwhile
            glances = self._look(config)
            self._known = (self._now_s(), config, glances)
        return glances

    def _look(self, config: Config) -> list[Glance]:
        nights, now = self._store.latest_nights(), datetime.now(UTC)
        dues = self._store.dues.at_hand()
        slots = {due.camera: "its night runs" for due in dues if due.state == "running"}
        waiting = [due.camera for due in dues if due.state == "queued"]
        for place, camera in enumerate(waiting, start=1):
            slots.setdefault(camera, f"its night waits, {place} of {len(waiting)}")
        found = []
        for name, settings in config.cameras.items():
            state, reasons = self._live(settings)
            reasons += _of_night(nights.get(name), now, settings)
            reasons.sort(reverse=True)
            rank = reasons[0][0] if reasons else 0
            needs = tuple(said for _, said in reasons)
            found.append(Glance(name, rank, state, needs, nights.get(name), slots.get(name)))
        return sorted(found, key=lambda glance: (-glance.rank, glance.name))

    def _live(self, camera: CameraConfig) -> tuple[str, list[tuple[int, str]]]:
        """State of a camera that this process watches, and what is wrong with it."""
        watch = self._watch()
        watcher = None if watch is None else watch.watchers.get(camera.name)
        condition = None if watcher is None else watcher.condition
        if condition is None:
            return "", []
        if condition.state == "live":
            return "live", []
        rank = {"frozen": 80, "dark": 20, "connecting": 10}.get(condition.state, 90)
        said = f"{condition.state} since {stamp(condition.since, camera)}: {condition.reason}"
        return condition.state, [(rank, said)]


def _of_night(night: Night | None, now: datetime, camera: CameraConfig) -> list[tuple[int, str]]:
    scheduled = camera.schedule is not None
    if night is None:
        return [(5, "no night yet")] if scheduled else []
    found = []
    if night.state == "failed":
        found.append((70, f"its last night failed: {night.error}"))
    if night.unusable is not None:
        found.append((60, f"not trained: {night.unusable}"))
    if night.figures is not None and night.figures.drift is not None:
        found.append((50, f"its data have drifted: {night.figures.drift}"))
    if scheduled and night.state != "running" and now - night.started_at > OVERDUE:
        found.append((40, f"no night since {stamp(night.started_at, camera)}"))
    return found
