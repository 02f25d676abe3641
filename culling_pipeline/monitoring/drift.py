"""Has a camera's data drifted? A test on its daily figures.

Each figure of a day (`daily_figures.py`) is compared with its expected value from the days before,
for each slot of the clock, as a log ratio; the ratio is standardised by median and MAD, and a
two-sided CUSUM (Page, "Continuous inspection schemes", Biometrika 41, 1954, sec. 3; in the tabular
form of Montgomery, Introduction to Statistical Quality Control, 9.1) sums what exceeds an
allowance. The usual values are learned from the camera itself while it is watched, as in a
self-starting CUSUM (Hawkins, The Statistician 36, 1987). The rate of false alarms is in
docs/design/drift.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.monitoring.daily_figures import FigureTable, Table, as_table, figure_names
from culling_pipeline.records.day import DayFigures
from culling_pipeline.records.monitoring import DriftPoint, DriftRecord, FigureDrift
from culling_pipeline.records.night import NightRecord

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPlan:
    """The first `warm_up` days are only learned from. After that the usual values come from the
    last `window` days without the last `lag`, so that a drift does not become usual before it is
    seen. Standardised figures are clipped at ± `clip`, so that no single day raises an alarm, and
    only what exceeds `allowance` is summed. The spread is at least `min_spread` (of the log ratio:
    0.05 is 5 %) and at least that of a Poisson count. Days of fewer than `min_frames` control
    frames do not count; after `longest_gap` days without one, learning starts again. `threshold` is
    for one figure."""

    warm_up: int = 14
    lag: int = 7
    window: int = 56
    clip: float = 4.0
    allowance: float = 1.0
    threshold: float = 6.0
    threshold_per_figure: float = 1.0
    min_spread: float = 0.05
    min_frames: int = 40
    longest_gap: int = 28

    def limit(self, figures: int) -> float:
        """The limit of each CUSUM. It grows with the number of figures, so that together they raise
        no more false alarms than one would (Bonferroni; a CUSUM's rate falls exponentially with its
        threshold: Siegmund, Sequential Analysis, 1985, eq. 2.56)."""
        return self.threshold + self.threshold_per_figure * math.log(figures)


def drift_of_night(
    night: NightRecord, history: Sequence[DayFigures], class_names: Sequence[str]
) -> DriftRecord | None:
    """The verdict on the day of a night, after its camera's `history` (`watch_drift`); a view that
    has settled begins a new history. None for a day that is made up after a later one."""
    past = () if night.view is not None and night.view.state == "settled" else history
    if past and past[-1].date > night.date:
        return None
    return watch_drift([*past, *night.day_figures], class_names)


def watch_drift(
    history: Sequence[DayFigures], class_names: Sequence[str], plan: DriftPlan | None = None
) -> DriftRecord | None:
    """The verdict on the last day of a camera's history, oldest day first; None if no day had
    enough frames.

    A day on which a candidate was promoted appears twice, first as the old student saw it and then
    as the new one did: that links the two, and the days before are brought to the new one's
    scale. If students change without such a day, learning starts again.
    """
    plan = plan or DriftPlan()
    days, scales = _linked([d for d in history if _frames(d) >= plan.min_frames], plan)
    if not days:
        return None
    table = as_table(days)
    table = FigureTable(table.sums * scales[:, :, None], table.units)
    walk = _Walk(table, [d.date for d in days], plan)
    for t in range(len(days)):
        walk.step(t)
    return walk.record(figure_names(class_names))


# -- one history -----------------------------------------------------------------------------------


def _frames(day: DayFigures) -> int:
    return sum(slot.frames for slot in day.slots)


def _linked(entries: Sequence[DayFigures], plan: DriftPlan) -> tuple[list[DayFigures], Table]:
    """The days that can be compared with the last one, and the factor for each of their figures,
    [T,F]. On a day with several nights the last one counts; each link uses one night's frames."""
    if not entries:
        return [], np.zeros((0, 0))
    linked, scale = entries[-1], _ones(entries[-1])
    days, scales = [linked], [scale]
    for day in reversed(entries[:-1]):
        same_day, same_student = day.date == linked.date, day.student == linked.student
        too_long_ago = (linked.date - day.date).days > plan.longest_gap
        if not (same_day or same_student) or too_long_ago or len(_ones(day)) != len(scale):
            break
        if not same_day:
            days.append(day)
            scales.append(scale)
        elif not same_student:
            scale = scale * _link(day, linked)
            if days[-1] is linked:
                days[-1], scales[-1] = day, scale
        linked = day
    return days[::-1], np.array(scales[::-1])


