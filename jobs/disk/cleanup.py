"""What is deleted when a night is done: old model versions, old reports, frames over budget."""

from __future__ import annotations

import logging
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobs.bucket.bucket import StorageError
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.disk.budget import DiskBudget, FreeSpace
from models.errors import ModelError
from models.registry import ModelRegistry

logger = logging.getLogger(__name__)

PAGE = "index.html"


def tidy_up(config: Config, camera: CameraConfig, store: Store, registry: ModelRegistry) -> None:
    """Delete what is too old. Errors are only logged: the night is done."""
    try:
        removed = registry.prune(camera.name, keep=camera.models.keep)
        if removed:
            logger.info("camera %s: old models removed: %s", camera.name, ", ".join(removed))
    except (ModelError, StorageError, OSError) as error:
        logger.warning("camera %s: old models stay: %s", camera.name, error)
    remove_old_reports(config, [camera.name])
    try:
        free_space = FreeSpace(config.data_dir, 0)  # no minimum: this night's frames stay
        DiskBudget(config, store, free_space, finished_only=True).enforce({})
    except OSError as error:
        logger.warning("camera %s: frames over disk.budget_gb stay: %s", camera.name, error)


def remove_old_reports(
    config: Config, cameras: list[str] | None = None, *, now: datetime | None = None
) -> list[Path]:
    """Remove the reports of these cameras (of all that have any) that were written more than
    `reports.keep_days` ago, but never a camera's latest; returns their folders."""
    keep_days = config.reports.keep_days
    if keep_days is None:
        return []
    oldest = (now or datetime.now(UTC)) - timedelta(days=keep_days)
    root = config.data_dir / "reports"
    folders = sorted(root.glob("*")) if cameras is None else [root / name for name in cameras]
    removed: list[Path] = []
    for folder in folders:
        old = [path for written, path in _by_age(folder)[:-1] if written < oldest.timestamp()]
        removed += [path for path in old if _remove(path)]
    if removed:
        logger.info("old reports removed (reports.keep_days): %d", len(removed))
    return removed


def _by_age(camera_folder: Path) -> list[tuple[float, Path]]:
    """When each report was written, and its folder; the oldest first."""
    found = []
    for page in camera_folder.glob(f"*/{PAGE}"):
        try:
            found.append((page.stat().st_mtime, page.parent))
        except FileNotFoundError:  # another process has deleted it
            continue
    return sorted(found)


def _remove(folder: Path) -> bool:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.warning("%s: an old report stays: %s", folder, error)
        return False
    return True
