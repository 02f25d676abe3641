"""The kinds of value a setting can have, and the base of all sections of the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from culling_pipeline.ranges import Share


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
Polygons = tuple[Annotated[tuple[tuple[Share, Share], ...], Field(min_length=3)], ...]
"""Corners as shares of the picture's width and height, from the top left."""
Classes = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(_names_by_class, json_schema_input_type=list[str] | dict[str, str | list[str]]),
]

NO_UNIT = ""
"""The unit of a number that has none, such as a share or a score."""


def setting(
    default: Any,
    sentence: str,
    *,
    unit: str | None = None,
    more: str = "",
    example: Any = None,
) -> Any:
    """A key of config.yaml: its description and its default; its type is its range.

    The `sentence` stands as a comment in config.yaml; docs/reference/config.md and an editor's
    help add `more` (Markdown, links from that document). A number needs a `unit` (or `NO_UNIT`).
    An optional section's keys show an `example` where they have no useful default. Afterwards
    `make config-docs` generates all of them.
    """
    return Field(
        default,
        description=sentence,
        examples=None if example is None else [example],
        json_schema_extra={"unit": unit, "more": more},
    )


class Section(BaseModel):
    """Base of all sections: frozen, and unknown keys are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def changed(self, **values: Any) -> Self:
        """A copy with these values, checked as if it had been read from a file. References to
        passwords are not resolved again. Keys that were not set stay unset."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        return self.model_validate(given | values, context={"as_written": True})


def texts_of(section: type[Section], key: str) -> tuple[str, str | None, str]:
    """Sentence, unit and further explanation of a key."""
    field = section.model_fields[key]
    extra = field.json_schema_extra
    said: Mapping[str, Any] = extra if isinstance(extra, Mapping) else {}
    return field.description or "", said.get("unit"), said.get("more", "")


def examples_of(section: type[Section], key: str) -> Sequence[Any]:
    """The value that an optional section's commented lines show for a key."""
    return section.model_fields[key].examples or ()
