"""A whole day of 86,400 frames under sparse looks: who is looked at, and what deciding costs.

    python -m benchmarks.sparse_looks --looks 3000 --seeds 21 31

Renders a street's day at a frame a second and lets `culling_pipeline/gate/sparse.py` decide. A
*visit* is one person, car or bicycle crossing the street; it is found if there is a look while it
lasts. Beside the share of visits found stands what blind looks alone promise: a visit's length over
the time between two of them. Writes benchmarks/results/sparse_looks.json and a table.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from benchmarks.book import markdown
from benchmarks.fleet import TASK
from culling_pipeline.gate.sparse import SparseLooks, SparsePlan
from streams.base import DAY_S
from streams.synthetic.source import WORLDS
from streams.synthetic.street import traffic
from streams.synthetic.street.scene import Scene

RESULTS = Path(__file__).parent / "results"
WIDTH_PX, HEIGHT_PX = 160, 96
SHORT_S = 30.0


@dataclass(frozen=True, slots=True)
class Visit:
    """One crossing of the street."""

    kind: str
    begin_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it lasts."""
        return self.end_s - self.begin_s


def visits(scene: Scene) -> Iterator[Visit]:
    """All crossings of the first day."""
    for index, way in enumerate(scene.tracks):
        for minute in range(int(DAY_S // 60)):
            for arrival in traffic._arrivals(scene.seed, index, way, minute):
                end_s = arrival.time_s + way.length_m / arrival.speed_m_s
                yield Visit(way.kind, arrival.time_s, end_s)


def day_of_looks(seed: int, looks: int, frames: int) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """The moments that were looked at, and what deciding cost."""
    renderer = WORLDS["street"](seed, WIDTH_PX, HEIGHT_PX)
    sparse = SparseLooks(
        SparsePlan(frames=frames, looks=looks), TASK, np.random.default_rng([seed, 22])
    )
    moments, spent_s = [], 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in track(range(frames), f"street {seed}"):
        at_s = (number + 0.5) * DAY_S / frames
        picture, _ = renderer.render(at_s)
        began = time.process_time()
        if sparse.decide(picture, at_s).score:
            moments.append(at_s)
        spent_s += time.process_time() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    record = sparse.record
    return np.array(moments), {
        "looks": record.scored,
        "blind": record.blind,
        "decide_ms_a_frame": 1000 * spent_s / frames,
        "memory_mib": grown / 1024,
    }


def run(seed: int, looks: int, frames: int) -> dict[str, Any]:
    """One day's row."""
    scene = WORLDS["street"](seed, WIDTH_PX, HEIGHT_PX).scene
    moments, cost = day_of_looks(seed, looks, frames)
    short = [v for v in visits(scene) if v.length_s < SHORT_S and v.end_s < DAY_S]
    between_s = DAY_S / cost["blind"]
    found = [_is_seen(v, moments) for v in short]
    by_hour = np.histogram(moments, bins=24, range=(0, DAY_S))[0]
    return {
        "street": seed,
        "frames": frames,
        **cost,
        "visits": len(short),
        "length_s": float(np.mean([v.length_s for v in short])),
        "promised": float(np.mean([min(1.0, v.length_s / between_s) for v in short])),
        "found": float(np.mean(found)),
        "found_at_night": float(np.mean([f for f, v in zip(found, short, strict=True)
                                         if v.begin_s % DAY_S < 6 * 3600])),
        "fewest_looks_an_hour": int(by_hour.min()),
    }  # fmt: skip


def _is_seen(visit: Visit, moments: NDArray[np.float64]) -> bool:
    first = bisect_left(moments.tolist(), visit.begin_s)
    return first < len(moments) and bool(moments[first] <= visit.end_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--looks", type=int, default=3000)
    parser.add_argument("--frames", type=int, default=86_400)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 31])
    args = parser.parse_args()
    rows = [run(seed, args.looks, args.frames) for seed in args.seeds]
    (RESULTS / "sparse_looks.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "sparse_looks.md").write_text(markdown(rows, number=".3g"))
    print(markdown(rows, number=".3g"))


if __name__ == "__main__":
    main()
