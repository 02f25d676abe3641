"""What a form has sent, read: numbers and lists, and refusals as a page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from culling_pipeline.tasks.boxes.coco_files import DatasetError
from jobs.errors import ConfigError, UsageError, describe
from models.errors import ModelError
from streams.base import StreamError

REFUSED = (UsageError, ConfigError, DatasetError, ModelError, StreamError)
"""What whoever sent a form can put right."""
UNREADABLE = "the form cannot be read: load the page again, then send it"


@contextmanager
def refusing() -> Iterator[None]:
    """A page that says what is wrong, in place of an error of this program's."""
    try:
        yield
    except REFUSED as error:
        raise HTTPException(400, describe(error)) from error


def text_of(form: FormData, name: str) -> str:
    """A field's text; empty where it was not sent."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def number(text: Any) -> float:
    """A number as people write it; 400 for anything else."""
    try:
        return float(str(text).strip().replace(",", "."))
    except ValueError:
        pass
    raise HTTPException(400, f"got {str(text)[:40]!r}, must be a number")


def whole(text: Any) -> int:
    """A whole number, 0 or more; 400 for anything else."""
    digits = str(text)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 9):
        raise HTTPException(400, f"got {digits[:40]!r}, must be a whole number")
    return int(digits)


def rows_of_json(text: str) -> list[Any]:
    """A list that a script of ours has sent; 400 for anything else."""
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise HTTPException(400, UNREADABLE)
    return rows
