"""Runs one night again and again, each try killed by SIGKILL at the next of `POINTS`.

    python killed_night.py CONFIG POINT…

Every try is a process of its own, forked before torch has done anything. A point is STAGE.before
or STAGE.after (the journal's entry), ingest.half, or done.before (the store's last word). On stdout
goes one line of JSON per try: how it ended, and when which stage was finished.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.testbed.tiny import CAMERA, DAY, stages_of
from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import NoProgress
from jobs.config.load import load_config
from jobs.database import store as store_module
from jobs.database.store import NightJournal, Store
from jobs.nights.nightly import retrain_camera

HALF = 100


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingProgress(NoProgress):
    """Dies half way through the day."""

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        seen = 0

        def advance(count: int) -> None:
            nonlocal seen
            seen += count
            if name == "scoring" and seen >= HALF:
                die()

        yield advance


def dying_journal(point: str) -> type[NightJournal]:
    class DyingJournal(NightJournal):
        def save(self, stage: str, result: dict[str, Any]) -> None:
            if point == f"{stage}.before":
                die()
            super().save(stage, result)
            if point == f"{stage}.after":
                die()

    return DyingJournal


class DyingStore(Store):
    """Dies before it notes that the night is done."""

    def finish_night(self, night_id: int, record: NightRecord) -> None:
        die()


def run(config_path: Path, point: str) -> None:
    config = load_config(config_path)
    store_module.NightJournal = dying_journal(point)  # type: ignore[misc]
    progress = DyingProgress() if point == "ingest.half" else NoProgress()
    kind = DyingStore if point == "done.before" else Store
    with kind(config.data_dir) as store:
        retrain_camera(config, CAMERA, store=store, progress=progress, today=lambda: DAY)


def one_try(config_path: Path, point: str) -> int:
    """The wait status of the process that ran it."""
    child = os.fork()
    if child == 0:
        try:
            run(config_path, point)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return os.waitpid(child, 0)[1]


def main() -> None:
    config_path = Path(sys.argv[1])
    data_dir = config_path.parent / "data"
    for point in [*sys.argv[2:], "none"]:
        status = one_try(config_path, point)
        stages = {name: str(moment) for name, moment in stages_of(data_dir).items()}
        line = {"point": point, "status": status, "stages": stages}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
