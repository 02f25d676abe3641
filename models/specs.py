"""What a spec stored beside weights may say; a larger number is damage: no net is so large."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from models.errors import WeightsError

MOST_PX, MOST_AREA_PX, MOST_WIDTH = 16_384, 1 << 26, 16.0
"""A width of 1 is the published net."""
KINDS = {"architecture": "a detector, which finds boxes", "net": "a density net, which counts"}
"""What a net is, by the key that only specs of its kind have."""


def is_whole(value: object, most: int = MOST_PX) -> bool:
    """Whether it is a whole number above 0, such as a size in pixels."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= most


def is_width(value: object) -> bool:
    """Whether it is a factor for a net's channels."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= MOST_WIDTH
    )


def check_values(spec: Any, right: Mapping[str, Callable[[Any], bool]], *, source: object) -> None:
    """Raise `WeightsError` where a field of a spec is not `right`, or its area is too large."""
    for key, is_right in right.items():
        if not is_right(getattr(spec, key)):
            why = f"{key}: got {reprlib.repr(getattr(spec, key))}"
            raise unusable(why, source=source)
    if spec.height_px * spec.width_px > MOST_AREA_PX:
        why = f"height_px and width_px: got {spec.height_px} and {spec.width_px}"
        raise unusable(why, source=source)


def check_kind(meta: Mapping[str, Any], own: str, *, source: object) -> None:
    """Raise `WeightsError` for weights of another kind of net than that whose specs have `own`."""
    spec = meta.get("spec")
    if not isinstance(spec, Mapping) or own in spec:
        return
    for key, what in KINDS.items():
        if key in spec:
            message = f"{source}: the weights of {what}, where those of {KINDS[own]} are needed"
            raise WeightsError(message)


def unusable(why: str, *, source: object) -> WeightsError:
    """The error of a description without a usable spec."""
    return WeightsError(
        f"{source}: its description holds no usable 'spec' ({why}); export it again"
    )
