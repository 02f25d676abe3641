"""Whole folders in a store: complete or absent, checked, and nothing sent twice."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from jobs.bucket import bucket as bucket_module
from jobs.bucket.bucket import Bucket, MissingError, StorageError
from jobs.bucket.shelf import Shelf, files_below
from jobs.config.storage import StorageSettings
from jobs.errors import ConfigError, exit_code


class Counting(Bucket):
    """Knows what was written; with `fails_at`, that write is cut off after its first object."""

    def __init__(self, root: Path, *, fails_at: int | None = None) -> None:
        super().__init__(StorageSettings(url=f"file://{root}"), patience_s=0.0)
        self.written: list[str] = []
        self._writes, self._fails_at = 0, fails_at

    def write(self, objects: Mapping[str, bytes]) -> None:
        self._writes += 1
        if self._writes == self._fails_at:
            super().write(dict(list(objects.items())[:1]))
            message = "the cable was pulled"
            raise StorageError(message)
        super().write(objects)
        self.written += objects


def fill(folder: Path, files: dict[str, str]) -> dict[str, Path]:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return files_below(folder)


def texts(folder: Path) -> dict[str, str]:
    return {name: path.read_text() for name, path in files_below(folder).items()}


FILES = {"a.txt": "one", "frames/0.jpg": "two", "frames/1.jpg": "three"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    fill(tmp_path / "here", FILES)
    return tmp_path / "here"


def test_what_is_sent_comes_down_as_it_was(here: Path, tmp_path: Path) -> None:
    bucket, there = Counting(tmp_path / "bucket"), tmp_path / "there"
    Shelf(bucket, "days/x").send(files_below(here), about={"seen": 3})
    shelf = Shelf(bucket, "days/x")
    manifest = shelf.manifest()
    assert manifest is not None
    assert manifest.about == {"seen": 3}
    fill(there, {"stray.txt": "?", "a.txt": "old", ".mark": "stays"})
    shelf.bring(manifest, {"": there}, exactly=True)
    assert texts(there) == FILES
    assert (there / ".mark").is_file()


def test_memory_works_as_well(here: Path, tmp_path: Path) -> None:
    bucket = Bucket(StorageSettings(url="memory://shelf-test"), patience_s=0.0)
    shelf = Shelf(bucket, "x")
    shelf.bring(shelf.send(files_below(here)), {"": tmp_path / "there"})
    assert texts(tmp_path / "there") == FILES
    assert bucket.folders("x") == ["frames"]
    shelf.remove()
    assert bucket.keys("x") == {}
    assert shelf.manifest() is None


def test_only_what_is_new_is_sent(here: Path, tmp_path: Path) -> None:
    bucket = Counting(tmp_path / "bucket")
    Shelf(bucket, "x").send(files_below(here))
    assert len(bucket.written) == 4
    bucket.written.clear()
    fill(here, {"frames/2.jpg": "four"})
    shelf = Shelf(bucket, "x")
    shelf.manifest()
    manifest = shelf.send(files_below(here))
    new = [key for key in bucket.written if "frames/2" in key]
    assert (len(new), len(bucket.written)) == (1, 2)
    assert len(manifest.files) == 4


def test_an_upload_that_is_cut_off_is_as_if_it_had_not_been(here: Path, tmp_path: Path) -> None:
    root = tmp_path / "bucket"
    with pytest.raises(StorageError, match="cable"):
        Shelf(Counting(root, fails_at=1), "x").send(files_below(here))
    bucket = Counting(root)
    assert len(bucket.keys("x")) == 1
    assert Shelf(bucket, "x").manifest() is None

    # Where there was a folder before, that one counts
    before = Shelf(bucket, "x").send(files_below(here))
    fill(here, {"a.txt": "another", "b.txt": "new"})
    with pytest.raises(StorageError, match="cable"):
        Shelf(Counting(root, fails_at=1), "x").send(files_below(here))
    shelf = Shelf(bucket, "x")
    assert shelf.manifest() == before
    shelf.bring(before, {"": tmp_path / "there"})
    assert texts(tmp_path / "there") == FILES

    # What is left of it goes, but not while it may be under way
    count = len(bucket.keys("x"))
    shelf.tidy(before)
    assert len(bucket.keys("x")) == count
    shelf.tidy(before, older_than=timedelta(0))
    assert set(bucket.keys("x")) == {"x/manifest.json", *(f"x/{key}" for key in before.keys)}


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_what_is_damaged_there_is_not_used(here: Path, tmp_path: Path, damage: str) -> None:
    bucket = Counting(tmp_path / "bucket")
    shelf = Shelf(bucket, "x")
    manifest = shelf.send(files_below(here))
    (path,) = (tmp_path / "bucket" / "x").glob("a.*.txt")
    path.write_text("on" if damage == "cut" else "eno")
    with pytest.raises(StorageError, match=r"x: a\.txt is damaged there: it is not used"):
        shelf.bring(manifest, {"": tmp_path / "there"})
    assert not (tmp_path / "there" / "a.txt").exists()
    path.unlink()
    with pytest.raises(MissingError):
        shelf.bring(manifest, {"": tmp_path / "there"})


@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt"])
def test_no_manifest_leads_out_of_its_folder(tmp_path: Path, name: str) -> None:
    bucket = Counting(tmp_path / "bucket")
    text = '{"files": {"%s": {"key": "k", "sha256": "0", "size": 1}}}' % name  # noqa: UP031
    bucket.write({"x/manifest.json": text.encode()})
    with pytest.raises(StorageError, match=r"manifest\.json is damaged"):
        Shelf(bucket, "x").manifest()


def test_a_file_that_goes_meanwhile(here: Path, tmp_path: Path) -> None:
    shelf, files = Shelf(Counting(tmp_path / "bucket"), "x"), files_below(here)
    (here / "frames/0.jpg").unlink()
    with pytest.raises(FileNotFoundError):
        shelf.send(files)
    assert set(shelf.send(files, may_vanish=True).files) == {"a.txt", "frames/1.jpg"}


def test_half_written_and_hidden_files_stay_here(here: Path) -> None:
    fill(here, {"b.tmp": "", ".sent": "", "frames/.x/y": ""})
    assert set(files_below(here)) == set(FILES)


# -- the bucket ------------------------------------------------------------------------------------


class Shaky:
    """A file system of fsspec's that answers as often as not."""

    async_impl = False

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    def cat(self, paths: list[str]) -> dict[str, bytes]:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return dict.fromkeys(paths, b"found")


