"""A camera's model versions in the store: listed, sent and downloaded one by one.

models/CAMERA/incumbent.json              which version is in use, by one put
models/CAMERA/VERSION/manifest.HASH.json  what makes the version, and its meta
models/CAMERA/VERSION/pinned              an empty object; `removed`: pruned, on every machine
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jobs.bucket.bucket import Bucket, StorageError
from jobs.bucket.shelf import Manifest, Shelf, files_below
from models.files import META_FILE
from models.versions import POINTER_FILE

PINNED, REMOVED = "pinned", "removed"
DEBRIS_AFTER = timedelta(days=1)
"""Files that no manifest names belong to an upload under way or, after this time, to one that was
cut off."""
REMEMBERED = timedelta(days=90)
"""How long the store remembers that a version was removed. A machine that was off for longer sends
it again, and the next night removes it again."""
_MANIFEST = re.compile(r"manifest\.[0-9a-f]{16}\.json")


@dataclass(frozen=True, slots=True)
class Pointer:
    """Which version is in use; `stamp` changes whenever it is set, also to the same version."""

    version: str
    stamp: str


@dataclass(frozen=True, slots=True)
class StoreContents:
    """What the store has of one camera: the manifests' names by version, and which versions are
    pinned or were removed."""

    manifests: Mapping[str, str] = field(default_factory=dict)
    pinned: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()


class StoredVersions:
    """The versions of one camera in the store."""

    def __init__(self, bucket: Bucket, camera: str) -> None:
        self._bucket, self._place = bucket, f"models/{camera}"
        self._manifests: dict[tuple[str, str], Manifest] = {}

    def look(self) -> StoreContents:
        """What the store has now."""
        manifests: dict[str, tuple[datetime, str]] = {}
        marks: dict[str, set[str]] = {PINNED: set(), REMOVED: set()}
        for version, name, written in self._objects():
            if _MANIFEST.fullmatch(name):
                this = (written, name)
                manifests[version] = max(this, manifests.get(version, this))
            elif name in marks:
                marks[name].add(version)
        return StoreContents(
            {version: name for version, (_, name) in manifests.items()},
            frozenset(marks[PINNED]),
            frozenset(marks[REMOVED] - manifests.keys()),
        )

    def manifest(self, version: str, name: str) -> Manifest:
        """One version's manifest; its `about` is the version's meta."""
        known = self._manifests.get((version, name))
        if known is None:
            known = self._shelf(version).manifest(name)
            if known is None:
                message = f"storage: {self._bucket.shown}: version {version} was removed just now"
                raise StorageError(message)
            self._manifests[version, name] = known
        return known

    def send(self, version: str, folder: Path, *, instead_of: str | None = None) -> str:
        """Send a version's folder, in place of another of its name, and return the manifest's
        name."""
        files = files_below(folder)
        about = json.loads((folder / META_FILE).read_bytes())
        name = manifest_name(folder)
        if instead_of is not None and instead_of != name:
            self._bucket.delete([f"{self._place}/{version}/{instead_of}"])
        self._shelf(version).send(files, name=name, about=about)
        self.unmark(version, REMOVED)
        return name

    def files(self, version: str, name: str) -> dict[str, bytes]:
        """The content of a version's files, checked."""
        return self._shelf(version).read(self.manifest(version, name).files)

    def remove(self, version: str) -> None:
        """Remove a version for all machines, for good."""
        self.mark(version, REMOVED)
        keys = list(self._bucket.keys(f"{self._place}/{version}"))
        kept = f"{self._place}/{version}/{REMOVED}"
        self._bucket.delete([key for key in keys if key.endswith(".json")])
        self._bucket.delete([key for key in keys if key != kept])

    def mark(self, version: str, what: str) -> None:
        """Mark a version as pinned or removed."""
        self._bucket.write({f"{self._place}/{version}/{what}": b""})

    def unmark(self, version: str, what: str) -> None:
        """Remove the mark."""
        self._bucket.delete([f"{self._place}/{version}/{what}"])

    def clear_debris(self, *, now: datetime | None = None) -> None:
        """Remove what is left of uploads that were cut off, and marks that are out of date."""
        now = now or datetime.now(UTC)
        listing, old = self.look(), []
        for version, name, written in self._objects():
            if name == REMOVED:
                if now - written > REMEMBERED:
                    old.append(f"{self._place}/{version}/{name}")
            elif name != PINNED and now - written > DEBRIS_AFTER:
                manifest = listing.manifests.get(version)
                wanted = set() if manifest is None else self.manifest(version, manifest).keys
                if name not in wanted | {manifest}:
                    old.append(f"{self._place}/{version}/{name}")
        self._bucket.delete(old)

    # -- which one is in use -------------------------------------------------------------------

    def pointer(self) -> Pointer | None:
        """The version in use on all machines; None before the first was sent."""
        data = self._bucket.read_one(f"{self._place}/{POINTER_FILE}")
        if data is None:
            return None
        try:
            content = json.loads(data)
            return Pointer(str(content["version"]), str(content["stamp"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            message = (
                f"storage: {self._bucket.shown}: {self._place}/{POINTER_FILE} is damaged: delete "
                "it, and the machine that is asked next writes it again"
            )
            raise StorageError(message) from error

    def point_at(self, version: str) -> Pointer:
        """Put a version to work on all machines, by a single put."""
        pointer = Pointer(version, secrets.token_hex(8))
        content = {"version": pointer.version, "stamp": pointer.stamp}
        self._bucket.write({f"{self._place}/{POINTER_FILE}": json.dumps(content).encode()})
        return pointer

    # -- inside --------------------------------------------------------------------------------

    def _objects(self) -> list[tuple[str, str, datetime]]:
        """Version, name and age of every object of a version."""
        found = []
        for key, written in self._bucket.keys(self._place).items():
            version, slash, name = key.removeprefix(self._place + "/").partition("/")
            if slash:
                found.append((version, name, written or datetime.now(UTC)))
        return found

    def _shelf(self, version: str) -> Shelf:
        return Shelf(self._bucket, f"{self._place}/{version}")


def manifest_name(folder: Path) -> str:
    """A name that identifies the version: one that is made again under its name has another, for
    its meta holds the SHA-256 of the weights, and when it was made."""
    digest = hashlib.sha256((folder / META_FILE).read_bytes()).hexdigest()
    return f"manifest.{digest[:16]}.json"
