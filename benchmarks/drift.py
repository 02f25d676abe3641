"""How often the test for drift cries wolf, how soon it tells a real one, and which days are taken
for a camera that moved or was covered.

    python -m benchmarks.drift_days      # renders the days once: a quarter of an hour
    python -m benchmarks.drift

*Resampled* days are put together slot by slot from rendered and scored days of synthetic streets;
*parametric* ones have the autocorrelation, weekends, heavy tails and promotions that those lack.
All go through `watch_drift` and `compare` as they are. Writes benchmarks/results/drift.json, .md.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.book import Row, markdown
from benchmarks.drift_days import FRAMES, STREETS, day_numbers, moments, seen_day
from benchmarks.drift_views import FIRST, view_rows
from benchmarks.fleet import TASK
from culling_pipeline.monitoring.daily_figures import SLOTS, as_table, figure_names, slot_figures
from culling_pipeline.monitoring.drift import watch_drift
from culling_pipeline.records.day import DayFigures, SlotFigures
from culling_pipeline.records.monitoring import DriftRecord
from streams.synthetic.street.light import light_at
from streams.synthetic.street.scene import make_scene
from streams.synthetic.truth import CLASS_NAMES

RESULTS = Path(__file__).parent / "results"
MONTH_DAYS = 30.44
YEAR_DAYS = 365
QUIET_DAYS = 60
"""Usual days before a drift begins …"""
DRIFT_DAYS = 30
"""… and days in which it is looked for."""
Slots = list[list[SlotFigures]]
"""For each slot of the day, those to draw from."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, default=25, help="simulated a setting (and street)")
    parser.add_argument("--drifts", type=int, default=40, help="simulated drifts a kind and street")
    parser.add_argument("--only", choices=("quiet", "drifts", "views"), action="append")
    args = parser.parse_args()
    parts = args.only or ["quiet", "drifts", "views"]
    path = RESULTS / "drift.json"
    result = json.loads(path.read_text()) if path.exists() else {}
    if "quiet" in parts:
        result["spread"] = [spread_row(seed) for seed in STREETS]
        result["false_alarms"] = quiet_rows(args.years)
    if "drifts" in parts:
        result["delays"] = drift_rows(args.drifts)
    if "views" in parts:
        result["views"] = list(view_rows())
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(result, indent=1) + "\n")
    os.replace(aside, path)
    (RESULTS / "drift.md").write_text(as_markdown(result))


# -- days ------------------------------------------------------------------------------------------


def rendered(seed: int, kind: str) -> list[list[SlotFigures]]:
    """The slots of each rendered day of this kind."""
    found = []
    for day in day_numbers(kind):
        seen = seen_day(seed, kind, day)
        found.append(
            [
                slot_figures(
                    slot,
                    [seen.found[i] for i in np.flatnonzero(seen.parts == slot)],
                    TASK,
                )
                for slot in range(SLOTS)
            ]
        )
    return found


def by_slot(days: Sequence[Sequence[SlotFigures]]) -> Slots:
    """The same, by slot."""
    return [[day[slot] for day in days] for slot in range(SLOTS)]


def wet_slots(seed: int) -> Slots:
    """Of the usual days the slots with rain or fog most of the time; where there is none, all."""
    scene = make_scene(seed)
    per_slot = FRAMES // SLOTS
    wet: Slots = [[] for _ in range(SLOTS)]
    for day, slots in zip(day_numbers("usual"), rendered(seed, "usual"), strict=True):
        lights = [light_at(scene, float(t)) for t in moments(seed, day)]
        for slot, figures in enumerate(slots):
            here = lights[slot * per_slot : (slot + 1) * per_slot]
            if np.mean([max(light.rain, light.fog) for light in here]) > 0.3:
                wet[slot].append(figures)
    dry = by_slot(rendered(seed, "usual"))
    return [found or others for found, others in zip(wet, dry, strict=True)]


def resampled(slots: Slots, first: int, count: int, rng: np.random.Generator) -> list[DayFigures]:
    """Days of slots drawn at random."""
    return [
        DayFigures(
            date=FIRST + timedelta(days=day),
            student="start",
            slots=tuple(found[int(rng.integers(len(found)))] for found in slots),
        )
        for day in range(first, first + count)
    ]


