"""Figures of a student: what it is judged by, and further ones."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from culling_pipeline.records.base import Record


class Score(Record):
    """One figure of a student: the metric's name, its value, and the interval that it lies in at
    95 % (None where it was not asked for or nothing is known)."""

    metric: str
    value: float
    interval: tuple[float, float] | None = None
    higher_is_better: bool = True

    def is_better_than(self, other: Score) -> bool:
        """Whether this figure is better than another one of the same metric."""
        return self.value > other.value if self.higher_is_better else self.value < other.value

    def gain_over(self, other: Score) -> float:
        """How much better this figure is than another one of the same metric; negative if worse."""
        return self.value - other.value if self.higher_is_better else other.value - self.value

    def reaches(self, least: float) -> bool:
        """Whether this figure is as good as this one, or better."""
        return self.value >= least if self.higher_is_better else self.value <= least


class Accuracy(Record):
    """A student's figures on F frames: `score` is what it is judged by, `further` are others;
    `per_class` is the score's value by class name (None where the truth holds none of it). With no
    `objects` in the truth nothing was measured."""

    score: Score
    further: tuple[Score, ...] = ()
    per_class: dict[str, float | None]
    frames: int
    objects: int

    @model_validator(mode="before")
    @classmethod
    def _of_0_1(cls, stored: Any) -> Any:
        """Before 0.2 an accuracy was of boxes: `map50` and `map`."""
        if not isinstance(stored, dict) or "map50" not in stored:
            return stored
        rest = {key: value for key, value in stored.items() if key not in ("map50", "map")}
        score = {"metric": "mAP50", "value": stored["map50"]}
        further = [{"metric": "mAP", "value": stored["map"]}] if "map" in stored else []
        return {**rest, "score": score, "further": further}
