"""A camera's model versions: adding, promoting, and what a killed night leaves behind."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from models.checkpoint import load_checkpoint
from models.errors import WeightsError
from models.registry import ModelRegistry

META = {"architecture": "tiny"}


def weights(value: float) -> dict[str, torch.Tensor]:
    return {"w": torch.full((2, 2), value)}


def exit_code_when_killed_at(method: str, action: Callable[[], object]) -> int:
    """Run `action` in a child process that dies, without clean-up, when it calls Path.`method`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads, Python 3.12
        child = os.fork()
    if child == 0:
        try:
            setattr(Path, method, lambda *_: os._exit(9))
            action()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """Camera `gate` with versions 1 and 2, 1 in use."""
    registry = ModelRegistry(tmp_path)
    registry.add("gate", "1", weights(1), META)
    registry.add("gate", "2", weights(2), META)
    registry.promote("gate", "1")
    return registry


def test_a_camera_without_models(tmp_path: Path) -> None:
    registry = ModelRegistry(tmp_path / "not-yet")
    assert registry.versions("gate") == []
    assert registry.incumbent("gate") is None
    assert registry.clear_debris("gate") == []


def test_versions_and_incumbent(registry: ModelRegistry) -> None:
    assert registry.versions("gate") == ["1", "2"]
    assert registry.incumbent("gate") == "1"
    registry.promote("gate", "2")
    assert registry.incumbent("gate") == "2"
    assert load_checkpoint(registry.path("gate", "2"))[0]["w"][0, 0] == 2
    assert registry.versions("door") == []


def test_promote_of_a_version_that_does_not_load_keeps_the_old_one(registry: ModelRegistry) -> None:
    file = registry.path("gate", "2") / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="truncated or changed"):
        registry.promote("gate", "2")
    assert registry.incumbent("gate") == "1"


def test_promote_of_an_unknown_version_lists_the_known(registry: ModelRegistry) -> None:
    with pytest.raises(WeightsError, match="gate: no version 3; there are: 1, 2"):
        registry.promote("gate", "3")
    with pytest.raises(WeightsError, match="there are: none"):
        registry.promote("door", "3")
    assert registry.incumbent("gate") == "1"


def test_killed_before_the_pointer_is_swapped_the_old_one_stays(registry: ModelRegistry) -> None:
    promote = partial(registry.promote, "gate", "2")
    assert exit_code_when_killed_at("replace", promote) == 9
    assert registry.incumbent("gate") == "1"
    assert [p.name.split(".")[1] for p in registry.clear_debris("gate")] == ["incumbent"]


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 3}', '{"version": "../x"}', "[" * 100_000]
)
def test_a_damaged_pointer_says_how_to_mend_it(registry: ModelRegistry, content: str) -> None:
    pointer = registry.path("gate", "1").with_name("incumbent.json")
    pointer.write_text(content)
    with pytest.raises(WeightsError, match=r"incumbent\.json: damaged .* promote a version again"):
        registry.incumbent("gate")
    registry.promote("gate", "2")
    assert registry.incumbent("gate") == "2"


def test_a_night_run_again_replaces_its_own_version_but_not_the_incumbent(
    registry: ModelRegistry,
) -> None:
    registry.add("gate", "2", weights(5), META)
    assert load_checkpoint(registry.path("gate", "2"))[0]["w"][0, 0] == 5
    with pytest.raises(WeightsError, match="version 1 is in use"):
        registry.add("gate", "1", weights(6), META)
    assert load_checkpoint(registry.path("gate", "1"))[0]["w"][0, 0] == 1
    assert registry.clear_debris("gate") == []


def test_debris_is_no_version_and_is_cleared(registry: ModelRegistry) -> None:
    camera = registry.path("gate", "1").parent
    part = camera / ".3.0011aabb.tmp"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half")
    (part / "meta.json").write_bytes(b"{}")
    (camera / ".incumbent.json.0011aabb.tmp").write_bytes(b"half")
    (camera / "stray").mkdir()
    assert registry.versions("gate") == ["1", "2"]
    assert len(registry.clear_debris("gate")) == 2
    left = sorted(p.name for p in camera.iterdir())
    assert left == [".lock", "1", "2", "incumbent.json", "stray"]
    assert registry.incumbent("gate") == "1"


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "incumbent.json", "a\n"])
def test_names_that_would_leave_their_place(tmp_path: Path, name: str) -> None:
    registry: Any = ModelRegistry(tmp_path)
    with pytest.raises(WeightsError, match=r"camera name .* must be letters"):
        registry.versions(name)
    with pytest.raises(WeightsError, match=r"version name .* must be letters"):
        registry.add("gate", name, weights(1), META)
    assert list(tmp_path.iterdir()) == []
