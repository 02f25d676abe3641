"""What `culling export` writes into its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from models.boxes.families.base import Settings


def own_settings(about: Mapping[str, str]) -> Settings | None:
    """The options that a file of `culling export` names; None for any other."""
    if "code_version" not in about or "pixel_range" not in about:
        return None
    try:
        names: Any = json.loads(about["class_names"])
    except (KeyError, ValueError, RecursionError):
        return None
    return {
        "class_names": tuple(str(name) for name in names),
        "channel_order": "rgb",
        "mean": (0.0, 0.0, 0.0),
        "scale": (1.0, 1.0, 1.0),
        "keep_aspect": False,
        "label_offset": 0,
    }
