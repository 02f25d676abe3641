"""Drawing SVG by hand: escaped elements, a panel with axes, and ticks at round numbers.

Colours come from the page's style sheet by class name, so that one drawing serves light, dark and
paper. Lengths are in the drawing's own units, about one CSS pixel on a desktop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Point = tuple[float, float]

WIDTH = 460.0
"""Width of every chart: small enough that its text is still legible on a phone."""

_TIME_STEPS_S = (60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600, 43_200, 86_400)


def tag(name: str, *inside: str, **attributes: object) -> Markup:
    """An element; text and attribute values are escaped, `class_` and `stroke_width` lose or
    change their underscore, and numbers get one decimal."""
    opening = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"),
            f"{value:.1f}" if isinstance(value, float) else value,
        )
        for key, value in attributes.items()
    )
    if not inside:
        return Markup("<{}{}/>").format(Markup(name), opening)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), opening, Markup("").join(inside))


def chart(label: str, height: float, parts: Iterable[Markup]) -> Markup:
    """A whole drawing; `label` says to a screen reader what the eye would see."""
    box = f"0 0 {WIDTH:.0f} {height:.0f}"
    return tag("svg", *parts, class_="chart", viewBox=box, role="img", aria_label=label)


def image(href: str, size: tuple[int, int], **attributes: object) -> Markup:
    """A picture of this width and height in pixels, which it fills."""
    width, height = size
    return tag(
        "image", href=href, width=width, height=height, preserveAspectRatio="none", **attributes
    )


def picture(shown: Markup, over: Sequence[Markup], size: tuple[int, int], label: str) -> Markup:
    """A whole drawing of `image` (or of a `use` of one) and what lies over it, in its pixels."""
    box = f"0 0 {size[0]} {size[1]}"
    return tag("svg", shown, *over, viewBox=box, role="img", aria_label=label)


def text(x: float, y: float, words: str, **attributes: object) -> Markup:
    """Words at a point; `anchor` may be start (default), middle or end."""
    anchor = attributes.pop("anchor", "start")
    return tag("text", words, x=x, y=y, text_anchor=anchor, **attributes)


def line(start: Point, end: Point, class_: str) -> Markup:
    """A straight line."""
    return tag("line", x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def rect(corner: Point, size: Point, class_: str, *, hint: str = "") -> Markup:
    """A rectangle from its upper left corner, with `hint` shown to a resting mouse."""
    inside = (tag("title", hint),) if hint else ()
    width, height = max(size[0], 0.0), max(size[1], 0.0)
    return tag("rect", *inside, x=corner[0], y=corner[1], width=width, height=height, class_=class_)


def dot(at: Point, class_: str, *, hint: str = "", radius: float = 3.5) -> Markup:
    """A round mark, with `hint` shown to a resting mouse."""
    inside = (tag("title", hint),) if hint else ()
    return tag("circle", *inside, cx=at[0], cy=at[1], r=radius, class_=class_)


def path(points: Sequence[Point], class_: str) -> Markup:
    """Points joined by straight lines; nothing for fewer than two."""
    if len(points) < 2:
        return Markup("")
    steps = " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}", class_=class_)


def legend(y: float, entries: Sequence[tuple[str, str]], *, x: float) -> Markup:
    """A row of (class of the mark, words) from x onwards."""
    parts = []
    for class_, words in entries:
        parts += [line((x, y - 4), (x + 18, y - 4), class_), text(x + 24, y, words)]
        x += 24 + 7.2 * len(words) + 16
    return Markup("").join(parts)


@dataclass(frozen=True, slots=True)
class Panel:
    """A rectangle of paper with a data range: `x` and `y` are (low, high) in data units.

    Low may exceed high, for an axis that runs the other way; a range of no width is widened.
    """

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> Point:
        """Where a data point lies on the paper."""
        return (
            self.left + self.width * _share(x, self.x),
            self.top + self.height * (1 - _share(y, self.y)),
        )

    @property
    def bottom(self) -> float:
        """The lower edge on the paper."""
        return self.top + self.height

    def rows(self, form: Callable[[float], str], *, unit: str, most: int = 4) -> Markup:
        """Horizontal grid lines with figures, and the unit above them."""
        right = self.left + self.width
        parts = [text(self.left, self.top - 10, unit, class_="unit")]
        for value in ticks(*self.y, most=most):
            y = self.at(self.x[0], value)[1]
            parts.append(line((self.left, y), (right, y), "grid"))
            parts.append(text(self.left - 7, y + 4, form(value), anchor="end"))
        return Markup("").join(parts)

    def columns(self, marks: Iterable[tuple[float, str]], *, unit: str) -> Markup:
        """Figures under the lower edge at (value, words), and the unit below them."""
        end = (self.left + self.width, self.bottom)
        parts = [line((self.left, self.bottom), end, "axis")]
        for value, words in marks:
            x = self.at(value, self.y[0])[0]
            parts.append(line((x, self.bottom), (x, self.bottom + 4), "axis"))
            parts.append(text(x, self.bottom + 18, words, anchor="middle"))
        middle = self.left + self.width / 2
        parts.append(text(middle, self.bottom + 37, unit, anchor="middle", class_="unit"))
        return Markup("").join(parts)


def _share(value: float, span: tuple[float, float]) -> float:
    low, high = span
    return (value - low) / (high - low) if high != low else 0.5


def ticks(low: float, high: float, *, most: int = 5, whole: bool = False) -> list[float]:
    """At most about `most` round numbers within low…high; `whole` allows whole numbers only."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= raw * 0.999)
    if whole:
        step = max(1.0, math.ceil(step))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def time_ticks(low_s: float, high_s: float, *, most: int = 6) -> list[float]:
    """Round times of day (UTC) within two moments given in seconds since 1970."""
    step = next((s for s in _TIME_STEPS_S if (high_s - low_s) / s <= most), 86_400)
    first, last = math.ceil(low_s / step), math.floor(high_s / step)
    return [float(index * step) for index in range(first, last + 1)] or [low_s]


def spread(
    marks: Sequence[tuple[float, str]], place: Callable[[float], float]
) -> list[tuple[float, str]]:
    """Those (value, words) whose words fit beside each other, first come first served."""
    kept: list[tuple[float, str]] = []
    for value, words in marks:
        if all(abs(place(value) - place(other)) >= 38 for other, _ in kept):
            kept.append((value, words))
    return kept
