"""Pins, pruning and the switch between a camera's versions, also under SIGKILL and a full disk."""

from __future__ import annotations

import fcntl
import os
import random
import resource
import signal
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from models.checkpoint import load_checkpoint
from models.errors import WeightsError
from models.registry import ModelRegistry

KILLS = int(os.environ.get("CULLING_KILLS", "30"))


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((64, 64), value)}


def add(registry: ModelRegistry, version: int, parent: str = "builtin:x") -> None:
    meta = {"parent": parent, "created_at": f"2026-11-{version:02}T00:00:00+00:00"}
    registry.add("gate", str(version), weights(version), meta)


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """Camera `gate` with versions 1 … 9, 5 (a child of 2) in use."""
    registry = ModelRegistry(tmp_path)
    for version in range(1, 10):
        add(registry, version, "2" if version == 5 else "1")
    registry.promote("gate", "5")
    return registry


def in_child(action: Callable[[], None]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
        child = os.fork()
    if child:
        return child
    try:
        action()
        os._exit(0)
    except BaseException:
        os._exit(1)


def test_pruning_leaves_the_newest_and_whatever_is_needed(registry: ModelRegistry) -> None:
    registry.pin("gate", "3")
    assert registry.prune("gate", keep=2) == ["1", "4", "6", "7"]
    assert registry.versions("gate") == ["2", "3", "5", "8", "9"]
    assert registry.prune("gate", keep=2) == []
    registry.unpin("gate", "3")
    assert registry.prune("gate", keep=2) == ["3"]
    assert registry.clear_debris("gate") == []


def test_versions_are_as_old_as_they_say_and_not_as_they_are_called(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path)
    for day, version in enumerate(["start", "2026-11-21", "2026-11-21.2", "2026-11-21.10"], 1):
        meta = {"created_at": f"2026-11-{day:02}T00:00:00+00:00", "parent": "builtin:x"}
        registry.add("gate", version, weights(day), meta)
    assert registry.prune("gate", keep=1) == []  # nothing is in use yet
    registry.promote("gate", "2026-11-21.10")
    assert registry.prune("gate", keep=2) == ["start", "2026-11-21"]


def test_nothing_is_pruned_where_it_is_unknown_what_is_needed(registry: ModelRegistry) -> None:
    (registry.path("gate", "5") / "meta.json").write_text("{")
    with pytest.raises(WeightsError, match="not JSON"):
        registry.prune("gate", keep=1)
    assert len(registry.versions("gate")) == 9


def test_a_switch_only_from_the_version_it_was_meant_for(registry: ModelRegistry) -> None:
    assert not registry.promote("gate", "9", instead_of="4")
    assert registry.incumbent("gate") == "5"
    assert registry.promote("gate", "9", instead_of="5")
    assert registry.incumbent("gate") == "9"


def test_pins_of_what_is_not_there(registry: ModelRegistry) -> None:
    for change in (registry.pin, registry.unpin):
        with pytest.raises(WeightsError, match="no version 77; there are: 1, 2"):
            change("gate", "77")
    assert registry.pinned("gate") == set()


def busy(registry: ModelRegistry) -> None:
    """What nights and people do to a camera's versions, for ever."""
    at = 10 + random.randrange(10**9)
    while True:
        at += 1
        parent = registry.incumbent("gate") or ""
        meta = {"parent": parent, "created_at": f"3{time.time_ns():020}"}
        registry.add("gate", f"v{at}", weights(at), meta)
        registry.promote("gate", f"v{at}", instead_of=parent)
        registry.prune("gate", keep=2)
        registry.promote("gate", parent)
        registry.promote("gate", f"v{at}")
        registry.pin("gate", f"v{at}")
        registry.unpin("gate", f"v{at}")


def test_killed_at_any_moment_the_incumbent_and_all_versions_load(registry: ModelRegistry) -> None:
    # `CULLING_KILLS=100` is the long form; docs/log/ has its figures.
    rng, debris = random.Random(7), 0
    for _ in range(KILLS):
        child = in_child(lambda: busy(registry))
        time.sleep(rng.uniform(0.002, 0.06))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1])
        incumbent = registry.incumbent("gate")
        assert incumbent is not None
        whole = registry.versions("gate")
        folders = [p.name for p in registry.path("gate", "5").parent.iterdir() if p.is_dir()]
        assert sorted(name for name in folders if not name.startswith(".")) == whole
        for version in whole:
            load_checkpoint(registry.path("gate", version))
        if rng.random() < 0.5:  # as a night does, but not each time
            debris += len(registry.clear_debris("gate"))
    assert debris > 0  # it was killed in the midst of things


def test_a_full_disk_leaves_the_old_pointer_and_nothing_half(registry: ModelRegistry) -> None:
    def on_a_full_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4, 4))  # bytes: the writing itself fails
        for change in (
            lambda: registry.promote("gate", "9"),
            lambda: add(registry, 10),
        ):
            with pytest.raises(WeightsError, match=r"could not be written .*disk's space"):
                change()

    child = in_child(on_a_full_disk)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert registry.incumbent("gate") == "5"
    assert len(registry.versions("gate")) == 9
    assert registry.clear_debris("gate") == []


def test_a_rollback_waits_for_a_night_that_prunes(registry: ModelRegistry) -> None:
    lock = registry.path("gate", "5").with_name(".lock")
    with lock.open("wb") as held, ThreadPoolExecutor(1) as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        switch = pool.submit(registry.promote, "gate", "9")
        time.sleep(0.1)
        waited = not switch.done() and registry.incumbent("gate") == "5"
        fcntl.flock(held, fcntl.LOCK_UN)
        assert switch.result(timeout=120)
    assert waited
    assert registry.incumbent("gate") == "9"
