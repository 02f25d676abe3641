"""SIGKILL at random moments of a night: does it end as an undisturbed one?

    nice -n 10 python -m benchmarks.sigkill

A whole night of the tests' tiny camera, real but for its size, in a process group of its own that
is killed with SIGKILL and begun again until it is done. The moments are drawn in two ways, by
`seconds` (200), uniformly over the CPU time of the undisturbed night, and by `writes` (100), just
before the n-th thing that a stage does to the disk (a file opened for writing, a rename, a removal,
a commit), each stage as often as any other. Eight kills a night, in their order. After each night
all that lies under `data_dir` is held against what the undisturbed night left, and its record too.
A night that was killed after it was noted as done may leave its work folder to the next one.
Results: benchmarks/results/sigkill.json, and sigkill.log with a line for each kill and each night.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import alembic.command  # noqa: F401  (what is imported here, no try has to)
import sqlalchemy as sa
import torch
from safetensors.torch import load_file

from benchmarks.testbed.tiny import CAMERA, DAY, SMALL, stages_of
from culling_pipeline.run.progress import NoProgress
from jobs.config.settings import CameraConfig, Config
from jobs.database import store as store_module
from jobs.database.nights import Night
from jobs.database.store import NightJournal, Store
from jobs.nights.nightly import retrain_camera
from models.boxes.student import load_detector
from models.registry import ModelRegistry

RESULTS = Path(__file__).parent / "results"
KILLS_A_NIGHT = 8
STAGES = (
    "start", "ingest", "label", "cull", "resolution", "train", "judge", "promote", "report"
)  # fmt: skip
WRITES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "shutil.rmtree")
NOT_COMPARED = ("culling.db", "index.html")
"""Files that hold times: the night's record and the report are compared by what is in them."""
TIMES = {"started_at", "finished_at", "seconds", "full_training_s", "night_s", "cost_ratio"}


# -- one try, in a process of its own --------------------------------------------------------------


@dataclass
class Progress:
    """How far a try has come: the stage it is in, CPU seconds and writes since that began (at a
    try's first stage, writes since the try began). Shared with the process that kills."""

    target: tuple[int, float] | None = None
    """The stage and the write in it before which this process ends itself."""
    shared: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 16))
    stage: int = 0
    writes: int = 0
    spent: dict[str, tuple[float, int]] = field(default_factory=dict)
    """CPU seconds and writes of each stage that has ended."""

    def watch(self) -> None:
        progress = self

        class WatchedJournal(NightJournal):
            def load(self, stage: str) -> dict[str, Any] | None:
                found = super().load(stage)
                if found is None and stage == STAGES[progress.stage]:
                    progress.begin(progress.stage)
                if found is not None:
                    progress.stage = max(progress.stage, STAGES.index(stage) + 1)
                    progress.begin(progress.stage)  # else a try of the report alone has none
                return found

            def save(self, stage: str, result: dict[str, Any]) -> None:
                super().save(stage, result)
                progress.end(stage)

        store_module.NightJournal = WatchedJournal  # type: ignore[misc]
        sys.addaudithook(self._on_audit)
        sa.event.listen(sa.Engine, "commit", lambda _: self._on_write())

    def begin(self, stage: int) -> None:
        self.shared[:] = struct.pack("dd", stage + 1, time.process_time())

    def end(self, stage: str) -> None:
        _, began_s = struct.unpack("dd", self.shared[:])
        self.spent[stage] = (time.process_time() - began_s, self.writes)
        self.stage, self.writes = STAGES.index(stage) + 1, 0
        self.begin(self.stage)

    def left_s(self, target: tuple[int, float], cpu_s: float) -> float:
        """CPU seconds until a moment of a stage, for who looks on from outside; its stage may have
        gone by already."""
        number, began_s = struct.unpack("dd", self.shared[:])
        stage = int(number) - 1
        if stage < target[0]:
            return 1.0
        return 0.0 if stage > target[0] else began_s + target[1] - cpu_s

    def _on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        opens = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE
        if opens or event in WRITES:
            self._on_write()

    def _on_write(self) -> None:
        self.writes += 1
        if self.target is not None and (self.stage, self.writes) >= self.target:
            os.kill(os.getpid(), signal.SIGKILL)


