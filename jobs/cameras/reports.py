"""Where the pages of nights lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from culling_pipeline.report import PAGE

if TYPE_CHECKING:
    from jobs.config.settings import Config


def report_path(config: Config, camera: str, run_id: str) -> Path:
    """Where the night's report lies, there or not."""
    return config.report_dir(camera, run_id) / PAGE


def report_key(camera: str, run_id: str) -> str:
    """Where it lies in a store that machines share."""
    return f"reports/{camera}/{run_id}/{PAGE}"
