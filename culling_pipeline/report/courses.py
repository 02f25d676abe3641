"""Charts of a camera over many nights: its score, how unsure its student was, a line for a card."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from culling_pipeline import svg
from culling_pipeline.report import words

_LEFT, _RIGHT = 54.0, 12.0
_PLOT_WIDTH = svg.WIDTH - _LEFT - _RIGHT


@dataclass(frozen=True, slots=True)
class NightPoint:
    """One night of a camera: the score of the student in use afterwards, of the new one, and the
    day's mean confidence loss (None where it is not known)."""

    day: date
    in_use: float
    new: float
    promoted: bool
    drifted: bool
    mean_loss: float | None


def sparkline(values: Sequence[float], label: str) -> Markup:
    """A line without axes, from the first value to the last; nothing for fewer than two."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return Markup("")
    panel = svg.Panel(3, 4, 114, 24, (0, len(known) - 1), (min(known), max(known)))
    places = [panel.at(index, value) for index, value in enumerate(known)]
    parts = [svg.path(places, "line new"), svg.dot(places[-1], "dot new", radius=3.0)]
    return svg.tag(
        "svg", *parts, class_="spark", viewBox="0 0 120 32", role="img", aria_label=label
    )


def score_course(
    points: Sequence[NightPoint], *, kind: str, most: float | None, unusable: Sequence[date] = ()
) -> Markup:
    """The score over the nights: the student in use as a line, each new student as a dot, marks
    where one was promoted, where data had drifted and on which days the lens was moved or covered
    (`unusable`). `most` is the end of the scale, if fixed."""
    known = [p for p in points if math.isfinite(p.in_use)]
    if len(known) < 2:
        return Markup("")
    top = most or 1.08 * max(max(p.in_use, p.new) for p in known)
    panel = _panel(known, top, unusable)
    places = [panel.at(p.day.toordinal(), p.in_use) for p in known]
    parts = [panel.rows(lambda value: f"{value:g}", unit=""), *_days(panel)]
    parts += _marks(panel, known, unusable)
    parts.append(svg.path(places, "line new"))
    for point, place in zip(known, places, strict=True):
        new = panel.at(point.day.toordinal(), min(max(point.new, 0.0), top))
        kept = "promoted" if point.promoted else "not promoted"
        hint = f"{point.day}: in use {words.figure(point.in_use)}, new {words.figure(point.new)}"
        at, look = (place, "dot new") if point.promoted else (new, "dot p90")
        parts.append(svg.dot(at, look, hint=f"{hint}, {kept}", radius=4.0))
    parts += [
        svg.text(_LEFT, 14, kind, class_="unit"),
        svg.legend(32, [("line new", "in use")], x=_LEFT),
        svg.dot((_LEFT + 100, 28), "dot new", radius=4.0),
        svg.text(_LEFT + 109, 32, "promoted"),
        svg.dot((_LEFT + 184, 28), "dot p90", radius=4.0),
        svg.text(_LEFT + 193, 32, "new, not promoted"),
        _legend(unusable),
    ]
    label = f"{kind} over {words.count(len(known), 'night')}, {known[0].day} to {known[-1].day}"
    return svg.chart(label, panel.bottom + 44, parts)


def unsureness_course(points: Sequence[NightPoint], *, unusable: Sequence[date] = ()) -> Markup:
    """Each day's mean confidence loss over the nights, with the same marks."""
    known = [(p, p.mean_loss) for p in points if p.mean_loss is not None]
    finite = [(p, loss) for p, loss in known if math.isfinite(loss)]
    if len(finite) < 2:
        return Markup("")
    nights = [p for p, _ in finite]
    panel = _panel(nights, 1.08 * max(loss for _, loss in finite) or 1.0, unusable)
    places = [panel.at(p.day.toordinal(), loss) for p, loss in finite]
    parts = [panel.rows(lambda value: f"{value:g}", unit=""), *_days(panel)]
    parts += _marks(panel, nights, unusable)
    parts.append(svg.path(places, "line cost"))
    for (point, loss), place in zip(finite, places, strict=True):
        hint = f"{point.day}: {words.figure(loss, 3)}"
        parts.append(svg.dot(place, "dot cost", hint=hint, radius=3.0))
    parts += [
        svg.text(_LEFT, 14, "mean confidence loss of the day", class_="unit"),
        svg.legend(32, [("line cost", "unsureness")], x=_LEFT),
        _legend(unusable),
    ]
    label = f"Mean confidence loss over {words.count(len(nights), 'day')}"
    return svg.chart(label, panel.bottom + 44, parts)


def _panel(points: Sequence[NightPoint], top: float, unusable: Sequence[date]) -> svg.Panel:
    days = [day.toordinal() for day in (*unusable, *(point.day for point in points))]
    return svg.Panel(_LEFT, 62, _PLOT_WIDTH, 180, (min(days) - 0.5, max(days) + 0.5), (0, top))


def _days(panel: svg.Panel) -> list[Markup]:
    days = [int(day) for day in svg.ticks(*panel.x, most=5, whole=True)]
    marks = [(float(day), f"{date.fromordinal(day):%d %b}") for day in days]
    return [panel.columns(marks, unit="day of the night")]


def _marks(
    panel: svg.Panel, points: Sequence[NightPoint], unusable: Sequence[date]
) -> list[Markup]:
    drifted = [(point.day, "limit") for point in points if point.drifted]
    marks = []
    for day, look in (*drifted, *((day, "mark") for day in unusable)):
        x = panel.at(day.toordinal(), 0)[0]
        marks.append(svg.line((x, panel.top), (x, panel.bottom), look))
    return marks


def _legend(unusable: Sequence[date]) -> Markup:
    """The marks that stand for days; that of the lens only where it is in the chart."""
    lens = [("mark", "lens moved or covered")] if unusable else []
    return svg.legend(50, [("limit", "drift"), *lens], x=_LEFT)
