"""The kinds of value a setting can have, and the base of all sections of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        message = "must be a number"
        raise ValueError(message)
    return value


def _names_by_class(value: object) -> object:
    """`[person]` and `{vehicle: car}` both become class → tuple of the detector's names."""
    if isinstance(value, str) or not isinstance(value, list | tuple | Mapping):
        message = "must be a list of names, or a mapping from name to the detector's names"
        raise ValueError(message)
    if isinstance(value, Mapping):
        return {k: [v] if isinstance(v, str) else v for k, v in value.items()}
    if len(set(map(str, value))) < len(value):
        message = "must not hold a name twice"
        raise ValueError(message)
    odd = [name for name in value if not isinstance(name, str)]
    if odd:
        message = f"must hold names only: put {str(odd[0]).lower()} in quotes"
        raise ValueError(message)
    return {name: [name] for name in value}


Text = Annotated[str, Field(min_length=1)]
Whole = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Real = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
Share = Annotated[Real, Field(ge=0, le=1)]
PositiveShare = Annotated[Real, Field(gt=0, le=1)]
Positive = Annotated[Real, Field(gt=0)]
Polygons = tuple[Annotated[tuple[tuple[Share, Share], ...], Field(min_length=3)], ...]
"""Corners as shares of the picture's width and height, from the top left."""
Classes = Annotated[dict[str, tuple[str, ...]], BeforeValidator(_names_by_class)]


class Section(BaseModel):
    """Base of all sections: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
