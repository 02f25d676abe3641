"""The report's charts, each from records to one SVG drawing that fits any width and theme.

A chart of nothing is an empty string: the page then says in words that there was nothing to draw.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from culling_pipeline import svg
from culling_pipeline.records.day import LossPoint
from culling_pipeline.records.judging import CountPoint, JudgeRecord
from culling_pipeline.records.monitoring import DriftRecord
from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.records.training import EpochPoint, ResolutionRecord, ScalePoint
from culling_pipeline.report import words
from culling_pipeline.report.clock import UTC_CLOCK, Clock

NOTHING_DRAWN = Markup("")
_LEFT, _RIGHT = 54.0, 12.0
_PLOT_WIDTH = svg.WIDTH - _LEFT - _RIGHT


def accuracy_bars(rows: Sequence[tuple[str, str, Accuracy]], *, digits: int = 2) -> Markup:
    """The score as one bar for each (class of the bar, name, accuracy), on a scale from 0 to 1, or
    to the largest error where less is better."""
    left, right, pitch, top = 132.0, 48.0, 40.0, 8.0
    bottom = top + pitch * len(rows)
    most = _most([accuracy.score for _, _, accuracy in rows])
    panel = svg.Panel(left, top, svg.WIDTH - left - right, bottom - top, (0, most), (0, 1))
    parts = []
    for value in svg.ticks(0.0, most, most=4):
        x = panel.at(value, 0)[0]
        parts.append(svg.line((x, top), (x, bottom), "grid"))
        parts.append(svg.text(x, bottom + 17, f"{value:g}", anchor="middle"))
    for index, (class_, name, accuracy) in enumerate(rows):
        y = top + pitch * index + 8
        end = panel.at(_known(accuracy.score.value, most), 0)[0]
        parts.append(svg.text(left - 12, y + 17, name, anchor="end", class_="name"))
        parts.append(svg.rect((left, y), (end - left, 24), f"bar {class_}"))
        value_words = words.figure(accuracy.score.value, digits)
        parts.append(svg.text(end + 8, y + 17, value_words, class_="value"))
    kind = words.kind_of(rows[0][2].score)
    label = f"{kind}: " + ", ".join(
        f"{n} {words.figure(a.score.value, digits)}" for _, n, a in rows
    )
    unit = svg.text(left + panel.width / 2, bottom + 36, kind, anchor="middle")
    return svg.chart(label, bottom + 44, [*parts, unit])


def difference(judge: JudgeRecord) -> Markup:
    """The gain of the new student with its 95 % interval, and the line of no difference: new − old,
    or old − new where less is better."""
    value = judge.after.score.gain_over(judge.before.score)
    low, high = judge.difference_low, judge.difference_high
    if not all(math.isfinite(number) for number in (value, low, high)):
        return NOTHING_DRAWN
    reach = [low, high, value, 0.0]
    pad = max(0.12 * (max(reach) - min(reach)), 0.01)
    panel = svg.Panel(24, 34, svg.WIDTH - 48, 44, (min(reach) - pad, max(reach) + pad), (0, 1))
    digits = 2 if panel.x[1] - panel.x[0] > 0.05 else 3
    marks = [(tick, words.signed(tick, digits)) for tick in svg.ticks(*panel.x, most=5)]
    zero, middle = panel.at(0, 0)[0], panel.at(0, 0.5)[1]
    ends = [(panel.at(end, 0)[0], middle) for end in (low, high)]
    order = "new − old" if judge.after.score.higher_is_better else "old − new"
    label = (
        f"Difference {order} {words.signed(value, 3)}, 95 % interval from "
        f"{words.signed(low, 3)} to {words.signed(high, 3)}"
    )
    parts = [
        panel.columns(marks, unit=f"{order}, {words.kind_of(judge.after.score)}"),
        svg.line((zero, 28), (zero, panel.bottom), "zero"),
        svg.text(_inside(zero, 45), 20, "no difference", anchor="middle"),
        svg.line(ends[0], ends[1], "interval"),
        *(svg.line((x, middle - 8), (x, middle + 8), "interval") for x, _ in ends),
        svg.dot(panel.at(value, 0.5), "dot new", radius=6.5, hint=label),
    ]
    return svg.chart(label, panel.bottom + 44, parts)


def histogram(
    edges: Sequence[float], counts: Sequence[int], *, survivors_from: float | None
) -> Markup:
    """How many of the day's frames had which confidence loss."""
    if not any(counts):
        return NOTHING_DRAWN
    panel = svg.Panel(_LEFT, 34, _PLOT_WIDTH, 190, (edges[0], edges[-1]), (0, 1.05 * max(counts)))
    parts = [
        panel.rows(lambda value: words.count(round(value)), unit="frames"),
        *_bins(panel, edges, counts),
        panel.columns(
            _plain(svg.ticks(*panel.x)), unit="confidence loss (left: sure, right: unsure)"
        ),
    ]
    if survivors_from is not None:
        x = panel.at(min(max(survivors_from, edges[0]), edges[-1]), 0)[0]
        parts.append(svg.line((x, panel.top), (x, panel.bottom), "mark"))
        near_end = x > svg.WIDTH - 190
        anchor = {"anchor": "end"} if near_end else {}
        at = x - 7 if near_end else x + 7
        parts.append(
            svg.text(at, panel.top + 12, "survivors from here on", class_="note", **anchor)
        )
    label = f"Histogram of the confidence loss of {words.count(sum(counts), 'frame')}"
    return svg.chart(label, panel.bottom + 44, parts)