def work(data_dir: Path, progress: Progress, spent_file: Path | None) -> None:
    """The night; `spent_file` is told what each stage took."""
    progress.watch()
    progress.begin(0)
    with Store(data_dir) as store:
        config = config_of(data_dir)
        retrain_camera(config, CAMERA, store=store, progress=NoProgress(), today=lambda: DAY)
    if spent_file is not None:
        progress.end(STAGES[-1])
        spent_file.write_text(json.dumps(progress.spent))


def config_of(data_dir: Path) -> Config:
    camera = CameraConfig.model_validate({"name": CAMERA, **SMALL})
    return Config(data_dir=data_dir, workers=1, device="cpu", cameras={CAMERA: camera})


def begin(data_dir: Path, progress: Progress, spent_file: Path | None = None) -> int:
    """Fork a try: torch is imported here already."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        try:
            work(data_dir, progress, spent_file)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        os._exit(1)
    return child


def killed_at(child: int, progress: Progress, target: tuple[int, float], jitter_s: float) -> int:
    """Wait until the process has come so far, and a little longer, for it may be waiting for the
    disk, not computing; kill its group. The wait status."""
    clock = ((~child) << 3) | 2  # the CPU clock of another process (clock_getcpuclockid)
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        left_s = progress.left_s(target, time.clock_gettime(clock))
        if left_s <= 0:
            time.sleep(jitter_s)
            os.killpg(child, signal.SIGKILL)
            break
        time.sleep(min(left_s, 0.005))
    return os.waitpid(child, 0)[1]


# -- what is left behind ---------------------------------------------------------------------------


def without_times(value: Any) -> Any:
    """A record without what no two nights share."""
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    return [without_times(v) for v in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Left:
    """All that a finished night leaves."""

    files: dict[str, str]
    record: Any
    nights: list[Night]
    incumbent: str | None
    tensors: dict[str, Any]

    @classmethod
    def of(cls, data_dir: Path) -> Left:
        with Store(data_dir) as store:
            nights = store.nights()
            record = store.record(nights[0].id)
        files = {
            str(path.relative_to(data_dir)): "a folder" if path.is_dir() else _content(path)
            for path in data_dir.rglob("*")
        }
        registry = ModelRegistry(config_of(data_dir).models_root)
        incumbent = registry.incumbent(CAMERA) or ""
        folder = registry.path(CAMERA, incumbent)
        load_detector(folder)
        tensors = load_file(folder / "model.safetensors")
        dumped = None if record is None else without_times(record.model_dump(mode="json"))
        return cls(files, dumped, nights, incumbent, tensors)

    def faults(self, undisturbed: Left) -> list[str]:
        """How it differs from an undisturbed night; empty if in nothing."""
        found = []
        if [night.state for night in self.nights] != ["done"]:
            found.append(f"nights: {[(n.run_id, n.state) for n in self.nights]}")
        frames = [name for name in self.files if name.endswith(".jpg")]
        ours = {f"frames/{CAMERA}/{DAY}/{f['path']}" for f in self.record["ingest"]["frames"]}
        if set(frames) != ours:
            found.append(f"frames without a row, or rows without: {sorted(set(frames) ^ ours)}")
        for name in sorted(self.files.keys() | undisturbed.files.keys()):
            mine, theirs = self.files.get(name), undisturbed.files.get(name)
            if mine != theirs:
                found.append(f"{name}: {mine}, undisturbed: {theirs}")
        for part, value in undisturbed.record.items():
            if self.record.get(part) != value:
                found.append(f"record: {part} differs")
        if self.incumbent != undisturbed.incumbent:
            found.append(f"incumbent: {self.incumbent}")
        same = {name for name, t in self.tensors.items() if t.equal(undisturbed.tensors[name])}
        if same != set(undisturbed.tensors):
            found.append(f"tensors: {len(undisturbed.tensors) - len(same)} differ")
        return found


def _content(path: Path) -> str:
    if path.name in NOT_COMPARED:
        return "not empty" if path.stat().st_size else "empty"
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


# -- many nights -----------------------------------------------------------------------------------


@dataclass
class Run:
    """All nights of one way to draw moments."""

    kind: str
    undisturbed: Left
    spent: dict[str, float]
    """CPU seconds, or writes, of each stage of the undisturbed night."""
    rng: random.Random
    log: Any
    nights: int = 0
    died_in: Counter[str] = field(default_factory=Counter)
    missed: int = 0
    killed_when_done: int = 0
    repeated: int = 0
    faulty: list[dict[str, Any]] = field(default_factory=list)

    def kill(self, kills: int) -> None:
        """So many kills, and each night to its end."""
        while self.died_in.total() < kills:
            count = min(KILLS_A_NIGHT, kills - self.died_in.total())
            targets = sorted(self._draw() for _ in range(count))
            with tempfile.TemporaryDirectory() as folder:
                self._one_night(Path(folder) / "data", deque(targets))

    def _draw(self) -> tuple[int, float]:
        """A stage, and how far into it."""
        weights = list(self.spent.values()) if self.kind == "seconds" else None
        (stage,) = self.rng.choices(range(len(STAGES)), weights)
        spent = self.spent[STAGES[stage]]
        if self.kind == "seconds":
            return stage, self.rng.uniform(0, spent)
        return stage, self.rng.randint(1, int(spent))

    def _one_night(self, data_dir: Path, targets: deque[tuple[int, float]]) -> None:
        self.nights += 1
        before: dict[str, Any] = {}
        while True:
            target = targets.popleft() if targets else None
            status = self._try(data_dir, target)
            stages = stages_of(data_dir)
            self.repeated += sum(stages.get(name) != at for name, at in before.items())
            before = stages
            if status == 0:
                self.missed += target is not None
                break
            if status != signal.SIGKILL or target is None:
                message = f"night {self.nights}: a try ended with wait status {status}"
                raise SystemExit(message)
            stage = next(s for s in STAGES if s not in stages)
            self.died_in[stage] += 1
            self._note(f"killed in {stage}, drawn: {STAGES[target[0]]} {target[1]:.3f}")
            if is_done(data_dir):
                self.killed_when_done += 1
                shutil.rmtree(data_dir / "work" / CAMERA / str(DAY), ignore_errors=True)
                break
        faults = Left.of(data_dir).faults(self.undisturbed)
        self._note("done, as an undisturbed night" if not faults else f"FAULTS {faults}")
        if faults:
            self.faulty.append({"night": self.nights, "faults": faults})

    def _try(self, data_dir: Path, target: tuple[int, float] | None) -> int:
        """Its wait status."""
        if target is None or self.kind == "writes":
            return os.waitpid(begin(data_dir, Progress(target)), 0)[1]
        progress = Progress()
        child = begin(data_dir, progress)
        return killed_at(child, progress, target, self.rng.uniform(0, 0.02))

    def _note(self, text: str) -> None:
        self.log.write(f"{self.kind} night {self.nights:3d}: {text}\n")
        self.log.flush()

    def to_dict(self) -> dict[str, Any]:
        return {
            "drawn_by": self.kind,
            "undisturbed": {stage: round(spent, 3) for stage, spent in self.spent.items()},
            "kills": self.died_in.total(),
            "nights": self.nights,
            "ended_before_the_kill": self.missed,
            "killed_when_done": self.killed_when_done,
            "died_in": {stage: self.died_in[stage] for stage in STAGES},
            "finished_stages_repeated": self.repeated,
            "nights_unlike_an_undisturbed_one": len(self.faulty),
            "faults": self.faulty,
        }


def is_done(data_dir: Path) -> bool:
    """Whether the store says so: a service then runs it no more."""
    if not (data_dir / "culling.db").is_file():
        return False
    with Store(data_dir) as store:
        return any(night.state == "done" for night in store.nights())


def undisturbed_night() -> tuple[Left, dict[str, tuple[float, float]]]:
    """One, and what its stages took: CPU seconds and writes."""
    with tempfile.TemporaryDirectory() as folder:
        spent_file = Path(folder) / "spent.json"
        data_dir = Path(folder) / "data"
        status = os.waitpid(begin(data_dir, Progress(), spent_file), 0)[1]
        if status != 0:
            message = f"the undisturbed night ended with wait status {status}"
            raise SystemExit(message)
        return Left.of(data_dir), json.loads(spent_file.read_text())


def runs(arguments: argparse.Namespace, log: Any) -> Iterator[Run]:
    undisturbed, spent = undisturbed_night()
    for kind, kills in (("seconds", arguments.kills), ("writes", arguments.writes)):
        column = 0 if kind == "seconds" else 1
        of_kind = {stage: spent[stage][column] for stage in STAGES}
        run = Run(kind, undisturbed, of_kind, random.Random(arguments.seed), log)
        run.kill(kills)
        yield run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--writes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with (arguments.out / "sigkill.log").open("w") as log:
        rows = [run.to_dict() for run in runs(arguments, log)]
    (arguments.out / "sigkill.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