def parametric(
    rng: np.random.Generator,
    *,
    days: int,
    classes: int = 3,
    phi: float = 0.3,
    spread: float = 0.15,
    weekend: float = 0.6,
    frames: int = 20,
    link_sd: float = 0.0,
    link_bias: float = 0.0,
    level: float = 1.0,
    level_from: int = 0,
) -> list[DayFigures]:
    """Days whose log level is autoregressive (`phi` from day to day) with Student's t (5 degrees of
    freedom) and `spread`, half of it common to all classes; Saturdays and Sundays have `weekend`
    times as much; each slot has weather of its own (30 %), and counts their luck (Poisson).

    With `link_sd` a student is promoted every seventh day, and what links it to the one before is
    off by so much (log), on average by `link_bias`. From day `level_from` on all is `level` times.
    """
    shock = np.sqrt(0.5) * (_heavy(rng, (days, 1)) + _heavy(rng, (days, classes)))
    noise = np.zeros((days, classes))
    noise[0] = shock[0]
    for t in range(1, days):
        noise[t] = phi * noise[t - 1] + np.sqrt(1 - phi**2) * shock[t]
    off = rng.normal(link_bias, link_sd, days // 7 + 1).cumsum() if link_sd else np.zeros(days)
    busy = rng.uniform(0.05, 2.0, (1, classes, 1)) * rng.uniform(0.1, 1.0, (1, 1, SLOTS))
    weekly = np.where(np.arange(days) % 7 >= 5, weekend, 1.0)
    later = np.where(np.arange(days) >= level_from, level, 1.0)
    rate = busy * np.exp(spread * noise)[:, :, None] * (weekly * later)[:, None, None]
    rate = rate * np.exp(rng.normal(0, 0.3, (days, 1, SLOTS)))
    counts = rng.poisson(rate * frames)  # [days, classes, slots]
    found = []
    for day in range(days):
        slip = float(np.exp(off[day // 7])) if link_sd else 1.0
        found.append(_as_day(day, counts[day] * slip, frames, spread, rng))
    return found


def _heavy(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    return rng.standard_t(5, shape) / np.sqrt(5 / 3)


def _as_day(
    day: int, counts: Any, frames: int, spread: float, rng: np.random.Generator
) -> DayFigures:
    score, unsure = 0.6 * np.exp(rng.normal(0, spread / 4)), np.exp(rng.normal(0, spread / 2))
    slots = []
    for slot in range(SLOTS):
        total = float(counts[:, slot].sum())
        slots.append(
            SlotFigures(
                slot=slot,
                frames=frames,
                busy=round(frames * (1 - np.exp(-total / frames))),
                loss=1.2 * total * unsure,
                detections=round(total),
                objects=tuple(float(score * c) for c in counts[:, slot]),
            )
        )
    return DayFigures(date=FIRST + timedelta(days=day), student="start", slots=tuple(slots))


# -- false alarms ----------------------------------------------------------------------------------


def spread_row(seed: int) -> Row:
    """How much a street's figures differ from day to day, as a share."""
    days = [
        DayFigures(date=FIRST, student="start", slots=tuple(slots))
        for slots in rendered(seed, "usual")
    ]
    values = as_table(days).values()
    names = figure_names(CLASS_NAMES)
    shares = np.std(np.log(values), axis=0, ddof=1)
    return {"street": seed, "days": len(days), **dict(zip(names, shares.tolist(), strict=True))}


def quiet_rows(years: int) -> list[Row]:
    """False alarms a month and camera, a row a setting."""
    rows = []
    for seed in STREETS:
        slots = by_slot(rendered(seed, "usual"))
        histories = [
            resampled(slots, 0, YEAR_DAYS, np.random.default_rng([seed, 81, n]))
            for n in range(years)
        ]
        rows.append(_quiet_row(f"resampled, street {seed}", histories, CLASS_NAMES))
    for name, options in PARAMETRIC.items():
        classes = options.get("classes", 3)
        histories = [
            parametric(np.random.default_rng([82, n]), days=YEAR_DAYS, **options)
            for n in range(years)
        ]
        names = tuple(f"class {c}" for c in range(int(classes)))
        rows.append(_quiet_row(f"parametric, {name}", histories, names))
    return rows


PARAMETRIC: dict[str, dict[str, Any]] = {
    "independent days": {"phi": 0.0},
    "autocorrelation 0.3": {},
    "autocorrelation 0.5": {"phi": 0.5},
    "autocorrelation 0.7": {"phi": 0.7},
    "no weekends": {"weekend": 1.0},
    "no weekends, 0.5": {"weekend": 1.0, "phi": 0.5},
    "quiet weekends": {"weekend": 0.2},
    "spread 30 %": {"spread": 0.3},
    "one class": {"classes": 1},
    "ten classes": {"classes": 10},
    "5 frames a slot": {"frames": 5},
    "a promotion a week, links off by 3 %": {"link_sd": 0.03},
    "a promotion a week, links off by 3 % and 2 % too high": {"link_sd": 0.03, "link_bias": 0.02},
}


def _quiet_row(name: str, histories: Sequence[list[DayFigures]], classes: Sequence[str]) -> Row:
    alarms, judged = [], 0
    for history in histories:
        record = _verdict(history, classes)
        judged += sum(point.statistic is not None for point in record.course)
        alarms.append(sum(point.alarm for point in record.course))
    row: Row = {
        "days": name,
        "camera-years": len(histories),
        "days judged": judged,
        "false alarms": sum(alarms),
        "a month and camera": sum(alarms) / judged * MONTH_DAYS,
        "worst camera, in its year": max(alarms),
    }
    print(row, flush=True)
    return row


def _verdict(history: Sequence[DayFigures], classes: Sequence[str]) -> DriftRecord:
    record = watch_drift(history, classes)
    if record is None:
        message = "no day with enough frames"
        raise ValueError(message)
    return record


# -- delays ----------------------------------------------------------------------------------------


def drift_rows(count: int) -> list[Row]:
    """How soon a drift is told, a row a kind."""
    rows = []
    kinds = {
        "traffic doubled": "doubled",
        "40 % of the cars, 3 × the bicycles": "mixed",
        "winter's short days, at once": "winter",
        "rain or fog all day": "",
    }
    for name, kind in kinds.items():
        histories = []
        for seed in STREETS:
            usual = by_slot(rendered(seed, "usual"))
            other = by_slot(rendered(seed, kind)) if kind else wet_slots(seed)
            for n in range(count):
                rng = np.random.default_rng([seed, 83, n])
                histories.append(
                    resampled(usual, 0, QUIET_DAYS, rng)
                    + resampled(other, QUIET_DAYS, DRIFT_DAYS, rng)
                )
        rows.append(_delay_row(f"resampled, {name}", histories, CLASS_NAMES))
    for level in (1.25, 1.5, 2.0, 0.5):
        histories = [
            parametric(
                np.random.default_rng([84, n]),
                days=QUIET_DAYS + DRIFT_DAYS,
                level=level,
                level_from=QUIET_DAYS,
            )
            for n in range(4 * count)
        ]
        name = f"parametric (0.3, spread 15 %), all counts × {level:g}"
        rows.append(_delay_row(name, histories, ("class 0", "class 1", "class 2")))
    return rows


def _delay_row(name: str, histories: Sequence[list[DayFigures]], classes: Sequence[str]) -> Row:
    delays, onsets, told, before = [], [], Counter[str](), 0
    for history in histories:
        alarms = [n for n, p in enumerate(_verdict(history, classes).course) if p.alarm]
        if alarms and alarms[0] < QUIET_DAYS:
            before += 1  # a false alarm; the usual is then learned anew, so it is not counted
        elif alarms:
            figure = _verdict(history[: alarms[0] + 1], classes).figures[0]
            delays.append(alarms[0] + 1 - QUIET_DAYS)
            onset = figure.since or history[alarms[0]].date
            onsets.append((onset - history[QUIET_DAYS].date).days)
            told[figure.name] += 1
    tried = len(histories) - before
    row: Row = {
        "drift": name,
        "tried": tried,
        f"told within {DRIFT_DAYS} days": len(delays) / tried,
        "median delay, days": float(np.median(delays)) if delays else None,
        "90 % within, days": float(np.quantile(delays, 0.9)) if delays else None,
        "onset off by, median": float(np.median(np.abs(onsets))) if onsets else None,
        "mostly told by": told.most_common(1)[0][0] if told else None,
    }
    print(row, flush=True)
    return row


def as_markdown(result: dict[str, Any]) -> str:
    """All tables."""
    text = (
        "# Drift and viewpoint\n\nMade by `python -m benchmarks.drift`; see docs/design/drift.md.\n"
    )
    titles = {
        "spread": "How much rendered days differ from each other (deviation of the log)",
        "false_alarms": "False alarms where nothing drifts",
        "delays": "How soon a drift is told, after 60 usual days",
        "views": "What is said of a day's view (days, then slots)",
    }
    for key, title in titles.items():
        if key in result:
            text += f"\n## {title}\n\n{markdown(result[key], number='.2f')}"
    return text


if __name__ == "__main__":
    main()