def _ones(day: DayFigures) -> Table:
    return np.ones(3 + len(day.slots[0].objects))


def _link(old: DayFigures, new: DayFigures) -> Table:
    """The ratio of the new student's figures to the old one's on the same frames, [F]."""
    table = as_table([old, new])
    sums, units = table.sums.sum(axis=2) + 1, table.units.sum(axis=2) + 1
    ratio: Table = (sums[1] / units[1]) / (sums[0] / units[0])
    return ratio


# -- one day ---------------------------------------------------------------------------------------


class _Look(NamedTuple):
    """A day compared with the days before it, each [F]: its standardised figures (NaN: unknown),
    and the expected ones."""

    z: Table
    usual: Table


def _look(table: FigureTable, rows: Rows, t: int, weekdays: Rows, plan: DriftPlan) -> _Look:
    """Day t against the days `rows`.

    The expected sum is that of the usual rate in each slot (indirect standardisation, as of
    mortality rates), so that a day without its night is compared with others' days. One is
    added to both sums: what hardly ever happens cannot multiply.
    """
    usual_sums, usual_units = table.sums[rows].sum(axis=0), table.units[rows].sum(axis=0)
    known = usual_units > 0
    rates = np.divide(usual_sums, usual_units, out=np.zeros_like(usual_sums), where=known)
    days = np.append(rows, t)
    seen = (table.sums[days] * known).sum(axis=2)
    expected = (table.units[days] * rates).sum(axis=2)
    ratios = np.log((seen + 1) / (expected + 1))  # [n+1,F]
    centre = np.median(ratios[:-1], axis=0)
    rest = ratios[:-1] - centre
    effects = _weekday_effects(rest, weekdays[rows])
    rest = rest - effects[weekdays[rows]]
    luck = 1 / np.sqrt(np.median(expected[:-1], axis=0) + 1)  # of a count (Poisson), in its log
    spread = np.maximum(np.maximum(_mad(rest), luck), plan.min_spread)
    spread = spread * math.sqrt(1 + math.pi / 2 / len(rows))  # the median is uncertain too
    centre = centre + effects[weekdays[t]]
    missed = (usual_sums * (table.units[t] == 0)).sum(axis=1)
    whole = missed <= 0.5 * usual_sums.sum(axis=1)
    z = np.where(whole, (ratios[-1] - centre) / spread, np.nan)
    units = np.maximum(table.units[t].sum(axis=1), 1e-9)
    return _Look(z, expected[-1] * np.exp(centre) / units)


def _mad(rest: Table) -> Table:
    """Median absolute deviation from 0, as a standard deviation: [n,F] → [F]."""
    return np.asarray(1.4826 * np.median(np.abs(rest), axis=0))


def _weekday_effects(rest: Table, weekdays: Rows) -> Table:
    """How far each day of the week lies from the others, [7,F]: its median, shrunk towards 0 by
    how well it is known (as James and Stein do), and 0 for one seen less than twice."""
    effects = np.zeros((7, rest.shape[1]))
    variance = _mad(rest) ** 2
    for weekday in range(7):
        own = rest[weekdays == weekday]
        if len(own) >= 2:
            effect = np.median(own, axis=0)
            doubt = 4 * variance / np.maximum(len(own) * effect**2, 1e-12)
            effects[weekday] = effect * np.maximum(0.0, 1 - doubt)
    return effects


