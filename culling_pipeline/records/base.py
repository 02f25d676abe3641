"""What all records have in common: frozen, strict, and the same after a round trip as JSON."""

from __future__ import annotations

import math
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

_Model = TypeVar("_Model", bound=BaseModel)


def changed(model: _Model, **values: Any) -> _Model:
    """A copy of a frozen model with these fields; they are validated, and so is what they make with
    the others (pydantic's own copy believes anything)."""
    given = {name: value for name, value in model if name in model.model_fields_set}
    return type(model).model_validate({**given, **values})


STORED = {"stored": True}
"""The context in which plain values that were JSON are read back."""


class Record(BaseModel):
    """Base of all records: frozen, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _not_finite(cls, value: Any, info: ValidationInfo) -> Any:
        """A figure that is not finite is null in JSON; it is read as "not a number"."""
        stored = info.mode == "json" or info.context == STORED
        if stored and value is None and cls.model_fields[str(info.field_name)].annotation is float:
            return math.nan
        return value

    def changed(self, **values: Any) -> Self:
        """A copy with these fields, as valid as the original."""
        return changed(self, **values)
