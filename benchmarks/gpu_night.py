"""What benchmarks/gpu.py asks of the whole program: its training loop, the demo's night, and what a
whole day at the defaults comes to. Needs all that the program needs.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from itertools import pairwise
from typing import Any

from benchmarks.gpu_nets import Bench
from benchmarks.gpu_parts import Cell

Row = dict[str, Any]
TINY = {
    "source": "synthetic://street?seed=7&hours=24&width=160&height=96",
    "fps": 0.0012,
    "culling": {"keep": 6, "survivors_ratio": 2, "control": {"frames": 10}},
}
"""The demo's night, but of 103 frames."""


def own_loop(bench: Bench, cell: Cell, *, tiny: bool) -> Row:
    """Training as a night does it: milliseconds an image, by epoch, after the first one."""
    import numpy as np

    from benchmarks.fleet import TASK
    from culling_pipeline.tasks.samples import Sample
    from culling_pipeline.training.loop import fine_tune
    from jobs.config.night import TrainingSettings
    from models.boxes.detections import Detections

    count, epochs = (2, 3) if tiny else (64, 4)
    samples = [
        Sample(p, Detections(t.boxes_xyxy, np.ones(len(t.labels), np.float32), t.labels))
        for p, t in bench.shown(cell, count)
    ]
    plan = TrainingSettings(schedule="standard", epochs=epochs, batch_size=cell.batch).to_plan()
    ends: list[float] = []
    bench.forget_peak()
    fine_tune(
        bench.net(cell), TASK, samples, plan, on_epoch=lambda _: ends.append(time.perf_counter())
    )
    taken = [1000 * (b - a) / count for a, b in pairwise(ends)]
    return {
        "ms": statistics.median(taken),
        "ms_low": min(taken),
        "ms_high": max(taken),
        "repeats": len(taken),
        "peak_mib": bench.peak_mib(),
    }


def demo_night(device: str, *, tiny: bool) -> Row:
    """`culling demo`, on this device: its seconds, and what of them was whose."""
    from culling_pipeline.judging.cost_ratio import seconds_by_stage
    from culling_pipeline.records.night import NightRecord
    from culling_pipeline.run.progress import NoProgress
    from jobs.config.settings import CameraConfig, Config
    from jobs.database.store import open_store
    from jobs.nights.demo import CAMERA, SETTINGS
    from jobs.nights.nightly import retrain_camera

    training = {**SETTINGS["training"], **({"epochs": 2} if tiny else {})}
    camera = CameraConfig.model_validate(
        {**SETTINGS, **(TINY if tiny else {}), "training": training}
    )
    with tempfile.TemporaryDirectory() as scratch:
        config = Config.model_validate(
            {"data_dir": scratch, "device": device, "workers": 1, "cameras": {CAMERA: camera}}
        )
        began = time.perf_counter()
        with open_store(config) as store:
            record = retrain_camera(config, CAMERA, store=store, progress=NoProgress())
        seconds = time.perf_counter() - began
    assert isinstance(record, NightRecord), record.why
    return {
        "night_s": seconds,
        "frames": record.ingest.frames_seen,
        "work_s": seconds_by_stage(record.ledger),
        "on": sorted({cost.device for cost in record.ledger if cost.device}),
        "cost_ratio": record.cost_ratio,
        "promoted": record.judge.promoted,
        "reason": record.judge.reason,
        "scores": _scores(record),
    }


def whole_day(rows: list[Row]) -> list[Row]:
    """A day of 86,400 frames at the defaults, by the figures measured: as the program works today
    (looks at 8 and labels at 4 in float32, training at 8 in bfloat16, channels last), and with the
    fastest row of each kind; without and with the comparison with random frames."""
    found = []
    sizes = {(r["height_px"], r["width_px"]) for r in rows if r["work"] != "night"}
    for size in sorted(sizes):
        own = [r for r in rows if (r["height_px"], r["width_px"]) == size and "ms" in r]
        for how, chosen in (("as it is", _as_it_is(own)), ("fastest measured", _fastest(own))):
            if chosen is not None:
                found += [{"size": f"{size[1]}×{size[0]}", "how": how, **_day(chosen, compare)}
                          for compare in (False, True)]  # fmt: skip
    return found


def _as_it_is(rows: list[Row]) -> dict[str, Row] | None:
    wanted = {
        "look": {"dtype": "float32", "channels_last": False, "batch": 8, "way": "eager"},
        "label": {"dtype": "float32", "channels_last": False, "batch": 4, "way": "eager"},
        "train": {"dtype": "bfloat16", "channels_last": True, "batch": 8},
    }
    found = {}
    for work, values in wanted.items():
        fitting = [r for r in rows if r["work"] == work and values.items() <= r.items()]
        loops = [r for r in fitting if r["way"].endswith("loop")]
        if not fitting:
            return None
        found[work] = (loops or fitting)[0]
    return found


def _fastest(rows: list[Row]) -> dict[str, Row] | None:
    found = {}
    for work in ("look", "label", "train"):
        own = [r for r in rows if r["work"] == work and not r["way"].endswith("loop")]
        if not own:
            return None
        found[work] = min(own, key=lambda r: float(r["ms"]))
    return found


def _day(chosen: dict[str, Row], compare: bool) -> Row:
    """Hours of one device, and camera-nights that it does in a day."""
    from culling_pipeline.culling.budget import cost_s
    from culling_pipeline.records.costs import SecondsPerImage
    from jobs.config.settings import CameraConfig
    from jobs.nights.budget import TRIAL, budget_of, full_seconds

    look, label, train = (chosen[w]["ms"] / 1000 for w in ("look", "label", "train"))
    seconds = SecondsPerImage(look=look, label=label, train=train)
    camera = CameraConfig.model_validate(
        {"name": "day", "source": "day.mp4", "classes": ["person"],
         "judging": {"compare_random": compare}}
    )  # fmt: skip
    budget = budget_of(camera, seconds, TRIAL, frames=None, looks_free=False)
    control = camera.culling.control.frames
    measuring = control * (label + 2 * look)
    own = cost_s(budget.own, seconds) + measuring
    beside = 0.0 if budget.lottery is None else cost_s(budget.lottery, seconds) + control * look
    full = full_seconds(camera.training, seconds) + measuring
    return {
        "comparison": "on" if compare else "off",
        "look_ms": 1000 * look,
        "label_ms": 1000 * label,
        "train_ms": 1000 * train,
        "night_s": own + beside,
        "looks": budget.own.looks * look / (own + beside),
        "camera_nights_a_day": 86_400 / (own + beside),
        "full_training_s": full,
        "cost_ratio": full / own,
    }


def _scores(record: Any) -> dict[str, float]:
    """The scores of the student before, after, and after random frames."""
    judge = record.judge
    arms = {"before": judge.before, "after": judge.after, "random": judge.random}
    return {name: arm.score.value for name, arm in arms.items() if arm is not None}
