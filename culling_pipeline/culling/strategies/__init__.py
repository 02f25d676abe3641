"""The strategies, one file each: which frames of the day to keep.

To add one, write a class as in `base.py` in a file of its own, with the words that reports use of
it, and name it in `STRATEGIES` and in `culling.strategy` (`jobs/config/night.py`).
"""

from __future__ import annotations

from culling_pipeline.culling.strategies.base import Strategy, StrategyWords
from culling_pipeline.culling.strategies.confidence_only import ConfidenceOnly
from culling_pipeline.culling.strategies.coverage import Coverage
from culling_pipeline.culling.strategies.mixed import Mixed
from culling_pipeline.culling.strategies.paper import Paper
from culling_pipeline.culling.strategies.random import Random
from culling_pipeline.culling.strategies.strata import Strata
from culling_pipeline.culling.strategies.uniform import Uniform
from culling_pipeline.culling.strategies.unsure import Unsure

__all__ = ["RANDOM", "STRATEGIES", "Strategy", "StrategyWords", "Uniform"]

RANDOM = "random"
"""The strategy of a night whose student is not believed."""

STRATEGIES: dict[str, Strategy] = {
    "mixed": Mixed(),
    "unsure": Unsure(),
    "strata": Strata(),
    "coverage": Coverage(),
    "paper": Paper(),
    "confidence_only": ConfidenceOnly(),
    "random": Random(),
    "uniform": Uniform(),
}
"""All strategies by the name they have in the configuration; the first is the default."""
