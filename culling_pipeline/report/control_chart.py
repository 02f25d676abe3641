"""The control slice by the hours of the day, a bar for each student."""

from __future__ import annotations

from markupsafe import Markup

from culling_pipeline import svg
from culling_pipeline.report.clock import Clock
from culling_pipeline.report.control import ControlView

_LEFT, _RIGHT = 54.0, 12.0
_PLOT_WIDTH = svg.WIDTH - _LEFT - _RIGHT


def by_hour(view: ControlView, clock: Clock) -> Markup:
    """The share of the teacher's objects that each student found, or how far its counts are off;
    nothing for fewer than two hours."""
    if len(view.bars) < 2:
        return Markup("")
    top = 1.0 if view.is_share else 1.08 * max(max(bar.values) for bar in view.bars) or 1.0
    first, last = view.bars[0].hour, view.bars[-1].hour
    panel = svg.Panel(_LEFT, 44, _PLOT_WIDTH, 150, (first - 0.5, last + 0.5), (0, top))
    width = 0.84 * _PLOT_WIDTH / (last - first + 1) / len(view.arms)
    parts = [
        panel.rows(lambda v: f"{100 * v:g} %" if view.is_share else f"{v:g}", unit=""),
        panel.columns(_hours(first, last), unit=f"hour of the day, {clock.name}"),
    ]
    for bar in view.bars:
        for place, (arm, value, said) in enumerate(
            zip(view.arms, bar.values, bar.said, strict=True)
        ):
            x, y = panel.at(bar.hour, value)
            x += width * (place - len(view.arms) / 2)
            size = (max(width - 0.6, 1.0), panel.bottom - y)
            parts.append(svg.rect((x, y), size, f"bar {arm}", hint=said))
    what = "objects that each model found" if view.is_share else "mean error of the count"
    called = {"old": "old model", "new": "new model", "random": "random frames"}
    names = [(f"line {arm}", called[arm]) for arm in view.arms]
    parts += [svg.text(_LEFT, 14, what, class_="unit"), svg.legend(32, names, x=_LEFT)]
    label = f"By hour, {clock.name}: {what}. The table has the figures."
    return svg.chart(label, panel.bottom + 44, parts)


def _hours(first: int, last: int) -> list[tuple[float, str]]:
    step = next(step for step in (1, 2, 3, 6) if (last - first) / step <= 8)
    return [(float(hour), f"{hour:02d}") for hour in range(first, last + 1) if hour % step == 0]
