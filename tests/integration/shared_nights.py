"""One of several processes that share a store: `python -m tests.integration.shared_nights FOLDER`.

Runs every night that is due and that it can claim, and one of its own of each camera in `OWN`;
prints what it did as JSON. `WHERE` in the environment is PostgreSQL's address. It waits for the
others when it has opened the store, and again when it has run its first night: SQLite's writers do
not queue, and one process alone could run all nights before another gets its turn.
"""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

from benchmarks.testbed.small_night import DAY, START, night_record
from jobs.database.claims import BusyError
from jobs.database.store import Store

PROCESSES = 4
DUE = tuple(f"due-{k:02d}" for k in range(80))
OWN = tuple(f"own-{k}" for k in range(5))
STAGES = ("ingest", "label", "cull")


@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def _take_time(_: object, __: object, statement: str, *args: object) -> None:
    """Making the tables takes so long that all processes are at it at once."""
    if statement.lstrip().startswith("CREATE TABLE alembic_version"):
        time.sleep(2.0)


def run_night(store: Store, camera: str) -> int:
    night = store.open_night(camera, DAY)
    for stage in STAGES:
        store.save_stage(night.id, stage, {"pid": os.getpid()})
    store.finish_night(night.id, night_record(camera, night.run_id))
    return night.id


def wait_for_others(folder: Path, stage: str) -> None:
    """Until every process has come as far as this one."""
    (folder / f"{stage}-{os.getpid()}").touch()
    while len(list(folder.glob(f"{stage}-*"))) < PROCESSES:
        time.sleep(0.001)


def run_dues(store: Store, folder: Path) -> dict[str, int]:
    ran: dict[str, int] = {}
    while waiting := store.dues.waiting():
        for due in waiting:
            if store.dues.claim(due.id):
                first = not ran
                ran[due.camera] = run_night(store, due.camera)
                store.dues.finish(due.id, night_id=ran[due.camera])
                if first:
                    wait_for_others(folder, "ran")
    return ran


def run_own(store: Store) -> list[int]:
    ran: list[int] = []
    for camera in OWN:
        done = len(ran)
        while len(ran) == done:
            with suppress(BusyError):
                ran.append(run_night(store, camera))
    return ran


def main() -> None:
    folder = Path(sys.argv[1])
    wait_for_others(folder, "ready")
    with Store(folder, os.environ.get("WHERE")) as store:
        asked = [camera for camera in DUE if store.dues.ask(camera, START)]
        wait_for_others(folder, "opened")
        ran, own = run_dues(store, folder), run_own(store)
    sys.stdout.write(json.dumps({"pid": os.getpid(), "asked": asked, "ran": ran, "own": own}))


if __name__ == "__main__":
    main()
