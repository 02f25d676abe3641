"""A night that is killed or interrupted, anywhere, goes on where it stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from benchmarks.testbed.tiny import (
    CAMERA,
    COUNTING,
    SETTINGS,
    DoneNight,
    command,
    culling,
    debris,
    environment,
    stages_of,
    write_config,
)
from culling_pipeline.night.files import NEW_FILE, OLD_FILE, TEACHER_FILE
from jobs.cameras.task import task_of
from jobs.config.load import load_config
from jobs.database.store import Store
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(1200)

STAGES = (
    *("budget", "start", "ingest", "view", "label"),
    *("cull", "resolution", "train", "judge", "promote"),
)
POINTS = (
    "budget.before", "budget.after", "start.before", "start.after",
    "ingest.half", "ingest.before", "ingest.after",
    "view.before", "view.after", "label.before", "label.after",
    "cull.before", "cull.after", "resolution.before", "resolution.after",
    "train.before", "train.after", "judge.before", "judge.after", "promote.before",
    "promote.after", "done.before",
)  # fmt: skip

PROGRESS = re.compile(r"[a-z ]+: (begins|done|\d)")
"""What a night says on stderr while all is well."""


EVENLY = "camera yard: Frames were taken evenly in time"
"""How the line begins that a night says while its student has random weights."""


@dataclass(frozen=True)
class Tries:
    """One night killed at each of these points in turn, and then let through."""

    config: Path
    points: tuple[str, ...]
    done: list[dict[str, Any]]
    undisturbed: DoneNight


@pytest.fixture(scope="module", params=["boxes", "count"])
def tries(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Tries:
    """For a camera that counts, whose stages are the same, at few points."""
    folder = tmp_path_factory.mktemp("killed")
    if request.param == "boxes":
        config, done = killed(folder, SETTINGS, POINTS)
        return Tries(config, POINTS, done, request.getfixturevalue("undisturbed"))
    points = ("ingest.half", "train.before")
    config, done = killed(folder, COUNTING, points, EVENLY)
    return Tries(config, points, done, request.getfixturevalue("counted"))


def killed(
    folder: Path, settings: dict[str, Any], points: Sequence[str], *said: str
) -> tuple[Path, list[dict[str, Any]]]:
    """Such a night killed at these points, which says no line but those that begin so."""
    config = write_config(folder, yard=settings)
    driver = Path(__file__).with_name("killed_night.py")
    done = subprocess.run(
        [sys.executable, str(driver), str(config), *points],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith(said)] == []
    return config, [json.loads(line) for line in done.stdout.splitlines()]


def test_it_was_killed_at_every_point_and_then_ended_well(tries: Tries) -> None:
    assert [t["point"] for t in tries.done] == [*tries.points, "none"]
    assert [t["status"] for t in tries.done] == [*(signal.SIGKILL for _ in tries.points), 0]


def test_no_finished_stage_is_repeated(tries: Tries) -> None:
    last = tries.done[-1]["stages"]
    for attempt in tries.done:
        stage, _, moment = attempt["point"].partition(".")
        known = len(STAGES) if stage in ("done", "none") else STAGES.index(stage)
        wanted = STAGES[: known + (moment == "after")]
        assert attempt["stages"] == {name: last[name] for name in wanted}, attempt["point"]


def test_the_killed_night_ends_as_an_undisturbed_one(tries: Tries) -> None:
    config = load_config(tries.config)
    with Store(config.data_dir) as store:
        (night,) = store.nights()
        record = store.record(night.id)
    assert (night.state, night.attempt, night.error) == ("done", len(tries.points) + 1, None)
    assert record is not None
    ours, theirs = (cull.changed(costs=()) for cull in (record.cull, tries.undisturbed.record.cull))
    assert ours == theirs
    assert record.judge.after == tries.undisturbed.record.judge.after
    frames = {p.name for p in config.frames_dir(CAMERA, night.run_id).iterdir()}
    assert frames == {f.path for f in record.ingest.frames} | {TEACHER_FILE, OLD_FILE, NEW_FILE}
    assert (config.report_dir(CAMERA, night.run_id) / "index.html").is_file()
    assert debris(config.data_dir) == []
    _require_working_incumbent(tries.config, night.run_id)


@contextmanager
def started(config: Path) -> Iterator[subprocess.Popen[str]]:
    """`culling retrain yard` in a process group of its own; nothing of it outlives the block."""
    with subprocess.Popen(
        command("retrain", CAMERA, "--config", config),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                for child in family_of(process):
                    child.kill()
                process.kill()


def test_workers_die_with_a_killed_night_and_ctrl_c_ends_one_quietly(
    undisturbed: DoneNight, tmp_path: Path
) -> None:
    config = write_config(tmp_path, workers=2, yard=SETTINGS)
    data, frames = tmp_path / "data", tmp_path / "data" / "frames"

    # Given a night with two workers that is killed in the middle of its day
    with started(config) as process:
        wait_until(lambda: len(list(frames.rglob("*.jpg"))) >= 10, process)
        family = family_of(process)
        assert len(family) >= 2
        os.kill(process.pid, signal.SIGKILL)
        # Then nothing of it is left
        _, alive = psutil.wait_procs(family, timeout=120)
        assert alive == []
    assert set(stages_of(data)) == {"budget", "start"}
    assert list(frames.rglob("*.jpg"))

    # Given that its second try is interrupted while its workers start, its third after the day
    interrupt(config, when=lambda process: len(family_of(process)) >= 2)
    assert set(stages_of(data)) == {"budget", "start"}
    interrupt(config, when=lambda _: "ingest" in stages_of(data))
    with Store(data) as store:
        (night,) = store.nights()
    assert (night.state, night.attempt, night.figures) == ("interrupted", 3, None)
    before = stages_of(data)

    # When the same command is run once more
    done = culling("retrain", CAMERA, "--config", config, "--json", cwd=tmp_path)

    # Then it goes on after the day, and keeps the frames an undisturbed night keeps
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["cameras"][CAMERA]
    assert (shown["state"], shown["error"]) == ("done", None)
    assert shown["record"]["cull"]["kept"] == list(undisturbed.record.cull.kept)
    after = stages_of(data)
    assert {name: after[name] for name in before} == before
    assert "scoring: " not in done.stderr
    assert debris(data) == []
    _require_working_incumbent(config, shown["run_id"])


def interrupt(config: Path, *, when: Callable[[subprocess.Popen[str]], bool]) -> None:
    """Ctrl-C, which a terminal sends to every process of the night: it says so in one line, ends
    with the right code, and nothing of it is left."""
    with started(config) as process:
        wait_until(lambda: when(process), process)
        family = family_of(process)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 130
        said = [line for line in err.splitlines() if not PROGRESS.match(line)]
        assert said == [
            "culling: interrupted: run the same command again to go on where it stopped"
        ]
        assert psutil.wait_procs(family, timeout=120)[1] == []


def family_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The workers, and what Python starts beside them."""
    return list(psutil.Process(process.pid).children(recursive=True))


def wait_until(
    is_so: Callable[[], bool], process: subprocess.Popen[str], *, patience_s: float = 900
) -> None:
    """Look until it is so; a night that ends before is a failure."""
    deadline_s = time.monotonic() + patience_s
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


def _require_working_incumbent(config_path: Path, run_id: str) -> None:
    config = load_config(config_path)
    registry = ModelRegistry(config.models_root)
    assert registry.incumbent(CAMERA) == run_id
    image, task = np.zeros((96, 160, 3), np.uint8), task_of(config.cameras[CAMERA])
    student = task.open_student(registry.path(CAMERA, run_id), device="cpu")
    assert len(student.predict([image])) == 1
