"""Numbers in words: the formats the report uses for figures, counts and durations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

from culling_pipeline.records.scores import Score

NOTHING = "–"
"""Stands where there is no figure: no such object in the truth, or a mean over nothing."""


def figure(value: float | None, digits: int = 2) -> str:
    """`value` with `digits` decimals and a true minus sign; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def signed(value: float | None, digits: int = 2) -> str:
    """As `figure`, with a plus sign before what is greater than zero."""
    text = figure(value, digits)
    is_positive = value is not None and text != NOTHING and value > 0 and text.strip("0.") != ""
    return f"+{text}" if is_positive else text


def kind_of(score: Score) -> str:
    """What kind of figure it is, for an axis: "accuracy (mAP50)", "error (MAE)"."""
    return f"{'accuracy' if score.higher_is_better else 'error'} ({score.metric})"


def decimals(old: float, new: float) -> int:
    """Decimals to compare two figures with: a third where two would hide their difference."""
    return 2 if old == new or figure(old) != figure(new) else 3


def pair(old: float, new: float) -> tuple[str, str]:
    """Two figures to compare, with as many decimals as that takes."""
    digits = decimals(old, new)
    return figure(old, digits), figure(new, digits)


def count(value: int, noun: str = "", plural: str = "") -> str:
    """`value` with thousands separated and, if given, its noun: "1 frame", "86,400 frames"."""
    text = f"{value:,}"
    if not noun:
        return text
    return f"{text} {noun if value == 1 else plural or noun + 's'}"


def size(count: int) -> str:
    """Bytes as what they are about: "64 kB", "420 MB", "1.2 GB"."""
    if count >= 1e9:
        return f"{count / 1e9:.2g} GB"
    return f"{max(1, round(count / 1e3))} kB" if count < 1e6 else f"{count / 1e6:.0f} MB"


def by_class(labels: Iterable[int], names: Sequence[str]) -> str:
    """How many of each class ("2 NAME, 1 OTHER"); a class without a name is passed over."""
    known = Counter(names[label] for label in labels if label < len(names))
    return ", ".join(f"{number} {name}" for name, number in known.items())


def percent(share: float | None) -> str:
    """A share of 1 in per cent, with a decimal below ten per cent."""
    if share is None or not math.isfinite(share):
        return NOTHING
    value = 100 * share
    return f"{figure(value, 0 if value >= 9.95 or value == 0 else 1)} %"


def duration(seconds: float) -> str:
    """Two units are enough: "0.8 s", "48 s", "12 min 5 s", "30 h 20 min", "2 d 4 h"."""
    if not math.isfinite(seconds):
        return NOTHING
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    for least, size, unit, smaller, small_unit in (
        (172_800, 86_400, "d", 3_600, "h"),
        (3_600, 3_600, "h", 60, "min"),
        (60, 60, "min", 1, "s"),
    ):
        if whole >= least:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {small_unit}" if rest else "")
    return f"{whole} s"


def short_seconds(seconds: float) -> str:
    """Seconds an image took, in the unit that reads best: "0.41 ms", "35 ms", "1.20 s"."""
    if not math.isfinite(seconds) or seconds <= 0:
        return NOTHING
    if seconds >= 1:
        return f"{figure(seconds)} s"
    value = 1_000 * seconds
    return f"{figure(value, 0 if value >= 9.95 else 2)} ms"


def times(ratio: float) -> str:
    """How many times: a decimal below ten, none above."""
    return figure(ratio, 1 if abs(ratio) < 9.95 else 0).removesuffix(".0")
