"""The contract of all sources, held against recordings on the web."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.testbed.servers import web
from benchmarks.testbed.servers.web import WebServer
from streams.open import open_source
from streams.recorded.remote import RemoteVideo
from tests.unit.clips import constant_rate, write_clip
from tests.unit.plans import live_options
from tests.unit.test_streams_contract import *  # noqa: F403 - its tests, run with our `opened`
from tests.unit.test_streams_contract import OpenSource


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    server, folder = WebServer(), tmp_path_factory.mktemp("web")
    clip = write_clip(folder / "c.mp4", constant_rate(80), options={"movflags": "+faststart"})
    server.paths["/c.mp4"] = web.video(clip, ranges=True)
    playlist = {"hls_time": "1", "hls_list_size": "0"}
    write_clip(folder / "c.m3u8", constant_rate(80), options=playlist)
    for path in folder.glob("c*.*"):
        if path.suffix != ".mp4":
            server.paths[f"/{path.name}"] = web.fixed("video/mp2t", path.read_bytes())
    yield server
    server.kill()


@pytest.fixture(params=["/c.mp4", "/c.m3u8"])
def opened(request: pytest.FixtureRequest, server: WebServer) -> OpenSource:
    def opener() -> RemoteVideo:
        source = open_source(server.url(request.param), camera="gate", recorded=live_options())
        assert isinstance(source, RemoteVideo)
        return source

    return opener
