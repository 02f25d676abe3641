"""A camera's model versions where several machines share them: each has those it needs on its own
disk, and all have the same one in use.

What was changed here and what was changed elsewhere is told by what both said when they last
agreed (`.shared.json`). So a machine that could not reach the store makes up for it when it can. If
both sides have changed, the store's word counts: others work with it already.
"""

from __future__ import annotations

import fcntl
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from jobs.bucket.bucket import Bucket, StorageError
from jobs.bucket.versions import PINNED, Listing, StoredVersions, manifest_name
from jobs.errors import describe
from models.errors import WeightsError
from models.files import replace_file
from models.registry import CREATED, PARENT, ModelRegistry

logger = logging.getLogger(__name__)

AGREED_FILE = ".shared.json"
LOCK_FILE = ".shared.lock"


class SharedRegistry(ModelRegistry):
    """`ModelRegistry` with the store behind it. With `may_lag` an outage is told in the log, and
    this machine goes on with what it has; else it is raised."""

    def __init__(self, root: Path, bucket: Bucket, *, may_lag: bool = False) -> None:
        super().__init__(root)
        self._bucket, self._may_lag = bucket, may_lag
        self._known: dict[str, Listing] = {}
        self._stored: dict[str, StoredVersions] = {}

    # -- what is where -------------------------------------------------------------------------

    def all_versions(self, camera: str) -> list[str]:
        """Those here, and those that the store had when it was last asked."""
        elsewhere = self._known.get(camera, Listing()).manifests
        return sorted({*self.versions(camera), *elsewhere})

    def meta(self, camera: str, version: str) -> dict[str, Any]:
        """A version's meta, also of one that is not here."""
        name = self._known.get(camera, Listing()).manifests.get(version)
        if name is None or version in self.versions(camera):
            return super().meta(camera, version)
        return self._versions_of(camera).manifest(version, name).about

    def refresh(self, camera: str) -> None:
        """Send what is new here, take over what is new there."""
        with self._together(camera), self._outages(camera):
            self._agree(camera)

    def bring(self, camera: str, version: str) -> None:
        """Have a version on this disk."""
        if version not in self.versions(camera):
            with self._together(camera):
                self._bring(camera, version)

    # -- what is changed here, for all ---------------------------------------------------------

    def add(
        self, camera: str, version: str, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any]
    ) -> Path:
        """As `ModelRegistry.add`, for all machines."""
        with self._together(camera):
            folder = super().add(camera, version, state_dict, meta)
            with self._outages(camera):
                self._send(camera, version)
        return folder

    def promote(self, camera: str, version: str, *, instead_of: str | None = None) -> bool:
        """As `ModelRegistry.promote`, for all machines: one that another has put to work meanwhile
        counts as in use."""
        with self._together(camera):
            with self._outages(camera):
                self._agree(camera)
                if version not in self.versions(camera):
                    self._bring(camera, version)
            done = super().promote(camera, version, instead_of=instead_of)
            if done:
                with self._outages(camera):
                    self._point(camera, version)
        return done

    def pin(self, camera: str, version: str) -> None:
        """Never prune this version, on any machine."""
        self.bring(camera, version)
        self._versions_of(camera).mark(version, PINNED)
        super().pin(camera, version)

    def unpin(self, camera: str, version: str) -> None:
        """Prune it in its turn."""
        self.bring(camera, version)
        self._versions_of(camera).unmark(version, PINNED)
        super().unpin(camera, version)

    def prune(self, camera: str, *, keep: int) -> list[str]:
        """As `ModelRegistry.prune`, here and in the store; by the age of all versions there."""
        with self._together(camera):
            self._agree(camera)
            here = super().prune(camera, keep=keep)
            stored, listing = self._versions_of(camera), self._known[camera]
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
            self._known[camera] = stored.look()
        return sorted({*here, *there})

    def clear_debris(self, camera: str) -> list[Path]:
        """As `ModelRegistry.clear_debris`, and uploads that were cut off."""
        with self._outages(camera):
            self._versions_of(camera).clear_debris()
        return super().clear_debris(camera)

    # -- the two sides -------------------------------------------------------------------------

    def _agree(self, camera: str) -> None:
        stored = self._versions_of(camera)
        self._known[camera] = listing = stored.look()
        agreed = self._agreed(camera)
        for version in self.versions(camera):
            if version in listing.removed:
                self.remove(camera, version)
            elif version not in listing.manifests:
                self._send(camera, version)
            elif listing.manifests[version] != manifest_name(self.path(camera, version)):
                self._bring(camera, version)  # made anew elsewhere
        self._agree_on_pins(camera, self._known[camera])
        self._agree_on_use(camera, agreed.get("version"), agreed.get("stamp"))

    def _agree_on_pins(self, camera: str, listing: Listing) -> None:
        here = self.pinned(camera)
        for version in self.versions(camera):
            if version in listing.pinned and version not in here:
                super().pin(camera, version)
            elif version in here and version not in listing.pinned:
                super().unpin(camera, version)

    def _agree_on_use(self, camera: str, version: str | None, stamp: str | None) -> None:
        """`version` and `stamp` are what both sides last agreed on."""
        pointer = self._versions_of(camera).pointer()
        here = self._incumbent_or_none(camera)
        if pointer is None or pointer.stamp == stamp:
            if here is not None and (pointer is None or here != version):
                self._point(camera, here)
            return
        if here != pointer.version:
            if here != version and here is not None:
                logger.warning(
                    "camera %s: %s is in use on other machines, which counts; here it was %s, "
                    "which stays as a version",
                    camera, pointer.version, here,
                )  # fmt: skip
            if pointer.version not in self.versions(camera):
                self._bring(camera, pointer.version)
            super().promote(camera, pointer.version)
        self._note_agreed(camera, pointer.version, pointer.stamp)

    def _send(self, camera: str, version: str) -> None:
        before = self._known.get(camera, Listing())
        old = before.manifests.get(version)
        folder = self.path(camera, version)
        name = self._versions_of(camera).send(version, folder, instead_of=old)
        pinned = set(before.pinned)
        if version in self.pinned(camera):
            self._versions_of(camera).mark(version, PINNED)
            pinned.add(version)
        manifests = {**before.manifests, version: name}
        removed = before.removed - {version}
        self._known[camera] = Listing(manifests, frozenset(pinned), removed)

    def _bring(self, camera: str, version: str) -> None:
        stored = self._versions_of(camera)
        name = self._known.get(camera, Listing()).manifests.get(version)
        if name is None:
            self._known[camera] = stored.look()
            name = self._known[camera].manifests.get(version)
        if name is None:
            known = ", ".join(self.all_versions(camera)) or "none"
            message = f"{camera}: no version {version}, here or in the store; there are: {known}"
            raise WeightsError(message)
        self.install(camera, version, stored.files(version, name))
        if version in self._known[camera].pinned:
            super().pin(camera, version)

    def _point(self, camera: str, version: str) -> None:
        pointer = self._versions_of(camera).point_at(version)
        self._note_agreed(camera, pointer.version, pointer.stamp)

    # -- inside --------------------------------------------------------------------------------

    def _versions_of(self, camera: str) -> StoredVersions:
        if camera not in self._stored:
            self._stored[camera] = StoredVersions(self._bucket, camera)
        return self._stored[camera]

    def _incumbent_or_none(self, camera: str) -> str | None:
        """A damaged pointer here is mended by the store's."""
        try:
            return self.incumbent(camera)
        except WeightsError:
            return None

    def _agreed(self, camera: str) -> dict[str, str]:
        try:
            return dict(json.loads((self._camera(camera) / AGREED_FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return {}

    def _note_agreed(self, camera: str, version: str, stamp: str) -> None:
        content = json.dumps({"version": version, "stamp": stamp}).encode()
        replace_file(self._camera(camera) / AGREED_FILE, content)

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
