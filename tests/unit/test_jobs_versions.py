"""A version put to work by a person, and put back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks.testbed.done_night import CAMERA, SETTINGS, make_night
from jobs import cli
from jobs.cameras.versions import Switch, roll_back, set_pin, undo
from jobs.config.settings import TaskName
from jobs.errors import UsageError
from models.checkpoint import load_checkpoint
from models.registry import ModelRegistry


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """`a`, made from `b`, made from `start`; `a` is in use."""
    registry = ModelRegistry(tmp_path)
    for day, (version, parent) in enumerate([("start", "builtin:x"), ("b", "start"), ("a", "b")]):
        meta = {"parent": parent, "created_at": f"2026-11-2{day}T03:00:00+00:00"}
        registry.add("yard", version, {"w": torch.zeros(1)}, meta)
    registry.promote("yard", "a")
    return registry


def test_back_to_the_parent_and_undone(registry: ModelRegistry) -> None:
    switch = roll_back(registry, "yard")
    assert switch == Switch("yard", "a", "b")
    assert registry.incumbent("yard") == "b"
    assert undo(registry, switch) == Switch("yard", "b", "a")
    assert registry.incumbent("yard") == "a"


def test_a_night_in_between_is_not_undone(registry: ModelRegistry) -> None:
    switch = roll_back(registry, "yard", "b")
    registry.promote("yard", "start")
    with pytest.raises(UsageError, match="a night put another model to work just now"):
        undo(registry, switch)
    assert registry.incumbent("yard") == "start"


def test_what_cannot_be_undone(registry: ModelRegistry) -> None:
    with pytest.raises(UsageError, match="no version was in use before: name one"):
        undo(registry, Switch("yard", None, "a"))
    with pytest.raises(UsageError, match=r"has no version '\.\./a'"):
        undo(registry, Switch("yard", "../a", "a"))


def test_a_pin_stays_until_it_is_taken_out(registry: ModelRegistry) -> None:
    set_pin(registry, "yard", "start", pinned=True)
    assert registry.pinned("yard") == {"start"}
    set_pin(registry, "yard", "start", pinned=False)
    assert registry.pinned("yard") == set()
    with pytest.raises(UsageError, match="has no version 'x'; there are: a, b, start"):
        set_pin(registry, "yard", "x", pinned=True)


@pytest.mark.parametrize("task", ["boxes", "count"])
def test_after_a_rollback_by_command_the_camera_answers_as_before(
    task: TaskName, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    night = make_night(tmp_path, task=task)
    source, file = SETTINGS[task]["source"], ("--config", str(night.path))

    def answers() -> str:
        assert cli.run(["detect", CAMERA, source, "--every", "36000", "--json", *file]) == 0
        return capsys.readouterr().out

    first = answers()
    registry = ModelRegistry(night.config.models_root)
    state, meta = load_checkpoint(registry.path(CAMERA, "start"))
    worse = {name: 0.5 * tensor for name, tensor in state.items()}
    registry.add(CAMERA, "worse", worse, meta | {"parent": "start"})
    registry.promote(CAMERA, "worse")
    assert answers() != first
    assert cli.run(["rollback", CAMERA, "--json", *file]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done == {"camera": CAMERA, "before": "worse", "incumbent": "start"}
    assert answers() == first
