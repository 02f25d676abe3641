"""The `count:` section: cameras whose student answers with a density map and a count."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from culling_pipeline.ranges import Positive, PositiveShare
from jobs.config.fields import NO_UNIT, Section, Text, setting

NETS = ("mcnn", "csrnet", "csrnet_lite")
"""The nets by name, as in `models.density.nets.NETS`, which needs torch."""
_SUFFIXES = (".safetensors", "")


class CountSettings(Section):
    """How people or things are counted that stand too close for boxes; for `task: count` only."""

    what: Text | None = setting(
        None,
        "what is counted, such as person; null: the camera's only class",
        more="It need not be named under `classes` as well; there it can be mapped to what the "
        "teacher calls it, such as `animal: [cow, sheep]`.",
    )
    student: Text = setting(
        "csrnet_lite",
        "mcnn, csrnet, csrnet_lite (random weights), builtin:…, or a path to a counting student",
        more="A path to `.safetensors` (with its `.json`) or to a version's folder. A net by name "
        "knows nobody before its first night, which then takes frames evenly in time.",
    )
    width: Annotated[Positive, Field(le=4)] = setting(
        0.25,
        "channels, as a share of the published net's; for a net by name",
        unit=NO_UNIT,
    )
    teacher: Text | None = setting(
        None,
        "a larger counting net, builtin:… or a path; null: the boxes of `teacher` are counted",
        more="With a box detector the middle of each box of the class is a point. "
        "`builtin:plaza-teacher` knows drawn squares only.",
    )
    sigma_share: Annotated[PositiveShare, Field(le=0.2)] = setting(
        0.0125,
        "σ of the Gaussian around each point, as a share of the picture's longer side",
        unit=NO_UNIT,
        more="About half a head, or a quarter of an animal's length. The same everywhere in the "
        "picture.",
    )

    @property
    def is_net(self) -> bool:
        """Whether the student is a net by name, which starts from random weights."""
        return self.student in NETS

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for key, weights in (("student", self.student), ("teacher", self.teacher)):
            if weights is None or (key == "student" and self.is_net):
                continue
            if not weights.startswith("builtin:") and Path(weights).suffix not in _SUFFIXES:
                by_name = f"{', '.join(NETS)}, " if key == "student" else ""
                message = (
                    f"{key}: got {weights!r}, must be {by_name}builtin:… or a path to "
                    ".safetensors or a version's folder of a counting net"
                )
                raise ValueError(message)
        return self
