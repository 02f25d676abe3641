"""`culling plan`: tonight's nights in their order, what they cost, and what many cameras need."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from jobs.commands.listing import Listing, Name
from jobs.config.service import clock_times
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.service.forecast import forecast
from jobs.service.night_limits import Budget
from jobs.service.today import Today
from streams.base import DAY_S


@dataclass(frozen=True, slots=True)
class Line:
    """One camera's night: expected gain in mAP50 (None before a first night), seconds of detector
    work, and whether it fits into the budget."""

    camera: str
    gain: float | None
    cost_s: float
    fits: bool
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Tonight:
    """All lines in order. `typical_s` is the typical cost of a night, `window_s` the length of the
    window in which nights may begin, `workers` how many processes share one night's work."""

    lines: tuple[Line, ...]
    typical_s: float
    window_s: float
    workers: int
    measured: bool


def tonight(config: Config, store: Store) -> Tonight:
    """What would run if all cameras were due."""
    settings = config.service
    names = [name for name, camera in config.cameras.items() if camera.schedule is not None]
    today = Today(config, store)
    plan = forecast(store, names, starve_nights=settings.starve_nights, today_loss=today.mean_loss)
    minutes = settings.budget_minutes
    budget, spent_s, lines = Budget(None if minutes is None else 60 * minutes), 0.0, []
    for p in plan.order:
        fits = budget.allows(p.cost_s, spent_s=spent_s)
        spent_s += p.cost_s if fits else 0.0
        lines.append(Line(p.camera, None if p.is_new else p.gain, p.cost_s, fits, p.why))
    return Tonight(
        tuple(lines),
        plan.typical_s,
        _window_s(settings.window),
        config.workers,
        measured=bool(plan.costs),
    )


def needs_of(found: Tonight, cameras: int, *, faster: float = 1.0) -> dict[str, float]:
    """What this number of cameras would need in a night: `device_hours`, and the `devices` that do
    it within the window (a device is one core, or something `faster` times as fast)."""
    device_s = cameras * found.typical_s / faster
    return {
        "cameras": cameras,
        "device_hours": device_s / 3600,
        "window_hours": found.window_s / 3600,
        "devices": math.ceil(device_s / found.window_s),
    }


def needs_in_words(needs: dict[str, float], found: Tonight, *, faster: float) -> str:
    """The same in one sentence."""
    kind = f"device{{s}} {faster:g} times as fast" if faster != 1 else "core{s} like this machine's"
    device = kind.format(s="" if needs["devices"] == 1 else "s")
    cameras = "1 camera needs" if needs["cameras"] == 1 else f"{needs['cameras']:,.0f} cameras need"
    source = "measured" if found.measured else "guessed: no night has been run yet"
    return (
        f"{cameras} {needs['device_hours']:,.1f} device-hours a night "
        f"({found.typical_s:,.0f} core-seconds each, {source}): {needs['devices']:,.0f} {device} "
        f"for {needs['window_hours']:g} hours"
    )


def tonight_table(found: Tonight) -> Listing:
    """One row a camera."""
    table = Listing("", "camera", "expected gain", "cost", "tonight", "why")
    for place, line in enumerate(found.lines, start=1):
        table.add_row(
            str(place),
            Name(line.camera),
            "not known yet" if line.gain is None else f"{100 * line.gain:+.1f} points",
            f"{line.cost_s / 60:,.0f} min",
            "yes" if line.fits else "no: beyond the budget",
            line.why,
        )
    return table


def _window_s(window: str | None) -> float:
    if window is None:
        return DAY_S
    first, last = clock_times(window)
    return 60.0 * ((last - first) % 1440)
