"""A camera's model versions where several machines share them: each has those it needs on its own
disk, and all use the same one."""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from jobs.bucket.agreement import Agreement
from jobs.bucket.bucket import Bucket, StorageError
from jobs.bucket.versions import PINNED
from jobs.errors import describe
from models.registry import ModelRegistry
from models.versions import CREATED, PARENT

logger = logging.getLogger(__name__)

LOCK_FILE = ".shared.lock"


class SharedRegistry(ModelRegistry):
    """A `ModelRegistry` that keeps the store up to date. With `may_lag`, an outage of the store is
    only logged, and this machine goes on with what it has; else it is raised."""

    def __init__(self, root: Path, bucket: Bucket, *, may_lag: bool = False) -> None:
        super().__init__(root)
        self._may_lag = may_lag
        self._agreement = Agreement(root, bucket)

    # -- what is where -------------------------------------------------------------------------

    def all_versions(self, camera: str) -> list[str]:
        """Those here, and those that the store had when it was last looked at."""
        return self._agreement.all_versions(camera)

    def meta(self, camera: str, version: str) -> dict[str, Any]:
        """A version's meta, also of one that is not here."""
        name = self._agreement.known(camera).manifests.get(version)
        if name is None or version in self.versions(camera):
            return super().meta(camera, version)
        return self._agreement.stored(camera).manifest(version, name).about

    def refresh(self, camera: str) -> None:
        """Send what is new here, take over what is new there."""
        with self._together(camera), self._outages(camera):
            self._agreement.agree(camera)

    def bring(self, camera: str, version: str) -> None:
        """Have a version on this disk."""
        if version not in self.versions(camera):
            with self._together(camera):
                self._agreement.bring(camera, version)

    # -- what is changed here, for all ---------------------------------------------------------

    def add(
        self, camera: str, version: str, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> Path:
        """As `ModelRegistry.add`, for all machines."""
        with self._together(camera):
            folder = super().add(camera, version, state_dict, meta)
            with self._outages(camera):
                self._agreement.send(camera, version)
        return folder

    def promote(self, camera: str, version: str, *, instead_of: str | None = None) -> bool:
        """As `ModelRegistry.promote`, for all machines: one that another has put to work meanwhile
        counts as in use."""
        with self._together(camera):
            with self._outages(camera):
                self._agreement.agree(camera)
                if version not in self.versions(camera):
                    self._agreement.bring(camera, version)
            done = super().promote(camera, version, instead_of=instead_of)
            if done:
                with self._outages(camera):
                    self._agreement.point_at(camera, version)
        return done

    def pin(self, camera: str, version: str) -> None:
        """Never prune this version, on any machine."""
        self.bring(camera, version)
        self._agreement.stored(camera).mark(version, PINNED)
        super().pin(camera, version)

    def unpin(self, camera: str, version: str) -> None:
        """Prune it in its turn."""
        self.bring(camera, version)
        self._agreement.stored(camera).unmark(version, PINNED)
        super().unpin(camera, version)

    def prune(self, camera: str, *, keep: int) -> list[str]:
        """As `ModelRegistry.prune`, here and in the store; by the age of all versions there."""
        with self._together(camera):
            self._agreement.agree(camera)
            here = super().prune(camera, keep=keep)
            stored, listing = self._agreement.stored(camera), self._agreement.known(camera)
            metas = {v: stored.manifest(v, n).about for v, n in listing.manifests.items()}
            by_age = sorted(metas, key=lambda v: (str(metas[v].get(CREATED, "")), v))
            incumbent = self.incumbent(camera)
            if incumbent is None:
                return []
            parent = metas.get(incumbent, {}).get(PARENT)
            safe = {incumbent, parent, *listing.pinned}
            there = [v for v in by_age[: max(0, len(by_age) - keep)] if v not in safe]
            for version in there:
                stored.remove(version)
                super().remove(camera, version)
            self._agreement.look(camera)
        return sorted({*here, *there})

    def clear_debris(self, camera: str) -> list[Path]:
        """As `ModelRegistry.clear_debris`, and uploads that were cut off."""
        with self._outages(camera):
            self._agreement.stored(camera).clear_debris()
        return super().clear_debris(camera)

    # -- inside --------------------------------------------------------------------------------

    @contextmanager
    def _together(self, camera: str) -> Iterator[None]:
        """One process of this machine at a time compares the two sides of a camera."""
        folder = self._camera(camera)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / LOCK_FILE).open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _outages(self, camera: str) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            if not self._may_lag:
                raise
            logger.warning("camera %s: %s", camera, describe(error))
