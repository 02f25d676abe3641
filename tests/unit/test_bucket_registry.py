"""Model versions of two machines with one store: each follows the other, whatever was cut off."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import torch

from jobs.bucket.bucket import Bucket, StorageError
from jobs.bucket.registry import SharedRegistry
from jobs.bucket.versions import DEBRIS_AFTER, REMEMBERED, StoredVersions
from jobs.config.storage import StorageSettings
from models.checkpoint import load_checkpoint
from models.errors import WeightsError
from models.registry import ModelRegistry
from models.versions import CREATED, PARENT

CAMERA = "gate"


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((2, 2), value)}


def meta(version: str, parent: str | None = None) -> dict[str, str | None]:
    return {CREATED: f"2026-11-{int(version):02d}", PARENT: parent}


class Line(Bucket):
    """A bucket on disk whose line can be down, or break in the middle of a write."""

    def __init__(self, root: Path) -> None:
        super().__init__(StorageSettings(url=f"file://{root}"), patience_s=0.0)
        self.is_down, self.breaks_on = False, ""

    def read(self, keys):  # type: ignore[no-untyped-def]
        self._look()
        return super().read(keys)

    def keys(self, folder):  # type: ignore[no-untyped-def]
        self._look()
        return super().keys(folder)

    def write(self, objects: Mapping[str, bytes]) -> None:
        self._look()
        if self.breaks_on and any(self.breaks_on in key for key in objects):
            self._break()
        super().write(objects)

    def _look(self) -> None:
        if self.is_down:
            self._break()

    def _break(self) -> None:
        message = "the line is down"
        raise StorageError(message)


class Machine(SharedRegistry):
    def __init__(self, root: Path, bucket_root: Path, *, may_lag: bool = False) -> None:
        self.line = Line(bucket_root)
        super().__init__(root, self.line, may_lag=may_lag)

    def make(self, version: str, value: float, parent: str | None = None) -> None:
        self.add(CAMERA, version, weights(value), meta(version, parent))

    def value(self) -> float:
        """Of the version in use."""
        version = self.incumbent(CAMERA)
        assert version is not None
        return float(load_checkpoint(self.path(CAMERA, version))[0]["w"][0, 0])


@pytest.fixture
def a(tmp_path: Path) -> Machine:
    """With versions 1 and 2, 2 in use."""
    machine = Machine(tmp_path / "a", tmp_path / "bucket")
    machine.make("1", 1)
    machine.make("2", 2, parent="1")
    machine.promote(CAMERA, "2")
    return machine


@pytest.fixture
def b(a: Machine, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "b", tmp_path / "bucket")


def test_the_other_machine_has_what_it_needs_and_knows_the_rest(a: Machine, b: Machine) -> None:
    b.refresh(CAMERA)
    assert (b.incumbent(CAMERA), b.value()) == ("2", 2.0)
    assert b.versions(CAMERA) == ["2"]
    assert b.all_versions(CAMERA) == ["1", "2"]
    assert b.meta(CAMERA, "1")[CREATED] == "2026-11-01"
    b.bring(CAMERA, "1")
    assert b.versions(CAMERA) == ["1", "2"]
    with pytest.raises(WeightsError, match="gate: no version 7, here or in the store; there are"):
        b.bring(CAMERA, "7")


def test_a_rollback_holds_for_all(a: Machine, b: Machine) -> None:
    b.refresh(CAMERA)
    assert b.promote(CAMERA, "1", instead_of="2")
    a.refresh(CAMERA)
    assert (a.incumbent(CAMERA), a.value()) == ("1", 1.0)
    a.refresh(CAMERA)
    assert a.incumbent(CAMERA) == "1"


def test_a_night_does_not_replace_what_was_put_to_work_elsewhere(a: Machine, b: Machine) -> None:
    b.refresh(CAMERA)
    b.promote(CAMERA, "1")
    a.make("3", 3, parent="2")
    assert not a.promote(CAMERA, "3", instead_of="2")
    assert a.incumbent(CAMERA) == "1"
    b.refresh(CAMERA)
    assert (b.incumbent(CAMERA), b.all_versions(CAMERA)) == ("1", ["1", "2", "3"])


def test_an_upload_that_breaks_is_no_version(a: Machine, b: Machine) -> None:
    a.line.breaks_on = "3/manifest"
    with pytest.raises(StorageError, match="line is down"):
        a.make("3", 3, parent="2")
    b.refresh(CAMERA)
    assert b.all_versions(CAMERA) == ["1", "2"]
    assert (b.incumbent(CAMERA), b.value()) == ("2", 2.0)
    a.line.breaks_on = ""
    assert a.promote(CAMERA, "3", instead_of="2")  # what was not sent is sent now
    b.refresh(CAMERA)
    assert (b.incumbent(CAMERA), b.value()) == ("3", 3.0)


def test_what_a_cut_off_upload_has_left_goes_after_a_day(a: Machine) -> None:
    a.line.write({f"models/{CAMERA}/9/model.0.safetensors": b"half"})
    stored, now = StoredVersions(a.line, CAMERA), datetime.now(UTC)
    before = set(a.line.keys("models"))
    stored.clear_debris(now=now + DEBRIS_AFTER / 2)
    assert set(a.line.keys("models")) == before
    stored.clear_debris(now=now + DEBRIS_AFTER + timedelta(minutes=1))
    assert before - set(a.line.keys("models")) == {f"models/{CAMERA}/9/model.0.safetensors"}


def test_what_was_changed_in_an_outage_is_made_up_for(
    a: Machine, b: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    b.refresh(CAMERA)
    patient = Machine(tmp_path / "a", tmp_path / "bucket", may_lag=True)
    patient.line.is_down = True
    patient.make("3", 3, parent="2")
    patient.promote(CAMERA, "3")
    assert "camera gate: the line is down" in caplog.text
    assert patient.incumbent(CAMERA) == "3"
    b.refresh(CAMERA)
    assert b.incumbent(CAMERA) == "2"
    a.refresh(CAMERA)
    b.refresh(CAMERA)
    assert (b.incumbent(CAMERA), b.value()) == ("3", 3.0)


def test_if_both_have_changed_the_store_counts(
    a: Machine, b: Machine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    b.refresh(CAMERA)
    cut_off = Machine(tmp_path / "a", tmp_path / "bucket", may_lag=True)
    cut_off.line.is_down = True
    cut_off.make("3", 3, parent="2")
    cut_off.promote(CAMERA, "3")
    b.promote(CAMERA, "1")
    with caplog.at_level(logging.WARNING):
        a.refresh(CAMERA)
    assert "1 is in use on other machines, which counts; here it was 3" in caplog.text
    assert a.incumbent(CAMERA) == "1"
    b.refresh(CAMERA)
    assert (b.incumbent(CAMERA), b.all_versions(CAMERA)) == ("1", ["1", "2", "3"])


def test_by_hand_nothing_is_changed_in_an_outage(a: Machine) -> None:
    a.line.is_down = True
    with pytest.raises(StorageError, match="line is down"):
        a.promote(CAMERA, "1")
    with pytest.raises(StorageError, match="line is down"):
        a.refresh(CAMERA)
    assert a.incumbent(CAMERA) == "2"


def test_the_first_two_machines_come_to_one_start(tmp_path: Path) -> None:
    a, b = (Machine(tmp_path / name, tmp_path / "bucket", may_lag=True) for name in "ab")
    for machine, value in ((a, 1.0), (b, 5.0)):
        machine.line.is_down = True
        machine.make("1", value)
        machine.promote(CAMERA, "1")
        machine.line.is_down = False
    a.refresh(CAMERA)
    b.refresh(CAMERA)
    assert (a.value(), b.value()) == (1.0, 1.0)


def test_a_version_made_anew_takes_the_place_of_its_first_try(a: Machine, b: Machine) -> None:
    a.make("3", 3, parent="2")
    b.refresh(CAMERA)
    b.bring(CAMERA, "3")
    a.add(CAMERA, "3", weights(4), meta("4", "2"))
    a.promote(CAMERA, "3")
    b.refresh(CAMERA)
    assert b.value() == 4.0


def test_pruned_for_all_but_not_what_is_pinned_in_use_or_its_parent(a: Machine, b: Machine) -> None:
    for number in (3, 4, 5, 6):
        a.make(str(number), number, parent=str(number - 1))
    a.promote(CAMERA, "6")
    b.refresh(CAMERA)
    for version in ("1", "3", "4"):
        b.bring(CAMERA, version)
    b.pin(CAMERA, "1")
    assert b.prune(CAMERA, keep=1) == ["2", "3", "4"]
    assert b.all_versions(CAMERA) == ["1", "5", "6"]
    assert b.versions(CAMERA) == ["1", "6"]
    a.refresh(CAMERA)
    assert a.versions(CAMERA) == ["1", "5", "6"]
    assert a.pinned(CAMERA) == {"1"}
    a.unpin(CAMERA, "1")
    b.refresh(CAMERA)
    assert b.pinned(CAMERA) == set()
    assert not any("model" in key.rpartition("/")[2] for key in a.line.keys(f"models/{CAMERA}/2"))


def test_a_removed_version_that_is_made_anew_is_back(a: Machine, b: Machine) -> None:
    a.make("3", 3, parent="2")
    a.promote(CAMERA, "3")
    assert a.prune(CAMERA, keep=1) == ["1"]
    a.make("1", 9)
    b.refresh(CAMERA)
    assert b.all_versions(CAMERA) == ["1", "2", "3"]
    assert f"models/{CAMERA}/1/removed" not in a.line.keys("models")


def test_that_a_version_was_removed_is_forgotten_in_the_end(a: Machine) -> None:
    a.make("3", 3, parent="2")
    a.promote(CAMERA, "3")
    a.prune(CAMERA, keep=1)
    mark = f"models/{CAMERA}/1/removed"
    stored = StoredVersions(a.line, CAMERA)
    stored.clear_debris(now=datetime.now(UTC) + REMEMBERED / 2)
    assert mark in a.line.keys("models")
    stored.clear_debris(now=datetime.now(UTC) + REMEMBERED + timedelta(days=1))
    assert mark not in a.line.keys("models")


def test_pins_from_before_there_was_a_store_stay(tmp_path: Path) -> None:
    alone = ModelRegistry(tmp_path / "a")
    alone.add(CAMERA, "1", weights(1), meta("1"))
    alone.promote(CAMERA, "1")
    alone.pin(CAMERA, "1")
    for name in ("a", "b"):
        machine = Machine(tmp_path / name, tmp_path / "bucket")
        machine.refresh(CAMERA)
        assert (machine.incumbent(CAMERA), machine.pinned(CAMERA)) == ("1", {"1"})


def test_an_emptied_store_fills_up_by_itself(a: Machine, b: Machine) -> None:
    a.line.delete(list(a.line.keys("models")))
    a.refresh(CAMERA)
    b.refresh(CAMERA)
    assert (b.incumbent(CAMERA), b.all_versions(CAMERA)) == ("2", ["1", "2"])


def test_a_damaged_version_or_pointer_is_not_used(a: Machine, b: Machine, tmp_path: Path) -> None:
    (path,) = (tmp_path / "bucket/models/gate/2").glob("model.*")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StorageError, match=r"models/gate/2: model\.safetensors is damaged"):
        b.refresh(CAMERA)
    assert (b.versions(CAMERA), b.incumbent(CAMERA)) == ([], None)
    path.write_bytes(whole)
    pointer = tmp_path / "bucket/models/gate/incumbent.json"
    for damaged in ("{}", "[" * 100_000):
        pointer.write_text(damaged)
        with pytest.raises(StorageError, match=r"incumbent\.json is damaged: delete it"):
            b.refresh(CAMERA)
