"""What students are judged by, and two of them compared by it."""

from __future__ import annotations

from dataclasses import dataclass

from culling_pipeline.records.scores import Score


@dataclass(frozen=True, slots=True)
class Metric:
    """What a student is judged by: the name and the unit of the figure (`unit` is empty for a
    share of 1), and whether more is better. `points` of it make 1: a gain of 0.02 mAP50 is said as
    2 points."""

    name: str
    unit: str = ""
    higher_is_better: bool = True
    points: float = 1.0

    def score(self, value: float) -> Score:
        """A figure of this metric, as a record."""
        return Score(metric=self.name, value=value, higher_is_better=self.higher_is_better)

    @property
    def unit_of_gain(self) -> str:
        """What a gain is counted in: "points of mAP50", "people of MAE"."""
        return f"{self.unit or 'points'} of {self.name}"

    def gain(self, before: float, after: float) -> float:
        """How much better `after` is than `before`; negative if it is worse."""
        return self.score(after).gain_over(self.score(before))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two students on the same frames: the figure of each, the gain of the second, and the 95 %
    interval of the gain. Above 0 is better for every metric.
    """

    before: float
    after: float
    gain: float
    low: float
    high: float
