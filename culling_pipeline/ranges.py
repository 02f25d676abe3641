"""The allowed ranges of numbers, each defined once: plans check themselves against them, and
`jobs.config` uses the same types for its settings."""

from __future__ import annotations

from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        message = "must be a number"
        raise ValueError(message)
    return value


Flag = Annotated[bool, Field(strict=True)]
Whole = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
WholeFromZero = Annotated[Whole, Field(ge=0)]
OneOrTwo = Annotated[Whole, Field(ge=1, le=2)]
Real = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
Positive = Annotated[Real, Field(gt=0)]
NotNegative = Annotated[Real, Field(ge=0)]
OneOrMore = Annotated[Real, Field(ge=1)]
Share = Annotated[Real, Field(ge=0, le=1)]
PositiveShare = Annotated[Real, Field(gt=0, le=1)]
InnerShare = Annotated[Real, Field(gt=0, lt=1)]
ShareBelowOne = Annotated[Real, Field(ge=0, lt=1)]
HalfShare = Annotated[Real, Field(ge=0, le=0.5)]
SignedShare = Annotated[Real, Field(ge=-1, le=1)]

RULES = {
    "greater_than": "must be > {gt:g}",
    "greater_than_equal": "must be {ge:g} or more",
    "less_than": "must be < {lt:g}",
    "less_than_equal": "must be {le:g} or less",
    "finite_number": "must be a finite number",
    "literal_error": "must be one of {expected}",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}
"""pydantic's kinds of error in our words."""


def check(plan: DataclassInstance) -> None:
    """Raise a `ValueError` that names the first field whose value is outside its range. A plan
    calls it when it is created, so a wrong plan never reaches a night."""
    for name, adapter in _adapters(type(plan)):
        value = getattr(plan, name)
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            detail = error.errors()[0]
            rule = RULES.get(detail["type"], "").format(**detail.get("ctx", {}))
            inside = "".join(f"[{part}]" for part in detail["loc"] if isinstance(part, int))
            message = f"{name}{inside}: got {detail['input']!r}, {rule or detail['msg']}"
        else:
            continue
        raise ValueError(message)  # outside of the handler: pydantic's words add nothing


@lru_cache
def _adapters(plan: type[DataclassInstance]) -> tuple[tuple[str, TypeAdapter[Any]], ...]:
    hints = get_type_hints(plan, include_extras=True)
    ranged = (f.name for f in fields(plan) if _is_ranged(hints[f.name]))
    return tuple((name, TypeAdapter(hints[name])) for name in ranged)


def _is_ranged(hint: Any) -> bool:
    """Whether the type itself, or one of its parts, has a range or choices."""
    if get_origin(hint) in (Annotated, Literal):
        return True
    return any(_is_ranged(part) for part in get_args(hint))
