"""The tables that commands print, at any width of the terminal without cutting a name."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

MIN_TEXT = 12
"""A column of plain text is not made narrower than this, or than its longest word."""
GAP = 2
"""Spaces between columns where there is no room for lines."""


class Name(str):
    """A cell that stays in one piece: what a person copies into the next command, such as a
    camera's name, a version, a run id or a path."""

    __slots__ = ()


class Listing:
    """Rows under headings. Where the terminal is too narrow for lines between the columns, they are
    left out; where it is too narrow for columns, each row becomes a block of its own."""

    def __init__(self, *headings: str, title: str | None = None) -> None:
        self.headings, self.title = headings, title
        self.rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """A row; cells that are missing at its end are empty."""
        self.rows.append((*cells, *[""] * (len(self.headings) - len(cells))))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = list(zip(self.headings, *self.rows, strict=True))
        least, most = [_needed(c) for c in columns], [max(map(len, c)) for c in columns]
        inside = options.max_width - (3 * len(columns) + 1)  # without lines
        between = options.max_width - GAP * (len(columns) - 1)  # without spaces
        if sum(least) <= inside:
            table = Table(title=self.title, box=box.HEAVY_HEAD)
            yield self._filled(table, _widths(least, most, inside))
        elif sum(least) <= between:
            table = Table(title=self.title, box=None, padding=(0, GAP, 0, 0), pad_edge=False)
            yield self._filled(table, _widths(least, most, between))
        else:
            for line in self._blocks(options.max_width):
                yield Segment(line)
                yield Segment.line()

    def _filled(self, table: Table, widths: Sequence[int]) -> Table:
        for heading, width in zip(self.headings, widths, strict=True):
            table.add_column(_shown(heading), overflow="fold", width=width)
        for row in self.rows:
            table.add_row(*map(_shown, row))
        return table

    def _blocks(self, width: int) -> Iterator[str]:
        """Each cell in a line or several, after its heading; long words stick out."""
        if self.title is not None:
            yield self.title
        blocks: list[Sequence[tuple[str, ...]]] = [
            list(zip(self.headings, row, strict=True)) for row in self.rows
        ]
        if len(self.headings) == 2 and not self.headings[0]:  # names in the first column
            yield self.headings[1]
            blocks = [self.rows]
        indent = max((len(name) for block in blocks for name, _ in block), default=0) + GAP
        for block in blocks:
            for name, cell in block:
                if cell:
                    yield from _wrapped(cell, f"{name:{indent}}", width)
            yield ""


def _needed(column: Sequence[str]) -> int:
    """The least width in which a column can be read."""
    names = [len(cell) for cell in column if isinstance(cell, Name)]
    longest = max((len(word) for cell in column for word in cell.split()), default=0)
    return max([min(longest, MIN_TEXT), *names])


def _widths(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """As wide as the cells are, or narrower by as much as there is no room for; the widest give
    way first."""
    widths = list(most)
    while sum(widths) > room:
        slack = [width - small for width, small in zip(widths, least, strict=True)]
        able = [place for place, free in enumerate(slack) if free > 0]
        widths[max(able, key=lambda place: widths[place])] -= 1
    return widths


def _shown(cell: str) -> Text:
    return Text(cell, no_wrap=isinstance(cell, Name) or None, overflow="fold")


def _wrapped(cell: str, before: str, width: int) -> list[str]:
    if isinstance(cell, Name):
        return [before + cell]
    return textwrap.wrap(
        cell,
        width,
        initial_indent=before,
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )
