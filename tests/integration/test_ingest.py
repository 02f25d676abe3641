"""`culling ingest` as a command of its own: recordings, a real camera, kills and full disks."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.testbed.live import LOGIN, RtspServer
from benchmarks.testbed.servers.clips import write_h264
from benchmarks.testbed.servers.web import CANARY
from benchmarks.testbed.tiny import (
    COUNTING,
    command,
    environment,
    make_room,
    start_model_mib,
    with_settings,
    write_config,
)
from culling_pipeline.day.frame_files import JPEG_QUALITY
from jobs import cli
from streams.open import open_source
from streams.sampler import Sampler
from tests.integration.live import require_gstreamer, wait_until

RECORDING = "synthetic://street?seed=5&hours=2&width=160&height=96"
QUICK: dict[str, Any] = {"source": RECORDING, "fps": 0.02}
LARGE = {"source": RECORDING.replace("160", "320").replace("96", "192"), "fps": 0.03}


def lines(folder: Path, camera: str = "yard") -> list[dict[str, Any]]:
    """All lines of the camera's daybooks, day after day."""
    paths = sorted((folder / "data" / "days" / camera).glob("*/daybook.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def seen(folder: Path, camera: str = "yard") -> list[dict[str, Any]]:
    """Those of frames, without what scoring them took."""
    return [
        {k: v for k, v in line.items() if k != "s"}
        for line in lines(folder, camera)
        if "event" not in line
    ]


def states(folder: Path, camera: str = "yard") -> list[str]:
    """What became of the camera, one state after the other."""
    return [line["state"] for line in lines(folder, camera) if line.get("event") == "state"]


def pictures(folder: Path, camera: str = "yard") -> dict[str, bytes]:
    found = (folder / "data" / "days" / camera).glob("*/frames/*")
    return {f"{p.parent.parent.name}/{p.name}": p.read_bytes() for p in found}


def new_folder(root: Path, name: str, *, workers: int = 1, **cameras: dict[str, Any]) -> Path:
    folder = root / name
    folder.mkdir()
    write_config(folder, workers=workers, **(cameras or {"yard": with_settings(**QUICK)}))
    return folder


def here(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which spares it the seconds that torch takes to load."""
    out, err = io.StringIO(), io.StringIO()
    with chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = cli.run(arguments)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@contextmanager
def ingesting(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command at work; killed at the end if it is still there."""
    process = subprocess.Popen(
        command("ingest", *arguments),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for_frames(folder: Path, count: int, camera: str = "yard") -> None:
    deadline_s = time.monotonic() + 240  # a busy machine loads torch for a minute
    while len(seen(folder, camera)) < count:
        assert time.monotonic() < deadline_s, f"only {len(seen(folder, camera))} frames"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording that was ingested undisturbed."""
    folder = new_folder(tmp_path_factory.mktemp("ingest"), "whole")
    done = here(folder, "ingest")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_recording_gives_its_frames_to_the_pixel_and_the_microsecond(whole: Path) -> None:
    noted, stored = seen(whole), pictures(whole)
    with open_source(RECORDING, camera="yard") as source:
        frames = list(source.frames(Sampler(50)))
    assert [datetime.fromisoformat(line["at"]) for line in noted] == [f.wall_time for f in frames]
    assert len(stored) > 20
    for name, data in stored.items():
        image = frames[int(name[-10:-4])].image[..., ::-1]
        expected = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
        assert data == expected.tobytes(), name


def test_load_and_more_workers_change_nothing(whole: Path, tmp_path: Path) -> None:
    folder = new_folder(tmp_path, "busy", workers=3)
    burners = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(4)]
    try:
        assert here(folder, "ingest").returncode == 0
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
    assert seen(folder) == seen(whole)
    assert pictures(folder) == pictures(whole)


def test_killed_anywhere_and_run_again_it_is_as_if_nothing_had_been(
    whole: Path, tmp_path: Path
) -> None:
    folder = new_folder(tmp_path, "killed")
    for count in (1, 60):
        with ingesting(folder) as process:
            wait_for_frames(folder, count)
            process.send_signal(signal.SIGKILL)
    assert here(folder, "ingest").returncode == 0
    assert seen(folder) == seen(whole)
    assert pictures(folder) == pictures(whole)


@pytest.fixture(params=["boxes", "count"])
def watched(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A camera of each task whose day was watched."""
    if request.param == "boxes":
        found: Path = request.getfixturevalue("whole")
        return found
    source = RECORDING.replace("street", "plaza")
    folder = new_folder(tmp_path, "counted", yard={**COUNTING, "source": source, "fps": 0.02})
    done = here(folder, "ingest")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_night_takes_the_day_that_was_watched(watched: Path) -> None:
    done = here(watched, "retrain", "yard", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)["cameras"]["yard"]["record"]
    assert record["date"] == "2026-01-05"
    assert record["ingest"]["frames_seen"] == len(seen(watched)) == 144
    assert record["ingest"]["feed"]["dropped"] == 0


def test_masked_parts_are_black_in_everything_that_is_stored(tmp_path: Path) -> None:
    mask = [[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]
    folder = new_folder(tmp_path, "masked", yard=with_settings(**QUICK, mask=mask))
    assert here(folder, "ingest", "--frames", "30").returncode == 0
    stored = pictures(folder)
    assert len(stored) == 30
    for data in stored.values():
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert image[:40].max() < 10
        assert image[56:].max() > 30


def test_one_that_cannot_be_read_does_not_stop_the_other(tmp_path: Path) -> None:
    gone = with_settings(**{**QUICK, "source": "gone.mp4"})
    folder = new_folder(tmp_path, "two", yard=with_settings(**QUICK), gone=gone)
    done = here(folder, "ingest", "--frames", "5", "--json")
    assert done.returncode == 3
    said = json.loads(done.stdout)["cameras"]
    assert said["yard"]["frames_seen"] == 5
    assert "gone.mp4" in said["gone"]["error"]


def test_two_at_once_on_one_camera_are_refused(tmp_path: Path) -> None:
    endless = with_settings(source=RECORDING.replace("hours=2", "hours=24"), fps=1.0)
    folder = new_folder(tmp_path, "twice", yard=endless)
    with ingesting(folder):
        wait_for_frames(folder, 5)
        second = here(folder, "ingest")
    assert second.returncode == 2
    assert "another process is writing this day" in second.stderr
    # Once it has ended another goes on, and stops after the time that it was given.
    began = len(seen(folder))
    assert here(folder, "ingest", "--for", "2s").returncode == 0
    assert began < len(seen(folder)) < 86_400


def test_a_gate_goes_on_where_it_was(tmp_path: Path) -> None:
    settings = with_settings(**QUICK, culling={"gate": {"enabled": True}})
    folder = new_folder(tmp_path, "gated", yard=settings)
    for more in (("--frames", "60"), ()):
        assert here(folder, "ingest", *more).returncode == 0
    done = [line["gate"] for line in lines(folder) if line.get("event") == "gate"]
    assert [gate["scored"] + gate["skipped"] for gate in done] == [60, len(seen(folder))]
    (day,) = (folder / "data" / "days" / "yard").iterdir()
    assert (day / "gate.npz").stat().st_mode & 0o777 == 0o600


def test_days_change_at_local_midnight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Etc/GMT+1")  # 00:00 there is 01:00 UTC, in mid-recording
    time.tzset()
    try:
        folder = new_folder(tmp_path, "midnight")
        assert here(folder, "ingest").returncode == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    days = sorted(path.name for path in (folder / "data" / "days" / "yard").iterdir())
    assert days == ["2026-01-04", "2026-01-05"]
    counts = [
        sum("event" not in json.loads(line) for line in path.read_text().splitlines())
        for path in sorted((folder / "data" / "days" / "yard").glob("*/daybook.jsonl"))
    ]
    assert counts == [72, 72]


def test_a_full_disk_pauses_and_harms_nothing(small_disk: Path, tmp_path: Path) -> None:
    make_room(small_disk, start_model_mib() + 1)
    hour = LARGE["source"].replace("hours=2", "hours=1")
    path = write_config(tmp_path, yard=with_settings(source=hour, fps=0.05))
    path.write_text(path.read_text() + "disk: {min_free_gb: 0}\n")
    done = here(tmp_path, "ingest", "--json")
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stderr
    said = json.loads(done.stdout)["cameras"]["yard"]
    noted = seen(tmp_path)
    assert said["frames_seen"] == 180
    assert said["paused"] > 0
    assert len(noted) == 180 - said["paused"]
    for data in pictures(tmp_path).values():
        assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is not None
    make_room(small_disk, 64)
    again = here(tmp_path, "ingest", "--json")
    assert again.returncode == 0, again.stderr


def test_over_its_budget_the_easiest_frames_go_first(tmp_path: Path) -> None:
    settings = with_settings(**LARGE, disk_budget_gb=0.0004)
    folder = new_folder(tmp_path, "budget", yard=settings)
    assert here(folder, "ingest").returncode == 0
    done = here(folder, "ingest")  # room is made when it begins
    assert done.returncode == 0, done.stderr
    gone = {i for line in lines(folder) if line.get("event") == "gone" for i in line["ids"]}
    assert gone
    losses = [line["loss"] for line in seen(folder)]
    left = {int(name[-10:-4]) for name in pictures(folder)}
    assert max(losses[i] for i in gone) <= max(losses[i] for i in left)
    assert sum(map(len, pictures(folder).values())) <= 400_000


# -- a real camera ---------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    require_gstreamer()
    running = RtspServer(write_h264(tmp_path / "cam.h264"), auth="digest")
    yield running
    running.kill()


def test_a_camera_is_watched_lost_found_and_trained_on(server: RtspServer, tmp_path: Path) -> None:
    clip = tmp_path / "cam.h264"
    settings = with_settings(source=server.url(login=f"{LOGIN}"), fps=5.0)
    folder = new_folder(tmp_path, "live", gate=settings)
    with ingesting(folder, "--frames", "40", "--json") as process:
        wait_for_frames(folder, 20, "gate")
        shown = Path(f"/proc/{process.pid}/cmdline").read_text()
        server.kill()
        wait_until(lambda: "lost" in states(folder, "gate")[1:], within_s=12)
        server.start(clip)
        said, _ = process.communicate(timeout=240)
    assert process.returncode == 0, said
    assert states(folder, "gate")[-1] == "live"
    assert len(seen(folder, "gate")) == 40
    night = here(folder, "retrain", "gate", "--debug")
    assert night.returncode == 0, night.stderr
    written = b"".join(p.read_bytes() for p in (folder / "data").rglob("*") if p.is_file())
    everything = [said.encode(), shown.encode(), night.stdout.encode(), night.stderr.encode()]
    assert CANARY.encode() not in written + b"".join(everything)