class _Walk:
    """The CUSUMs of one camera from day to day. After an alarm they and the usual values start
    again at the day on which the drift began."""

    def __init__(self, table: FigureTable, dates: Sequence[date], plan: DriftPlan) -> None:
        self._table, self._dates, self._plan = table, dates, plan
        self._weekdays = np.array([d.weekday() for d in dates])
        self._figures = table.sums.shape[1]
        self._limit = plan.limit(self._figures)
        self._points: list[DriftPoint] = []
        self._begin(0)

    def _begin(self, start: int) -> None:
        self._start = start
        self._sums = np.zeros((2, self._figures))  # up, down
        self._since = np.full((2, self._figures), -1)
        self._look: _Look | None = None

    def step(self, t: int) -> None:
        """Day t, after all days before it."""
        plan = self._plan
        if self._points and self._points[-1].alarm:
            self._begin(self._onset)
        learned = np.arange(self._start, t)
        if len(learned) < plan.warm_up:
            self._points.append(DriftPoint(date=self._dates[t], statistic=None, alarm=False))
            return
        rows = learned[: max(plan.warm_up, len(learned) - plan.lag)][-plan.window :]
        self._look = _look(self._table, rows, t, self._weekdays, plan)
        z = np.clip(self._look.z, -plan.clip, plan.clip)
        grown = np.stack([self._sums[0] + z, self._sums[1] - z]) - plan.allowance
        grown = np.where(np.isnan(grown), self._sums, np.maximum(grown, 0.0))
        self._since = np.where(grown == 0, -1, np.where(self._since < 0, t, self._since))
        self._sums = grown
        top = float(grown.max())
        alarm = top > self._limit
        self._points.append(DriftPoint(date=self._dates[t], statistic=top, alarm=alarm))

    @property
    def _onset(self) -> int:
        """The day on which the largest sum began to grow."""
        return int(self._since.flat[int(self._sums.argmax())])

    def record(self, names: Sequence[str]) -> DriftRecord:
        """The verdict on the last day walked."""
        state: Literal["learning", "quiet", "drift"] = "learning"
        figures: tuple[FigureDrift, ...] = ()
        if self._points[-1].statistic is not None and self._look is not None:
            state = "drift" if self._points[-1].alarm else "quiet"
            figures = self._figure_drifts(names, self._look)
        return DriftRecord(
            date=self._dates[-1],
            state=state,
            reason=self._reason(state, figures),
            threshold=self._limit,
            figures=figures,
            course=tuple(self._points),
        )

    def _figure_drifts(self, names: Sequence[str], look: _Look) -> tuple[FigureDrift, ...]:
        values = self._table.values()
        found = []
        for f, name in enumerate(names):
            side = int(self._sums[:, f].argmax())
            first = int(self._since[side, f])
            recent = values[first if first >= 0 else -1 :, f]
            found.append(
                FigureDrift(
                    name=name,
                    value=float(np.nanmean(recent)) if not np.isnan(recent).all() else 0.0,
                    usual=float(look.usual[f]),
                    statistic=float(self._sums[side, f]) * (1 - 2 * side),
                    since=None if first < 0 else self._dates[first],
                )
            )
        return tuple(sorted(found, key=lambda figure: -abs(figure.statistic)))

    def _reason(self, state: str, figures: Sequence[FigureDrift]) -> str:
        if state == "learning":
            done = len(self._points) - self._start
            return f"learning what is usual: day {done} of {self._plan.warm_up}"
        if state == "quiet":
            return "nothing has drifted"
        return "; ".join(in_words(f) for f in figures if abs(f.statistic) > self._limit)


def in_words(figure: FigureDrift) -> str:
    """A figure that has drifted, in words for the operator."""
    change = figure.value / figure.usual - 1 if figure.usual > 0 else math.inf
    much = f"{change:+.0%}" if abs(change) < 1 else f"{change + 1:.1f} times as much"
    if math.isinf(change):
        much = "there were almost none"
    levels = f"{figure.value:.3g} instead of {figure.usual:.3g}"
    return f"{figure.name}: {levels} ({much}) since {figure.since}"
