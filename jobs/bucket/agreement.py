"""Keeps a camera's model versions the same on this machine's disk and in the store.

`.shared.json` says which version both sides used when they last agreed. It separates changes made
here from changes made elsewhere, so a machine that could not reach the store catches up when it
can. If both sides have changed, the store's version counts: others work with it already.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from jobs.bucket.bucket import Bucket
from jobs.bucket.versions import PINNED, StoreContents, StoredVersions, manifest_name
from models.errors import WeightsError
from models.files import replace_file
from models.registry import ModelRegistry

logger = logging.getLogger(__name__)

AGREED_FILE = ".shared.json"


class Agreement:
    """Compares the two sides and copies versions between them. The caller holds the camera's
    lock."""

    def __init__(self, root: Path, bucket: Bucket) -> None:
        self._root, self._bucket = root, bucket
        self._local = ModelRegistry(root)
        self._known: dict[str, StoreContents] = {}
        self._stored: dict[str, StoredVersions] = {}

    def known(self, camera: str) -> StoreContents:
        """What the store had when it was last read."""
        return self._known.get(camera, StoreContents())

    def look(self, camera: str) -> StoreContents:
        """What the store has now."""
        self._known[camera] = self.stored(camera).look()
        return self._known[camera]

    def all_versions(self, camera: str) -> list[str]:
        """Versions here, and those that the store had when it was last read."""
        return sorted({*self._local.versions(camera), *self.known(camera).manifests})

    def agree(self, camera: str) -> None:
        """Send what is new here and bring what is new there: versions, pins, the one in use."""
        listing = self.look(camera)
        agreed = self._agreed(camera)
        for version in self._local.versions(camera):
            if version in listing.removed:
                self._local.remove(camera, version)
            elif version not in listing.manifests:
                self.send(camera, version)
            elif listing.manifests[version] != manifest_name(self._local.path(camera, version)):
                self.bring(camera, version)  # another machine has replaced it
        self._agree_on_pins(camera, self._known[camera])
        self._agree_on_use(camera, agreed.get("version"), agreed.get("stamp"))

    def _agree_on_pins(self, camera: str, listing: StoreContents) -> None:
        here = self._local.pinned(camera)
        for version in self._local.versions(camera):
            if version in listing.pinned and version not in here:
                self._local.pin(camera, version)
            elif version in here and version not in listing.pinned:
                self._local.unpin(camera, version)

    def _agree_on_use(self, camera: str, version: str | None, stamp: str | None) -> None:
        """`version` and `stamp` are what both sides last agreed on."""
        pointer = self.stored(camera).pointer()
        here = self._incumbent_or_none(camera)
        if pointer is None or pointer.stamp == stamp:
            if here is not None and (pointer is None or here != version):
                self.point_at(camera, here)
            return
        if here != pointer.version:
            if here != version and here is not None:
                logger.warning(
                    "camera %s: %s is in use on other machines, which counts; here it was %s, "
                    "which stays as a version",
                    camera, pointer.version, here,
                )  # fmt: skip
            if pointer.version not in self._local.versions(camera):
                self.bring(camera, pointer.version)
            self._local.promote(camera, pointer.version)
        self._note_agreed(camera, pointer.version, pointer.stamp)

    def send(self, camera: str, version: str) -> None:
        """Copy a version with its pin to the store, in place of an older one of that name."""
        before = self.known(camera)
        old = before.manifests.get(version)
        folder = self._local.path(camera, version)
        name = self.stored(camera).send(version, folder, instead_of=old)
        pinned = set(before.pinned)
        if version in self._local.pinned(camera):
            self.stored(camera).mark(version, PINNED)
            pinned.add(version)
        manifests = {**before.manifests, version: name}
        removed = before.removed - {version}
        self._known[camera] = StoreContents(manifests, frozenset(pinned), removed)

    def bring(self, camera: str, version: str) -> None:
        """Copy a version with its pin from the store. Raises `WeightsError` if it has none."""
        name = self.known(camera).manifests.get(version)
        if name is None:
            name = self.look(camera).manifests.get(version)
        if name is None:
            known = ", ".join(self.all_versions(camera)) or "none"
            message = f"{camera}: no version {version}, here or in the store; there are: {known}"
            raise WeightsError(message)
        self._local.install(camera, version, self.stored(camera).files(version, name))
        if version in self._known[camera].pinned:
            self._local.pin(camera, version)

    def point_at(self, camera: str, version: str) -> None:
        """Put this version to work on all machines."""
        pointer = self.stored(camera).point_at(version)
        self._note_agreed(camera, pointer.version, pointer.stamp)

    def stored(self, camera: str) -> StoredVersions:
        """The camera's versions in the store."""
        if camera not in self._stored:
            self._stored[camera] = StoredVersions(self._bucket, camera)
        return self._stored[camera]

    def _incumbent_or_none(self, camera: str) -> str | None:
        """None also where the pointer here is damaged: the store's then replaces it."""
        try:
            return self._local.incumbent(camera)
        except WeightsError:
            return None

    def _agreed(self, camera: str) -> dict[str, str]:
        try:
            return dict(json.loads((self._root / camera / AGREED_FILE).read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return {}

    def _note_agreed(self, camera: str, version: str, stamp: str) -> None:
        content = json.dumps({"version": version, "stamp": stamp}).encode()
        replace_file(self._root / camera / AGREED_FILE, content)
