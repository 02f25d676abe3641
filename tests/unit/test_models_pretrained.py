"""Published weights by name: fetched from a real server that is slow, breaks off, lies or is gone;
opened, verified and converted; and what the catalogue says."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.conversion import recipe_weights
from benchmarks.testbed.servers.web import Handler, WebServer
from models.boxes.detector import build_model
from models.boxes.resnet import LAYERS, ResNetTrunk
from models.errors import WeightsError
from models.pretrained import catalogue
from models.pretrained.catalogue import CATALOGUE, PublishedWeights, published
from models.pretrained.download import Patience, cache_folder, cached, fetch
from models.pretrained.open import open_published, published_state, with_backbone
from tests.unit.test_models_conversion import foreign_state

DATA = bytes(range(256)) * 4000
DIGEST = hashlib.sha256(DATA).hexdigest()[:8]
QUICK = Patience(timeout_s=2, attempts=2, pause_s=0.01)


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CULLING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def entry_at(server: WebServer, *, digest: str = DIGEST) -> PublishedWeights:
    entry = CATALOGUE[0]
    return replace(entry, url=server.url("/zoo/net-1234.pth"), digest=digest)


class Weights:
    """Serves `DATA`: at most `cut` bytes a connection, `pause_s` between blocks; notes what was
    asked for."""

    def __init__(
        self, data: bytes = DATA, *, cut: int = 10**9, pause_s: float = 0.0, ranges: bool = True
    ) -> None:
        self.data, self.cut, self.pause_s, self.ranges = data, cut, pause_s, ranges
        self.asked: list[str | None] = []

    def __call__(self, handler: Handler) -> None:
        asked = handler.headers.get("Range")
        self.asked.append(asked)
        span = re.fullmatch(r"bytes=(\d+)-", asked or "") if self.ranges else None
        start = int(span[1]) if span else 0
        if start >= len(self.data):
            return handler.send_error(416)
        handler.send_response(206 if span else 200)
        handler.send_header("Content-Length", str(len(self.data) - start))
        if span:
            last = len(self.data) - 1
            handler.send_header("Content-Range", f"bytes {start}-{last}/{len(self.data)}")
        handler.end_headers()
        part = self.data[start : start + self.cut]
        for at in range(0, len(part), 100_000):
            handler.wfile.write(part[at : at + 100_000])
            handler.wfile.flush()
            time.sleep(self.pause_s)
        handler.close_connection = True


def test_a_file_comes_whole_once_with_progress(server: WebServer, cache: Path) -> None:
    serve = server.paths["/zoo/net-1234.pth"] = Weights(pause_s=0.005)
    entry, seen = entry_at(server), list[tuple[int, int | None]]()
    path = fetch(entry, advance=lambda here, total: seen.append((here, total)), patience=QUICK)
    assert path == cached(entry) == cache / "net-1234.pth"
    assert path.read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))
    assert [here for here, _ in seen] == sorted(here for here, _ in seen)
    # From then on it is here: nothing more is asked for, and nothing else lies about.
    assert fetch(entry, patience=QUICK) == path
    assert serve.asked == [None]
    assert sorted(p.name for p in cache.iterdir()) == ["net-1234.pth", "net-1234.pth.lock"]


def test_a_connection_that_breaks_is_gone_on_with(server: WebServer) -> None:
    serve = server.paths["/zoo/net-1234.pth"] = Weights(cut=400_000)
    assert fetch(entry_at(server), patience=QUICK).read_bytes() == DATA
    assert serve.asked == [None, "bytes=400000-", "bytes=800000-"]


def test_the_next_call_goes_on_where_a_lost_one_stopped(server: WebServer, cache: Path) -> None:
    # Given a server that gives one part and then is gone,
    serve = Weights(cut=300_000)
    server.paths["/zoo/net-1234.pth"] = lambda h: h.send_error(503) if serve.asked else serve(h)
    with pytest.raises(WeightsError, match=r"could not be fetched \(the server says 503\)"):
        fetch(entry_at(server), patience=QUICK)
    assert sorted(p.name for p in cache.iterdir()) == ["net-1234.pth.lock", "net-1234.pth.part"]
    # Then the next call asks for the rest only.
    again = server.paths["/zoo/net-1234.pth"] = Weights()
    assert fetch(entry_at(server), patience=QUICK).read_bytes() == DATA
    assert again.asked == ["bytes=300000-"]


def test_a_server_without_ranges_begins_anew(server: WebServer, cache: Path) -> None:
    cache.mkdir()
    (cache / "net-1234.pth.part").write_bytes(DATA[:5000])
    serve = server.paths["/zoo/net-1234.pth"] = Weights(ranges=False)
    assert fetch(entry_at(server), patience=QUICK).read_bytes() == DATA
    assert serve.asked == ["bytes=5000-"]


@pytest.mark.parametrize("part", [b"something else" * 500, DATA + b"and more"])
def test_a_part_of_another_file_is_thrown_away(server: WebServer, cache: Path, part: bytes) -> None:
    cache.mkdir()
    (cache / "net-1234.pth.part").write_bytes(part)
    server.paths["/zoo/net-1234.pth"] = Weights()
    assert fetch(entry_at(server), patience=QUICK).read_bytes() == DATA


def test_a_whole_part_is_only_verified(server: WebServer, cache: Path) -> None:
    cache.mkdir()
    (cache / "net-1234.pth.part").write_bytes(DATA)
    serve = server.paths["/zoo/net-1234.pth"] = Weights()
    assert fetch(entry_at(server), patience=QUICK).read_bytes() == DATA
    assert serve.asked == [f"bytes={len(DATA)}-"]


def test_a_file_of_another_hash_is_refused_and_deleted(server: WebServer, cache: Path) -> None:
    server.paths["/zoo/net-1234.pth"] = Weights()
    with pytest.raises(
        WeightsError, match=rf"SHA256 is {DIGEST}\w{{4}}…, published is 00000000…: damaged"
    ):
        fetch(entry_at(server, digest="00000000"), patience=QUICK)
    assert [p.name for p in cache.iterdir()] == ["net-1234.pth.lock"]


def test_detectron2_s_files_are_held_against_their_md5(server: WebServer) -> None:
    server.paths["/zoo/net-1234.pth"] = Weights()
    digest = hashlib.md5(DATA).hexdigest()[:6]
    entry = replace(entry_at(server, digest=digest), hash_name="md5")
    assert fetch(entry, patience=QUICK).read_bytes() == DATA


def test_an_address_that_is_gone_is_asked_once(server: WebServer) -> None:
    entry = entry_at(server)
    with pytest.raises(
        WeightsError, match=r"pretrained:r101-mmdet-3x: http.*\(the server says 404\).* put it at"
    ) as caught:
        fetch(entry, patience=Patience(timeout_s=2, attempts=3, pause_s=60))
    assert "\n" not in str(caught.value)


def test_a_server_that_is_not_there(server: WebServer) -> None:
    entry = entry_at(server)
    server.kill()
    with pytest.raises(WeightsError, match=r"could not be fetched \(.*refused"):
        fetch(entry, patience=QUICK)


def test_a_server_that_falls_silent(server: WebServer) -> None:
    server.stopped.set()
    with pytest.raises(WeightsError, match=r"could not be fetched \(timed out\)"):
        fetch(entry_at(server), patience=Patience(timeout_s=0.2, attempts=2, pause_s=0.01))


def test_a_cache_that_cannot_be_written(server: WebServer, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match="could not be written"):
        fetch(entry_at(server), patience=QUICK)


def test_two_at_a_time_fetch_it_once(server: WebServer) -> None:
    serve = server.paths["/zoo/net-1234.pth"] = Weights(pause_s=0.01)
    with ThreadPoolExecutor(2) as pool:  # the lock is the file's: threads stand for processes
        paths = list(pool.map(lambda _: fetch(entry_at(server), patience=QUICK), range(2)))
    assert [path.read_bytes() for path in paths] == [DATA] * 2
    assert serve.asked == [None]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("CULLING_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "culling-pipeline"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "culling-pipeline"


def narrow(monkeypatch: pytest.MonkeyPatch, layout: str, path: Path) -> PublishedWeights:
    """An entry of a small net of this layout, whose file is at `path`."""
    entry = next(e for e in CATALOGUE if e.layout == layout)
    spec = replace(entry.spec, architecture="resnet50", width=0.25, height_px=96, width_px=128)
    monkeypatch.setattr(catalogue.PublishedWeights, "spec", property(lambda _: spec))
    return replace(entry, digest=hashlib.new(entry.hash_name, path.read_bytes()).hexdigest())


@pytest.mark.parametrize("layout", ["mmdetection", "detectron2"])
def test_a_published_file_is_opened_at_the_size_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    path = tmp_path / "net.pth"
    torch.save({"meta": {"epoch": 36}, "state_dict": foreign_state(layout)}, path)
    entry = narrow(monkeypatch, layout, path)
    detector = open_published(entry, path, spec=replace(entry.spec, height_px=64))
    assert (detector.spec.height_px, detector.spec.layout) == (64, layout)
    assert len(detector.class_names) == 80
    with pytest.raises(WeightsError, match="damaged on the way or not that file"):
        open_published(replace(entry, digest="00"), path)
    with pytest.raises(WeightsError, match=r"gone\.pth: no such file"):
        open_published(entry, tmp_path / "gone.pth")


def test_a_backbone_begins_a_training_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "resnet18.pth"
    shapes = {n: list(t.shape) for n, t in ResNetTrunk("resnet18", width=0.25).state_dict().items()}
    shapes = {n: s for n, s in shapes.items() if not n.endswith("num_batches_tracked")}
    trunk = {n: torch.from_numpy(w) for n, w in recipe_weights(shapes).items()}
    torch.save({**trunk, "fc.weight": torch.ones(1000, 512), "fc.bias": torch.ones(1000)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = published("pretrained:resnet18-imagenet")
    assert known is not None
    entry = replace(known, digest=digest)
    with pytest.raises(WeightsError, match="pretrained:resnet18-imagenet: a backbone, which finds"):
        open_published(entry, path)
    spec = replace(entry.spec, class_names=("person",), height_px=64, width_px=64, width=0.25)
    begun = with_backbone(spec, published_state(entry, path), source=path).model.state_dict()
    assert torch.equal(begun["backbone.body.layer4.1.conv2.weight"], trunk["layer4.1.conv2.weight"])
    with pytest.raises(WeightsError, match="of another architecture"):
        with_backbone(replace(spec, architecture="resnet50"), trunk, source=path)


def test_every_name_and_every_official_file_name_is_known() -> None:
    for entry in CATALOGUE:
        assert published(f"pretrained:{entry.name}") is entry
        assert published(f"/media/usb/{entry.url.rpartition('/')[2]}") is entry
        assert published(entry.file_name) is entry
    assert published("builtin:street-student") is None
    assert published("my.pth") is None


def test_an_unknown_name_is_one_line_with_those_there_are() -> None:
    with pytest.raises(
        WeightsError,
        match=r"pretrained:r101-mmdet: there are no such .*; known: r101-mmdet-3x, .* Did you mean "
        r"'pretrained:r101-mmdet-[23]x'\?$",
    ):
        published("pretrained:r101-mmdet")
    with pytest.raises(WeightsError, match=r"vgg16-imagenet\.$"):
        published("pretrained:")


def test_the_catalogue_is_sane() -> None:
    assert len({e.name for e in CATALOGUE}) == len({e.file_name for e in CATALOGUE})
    for entry in CATALOGUE:
        assert entry.url.startswith("https://")
        # the publisher's hash is in the file's name: nothing else vouches for the file
        assert re.search(rf"[-_]{entry.digest}\.(pth|pkl)$", entry.url), entry.name
        assert len(entry.digest) == (6 if entry.hash_name == "md5" else 8)
        assert entry.licence in entry.described()
        assert ("box AP on COCO" in entry.described()) == (entry.box_ap is not None)
        if entry.architecture in LAYERS:
            with torch.device("meta"):
                build_model(replace(entry.spec, architecture="resnet18"))