def shaky(tmp_path: Path, *errors: Exception, patience_s: float = 5.0) -> tuple[Bucket, Shaky]:
    bucket = Bucket(StorageSettings(url=f"file://{tmp_path}"), patience_s=patience_s)
    fs = Shaky(*errors)
    bucket._fs, bucket._is_disk = fs, False
    return bucket, fs


def test_an_outage_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    clock = SimpleNamespace(**{**vars(time), "sleep": pauses.append})  # other threads sleep on
    monkeypatch.setattr(bucket_module, "time", clock)
    bucket, fs = shaky(tmp_path, OSError("reset"), TimeoutError("late"), OSError("503"))
    assert bucket.read(["k"]) == {"k": b"found"}
    assert (fs.asked, pauses) == (4, [0.5, 1.0, 2.0])


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError("connection refused"), 5, "cannot be reached .connection refused.: nothing is"),
        (PermissionError("Forbidden"), 2, "access is refused .Forbidden.: give keys that may read"),
        (FileNotFoundError("The specified bucket does not exist"), 2, "no such bucket: make it"),
        (ValueError("Invalid endpoint: x"), 2, "cannot be used: Invalid endpoint: x"),
        (OSError(28, "No space left on device"), 5, "it is full"),
    ],
)
def test_each_trouble_has_its_words_and_its_code(
    tmp_path: Path, error: Exception, code: int, said: str
) -> None:
    bucket, fs = shaky(tmp_path, error, patience_s=0.0)
    with pytest.raises((ConfigError, StorageError), match=rf"^storage: .*{said}") as caught:
        bucket.read(["k"])
    assert exit_code(caught.value) == code
    assert fs.asked == 1


def test_what_is_missing_is_no_outage(tmp_path: Path) -> None:
    bucket = Counting(tmp_path / "bucket")
    assert bucket.read_one("nothing") is None
    assert bucket.keys("nothing") == {}
    assert bucket.folders("nothing") == []
    bucket.delete(["nothing"])
    with pytest.raises(MissingError, match="is not there"):
        bucket.read(["nothing"])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("s3://bucket/x", r"storage: s3:// needs an extra: pip install 'culling-pipeline\[s3\]'"),
        ("no-such://bucket", "storage: no-such://bucket: cannot be used: Protocol not known"),
    ],
)
def test_an_address_that_cannot_be_used(
    url: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.sys.modules, "s3fs", None)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=said):
        Bucket(StorageSettings(url=url), patience_s=0.0)


def test_without_fsspec_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.sys.modules, "fsspec.core", None)  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match=r"culling-pipeline\[s3\]"):
        Bucket(StorageSettings(url=f"file://{tmp_path}"), patience_s=0.0)