def _bins(panel: svg.Panel, edges: Sequence[float], counts: Sequence[int]) -> list[Markup]:
    parts = []
    for (low, high), frames in zip(pairwise(edges), counts, strict=True):
        if not frames:
            continue
        (x, y), end = panel.at(low, frames), panel.at(high, 0)[0]
        y = min(y, panel.bottom - 1.5)  # a single frame among thousands stays visible
        gap = 1.0 if end - x > 3 else 0.0
        hint = f"{words.figure(low)} to {words.figure(high)}: {words.count(frames, 'frame')}"
        parts.append(svg.rect((x, y), (end - x - gap, panel.bottom - y), "bar plain", hint=hint))
    return parts


def course(points: Sequence[LossPoint], clock: Clock = UTC_CLOCK) -> Markup:
    """Mean and 90th percentile of the confidence loss over the day; gaps stay open."""
    known = [p for p in points if p.frames and math.isfinite(p.mean) and math.isfinite(p.p90)]
    if not known:
        return NOTHING_DRAWN
    seconds = [clock.local(point.wall_time).timestamp() for point in known]
    top = 1.05 * max(max(p.mean, p.p90) for p in known)
    x = (seconds[0], seconds[-1])
    panel = svg.Panel(_LEFT, 44, _PLOT_WIDTH, 180, x, (0, top or 1.0))
    parts = [
        panel.rows(lambda value: f"{value:g}", unit=""),
        panel.columns(clock.marks(panel.x, svg.time_ticks), unit=f"time of day, {clock.name}"),
        svg.text(_LEFT, 14, "confidence loss", class_="unit"),
        svg.legend(32, [("line new", "mean"), ("line p90", "1 frame in 10 is above")], x=_LEFT),
    ]
    for run in _runs(seconds):
        for name, values in (("p90", [p.p90 for p in known]), ("new", [p.mean for p in known])):
            places = [panel.at(seconds[i], values[i]) for i in run]
            parts.append(svg.path(places, f"line {name}"))
            if len(places) == 1:
                parts.append(svg.dot(places[0], f"dot {name}"))
    first, last = clock.stamp(known[0].wall_time), clock.stamp(known[-1].wall_time)
    label = f"Confidence loss from {first} to {last}"
    return svg.chart(label, panel.bottom + 44, parts)


def counts(points: Sequence[CountPoint], clock: Clock = UTC_CLOCK) -> Markup:
    """The teacher's count of each control frame through the day, and the new student's beside it;
    nothing for cameras that do not count."""
    if len(points) < 2:
        return NOTHING_DRAWN
    seconds = [clock.local(point.wall_time).timestamp() for point in points]
    top = 1.05 * max(max(p.teacher, p.after) for p in points)
    panel = svg.Panel(_LEFT, 44, _PLOT_WIDTH, 180, (seconds[0], seconds[-1]), (0, top or 1.0))
    said = [("line teacher", "teacher"), ("line new", "new model")]
    parts = [
        panel.rows(lambda value: f"{value:g}", unit=""),
        panel.columns(clock.marks(panel.x, svg.time_ticks), unit=f"time of day, {clock.name}"),
        svg.text(_LEFT, 14, "count", class_="unit"),
        svg.legend(32, said, x=_LEFT),
    ]
    for name, values in (
        ("teacher", [p.teacher for p in points]),
        ("new", [p.after for p in points]),
    ):
        places = [panel.at(*place) for place in zip(seconds, values, strict=True)]
        parts.append(svg.path(places, f"line {name}"))
    for point, second in zip(points, seconds, strict=True):
        hint = f"{clock.time(point.wall_time)}: teacher {point.teacher:.0f}, new {point.after:.0f}"
        parts.append(svg.dot(panel.at(second, point.after), "dot new", hint=hint, radius=2))
    first, last = clock.stamp(points[0].wall_time), clock.stamp(points[-1].wall_time)
    return svg.chart(f"Counts from {first} to {last}", panel.bottom + 44, parts)


