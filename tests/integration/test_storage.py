"""Machines with disks of their own, one database and one bucket of a server that speaks S3."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from benchmarks.testbed.servers.bucket import BUCKET, S3Server
from benchmarks.testbed.servers.web import CANARY
from benchmarks.testbed.tiny import CAMERA, DAY, ROOT, SOURCE, environment, stages_of
from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import Advance, NoProgress
from jobs.bucket import bucket as bucket_module
from jobs.bucket import sharing as sharing_module
from jobs.bucket.bucket import Bucket, StorageError, open_bucket
from jobs.bucket.sharing import open_registry, open_sharing
from jobs.cameras.watched_days import watched_days
from jobs.cli import run as culling_here
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import exit_code
from jobs.nights import nightly
from jobs.nights.nightly import retrain_camera
from jobs.watch.watch import CameraWatch
from models.checkpoint import load_checkpoint
from models.registry import ModelRegistry
from streams.synthetic.source import FIRST_DAY
from tests.integration.machines import KEYS, LITTLE, config_of

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("no_canary")]

TRIES = ("alone:none", "a:upload.ingest", "b:train.after", "a:none")
ANSWERS = {"teacher.npz", "old.npz", "new.npz"}
RUN = DAY.isoformat()


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(KEYS, ("AKIA-of-the-tests", CANARY), strict=True):
        monkeypatch.setenv(name, value)


@pytest.fixture(autouse=True)
def _short_patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(nightly, "NIGHT_PATIENCE_S", 1.0)
    monkeypatch.setattr(sharing_module, "COMMAND_PATIENCE_S", 0.5)
    monkeypatch.setattr(bucket_module, "CONNECT_S", 2)
    bucket_module.open_bucket.cache_clear()
    yield
    bucket_module.open_bucket.cache_clear()


@pytest.fixture(scope="module")
def shared(server: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One night: undisturbed on a machine alone; and begun by `a`, which is killed in the middle
    of its first upload, gone on with by `b`, which is killed after training, and ended by `a`."""
    folder = tmp_path_factory.mktemp("machines")
    driver = [sys.executable, "-m", "tests.integration.machines"]
    done = subprocess.run(
        [*driver, str(folder), f"s3://{BUCKET}/nights-of-two", server.endpoint, *TRIES],
        cwd=ROOT, env=environment() | dict(zip(KEYS, ("AKIA-of-the-tests", CANARY), strict=True)),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    tries = [json.loads(line) for line in done.stdout.splitlines()]
    assert [t["status"] for t in tries] == [0, signal.SIGKILL, signal.SIGKILL, 0], tries
    return folder


def machine(shared: Path, name: str, server: S3Server) -> Config:
    return config_of(shared, name, f"s3://{BUCKET}/nights-of-two", server.endpoint)


def bucket_of(config: Config) -> Bucket:
    return open_bucket(config.storage, 0.5)


def records(folder: Path) -> list[NightRecord]:
    with Store(folder) as store:
        found = [store.record(night.id) for night in reversed(store.nights())]
    assert all(isinstance(record, NightRecord) for record in found)
    return found  # type: ignore[return-value]


def test_a_night_of_three_tries_on_two_machines_ends_as_an_undisturbed_one(
    shared: Path, server: S3Server
) -> None:
    (alone,), (record,) = records(shared / "alone"), records(shared / "db")
    with Store(shared / "db") as store:
        (night,) = store.nights()
    assert (night.state, night.attempt, night.run_id) == ("done", 3, RUN)
    assert record.cull == alone.cull
    assert record.judge.after == alone.judge.after
    expected = weights(shared / "alone", RUN)
    got = weights(shared / "a", RUN)
    assert got.keys() == expected.keys()
    assert all(torch.equal(got[name], expected[name]) for name in expected)
    assert ModelRegistry(shared / "a" / "models").incumbent(CAMERA) == RUN


def weights(data_dir: Path, version: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(data_dir / "models" / CAMERA / version)[0]


def test_nothing_half_sent_and_no_work_is_left_in_the_bucket(
    shared: Path, server: S3Server
) -> None:
    bucket = bucket_of(machine(shared, "a", server))
    nights = {key.partition("nights/yard/")[2] for key in bucket.keys("nights")}
    record = records(shared / "db")[0]
    manifest = json.loads(bucket.read(["nights/yard/2026-11-21/done.json"]).popitem()[1])
    names = {f.path for f in record.ingest.frames} | ANSWERS
    assert set(manifest["files"]) == names
    keys = {f"{RUN}/{entry['key']}" for entry in manifest["files"].values()}
    assert nights == {f"{RUN}/done.json", *keys}
    assert not list((shared / "a" / "work").rglob("*.npz"))


def test_a_rollback_on_one_machine_holds_on_the_other(
    shared: Path, server: S3Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {name: write_config(tmp_path, shared / name, name, server) for name in "ac"}
    shown = asked(capfd, "models", CAMERA, "--config", files["c"])
    assert (shown["incumbent"], [v["version"] for v in shown["versions"]]) == (RUN, ["start", RUN])
    assert open_registry(machine(shared, "c", server)).versions(CAMERA) == [RUN]
    done = asked(capfd, "rollback", CAMERA, "--config", files["c"])
    assert done == {"camera": CAMERA, "before": RUN, "incumbent": "start"}
    assert asked(capfd, "models", CAMERA, "--config", files["a"])["incumbent"] == "start"
    assert asked(capfd, "rollback", CAMERA, RUN, "--config", files["a"])["before"] == "start"


def asked(capfd: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    """A command in this process, which spares it the seconds that torch takes to load."""
    capfd.readouterr()
    code = culling_here([*map(str, arguments), "--json"])
    out, err = capfd.readouterr()
    assert code == 0, err
    return dict(json.loads(out))


def write_config(folder: Path, data: Path, name: str, server: S3Server, **more: Any) -> Path:
    path = folder / f"{name}.yaml"
    storage = {
        "url": f"s3://{BUCKET}/nights-of-two",
        "endpoint": server.endpoint,
        "access_key": f"${{{KEYS[0]}}}",
        "secret_key": f"${{{KEYS[1]}}}",
    } | more
    content = {"data_dir": str(data), "workers": 1, "device": "cpu", "storage": storage}
    path.write_text(yaml.safe_dump(content | {"cameras": {CAMERA: LITTLE}}), encoding="utf-8")
    return path


def test_frames_and_report_of_a_night_elsewhere_are_here_when_asked_for(
    shared: Path, server: S3Server
) -> None:
    config = machine(shared, "d", server)
    sharing = open_sharing(config)
    sharing.bring_report(CAMERA, RUN)
    page = config.report_dir(CAMERA, RUN) / "index.html"
    assert page.read_bytes() == (shared / "a/reports/yard" / RUN / "index.html").read_bytes()
    sharing.bring_frames(CAMERA, RUN)
    names = {f.path for f in records(shared / "db")[0].ingest.frames} | ANSWERS
    assert {p.name for p in config.frames_dir(CAMERA, RUN).iterdir()} == names


class Listening(NoProgress):
    """Does something when a stage begins."""

    def __init__(self, stage: str, act: Callable[[], None]) -> None:
        self._stage, self._act = stage, act
        self.begun: list[str] = []

    @contextmanager
    def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
        self.begun.append(name)
        if name == self._stage:
            self._act()
        yield lambda _: None


def test_a_day_watched_on_one_machine_is_trained_on_another_through_an_outage(
    server: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url, day = f"s3://{BUCKET}/watched", (datetime.now(UTC) - FIRST_DAY).days - 3
    a, b = (
        config_of(tmp_path, name, url, server.endpoint, source=f"{SOURCE}&day={day}")
        for name in "ab"
    )

    # Given a day that machine `a` has watched
    with Store(tmp_path / "db") as store:
        CameraWatch(a, list(a.cameras.values()), store).run()
    days = watched_days(a, CAMERA)
    assert days
    assert open_sharing(b).days_elsewhere(CAMERA) == set(days)

    # When the server goes down while `b` trains on it
    progress = Listening("labelling", server.door.shut)
    with Store(tmp_path / "db") as store:
        try:
            with pytest.raises(
                StorageError, match=r"^storage: s3://.* cannot be reached"
            ) as caught:
                retrain_camera(b, CAMERA, store=store, progress=progress)
        finally:
            server.door.open()
        failed = store.latest_night(CAMERA)
        assert failed is not None
        before = stages_of(tmp_path / "db")

        # Then it has failed, and is tried again from where it was
        assert exit_code(caught.value) == 5
        assert (failed.state, failed.night_date) == ("failed", days[-1])
        assert "nothing is lost" in str(failed.error)
        assert set(before) == {"budget", "start", "ingest", "view"}
        again = Listening("", lambda: None)
        record = retrain_camera(b, CAMERA, store=store, progress=again)
    assert "scoring" not in again.begun
    assert isinstance(record, NightRecord)
    assert record.ingest.feed is not None
    assert record.version == days[-1].isoformat()
    after = stages_of(tmp_path / "db")
    assert {name: after[name] for name in before} == before

    # And `a` goes on with the new student; the day is gone but for who has watched it
    registry = open_registry(a, [CAMERA])
    assert registry.incumbent(CAMERA) == record.version
    assert watched_days(b, CAMERA) == days[:-1]
    assert watched_days(a, CAMERA) == days
    assert open_sharing(a).days_elsewhere(CAMERA) == set(days[:-1])

    # And the secret is in no file of either machine
    found = [p for p in tmp_path.rglob("*") if p.is_file() and CANARY.encode() in p.read_bytes()]
    assert found == []


# -- what can be wrong with it ---------------------------------------------------------------------


def check(capfd: pytest.CaptureFixture[str], path: Path) -> tuple[int, str]:
    """Exit code, and what is said of the store."""
    capfd.readouterr()
    code = culling_here(["check", "--json", "--config", str(path), "--debug"])
    out, err = capfd.readouterr()
    assert CANARY not in out + err
    findings = json.loads(out)["findings"]
    return code, next(f["detail"] for f in findings if f["part"] == "storage")


def test_check_tries_the_store(
    server: S3Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    good = write_config(tmp_path, tmp_path / "data", "good", server)
    assert check(capfd, good) == (
        0,
        f"s3://{BUCKET}/nights-of-two: can be written, read and deleted from",
    )
    other = write_config(tmp_path, tmp_path / "data", "other", server, url="s3://no-such-bucket/x")
    code, said = check(capfd, other)
    assert (code, said) == (
        2,
        "storage: s3://no-such-bucket/x: there is no such bucket: make it first",
    )


def test_wrong_keys(server: S3Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_config(tmp_path, tmp_path / "data", "wrong", server)
    server.require_keys(yes=True)
    try:
        code, said = check(capfd, path)
        for command in (["models", CAMERA], ["rollback", CAMERA], ["retrain", CAMERA]):
            assert culling_here([*command, "--config", str(path)]) == 2
    finally:
        server.require_keys(yes=False)
    assert code == 2
    assert "access is refused" in said
    assert "storage.secret_key" in said
    assert "access is refused" in capfd.readouterr().err


def test_a_server_that_is_down(
    shared: Path, server: S3Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write_config(tmp_path, shared / "a", "a", server)
    server.door.shut()
    try:
        code, said = check(capfd, path)
        assert (code, "cannot be reached" in said) == (5, True)
        capfd.readouterr()
        assert culling_here(["models", CAMERA, "--json", "--config", str(path)]) == 0
        out, err = capfd.readouterr()
        assert json.loads(out)["incumbent"] == RUN
        assert "cannot be reached" in err
        assert culling_here(["rollback", CAMERA, "--config", str(path)]) == 5
        assert culling_here(["retrain", CAMERA, "--config", str(path)]) == 5
        assert "nothing is lost" in capfd.readouterr().err
    finally:
        server.door.open()
    assert logging.getLogger("jobs").level == logging.NOTSET
    assert ModelRegistry(shared / "a" / "models").incumbent(CAMERA) == RUN


def test_without_storage_its_packages_are_not_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from jobs.config.settings import Config; "
        "from jobs.nights import nightly; from jobs.bucket import courier, night, registry; "
        "from jobs.bucket.sharing import open_registry; "
        f"open_registry(Config(data_dir=Path({str(tmp_path)!r})), ['yard']); "
        "print({'fsspec', 's3fs', 'botocore'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
