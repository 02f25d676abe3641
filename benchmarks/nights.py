"""Thirty simulated nights of eight cameras: does each run exactly once?

    python -m benchmarks.nights

The real scheduler, store and service (`jobs.service.nights`) with a clock that is set by hand; the
nights themselves take no time and train nothing. Within the thirty days lie a change of clocks, a
50-hour outage, a restart, one in the middle of a night, and at last two services on one database.
Results: benchmarks/results/nights.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import time_machine

from benchmarks.testbed.nights import Quick, config_of, service_of
from jobs.database.store import Store
from jobs.executors.base import Outcome

RESULTS = Path(__file__).parent / "results"
BERLIN = ZoneInfo("Europe/Berlin")
OUTAGE = timedelta(hours=50)


class Slow(Quick):
    """The same; its nights take until it is asked twice."""

    def finished(self) -> list[Outcome]:
        self.ends = not self.ends
        return super().finished()


def simulate(
    open_store: Callable[[], Store], start: str, *, nights: int, cameras: int, step_s: float
) -> dict[str, Any]:
    """`nights` days from noon of `start`; what ran, beside what should have."""
    first = datetime.fromisoformat(start).replace(hour=12, tzinfo=BERLIN)
    names = tuple(f"camera-{k}" for k in range(cameras))
    at = {k: first + nights * timedelta(days=1) * k / 10 for k in (2, 5, 7, 8)}
    # In UTC: with another zone, time_machine would put the whole process into it.
    with time_machine.travel(first.astimezone(UTC), tick=False) as clock, open_store() as store:
        config = config_of(store.data_dir, names)
        services = [service_of(config, store, Slow(store))]
        while datetime.now(UTC) < first + timedelta(days=nights):
            clock.shift(step_s)
            for k, moment in list(at.items()):
                if datetime.now(UTC) >= moment and (k != 5 or services[0].running):
                    del at[k]
                    for service in services:
                        service.stop()
                    if k == 2:
                        clock.shift(OUTAGE)
                    count = 2 if k == 8 else 1
                    services = [service_of(config, store, Slow(store)) for _ in range(count)]
            for service in services:
                service.tick()
        for _ in range(4 * cameras):
            for service in services:
                service.tick()
        dues, ran = store.dues.all(), store.nights()
    days = Counter((due.camera, due.due_at.astimezone(BERLIN).date()) for due in dues)
    return {
        "start": start,
        "days": nights,
        "cameras": cameras,
        "expected": cameras * (nights - 1),  # of the two nights of the outage one is made up
        "camera_nights": len(ran),
        "made_twice": sum(count - 1 for count in days.values()),
        "not_made": sum(due.state != "done" for due in dues),
        "nights_without_due": len({n.id for n in ran} ^ {due.night_id for due in dues}),
        "restarts": 4 - len(at),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    rows = []
    for start in ("2026-10-10", "2027-03-12"):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(
                simulate(partial(Store, Path(folder)), start, nights=30, cameras=8, step_s=450)
            )
        print(json.dumps(rows[-1]), flush=True)
    (RESULTS / "nights.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
