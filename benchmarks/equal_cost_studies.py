"""Runs of `benchmarks/equal_cost.py` that belong together, the most telling first."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.equal_cost_runs import FULL, LOTTERY, NEW, Run
from benchmarks.fleet import FLEET

DEFAULT = "mixed"
TUNING = [c.name for c in FLEET if c.tuning and c.kind == "street"]
STREETS = [c.name for c in (*FLEET, *NEW) if c.kind == "street"]
COURTS = [c.name for c in FLEET if c.kind == "court"]
TRIED = ("unsure", "allocated", "steady", "confident", "distinct", "mostly_random")
DRAWS = (0, 1)


def pairs(cameras: Sequence[str], budgets: Sequence[float]) -> list[Run]:
    """The default and the lottery of the same total cost, two draws each."""
    return [
        Run(camera, strategy, budget, looks_free=False, seed=seed)
        for seed in DRAWS
        for budget in budgets
        for camera in cameras
        for strategy in (DEFAULT, LOTTERY)
    ]


def rates() -> list[Run]:
    """The learning rate for the kept sets of a hundredth, and a cheaper training step."""
    return [
        Run(camera, DEFAULT, 100.0, looks_free=False, seed=seed, rate=rate, regions=regions)
        for seed, regions in ((0, None), (0, 64), (1, None), (1, 64), (0, 32))
        for rate in (0.0005, 0.001, 0.002)
        for camera in TUNING
    ]


def schedules() -> list[Run]:
    """Other schedules under the same budget: each has the frames that it can pay for."""
    return [
        Run(camera, DEFAULT, 100.0, looks_free=False, seed=seed, epochs=epochs, schedule=schedule)
        for seed in DRAWS
        for schedule, epochs in (
            ("standard", None),
            ("standard", 6),
            ("clip", None),
            ("clip-dap", None),
            ("curriculum", None),
        )
        for camera in TUNING
    ]


def free() -> list[Run]:
    """Looks paid for by something else."""
    return [
        Run(camera, DEFAULT, budget, looks_free=True, seed=seed)
        for seed in DRAWS
        for budget in (100.0, 200.0, 50.0)
        for camera in STREETS
    ]


def full() -> list[Run]:
    """Full training on a whole day."""
    return [
        Run(camera, FULL, 1.0, looks_free=False, seed=seed) for seed in DRAWS for camera in STREETS
    ]


def tried() -> list[Run]:
    """Strategies that are not the default."""
    return [
        Run(camera, strategy, 200.0, looks_free=False, seed=0)
        for strategy in TRIED
        for camera in STREETS
    ]


def lent() -> list[Run]:
    """What a GPU lent for a quarter of an hour is asked for: budgets, second draws, full training
    and the neighbours' strategies on four streets, then the other streets and the courts."""
    four = ["street-21", "street-22", "street-31", "street-32"]
    others = [camera for camera in STREETS if camera not in four]
    whole = [Run(camera, FULL, 1.0, looks_free=False, seed=0) for camera in four]
    looks_free = [Run(camera, DEFAULT, 100.0, looks_free=True, seed=0) for camera in four]
    neighbours = [
        Run(camera, strategy, 100.0, looks_free=False, seed=0)
        for strategy in ("confident", "distinct", "unsure")
        for camera in four
    ]
    first, second = ([run for run in pairs(four, (50.0,)) if run.seed == draw] for draw in DRAWS)
    return [
        *whole, *pairs(four, (100.0,)), *first, *looks_free, *pairs(others, (100.0,)), *second,
        *neighbours, *pairs(COURTS, (100.0,)), *pairs(others, (200.0,)),
    ]  # fmt: skip


STUDIES: dict[str, Callable[[], list[Run]]] = {
    "rates": rates,
    "schedules": schedules,
    "hundredth": lambda: pairs(STREETS, (100.0,)),
    "others": lambda: pairs(STREETS, (200.0, 50.0)),
    "courts": lambda: pairs(COURTS, (100.0, 200.0)),
    "full": full,
    "free": free,
    "tried": tried,
    "lent": lent,
}
