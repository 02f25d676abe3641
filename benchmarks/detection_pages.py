"""Table and picture of `benchmarks/detection_schedules.py`, from its rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup

from benchmarks.book import Row, line
from benchmarks.culling import interval
from benchmarks.detection_loop import KINDS
from culling_pipeline import svg

BASES = ("standard", "shortened", "infobatch")
SHOWN = {"standard": "333", "shortened": "1d4ed8", "clip": "c2410c", "dap": "15803d"}
"""The lines of the picture and their colours."""
STYLE = """
svg { font: 11px sans-serif; background: #fff; fill: #333 } path { fill: none; stroke-width: 1.8 }
.grid { stroke: #e4e4e4 } .axis { stroke: #888 } .unit { fill: #666 }
"""
_INTRODUCTION = """\
# Schedules on detection

Made by `python -m benchmarks.detection_schedules`. The built-in student on one kept set of a scene,
mAP50 on later frames: a street's against the ResNet-101, PETS against people's boxes, the building
site against its reference. Differences are in points, paired by seed, with the 95 % interval of
Student's t. `images` are trained on, `looked at` only passed forward; CPU seconds are of the
training alone. Seeds differ in the order and the variation of the pictures, not in the kept set.
"""


def write_pages(rows: Sequence[Row], folder: Path) -> None:
    """detection_schedules.md and detection_schedules.svg."""
    if not rows:
        return
    groups: dict[tuple[str, int, int, float], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["scene"], row["frames"], row["epochs"], row["share"]].append(row)
    parts = [_INTRODUCTION]
    for (scene, frames, epochs, share), mine in sorted(groups.items()):
        shown = f"{frames} frames, {epochs} epochs, the others at most {share:.0%} of the images"
        parts.append(f"## {scene}: {shown}\n\n{table(mine)}")
    if len({row["scene"] for row in rows}) > 1:
        parts.append(f"## All scenes, paired by scene and seed\n\n{table(rows)}")
    (folder / "detection_schedules.md").write_text("\n".join(parts))
    largest = max(sorted(groups), key=lambda name: len(groups[name]))
    (folder / "detection_schedules.svg").write_text(picture(groups[largest], largest[0]) + "\n")


def table(rows: Sequence[Row]) -> str:
    """One line for each way to train."""
    against = [f"against {base}" for base in BASES]
    keys = ["kind", "runs", "mAP50", "mAP", *against, "share", "images", "looked at", "CPU s"]
    lines = [line(keys), "|" + "---|" * len(keys)]
    full = _mean([row for row in rows if row["kind"] == "standard"], "images")
    for kind in KINDS:
        mine = [row for row in rows if row["kind"] == kind]
        if not mine:
            continue
        images = _mean(mine, "images")
        cells = [
            f"{kind} (the night's default)" if mine[0]["default"] else kind,
            len(mine),
            f"{_mean(mine, 'map50'):.3f}",
            f"{_mean(mine, 'map'):.3f}",
            *(interval(apart(rows, kind, base)) for base in BASES),
            f"{images / full:.0%}" if full else None,
            round(images),
            round(_mean(mine, "looked_at")),
            round(_mean(mine, "train_cpu_s")),
        ]
        lines.append(line(cells))
    return "\n".join(lines) + "\n"


def apart(rows: Sequence[Row], kind: str, base: str) -> list[float]:
    """Points of mAP50 between two ways, where both were run; none between a way and itself."""
    found: dict[str, dict[tuple[object, ...], float]] = defaultdict(dict)
    for row in rows:
        key = tuple(row[name] for name in ("scene", "frames", "epochs", "share", "seed"))
        found[row["kind"]][key] = row["map50"]
    shared = [] if kind == base else sorted(found[kind].keys() & found[base].keys())
    return [100 * (found[kind][key] - found[base][key]) for key in shared]


def _mean(rows: Sequence[Row], key: str) -> float:
    return float(np.mean([row[key] for row in rows])) if rows else 0.0


def picture(rows: Sequence[Row], scene: str) -> Markup:
    """CLIP's Fig. 3 on detection: the training loss, and below it the loss on later frames, against
    the images shown; means over the seeds."""
    curves = {kind: _curve([row for row in rows if row["kind"] == kind]) for kind in SHOWN}
    most = max((curve[-1][0] for curve in curves.values() if curve), default=1.0)
    colours = " ".join(
        f".{kind} {{ stroke: #{c}; stroke-width: 1.8 }}" for kind, c in SHOWN.items()
    )
    parts = [Markup("<style>{}{}</style>").format(Markup(STYLE), Markup(colours))]
    parts.append(svg.legend(16, [(kind, kind) for kind in SHOWN], x=12))
    words = ("training loss of what an epoch saw", f"loss on later frames, {scene}")
    for number, unit in enumerate(words, start=1):
        top = max((point[number] for curve in curves.values() for point in curve), default=1.0)
        box = (44, 56 + 240 * (number - 1), svg.WIDTH - 60, 150)
        panel = svg.Panel(*box, (0, most), (0, 1.05 * top))
        marks = [(value, f"{value:g}") for value in svg.ticks(0, most)]
        parts.append(panel.rows(lambda value: f"{value:g}", unit=unit))
        parts.append(panel.columns(marks, unit="images shown"))
        for kind, curve in curves.items():
            parts.append(svg.path([panel.at(point[0], point[number]) for point in curve], kind))
    drawing = svg.chart("Loss against images shown, by schedule", 56 + 240 + 150 + 46, parts)
    return Markup(str(drawing).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def _curve(rows: Sequence[Row]) -> list[tuple[float, float, float]]:
    """Images shown, training loss and loss on later frames after each epoch, means over seeds."""
    if not rows:
        return []
    keys = ("images", "loss", "held_out")
    stacked = np.array([[[point[key] for key in keys] for point in r["losses"]] for r in rows])
    return [(float(a), float(b), float(c)) for a, b, c in stacked.mean(axis=0)]
