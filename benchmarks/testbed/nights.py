"""Nights that take no time and train nothing, under the real scheduler, store and service."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.testbed.small_night import night_record
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.labels import LabelRecord
from jobs.config.service import ServiceSettings
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.executors.base import Outcome, Task
from jobs.service.nights import Nights, Origin
from jobs.service.notify import Notifier

ORIGIN = Origin(Path("config.yaml"), {})
LINE = Cost(
    stage="all", activity="label", purpose="own", images=1, seconds=600.0, device="cpu", backend=""
)
COST = LabelRecord(labelled=1, objects=1, costs=(LINE,))
"""What the ledger says of each of these nights: ten minutes."""


class Quick:
    """An executor whose nights take a tick; `fails` says which end how."""

    def __init__(self, store: Store, slots: int = 1) -> None:
        self.slots, self._store = slots, store
        self.running: list[Task] = []
        self.begun: list[tuple[str, datetime]] = []
        self.fails: dict[str, Outcome] = {}
        self.ends = True

    def start(self, task: Task) -> None:
        self.running.append(task)
        self.begun.append((task.camera, datetime.now(UTC)))

    def finished(self) -> list[Outcome]:
        if not self.ends:
            return []
        done, self.running = [self._run(task) for task in self.running], []
        return done

    def stop(self) -> None:
        self.running.clear()

    def _run(self, task: Task) -> Outcome:
        if task.camera in self.fails:
            return replace(self.fails[task.camera], due_id=task.due_id)
        night = self._store.open_night(task.camera, datetime.now(UTC).date())
        record = night_record(task.camera, night.run_id)
        self._store.finish_night(night.id, record.model_copy(update={"label": COST}))
        return Outcome(task.due_id, night_id=night.id)


def config_of(folder: Path, cameras: tuple[str, ...] = ("yard",), **service: object) -> Config:
    made = {
        name: CameraConfig(
            name=name, source="yard.mp4", classes=["person"],  # type: ignore[arg-type]
            schedule=f"{(2 + k // 4) % 24:02d}:{15 * (k % 4):02d}", time_zone="Europe/Berlin",
        )
        for k, name in enumerate(cameras)
    }  # fmt: skip
    return Config(
        data_dir=folder, cameras=made, service=ServiceSettings.model_validate(service), workers=1
    )


def service_of(config: Config, store: Store, executor: Quick) -> Nights:
    notify = Notifier(config.service, store.notices)
    return Nights(config, ORIGIN, store, executor, notify, now=lambda: datetime.now(UTC))
