"""From the configuration to what is shared with other machines: nothing without `storage`.

Callers need not know which it is: `Sharing` does nothing at all, `Shared` sends and brings.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

from jobs.bucket.bucket import COMMAND_PATIENCE_S, Bucket, StorageError, open_bucket
from jobs.bucket.unshared import NightSharing
from jobs.cameras.reports import report_key, report_path
from jobs.config.settings import Config
from jobs.database.store import NightJournal
from jobs.errors import describe
from models.files import replace_file
from models.registry import ModelRegistry

if TYPE_CHECKING:
    from jobs.bucket.days import StoredDays

logger = logging.getLogger(__name__)


class Sharing:
    """What this machine shares with others: nothing."""

    days: StoredDays | None = None

    def registry(self, config: Config, *, may_lag: bool = False) -> ModelRegistry:
        """The model versions."""
        return ModelRegistry(config.models_root)

    def days_elsewhere(self, camera: str) -> set[date]:
        """Days that other machines have watched."""
        return set()

    def night(self, journal: NightJournal) -> NightSharing:
        """One night."""
        return NightSharing(journal)

    def corrections(self, camera: str) -> None:
        """Make corrected labels the same here and elsewhere."""

    def bring_report(self, camera: str, run_id: str) -> None:
        """Have a night's page here, wherever it was run."""

    def bring_frames(self, camera: str, run_id: str) -> None:
        """Have the frames of a done night here, wherever it was run."""


class Shared(Sharing):
    """With a store that several machines use."""

    def __init__(self, config: Config, bucket: Bucket) -> None:
        from jobs.bucket.days import StoredDays

        self._config, self._bucket = config, bucket
        self.days = StoredDays(config, bucket)

    def registry(self, config: Config, *, may_lag: bool = False) -> ModelRegistry:
        """The model versions; with `may_lag`, outages of the store are only logged."""
        from jobs.bucket.registry import SharedRegistry

        return SharedRegistry(config.models_root, self._bucket, may_lag=may_lag)

    def days_elsewhere(self, camera: str) -> set[date]:
        """Days that other machines have watched."""
        assert self.days is not None
        return self.days.dates(camera)

    def night(self, journal: NightJournal) -> NightSharing:
        """One night, which can then be taken up elsewhere."""
        from jobs.bucket.night import SharedNight

        return SharedNight(self._config, self._bucket, journal)

    def corrections(self, camera: str) -> None:
        """Make corrected labels the same here and elsewhere."""
        from jobs.bucket.night import agree_on_corrections

        agree_on_corrections(self._config, self._bucket, camera)

    def bring_report(self, camera: str, run_id: str) -> None:
        """Have a night's page here; where it cannot be had, the log says why."""
        path = report_path(self._config, camera, run_id)
        if path.is_file():
            return
        try:
            page = self._bucket.read_one(report_key(camera, run_id))
        except StorageError as error:
            logger.warning("camera %s: %s", camera, describe(error))
            return
        if page is not None:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(path, page)

    def bring_frames(self, camera: str, run_id: str) -> None:
        """Have the frames of a done night here."""
        from jobs.bucket.night import bring_frames

        if not self._config.frames_dir(camera, run_id).is_dir():
            bring_frames(self._config, self._bucket, camera, run_id)


def open_sharing(config: Config, patience_s: float | None = None) -> Sharing:
    """What the configuration says, with the patience of a command where none is given; raises
    `ConfigError` where an extra is missing or the address cannot be used."""
    if config.storage.url is None:
        return Sharing()
    return Shared(config, open_bucket(config.storage, patience_s or COMMAND_PATIENCE_S))


def open_registry(
    config: Config, cameras: Iterable[str] = (), *, may_lag: bool = True
) -> ModelRegistry:
    """The model versions, with what others have done to these cameras' since. With `may_lag`, an
    outage of the store is only logged."""
    registry = open_sharing(config).registry(config, may_lag=may_lag)
    for camera in cameras:
        registry.refresh(camera)
    return registry


def try_storage(config: Config) -> str:
    """Writes, reads, lists and deletes a small object; what was found, in words. Raises
    `ConfigError` or `StorageError`."""
    bucket = open_bucket(config.storage, COMMAND_PATIENCE_S)
    key = f"check/{secrets.token_hex(8)}"
    bucket.write({key: b"written by culling check"})
    try:
        if bucket.read([key])[key] != b"written by culling check" or key not in bucket.keys(
            "check"
        ):
            message = f"storage: {bucket.shown}: what is written there is not there afterwards"
            raise StorageError(message)
    finally:
        bucket.delete([key])
    return f"{bucket.shown}: can be written, read and deleted from"
