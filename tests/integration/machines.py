"""Nights of several machines, each a process of its own with a disk of its own:

    python -m tests.integration.machines FOLDER URL ENDPOINT MACHINE:POINT…

Each try is killed by SIGKILL at its point: `STAGE.after` (the record is saved), `upload.STAGE` (in
the middle of sending what the stage left), or `none`. A machine called `alone` shares nothing. The
database is FOLDER/db, that of `alone` FOLDER/alone; one line of JSON a try on stdout.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.testbed.tiny import CAMERA, DAY, tiny_config, with_settings
from culling_pipeline.run.progress import NoProgress
from jobs.bucket.bucket import Bucket
from jobs.config.settings import Config
from jobs.config.storage import StorageSettings
from jobs.database import store as store_module
from jobs.database.store import NightJournal, Store
from jobs.nights.nightly import retrain_camera

LITTLE = with_settings(
    fps=0.0006,
    culling={"keep": 4, "survivors_ratio": 2, "control": {"frames": 6}},
    resolution={"enabled": False},
    training={"epochs": 1},
    judging={"min_gain": -1, "compare_random": False},
)
"""A night of 52 frames, for those that need several."""
KEYS = ("CULLING_TEST_S3_KEY", "CULLING_TEST_S3_SECRET")


def config_of(
    folder: Path, machine: str, url: str | None, endpoint: str | None, **changes: Any
) -> Config:
    """One machine's, with the keys that are in the environment."""
    keys = {}
    if endpoint is not None:
        keys = {"access_key": f"${{{KEYS[0]}}}", "secret_key": f"${{{KEYS[1]}}}"}
    storage = StorageSettings.model_validate({"url": url, "endpoint": endpoint, **keys})
    return tiny_config(folder / machine, **LITTLE | changes).model_copy(update={"storage": storage})


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arrange_death(point: str) -> None:
    class DyingJournal(NightJournal):
        def save(self, name: str, result: dict[str, Any]) -> None:
            super().save(name, result)
            if point == f"{name}.after":
                die()

    if not point.startswith("upload."):
        store_module.NightJournal = DyingJournal  # type: ignore[misc]
        return
    write = Bucket.write

    def dying_write(bucket: Bucket, objects: Mapping[str, bytes]) -> None:
        if any(key.startswith("nights/") for key in objects):
            files = {k: d for k, d in objects.items() if not k.endswith(".json")}
            write(bucket, dict(list(files.items())[: len(files) // 2]))
            die()
        write(bucket, objects)

    Bucket.write = dying_write  # type: ignore[method-assign]


def run(folder: Path, machine: str, point: str, url: str, endpoint: str) -> None:
    arrange_death(point)
    shares = machine != "alone"
    config = config_of(folder, machine, url if shares else None, endpoint if shares else None)
    with Store(folder / ("db" if shares else "alone")) as store:
        retrain_camera(config, CAMERA, store=store, progress=NoProgress(), today=lambda: DAY)


def one_try(*arguments: Any) -> int:
    """The wait status of the process that ran it."""
    child = os.fork()
    if child == 0:
        try:
            run(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return os.waitpid(child, 0)[1]


def main() -> None:
    folder, url, endpoint = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    for machine_and_point in sys.argv[4:]:
        machine, _, point = machine_and_point.partition(":")
        status = one_try(folder, machine, point, url, endpoint)
        sys.stdout.write(json.dumps({"try": machine_and_point, "status": status}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
