"""What an executor is: it runs camera-nights and reports how each ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """One camera's night, small enough to be sent anywhere. `due_id` names it; the process that
    runs it reads the configuration itself."""

    due_id: int
    camera: str
    config: Path
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: the night it made, or the error. `busy`: another process runs a night of
    this camera; `lost`: the process that ran it died; `away`: the database could not be had, or
    nothing could be written on the disk."""

    due_id: int
    night_id: int | None = None
    error: str | None = None
    exit_code: int = 0
    busy: bool = False
    lost: bool = False
    away: bool = False


class Executor(Protocol):
    """Runs up to `slots` tasks at the same time."""

    slots: int

    def start(self, task: Task) -> None:
        """Begin a task; returns at once."""

    def finished(self) -> list[Outcome]:
        """The tasks that have ended since the last call."""

    def stop(self) -> None:
        """Interrupt all running tasks so that they can be resumed, and wait for them."""
