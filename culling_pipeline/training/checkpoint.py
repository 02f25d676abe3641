"""The checkpoint that a long training goes on from, complete or not there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from culling_pipeline.training.schedule import Schedule
from models.errors import WeightsError
from models.files import aside, sync_folder

_DAMAGED = (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError, UnpicklingError)
"""The errors of torch for a file that is not a whole checkpoint."""
_BEFORE_THERE_WAS_A_CHOICE = {"schedule": "standard"}
"""What an older checkpoint does not say."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file of a training: weights, optimizer, position, and the schedule's state if one drops
    pictures."""

    path: Path
    model: nn.Module
    optimizer: torch.optim.Optimizer
    recipe: Mapping[str, Any]
    schedule: Schedule | None

    def save(self, rank: int, *, at: tuple[int, int]) -> None:
        """The first process writes it, complete or not at all; the old file stays until then. With
        a schedule, all processes must call this together."""
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        if self.schedule is not None:
            state["schedule"] = self.schedule.state()
        if rank:
            return
        part = aside(self.path)
        try:
            with part.open("wb") as file:
                torch.save({**state, "recipe": dict(self.recipe), "at": list(at)}, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self.path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        sync_folder(self.path.parent)

    def restore(self, device: torch.device) -> tuple[int, int]:
        """The epoch (from 1) and the step to continue with. A folder in which it cannot be saved is
        an error now, not after the first epoch."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if not self.path.is_file():
            return 1, 0
        try:
            state = torch.load(self.path, map_location=device, weights_only=True)
            stored = _BEFORE_THERE_WAS_A_CHOICE | state["recipe"]
            differing = [key for key in self.recipe if stored.get(key) != self.recipe[key]]
            if not differing:
                self.model.load_state_dict(state["model"])
                self.optimizer.load_state_dict(state["optimizer"])
                if self.schedule is not None:
                    self.schedule.restore(state["schedule"])
                epoch, step = state["at"]
                return int(epoch), int(step)
        except _DAMAGED as exc:
            message = (
                f"{self.path}: not a checkpoint of this training ({exc}): delete it to start again"
            )
            raise WeightsError(message) from exc
        changes = ", ".join(
            f"{key} {stored.get(key)} then, {self.recipe[key]} now" for key in differing
        )
        message = (
            f"{self.path}: of another training ({changes}): use the same settings, or another --out"
        )
        raise WeightsError(message)