def _runs(seconds: Sequence[float]) -> list[range]:
    """Stretches of indices without a gap longer than two and a half usual steps."""
    steps = [after - before for before, after in pairwise(seconds)]
    usual = sorted(steps)[len(steps) // 2] if steps else 0.0
    breaks = [index + 1 for index, step in enumerate(steps) if step > 2.5 * usual]
    bounds = [0, *breaks, len(seconds)]
    return [range(start, end) for start, end in pairwise(bounds)]


def drift(record: DriftRecord | None) -> Markup:
    """Each day's largest CUSUM against the threshold; gaps are days of learning."""
    known = [p for p in record.course if p.statistic is not None] if record is not None else []
    if record is None or not known:
        return NOTHING_DRAWN
    days, sums = [p.date.toordinal() for p in known], [p.statistic or 0.0 for p in known]
    x = (days[0] - 0.5, days[-1] + 0.5)
    top = 1.15 * max(*sums, record.threshold)
    panel = svg.Panel(_LEFT, 40, _PLOT_WIDTH, 126, x, (0, top))
    limit = panel.at(x[0], record.threshold)[1]
    marks = dict.fromkeys((known[0].date, known[-1].date))
    parts = [
        panel.rows(lambda value: f"{value:g}", unit="CUSUM: how far beyond the usual"),
        svg.line((_LEFT, limit), (_LEFT + _PLOT_WIDTH, limit), "limit"),
        svg.text(_LEFT + 6, limit - 6, "alarm above", class_="note"),
        panel.columns([(day.toordinal(), f"{day:%d %b}") for day in marks], unit="day"),
    ]
    for point, day, value in zip(known, days, sums, strict=True):
        hint = f"{point.date}: {value:.1f}{', alarm' if point.alarm else ''}"
        parts.append(
            svg.dot(panel.at(day, value), "dot", hint=hint, radius=5 if point.alarm else 2)
        )
    label = f"Drift from {known[0].date} to {known[-1].date}: {record.reason}"
    return svg.chart(label, panel.bottom + 44, parts)


def resolution(record: ResolutionRecord) -> Markup:
    """Relative change of the confidence loss (above) and computation (below) against scale."""
    points = [p for p in record.points if math.isfinite(p.relative_mse)]
    if not points or record.threshold is None:
        return NOTHING_DRAWN
    scales = [p.scale for p in points] + [record.scale]
    top = max(1.15 * max(p.relative_mse for p in points), 1.5 * record.threshold, 1e-6)
    margin = 0.04 * (max(scales) - min(scales)) or 0.05
    x = (max(scales) + margin, min(scales) - margin)
    upper = svg.Panel(_LEFT, 40, _PLOT_WIDTH, 126, x, (0, top))
    lower = svg.Panel(_LEFT, 206, _PLOT_WIDTH, 104, x, (0, 1.0))
    limit = upper.at(x[0], record.threshold)[1]
    chosen = upper.at(record.scale, 0)[0]
    marks = [(record.scale, record.scale), *((p.scale, p.scale) for p in points)]
    names = [(value, f"{100 * value:.0f} %") for value, _ in marks]
    parts = [
        svg.line((chosen, upper.top), (chosen, lower.bottom), "mark"),
        svg.text(_inside(chosen, 25), 14, "chosen", anchor="middle", class_="note"),
        upper.rows(_percent_tick, unit="change of the confidence loss"),
        svg.line((_LEFT, limit), (_LEFT + _PLOT_WIDTH, limit), "limit"),
        svg.text(
            _LEFT + 6, limit - 6, f"allowed: {words.percent(record.threshold)}", class_="note"
        ),
        lower.rows(_percent_tick, unit="computation per image", most=3),
        lower.columns(svg.spread(names, lambda value: lower.at(value, 0)[0]), unit="image size"),
        *_curve(upper, points, record.scale, measured=True),
        *_curve(lower, points, record.scale, measured=False),
    ]
    label = (
        f"Change of the confidence loss and computation for {len(points)} image sizes; chosen: "
        f"{words.percent(record.scale)}, allowed change {words.percent(record.threshold)}"
    )
    return svg.chart(label, lower.bottom + 44, parts)


def _curve(
    panel: svg.Panel, points: Sequence[ScalePoint], chosen: float, *, measured: bool
) -> list[Markup]:
    values = [p.relative_mse if measured else min(p.computation, 1.0) for p in points]
    places = [panel.at(p.scale, value) for p, value in zip(points, values, strict=True)]
    name = "new" if measured else "cost"
    parts = [svg.path(places, f"line {name}")]
    for point, place in zip(points, places, strict=True):
        hint = (
            f"{words.percent(point.scale)} size: change {words.percent(point.relative_mse)}, "
            f"computation {words.percent(point.computation)}"
        )
        radius = 6.5 if math.isclose(point.scale, chosen) else 3.0
        parts.append(svg.dot(place, f"dot {name}", hint=hint, radius=radius))
    return parts


def training(epochs: Sequence[EpochPoint]) -> Markup:
    """Images trained on in each epoch (bars, above) and the mean loss (line, below)."""
    if not epochs:
        return NOTHING_DRAWN
    x = (min(e.epoch for e in epochs) - 0.6, max(e.epoch for e in epochs) + 0.6)
    known = [e for e in epochs if math.isfinite(e.loss)]
    upper = svg.Panel(
        _LEFT, 26, _PLOT_WIDTH, 116, x, (0, 1.08 * max(e.images for e in epochs) or 1)
    )
    top = 1.08 * max((e.loss for e in known), default=0.0) or 1.0
    lower = svg.Panel(_LEFT, 178, _PLOT_WIDTH, 116, x, (0, top))
    bar = min(0.76 * _PLOT_WIDTH / (x[1] - x[0]), 60.0)
    losses = [lower.at(e.epoch, e.loss) for e in known]
    parts = [
        upper.rows(lambda value: words.count(round(value)), unit="images trained on"),
        *(_epoch_bar(upper, epoch, bar) for epoch in epochs),
        svg.line((_LEFT, upper.bottom), (_LEFT + _PLOT_WIDTH, upper.bottom), "axis"),
        lower.rows(lambda value: f"{value:g}", unit="training loss"),
        svg.path(losses, "line new"),
        lower.columns(_plain(svg.ticks(*x, most=8, whole=True)), unit="epoch"),
        *(_loss_dot(e, at) for e, at in zip(known, losses, strict=True) if len(known) <= 40),
    ]
    images = words.count(sum(e.images for e in epochs), "image")
    label = f"{words.count(len(epochs), 'epoch')} of training on {images} in all, and their loss"
    return svg.chart(label, lower.bottom + 44, parts)


def _epoch_bar(panel: svg.Panel, epoch: EpochPoint, width: float) -> Markup:
    x, y = panel.at(epoch.epoch, epoch.images)
    hint = f"epoch {epoch.epoch}: {words.count(epoch.images, 'image')}"
    return svg.rect((x - width / 2, y), (width, panel.bottom - y), "bar cost", hint=hint)


def _loss_dot(epoch: EpochPoint, at: svg.Point) -> Markup:
    return svg.dot(at, "dot new", hint=f"epoch {epoch.epoch}: loss {words.figure(epoch.loss, 3)}")


def _known(value: float, most: float) -> float:
    return min(max(value, 0.0), most) if math.isfinite(value) else 0.0


def _most(scores: Sequence[Score]) -> float:
    """The end of the scale that these figures are drawn on."""
    if scores[0].higher_is_better:
        return 1.0
    return max((score.value for score in scores if math.isfinite(score.value)), default=0.0) or 1.0


def _inside(x: float, half_width: float) -> float:
    return min(max(x, half_width), svg.WIDTH - half_width)


def _plain(values: Sequence[float]) -> list[tuple[float, str]]:
    return [(value, f"{value:g}") for value in values]


def _percent_tick(value: float) -> str:
    return f"{100 * value:g} %"


def square(share: float) -> Markup:
    """A square whose area is `share` of the whole drawing's, standing on its lower edge."""
    side = 100.0 * math.sqrt(min(max(share, 0.0), 1.0))
    side = max(side, 2.0) if share > 0 else 0.0
    shape = svg.rect((0.0, 100.0 - side), (side, side), "bar")
    return svg.tag("svg", shape, class_="square", viewBox="0 0 100 100", aria_hidden="true")


def cost_bars(rows: Sequence[tuple[str, str, float]]) -> Markup:
    """Seconds as one bar for each (class of the bar, name, seconds), longest = full width."""
    longest = max((s for _, _, s in rows if math.isfinite(s)), default=0.0)
    if longest <= 0:
        return NOTHING_DRAWN
    parts, pitch = [], 58.0
    for index, (class_, name, seconds) in enumerate(rows):
        y = pitch * index
        share = seconds / longest if math.isfinite(seconds) else 0.0
        parts.append(svg.text(0.0, y + 16, name, class_="name"))
        parts.append(svg.text(svg.WIDTH, y + 16, words.duration(seconds), anchor="end"))
        parts.append(svg.rect((0.0, y + 24), (svg.WIDTH, 18.0), "track"))
        parts.append(svg.rect((0.0, y + 24), (max(svg.WIDTH * share, 2.0), 18.0), f"bar {class_}"))
    label = "Cost: " + ", ".join(f"{name} {words.duration(s)}" for _, name, s in rows)
    return svg.chart(label, pitch * len(rows), parts)
