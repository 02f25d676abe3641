"""What the change gate's lessons of one day are worth on the next.

    python -m benchmarks.gate_days --seed 21 --hour 20 --seconds 3600 --days 1 0

The same hours of two days of a synthetic street, one frame a second, each scored by the built-in
student. The gate goes through the second day twice: knowing nothing, and with the lessons of the
first day, read back from disk. Then the same with the two halves of the first day, as after a
restart. Recall is counted on all frames, skipped or not.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.fleet import CACHE, HEIGHT_PX, STUDENT, TASK, WIDTH_PX
from culling_pipeline.gate.gate import Gate
from culling_pipeline.gate.memory import GateMemory, load_memory, save_memory
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from jobs.config.night import GateSettings
from models.boxes.detections import Detections
from models.boxes.student import load_detector
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

PLAN = GateSettings(enabled=True).to_plan()
DAY_S = 86_400
LAG = 128
Pictures = NDArray[np.uint8]


def watched(path: Path, seed: int, times_s: Sequence[int]) -> tuple[Pictures, list[Detections]]:
    """The street at these seconds, N×H×W×3 uint8 RGB, and what the student finds; kept on disk."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        renderer = StreetRenderer(make_scene(seed, width_px=WIDTH_PX, height_px=HEIGHT_PX))
        student, found, images = load_detector(STUDENT), list[Detections](), []
        for k in range(0, len(times_s), 8):
            images += [renderer.render(float(t))[0] for t in times_s[k : k + 8]]
            found += student.predict(images[k : k + 8])
        save_detections(path.with_suffix(".found.npz"), dict(enumerate(found)))
        np.save(path, np.array(images))
    found_by_id = load_detections(path.with_suffix(".found.npz"))
    return np.load(path), [found_by_id[i] for i in range(len(times_s))]


def replay(
    gate: Gate, pictures: Pictures, found: list[Detections], times_s: Sequence[int]
) -> dict[str, float]:
    """The gate over one day, learning as late as in `culling ingest`."""
    last, waiting, objects, lost = Detections.empty(), [], 0, 0
    first_skip = -1
    for number, (picture, own, at_s) in enumerate(zip(pictures, found, times_s, strict=True)):
        while waiting and waiting[0][0] <= number - LAG:
            gate.learn(*waiting.pop(0)[1:])
        if number % 16 == 0:
            gate.update()
        decision = gate.decide(picture, float(at_s))
        gate.count(decision)
        if decision.score:
            waiting.append((number, decision, own, last, float(at_s)))
            last = own
        elif first_skip < 0:
            first_skip = number
        objects += any(TASK.is_busy(d) for d in (own, last))
        lost += TASK.differ(own, last)
    for lesson in waiting:
        gate.learn(*lesson[1:])
    return {
        "frames": len(found),
        "object_frames": objects,
        "skipped": gate.tally.skipped / len(found),
        "first_skipped": first_skip,
        "threshold": gate.threshold,
        "recall": 1 - lost / max(objects, 1),
        "estimated_recall": gate.tally.recall,
    }


def new_gate(seed: int) -> Gate:
    return Gate(PLAN, TASK, np.random.default_rng(seed))


def _from_disk(gate: Gate) -> GateMemory:
    with tempfile.TemporaryDirectory() as folder:
        save_memory(Path(folder), gate.memory, "benchmark")
        lessons = load_memory(Path(folder), "benchmark")
    assert lessons is not None
    return lessons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=21, help="of the street")
    parser.add_argument("--hour", type=float, default=20.0)
    parser.add_argument("--days", type=int, nargs=2, default=(0, 1), help="which, in this order")
    parser.add_argument("--seconds", type=int, default=2400)
    parser.add_argument("--cache", type=Path, default=CACHE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    days = []
    for place, day in enumerate(args.days):
        began_s = round(day * DAY_S + args.hour * 3600)
        times_s = range(began_s, began_s + args.seconds)
        name = f"gate-{args.seed}-{began_s}-{args.seconds}.npy"
        later_s = range(place * DAY_S, place * DAY_S + args.seconds)  # the second day is later
        days.append((*watched(args.cache / name, args.seed, times_s), later_s))
    half = args.seconds // 2
    first, rest = (tuple(part[cut] for part in days[0]) for cut in (slice(half), slice(half, None)))
    result = {}
    for what, before, after in (("day", days[0], days[1]), ("half", first, rest)):
        gate = new_gate(0)
        result[f"first {what}"] = replay(gate, *before)
        result[f"second {what}, knowing nothing"] = replay(new_gate(1), *after)
        taught = new_gate(1)
        taught.take_up(_from_disk(gate), same_day=False)
        result[f"second {what}, with the lessons of the first"] = replay(taught, *after)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
