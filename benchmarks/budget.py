"""With room for half of the cameras: does the chosen half gain more than a random half?

    python -m benchmarks.budget --cache build/budget

Real nights of the whole fleet, small ones (240 frames a night, 32 kept). Each camera records six
hours of the day; on a night of its own the hours change from day to evening, as where a season or
the use of a place changes. Before each night but the first the cameras are put in order by what a
service knows then (`jobs.service.night_order`): the figures of earlier nights, and today's mean
L_conf by the student in use, which `ingest` has measured by the evening. The gain of a night is
that of the student in use: none where the new one was not promoted. Resumable; results in
benchmarks/results/budget.json.
"""

from __future__ import annotations

import argparse
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fleet import FLEET, Camera
from culling_pipeline.run.progress import NoProgress
from jobs.config.settings import CameraConfig, Config
from jobs.database.figures import Figures
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from jobs.service.night_order import Prospect, in_order, prospect

RESULTS = Path(__file__).parent / "results"
FIRST = date(2026, 1, 5)
NIGHTS = 6
DAYLIGHT_H, EVENING_H, HOURS = 9.0, 16.5, 6.0
SECONDS_BETWEEN = 90
NEVER_STARVED = 10**6


def changes_at(place: int) -> int:
    """The night on which the hours of the camera at this place of the fleet change: 2, 3, 4, 5,
    and again; every fourth does not change at all."""
    return NIGHTS if place % 4 == 3 else 2 + place // 4 * 2 + place % 4 % 3


def camera_of(camera: Camera, place: int, night: int) -> CameraConfig:
    """Its settings for one night."""
    start = EVENING_H if night >= changes_at(place) else DAYLIGHT_H
    if camera.kind == "court":
        start = 12.0 if start == DAYLIGHT_H else EVENING_H
    source = f"synthetic://{camera.kind}?seed={camera.seed}&day={night}&start={start}&hours={HOURS}"
    return CameraConfig.model_validate(
        {
            "name": camera.name,
            "source": source,
            "fps": 1 / SECONDS_BETWEEN,
            "classes": ["person"] if camera.kind == "court" else ["person", "car", "bicycle"],
            "culling": {"keep": 32, "control": {"frames": 80}},
            "resolution": {"enabled": False},
            "training": {"epochs": 8},
            "judging": {"compare_random": False},
        }
    )


def run_nights(folder: Path, *, nights: int) -> dict[str, list[Figures]]:
    """All nights of all cameras that have not been run; each camera's figures, the first first."""
    torch.set_num_threads(1)
    with Store(folder) as store:
        for night in range(nights):
            for place, camera in enumerate(FLEET):
                done = store.nights(camera.name, state="done")
                if len(done) > night:
                    continue
                config = Config(
                    data_dir=folder,
                    cameras={camera.name: camera_of(camera, place, night)},
                    workers=1,
                )
                today = FIRST + timedelta(days=night)
                retrain_camera(
                    config, camera.name, store=store, progress=NoProgress(), today=lambda d=today: d
                )
                figures = store.nights(camera.name, state="done", limit=1)[0].figures
                assert figures is not None
                print(night, camera.name, f"{gain_of(figures):+.3f}", figures, flush=True)
        return {c: list(reversed(f)) for c, f in store.histories(nights=nights).items()}


def gain_of(figures: Figures) -> float:
    """What a night brought the student in use, in mAP50."""
    return figures.score_after - figures.score_before if figures.promoted else 0.0


def order_before(history: dict[str, list[Figures]], night: int, *, today: bool) -> list[Prospect]:
    """The order in which the cameras would go on this night; `today`: knowing today's L_conf."""
    prospects = {
        name: prospect(
            name,
            figures[night - 1 :: -1],
            today_loss=figures[night].mean_loss if today else None,
        )
        for name, figures in history.items()
    }
    return in_order(prospects, starve_nights=NEVER_STARVED)


def compare(history: dict[str, list[Figures]], *, today: bool) -> list[dict[str, Any]]:
    """Each night but the first: what the chosen half gained, a random half, and the best half."""
    rows = []
    for night in range(1, min(len(f) for f in history.values())):
        gains = {name: gain_of(figures[night]) for name, figures in history.items()}
        half = len(gains) // 2
        chosen = [p.camera for p in order_before(history, night, today=today)[:half]]
        rows.append(
            {
                "night": night,
                "chosen": chosen,
                "gain_chosen": float(np.mean([gains[name] for name in chosen])),
                "gain_random": float(np.mean(list(gains.values()))),
                "gain_best": float(np.mean(sorted(gains.values())[-half:])),
                "gains": gains,
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path("build/budget"))
    parser.add_argument("--nights", type=int, default=NIGHTS)
    args = parser.parse_args()
    history = run_nights(args.cache, nights=args.nights)
    result: dict[str, Any] = {"cameras": len(FLEET)}
    for key, today in (("knowing_todays_loss", True), ("knowing_only_nights", False)):
        rows = compare(history, today=today)
        means = {
            name: float(np.mean([row[name] for row in rows]))
            for name in ("gain_chosen", "gain_random", "gain_best")
        }
        ratio = means["gain_chosen"] / means["gain_random"]
        result[key] = {**means, "ratio": ratio, "nights": rows}
        print(key, json.dumps({**means, "ratio": ratio}))
    (RESULTS / "budget.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
