"""Table and picture of `benchmarks/real_days.py`, from its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from scipy.stats import spearmanr
from scipy.stats import t as student_t

from benchmarks.book import Row, line
from culling_pipeline import svg

BASE = "lottery"
ORDER = (
    "teacher", "full", "today", "once", "nightly", "lottery", "memory", "nightly and memory",
    "everything", "half", "confident", "diverse", "novel", "disagreeing",
)  # fmt: skip
SHOWN = {
    "teacher": "the teacher",
    "once": "set up once",
    "today": "untrained",
    "nightly": "nightly, by L_conf",
    "lottery": "lottery",
    "memory": "lottery and memory",
    "everything": "all of the day",
}
"""The lines of the picture; full training is a mark, for it is made on a few days only."""
COLOURS = ("888", "7c3aed", "bbb", "c2410c", "1d4ed8", "15803d", "0891b2")
STYLE = """
svg { font: 11px sans-serif; background: #fff; fill: #333 } path { fill: none; stroke-width: 1.8 }
.grid { stroke: #e4e4e4 } .axis { stroke: #888 } .unit { fill: #666 } .full { fill: #000 }
"""
MEANS = ("map50", "map50_day", "map50_night", "map", "map50_teacher")
SPENT = ("looks", "labels", "images", "cost_s")
RANKS = (
    "rank_l_conf", "rank_objects", "rank_l_conf_teacher", "rank_objects_teacher",
    "rank_l_conf_day", "rank_objects_day",
)  # fmt: skip
CHOSEN = ("label_f1", "label_precision", "chosen_objects", "chosen_night", "chosen_apart")


def write_pages(rows: Sequence[Row], folder: Path) -> None:
    """real_days.md and real_days.svg."""
    cameras = sorted({row["camera"] for row in rows})
    parts = ["# Real days\n", _INTRODUCTION]
    for camera in cameras:
        mine = [row for row in rows if row["camera"] == camera]
        nights = [row for row in mine if row["course"] == "nights"]
        first = [row for row in mine if row["course"] == "first"]
        parts += [f"## {camera}, night after night\n", _arms(nights), _by_day(nights)]
        parts += ["What a student says of itself, and what it gets wrong:\n", _ranks(nights)]
        parts += ["What was chosen:\n", _chosen(nights)]
        if first:
            parts += [f"## {camera}, a first night\n", _arms(first), _chosen(first)]
        for course in sorted({r["course"] for r in mine if r["course"].startswith("choices")}):
            chosen = [row for row in mine if row["course"] == course]
            parts += [f"## {camera}, {course}\n", _chosen(chosen), _teacher_errs(chosen)]
    (folder / "real_days.md").write_text("\n".join(parts))
    if rows:
        drawn = [r for r in rows if r["camera"] == cameras[0] and r["course"] == "nights"]
        (folder / "real_days.svg").write_text(picture(drawn) + "\n")


_INTRODUCTION = """\
Made by `python -m benchmarks.real_days`. mAP50 against the reference boxes (a stronger detector's,
noisy; people's at the yard), by day and at night, and against the teacher. Differences are in
points, paired by day and seed, with the 95 % interval of Student's t. `cost_s` is in CPU seconds of
a look, a label and a training image. Means are over an arm's own rows: where these differ, compare
by the differences.
"""


def _arms(rows: Sequence[Row]) -> str:
    """One line an arm, means over its days and seeds."""
    keys = ["arm", "rows", *MEANS, f"against {BASE}", "against once", *SPENT]
    lines = [line(keys), "|" + "---|" * len(keys)]
    for arm in _in_order(rows):
        mine = [row for row in rows if row["arm"] == arm]
        lines.append(
            line(
                [
                    arm,
                    len(mine),
                    *(_mean(mine, key) for key in MEANS),
                    against(rows, arm, BASE),
                    against(rows, arm, "once"),
                    *(_mean(mine, key) for key in SPENT),
                ]
            )
        )
    return "\n".join(lines) + "\n"


def against(rows: Sequence[Row], arm: str, base: str, key: str = "map50") -> str | None:
    """The mean difference in points where both have a figure, with its interval."""
    figures: dict[str, dict[tuple[object, ...], float]] = defaultdict(dict)
    for row in rows:
        if row[key] is not None:
            figures[row["arm"]][row["day"], row["seed"]] = row[key]
    both = figures[arm].keys() & figures[base].keys()
    if arm == base or not both:
        return None
    gains = np.array([100 * (figures[arm][k] - figures[base][k]) for k in sorted(both)])
    if len(gains) < 2:
        return f"{gains[0]:+.1f}"
    reach = float(student_t.ppf(0.975, len(gains) - 1)) * gains.std(ddof=1) / np.sqrt(len(gains))
    return f"{gains.mean():+.1f} ± {reach:.1f} ({len(gains)})"


def _by_day(rows: Sequence[Row]) -> str:
    """One line a day, a column an arm: mean over seeds."""
    arms = _in_order(rows)
    lines = [line(["day", *arms]), "|" + "---|" * (len(arms) + 1)]
    for day in sorted({row["day"] for row in rows}):
        cells = [
            _mean([r for r in rows if r["day"] == day and r["arm"] == arm], "map50") for arm in arms
        ]
        lines.append(line([day, *cells], number=".3f"))
    return "\n".join(lines) + "\n"


def _ranks(rows: Sequence[Row]) -> str:
    """Rank correlations by arm, and that of the teacher's figure with the reference's."""
    students = [row for row in rows if row["arm"] != "teacher"]
    lines = [line(["arm", "errors", *RANKS]), "|" + "---|" * (len(RANKS) + 2)]
    for arm in _in_order(students):
        mine = [row for row in students if row["arm"] == arm]
        lines.append(line([arm, *(_mean(mine, key) for key in ("errors", *RANKS))]))
    within = [_agreement(students, day) for day in sorted({row["day"] for row in students})]
    known = [value for value in within if value is not None]
    said = f"{np.mean(known):.2f} on average of {len(known)} days" if known else "not known yet"
    lines.append(
        f"\nArms of one day, ranked by mAP50 against the teacher and against the reference: {said}."
    )
    return "\n".join(lines) + "\n"


def _agreement(rows: Sequence[Row], day: str) -> float | None:
    mine = [row for row in rows if row["day"] == day and row["map50_teacher"] is not None]
    pairs = np.array([(row["map50"], row["map50_teacher"]) for row in mine])
    if len(pairs) < 4 or (np.ptp(pairs, axis=0) == 0).any():
        return None
    return float(spearmanr(pairs[:, 0], pairs[:, 1]).statistic)


def _chosen(rows: Sequence[Row]) -> str:
    """What the frames of each arm were like."""
    chosen = [row for row in rows if "label_f1" in row]
    lines = [line(["arm", *CHOSEN]), "|" + "---|" * (len(CHOSEN) + 1)]
    for arm in _in_order(chosen):
        mine = [row for row in chosen if row["arm"] == arm]
        lines.append(line([arm, *(_mean(mine, key) for key in CHOSEN)]))
    return "\n".join(lines) + "\n"


def _teacher_errs(rows: Sequence[Row]) -> str:
    """The teacher's F1 by day, by how unsure the student is."""
    keys = [f"label_f1_{third}_third" for third in ("sure", "middle", "unsure")]
    figures = [_mean(rows, key) for key in keys]
    sure, middle, unsure = ("–" if f is None else f"{f:.2f}" for f in figures)
    errors = _mean(rows, "rank_l_conf_label_errors")
    return (
        f"The teacher's F1 by day where the student is sure, in between, unsure: {sure}, {middle}, "
        f"{unsure}; L_conf and the teacher's errors a picture: rank correlation "
        f"{'–' if errors is None else f'{errors:.2f}'}.\n"
    )


def _in_order(rows: Iterable[Row]) -> list[str]:
    there = {row["arm"] for row in rows}
    return [arm for arm in ORDER if arm in there]


def _mean(rows: Sequence[Row], key: str) -> float | None:
    known = [float(row[key]) for row in rows if row.get(key) is not None]
    return float(np.mean(known)) if known else None


def picture(rows: Sequence[Row]) -> Markup:
    """mAP50 against the reference by day, a line an arm, mean over seeds."""
    days = sorted({row["day"] for row in rows})
    top = max((row["map50"] for row in rows), default=1.0)
    panel = svg.Panel(44, 74, svg.WIDTH - 60, 210, (0, max(1, len(days) - 1)), (0, 1.05 * top))
    parts = [Markup("<style>{}{}</style>").format(Markup(STYLE), Markup(_colours()))]
    parts.append(panel.rows(lambda value: f"{value:g}", unit="mAP50 against the reference"))
    parts.append(
        panel.columns(
            svg.spread([(i, day[5:]) for i, day in enumerate(days)], lambda v: panel.at(v, 0)[0]),
            unit=f"day measured on, {rows[0]['camera'].replace('_', ' ')}",
        )
    )
    for arm in (*SHOWN, "full"):
        figures = [
            (i, _mean([r for r in rows if r["arm"] == arm and r["day"] == day], "map50"))
            for i, day in enumerate(days)
        ]
        points = [panel.at(i, value) for i, value in figures if value is not None]
        if arm == "full":
            parts += [svg.dot(at, "full") for at in points]
        else:
            parts.append(svg.path(points, f"arm {arm}"))
    names = list(SHOWN.items())
    for number, entries in enumerate((names[:4], names[4:])):
        marks = [(f"arm {arm}", words) for arm, words in entries]
        parts.append(svg.legend(16 + 17 * number, marks, x=12))
    parts += [svg.dot((350, 29), "full"), svg.text(358, 33, "full training")]
    label = "Accuracy by day of each arm: " + ", ".join(SHOWN.values()) + ", full training"
    drawing = svg.chart(label, panel.bottom + 46, parts)
    return Markup(str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def _colours() -> str:
    return " ".join(
        f".{arm} {{ stroke: #{colour}; stroke-width: 1.8 }}"
        for arm, colour in zip(SHOWN, COLOURS, strict=True)
    )
