"""What a night costs, and what training on everything would have cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from culling_pipeline.records.costs import Cost, mean_seconds


@dataclass(frozen=True, slots=True)
class Price:
    """Seconds of detector work: of the night, and of full training on the same day. Reading and
    decoding is in neither."""

    night_s: float
    full_s: float

    @property
    def ratio(self) -> float:
        """How many times more training on everything would have cost."""
        return self.full_s / self.night_s if self.night_s else 0.0


def price(costs: Sequence[Cost], *, frames_seen: int, shown: float) -> Price:
    """The night's price against full training's, as in Dataset Culling, Table 1.

    Full training has the teacher label every frame and shows each `shown` times, at the seconds
    per image measured this night; control slice and judging it needs as well. What the comparison
    with random frames costs is in neither, nor what watching a live camera costs.
    """
    paid = [
        c for c in costs if c.purpose not in ("comparison", "watching") and c.activity != "read"
    ]
    night = sum(c.seconds for c in paid)
    teacher = mean_seconds(paid, "label")
    training = mean_seconds(paid, "train")
    measuring = sum(c.seconds for c in paid if c.purpose == "control")
    return Price(night, frames_seen * (teacher + shown * training) + measuring)


def seconds_by_stage(costs: Iterable[Cost]) -> dict[str, float]:
    """What each stage took, by its name; a stage can have several lines."""
    found: dict[str, float] = {}
    for cost in costs:
        found[cost.stage] = found.get(cost.stage, 0.0) + cost.seconds
    return found
