"""Web servers that mean ill: where they send us, and how long they hold us."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from benchmarks.testbed.servers.web import Handler, Serve, WebServer, fixed
from streams.address import Address
from streams.base import ConnectionFailedError, SourceUrlError
from streams.live.hls import find_playlist, web_options
from streams.live.snapshot import SnapshotConnection
from streams.open import open_source
from streams.site import resolve
from streams.web import ask, sniff
from tests.unit.plans import live_options

TYPE = "application/vnd.apple.mpegurl"
OPTIONS = live_options(open_timeout_s=0.4, read_timeout_s=0.4)
SLOWLY = 60
"""Pieces that a slow server sends, each well within the time-out, all together far beyond it."""


@pytest.fixture
def server() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.kill()


def redirect(target: str) -> Serve:
    return lambda handler: handler.answer("text/plain", b"", status=302, more=f"Location: {target}")


def master(url: str) -> Serve:
    return fixed(TYPE, f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}\n".encode())


def reason_for(action: Callable[[], object]) -> str:
    with pytest.raises(ConnectionFailedError) as caught:
        action()
    return caught.value.reason


@pytest.mark.parametrize("scheme", ["file", "ftp", "data", "FILE", "gopher"])
def test_only_the_web_is_opened_whoever_sends_us_there(
    server: WebServer, tmp_path: Path, scheme: str
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)  # opening it would wait for ever
    target = {"ftp": "ftp://127.0.0.1:1/x.m3u8", "data": "data:text/plain,%23EXTM3U"}.get(
        scheme, f"{scheme}://{fifo}"
    )
    server.paths |= {"/r": redirect(target), "/m": master(target)}
    where = "camera 'gate': x"
    assert reason_for(lambda: sniff(Address(server.url("/r")), where=where, timeout_s=0.5)) == (
        "not a web address"
    )
    for path in ("/r", "/m"):
        address = Address(server.url(path))
        reason = reason_for(lambda: find_playlist(address, where=where, options=OPTIONS))  # noqa: B023
        assert reason in ("not a web address", "not a video")
    assert reason_for(lambda: sniff(Address(target), where=where, timeout_s=0.5)) == (
        "not a web address"
    )


@pytest.mark.parametrize("url", ["http://[::1", "http://", "http://[x]y/", "http:///a"])
def test_a_variant_or_redirect_that_is_no_address_is_refused(server: WebServer, url: str) -> None:
    server.paths |= {"/r": redirect(url), "/m": master(url)}
    for path in ("/r", "/m"):
        address = Address(server.url(path))
        assert reason_for(lambda: find_playlist(address, where="w", options=OPTIONS))  # noqa: B023


@pytest.mark.parametrize("url", ["http://[::1", "https://[x]y/", "http://", "http:///a.mp4"])
def test_an_address_that_cannot_be_taken_apart_is_named(url: str) -> None:
    with pytest.raises(SourceUrlError, match=r"camera 'gate': .*not a whole address"):
        open_source(url, camera="gate")


def trickled(before: bytes, piece: bytes) -> Serve:
    """A server that never falls silent and never comes to an end."""

    def serve(handler: Handler) -> None:
        handler.wfile.write(before)
        for _ in range(SLOWLY):
            handler.wfile.write(piece)
            time.sleep(0.1)

    return serve


HEAD = b"HTTP/1.1 200 OK\r\n"
PLAYLIST_HEAD = HEAD + b"Content-Type: application/x-mpegurl\r\n"


@pytest.mark.parametrize(
    "serve",
    [
        trickled(b"", b"H"),
        trickled(HEAD + b"X-", b"y"),
        trickled(HEAD, b"X-Y: z\r\n"),
        trickled(PLAYLIST_HEAD + b"\r\n#EXTM3U\n", b"#\n"),
        trickled(PLAYLIST_HEAD + b"Content-Length: 4000\r\n\r\n#EXTM3U\n", b"#\n"),
        trickled(PLAYLIST_HEAD + b"Transfer-Encoding: chunked\r\n\r\n8\r\n#EXTM3U\n\r\n", b"0"),
    ],
)
def test_the_time_out_holds_for_the_whole_of_a_step(server: WebServer, serve: Serve) -> None:
    server.paths["/a.m3u8"] = serve
    address = Address(server.url("/a.m3u8"))
    assert reason_for(lambda: find_playlist(address, where="w", options=OPTIONS)) == "timed out"


def test_redirects_share_one_time(server: WebServer) -> None:
    def slow(number: int) -> Serve:
        def serve(handler: Handler) -> None:
            time.sleep(0.15)
            handler.answer("text/plain", b"", status=302, more=f"Location: /{number + 1}")

        return serve

    server.paths |= {f"/{number}": slow(number) for number in range(12)}
    address = Address(server.url("/0"))
    assert reason_for(lambda: sniff(address, where="w", timeout_s=0.4)) == "timed out"


def test_a_snapshot_that_trickles_in_times_out(server: WebServer) -> None:
    server.paths["/s.jpg"] = trickled(HEAD + b"Content-Type: image/jpeg\r\n\r\n", b"\xff\xd8\xff")
    address = Address(server.url("/s.jpg"))
    reason = reason_for(lambda: SnapshotConnection(address, where="w", options=OPTIONS))
    assert reason == "timed out"


def test_what_one_host_is_told_the_next_is_not(server: WebServer) -> None:
    told: list[dict[str, str]] = []

    def note(handler: Handler) -> None:
        told.append(dict(handler.headers.items()))
        handler.answer("image/jpeg", b"\xff\xd8\xff")

    elsewhere = WebServer()
    try:
        elsewhere.paths["/x"] = server.paths["/x"] = note
        server.paths["/away"] = redirect(elsewhere.url("/x"))
        server.paths["/here"] = redirect("/x")
        headers = {"Referer": "http://page/", "Cookie": "a=b", "Authorization": "c", "X-Own": "d"}
        for path in ("/here", "/away"):
            ask(Address(server.url(path)), where="w", timeout_s=5, headers=headers).close()
    finally:
        elsewhere.kill()
    here, away = told
    assert {name: here[name] for name in headers} == headers
    assert away["X-Own"] == "d"
    assert not {"Referer", "Cookie", "Authorization"} & away.keys()


def test_a_playlist_without_an_end_is_refused_by_its_size(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.web.PLAYLIST_BYTES", 1024 * 1024)
    server.paths["/a.m3u8"] = fixed(TYPE, b"#EXTM3U\n" + b"#\n" * 600_000)
    address = Address(server.url("/a.m3u8"))
    with pytest.raises(ConnectionFailedError, match="more than 1 MiB come back"):
        find_playlist(address, where="w", options=live_options())


def test_a_page_s_address_does_not_go_to_other_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """yt-dlp gives the page as the Referer of its stream, which lies elsewhere."""
    page = Address("https://viewer:c4n4ry@site.example/watch?v=1&token=t0k3n-of-it")
    found = {
        "url": "https://cdn.example/live.m3u8",
        "protocol": "m3u8",
        "http_headers": {
            "User-Agent": "X",
            "Referer": page.secret,
            "Origin": "https://viewer:c4n4ry@site.example",
            "Cookie": "session=1",
            "Authorization": "Basic dmlld2VyOmM0bjRyeQ==",
            "X-Page": quote(page.secret, safe=""),
            "X-Two": "a\r\nHost: evil",
        },
    }
    monkeypatch.setattr("yt_dlp.YoutubeDL.extract_info", lambda *_, **__: found)
    resolved = resolve(page, where="w", height_px=720, timeout_s=5)
    assert dict(resolved.headers) == {
        "User-Agent": "X",
        "Referer": "https://site.example/",
        "Origin": "https://site.example",
    }
    told = web_options(resolved.headers)["headers"]
    assert "c4n4ry" not in told
    assert "t0k3n" not in told


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/a.mp4", "concat:/a|/b"])
def test_a_page_leads_to_the_web_only(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr("yt_dlp.YoutubeDL.extract_info", lambda *_, **__: {"url": url})
    page = Address("https://site.example/watch")
    reason = reason_for(lambda: resolve(page, where="w", height_px=720, timeout_s=5))
    assert reason == "not a web address"


def test_a_page_that_trickles_in_times_out(
    server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.site.LEAST_S", 0.5)
    server.paths["/page"] = trickled(HEAD + b"Content-Type: text/html\r\n\r\n<html>", b"<p>")
    monkeypatch.setattr("streams.site.STEPS", 2)
    page = Address(server.url("/page"))
    assert reason_for(lambda: resolve(page, where="w", height_px=720, timeout_s=0.4)) == "timed out"
