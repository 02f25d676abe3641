"""Strategies that were tried and did not become a part of the program, one file each."""

from __future__ import annotations

from benchmarks.tried.allocated import Allocated
from benchmarks.tried.confident import Confident
from benchmarks.tried.distinct import Distinct
from benchmarks.tried.mixtures import MostlyRandom, MostlyUnsure
from benchmarks.tried.steady import Steady
from culling_pipeline.culling.strategies import Strategy

TRIED: dict[str, Strategy] = {
    "allocated": Allocated(),
    "confident": Confident(),
    "distinct": Distinct(),
    "mostly_random": MostlyRandom(),
    "mostly_unsure": MostlyUnsure(),
    "steady": Steady(),
}
