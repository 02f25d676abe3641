"""What a message shows of a value or a key of a configuration: little, and never a secret."""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import BaseModel

from jobs.errors import redact
from streams.secret_words import looks_random

LONGEST = 60
LONGEST_READ = 2000
"""Characters; of what is longer nothing is shown. What is shorter is read whole before it is cut,
or a password loses the @ that tells it."""
MOST_ITEMS = 20

LEAST_RANDOM = 8
_KEY = re.compile(r"[\w ./:-]{1,60}")

KNOWN_SCHEMES = frozenset({"rtsp", "rtsps", "rtmp", "http", "https", "file", "s3", "synthetic"})
"""What `redact` understands; of other addresses (tgram://TOKEN/…), all may be secret."""
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,40}):/+[^\s'\"]+")


def shown_value(value: object, *, is_secret: bool = False) -> str:
    """A value in a few words; only its kind if it may be a secret."""
    if value is None:
        return "nothing"
    kind = _kind(value)
    if is_secret and value not in ("", [], {}):
        return f"{kind} (not shown)"
    if isinstance(value, list | tuple):
        plain = len(value) <= MOST_ITEMS and not any(_holds_more(item) for item in value)
        return _cut("[" + ", ".join(map(_scalar, value)) + "]") if plain else kind
    return kind if _holds_more(value) else _scalar(value)


def shown_key(key: object) -> str:
    """A key as it stands in the file, unless it looks like something that got there by mistake."""
    if not isinstance(key, str):
        return str(key) if isinstance(key, bool) else shown_value(key)
    if _KEY.fullmatch(key) and not looks_random(key, least=LEAST_RANDOM):
        return _plain(key)
    return "(a key that is not shown)"


def can_be_secret(model: type[BaseModel], loc: Sequence[str | int]) -> bool:
    """Whether what stands at this place of the configuration, or in it, may be a secret: a field
    without `repr`, or a section that has one."""
    section: type[BaseModel] | None = model
    for part in loc:
        field = None if section is None else section.model_fields.get(str(part))
        if field is None:
            return False
        if not field.repr:
            return True
        section = section_of(field.annotation)
    return section is not None and _holds_secrets(section)


def section_of(annotation: object) -> type[BaseModel] | None:
    """The section that a field of this type is; None for a plain value."""
    choices = (annotation, *typing.get_args(annotation))
    return next((c for c in choices if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _holds_secrets(section: type[BaseModel]) -> bool:
    return any(not field.repr for field in section.model_fields.values())


def _kind(value: object) -> str:
    if isinstance(value, str):
        return "text"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return "a number" if is_number else "a value"


def _holds_more(value: object) -> bool:
    return isinstance(value, Mapping | list | tuple | set | bytes)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        long = f"text of {len(value)} characters"
        return _cut(_plain(repr(value))) if len(value) <= LONGEST_READ else long
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}"
    if isinstance(value, int) and value.bit_length() > 200:
        return "a very large number"
    return _cut(str(value) if isinstance(value, date) else redact(repr(value)))


def _plain(text: str) -> str:
    return redact(_ADDRESS.sub(_hide_unknown, text))


def _hide_unknown(found: re.Match[str]) -> str:
    return found[0] if found[1].lower() in KNOWN_SCHEMES else f"{found[1]}://***"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "…"
