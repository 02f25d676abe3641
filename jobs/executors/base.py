"""What an executor is: it is given camera-nights and says how each ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Task:
    """One camera's night, small enough to be sent anywhere: `due_id` names it, the rest says how to
    begin it. Where it runs, it reads the configuration itself."""

    due_id: int
    camera: str
    config: Path
    overrides: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a task ended: the night it made, or the error. `busy`: another process runs a night of
    this camera; `lost`: whoever had it died."""

    due_id: int
    night_id: int | None = None
    error: str | None = None
    exit_code: int = 0
    busy: bool = False
    lost: bool = False


class Executor(Protocol):
    """Runs tasks beside each other; `slots` is how many."""

    slots: int

    def start(self, task: Task) -> None:
        """Begin; returns at once."""

    def finished(self) -> list[Outcome]:
        """Those that have ended since this was last asked."""

    def stop(self) -> None:
        """End what runs, so that it can be taken up again, and wait for it."""
