"""What the benchmarks share: a results file that a cut-off benchmark goes on from, and tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]


class Book:
    """The finished runs in a JSON file (a list of rows), each named by the values of `keys`."""

    def __init__(self, path: Path, keys: Sequence[str]) -> None:
        self._path, self._keys = path, tuple(keys)
        stored = json.loads(path.read_text()) if path.exists() else []
        self._rows: dict[tuple[object, ...], Row] = {self._name(row): row for row in stored}

    @property
    def rows(self) -> list[Row]:
        """All of them, in the order of their names."""
        return [self._rows[name] for name in sorted(self._rows, key=repr)]

    def has(self, **named: object) -> bool:
        """Whether this run is finished."""
        return self._name(named) in self._rows

    def add(self, row: Row) -> None:
        """Note a finished run; on disk when this returns."""
        self._rows[self._name(row)] = row
        aside = self._path.with_suffix(".tmp")
        aside.write_text(json.dumps(self.rows, indent=1, default=_plain) + "\n")
        os.replace(aside, self._path)

    def _name(self, row: Row) -> tuple[object, ...]:
        return tuple(row[key] for key in self._keys)


def _plain(value: Any) -> Any:
    """A NumPy number as JSON has it: hours of work must not be lost by the type of one figure."""
    if isinstance(value, np.generic):
        return value.item()
    message = f"{type(value).__name__} has no place in a row"
    raise TypeError(message)


def markdown(rows: Sequence[Row], *, number: str = ".3f") -> str:
    """Rows as a table: a column for each key, floats by this format, what is missing as a dash."""
    keys = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    lines += [line([row.get(key) for key in keys], number=number) for row in rows]
    return "\n".join(lines) + "\n"


def line(cells: Iterable[object], *, number: str = ".3g") -> str:
    """One line of a table."""
    shown = [
        f"{c:{number}}" if isinstance(c, float) else "–" if c is None else str(c) for c in cells
    ]
    return "| " + " | ".join(shown) + " |"
