"""Other shares of random frames than one half."""

from __future__ import annotations

from dataclasses import dataclass

from culling_pipeline.culling.strategies.mixed import Mixed


@dataclass(frozen=True, slots=True)
class MostlyRandom(Mixed):
    """Three quarters drawn at random."""

    random_share: float = 0.75


@dataclass(frozen=True, slots=True)
class MostlyUnsure(Mixed):
    """One quarter drawn at random."""

    random_share: float = 0.25
