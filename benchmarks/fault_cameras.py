"""The cameras of the fault table, each with what befalls it and how that is mended.

The servers are those of the tests: GStreamer's RTSP server, a web server for HLS and MJPEG, a
network namespace with a cable that can be pulled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.testbed.live import LOGIN, USUAL, RtspServer
from benchmarks.testbed.servers import web
from benchmarks.testbed.servers.clips import (
    jpeg,
    moving_picture,
    pictures_of,
    write_h264,
    write_hls,
)
from benchmarks.testbed.servers.network import CameraNetwork
from benchmarks.testbed.servers.web import LivePlaylist, WebServer, fixed
from streams.live.options import LiveOptions

HLS_S = 240
"""The live playlist ends after so long; longer than any row takes."""
MJPEG_FPS = 10


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One row: `strike` begins the fault, `mend` ends it `lasts_s` later.

    `timeout_s` is what the time until it is noticed is held against. Of the pictures `whole`,
    where given, every frame must be one, or it is smeared.
    """

    url: str
    strike: Callable[[], None]
    mend: Callable[[], None]
    lasts_s: float
    options: LiveOptions = USUAL
    whole: frozenset[bytes] | None = None

    @property
    def timeout_s(self) -> float:
        return self.options.read_timeout_s


@contextmanager
def killed(folder: Path) -> Iterator[Trial]:
    with rtsp(folder) as (server, clip):
        yield Trial(
            url=server.url(), strike=server.kill, mend=lambda: server.start(clip), lasts_s=10
        )


@contextmanager
def stopped(folder: Path) -> Iterator[Trial]:
    with rtsp(folder) as (server, _):
        yield Trial(url=server.url(), strike=server.stop, mend=server.go_on, lasts_s=20)


@contextmanager
def another_size(folder: Path) -> Iterator[Trial]:
    large = write_h264(folder / "large.h264", width_px=480, height_px=272)
    with rtsp(folder) as (server, _):
        yield Trial(
            url=server.url(), strike=server.kill, mend=lambda: server.start(large), lasts_s=2
        )


@contextmanager
def wrong_password(folder: Path) -> Iterator[Trial]:
    """Somebody changes the camera's password, and back."""
    with rtsp(folder, auth="digest") as (server, clip):
        yield Trial(
            url=server.url(login=LOGIN),
            strike=lambda: server.restart(clip, password="another"),
            mend=lambda: server.restart(clip),
            lasts_s=8,
        )


@contextmanager
def not_found(folder: Path) -> Iterator[Trial]:
    with rtsp(folder) as (server, clip):
        yield Trial(
            url=server.url(),
            strike=lambda: server.restart(clip, path="/elsewhere"),
            mend=lambda: server.restart(clip),
            lasts_s=8,
        )


@contextmanager
def stale_playlist(folder: Path) -> Iterator[Trial]:
    with hls(folder) as (server, playlist, _):

        def strike() -> None:
            playlist.stale_at = playlist.newest

        def mend() -> None:
            playlist.stale_at = None

        yield Trial(url=server.url("/live.m3u8"), strike=strike, mend=mend, lasts_s=30)


@contextmanager
def truncated_segments(folder: Path) -> Iterator[Trial]:
    with hls(folder) as (server, _, whole):

        def serve(share: float) -> None:
            for path, data in whole.items():
                server.paths[path] = fixed("video/mp2t", data[: int(len(data) * share)])

        yield Trial(
            url=server.url("/live.m3u8"),
            strike=lambda: serve(1 / 3),
            mend=lambda: serve(1.0),
            lasts_s=10,
        )


@contextmanager
def garbage(folder: Path) -> Iterator[Trial]:
    """In the midst of a connection that otherwise holds."""
    whole = [jpeg(moving_picture(number)) for number in range(40)]
    pictures, server = list(whole), WebServer()
    server.paths["/video"] = web.mjpeg(pictures, rate_fps=MJPEG_FPS)

    def strike() -> None:
        pictures[:] = [b"\xff\xd8\xff\xe0 garbage " * 50]

    def mend() -> None:
        pictures[:] = whole

    yield Trial(url=server.url("/video"), strike=strike, mend=mend, lasts_s=35)
    server.kill()


@contextmanager
def cable_pulled(folder: Path) -> Iterator[Trial]:
    with network() as cable, rtsp(folder, cable=cable) as (server, _):
        yield Trial(url=server.url(), strike=cable.cut, mend=cable.mend, lasts_s=60)


@contextmanager
def udp_loss(folder: Path, *, width_px: int = 320, height_px: int = 192) -> Iterator[Trial]:
    size = {"width_px": width_px, "height_px": height_px}
    with network() as cable, rtsp(folder, cable=cable, **size) as (server, clip):
        yield Trial(
            url=server.url(),
            strike=lambda: cable.lose(30),
            mend=cable.lose_none,
            lasts_s=45,
            options=replace(USUAL, transport="udp"),
            whole=pictures_of(clip),
        )


@contextmanager
def udp_loss_large(folder: Path) -> Iterator[Trial]:
    with udp_loss(folder, width_px=1280, height_px=720) as trial:
        yield trial


SCENES = {
    "server killed": killed,
    "server stopped (SIGSTOP)": stopped,
    "restarted with another size": another_size,
    "wrong password": wrong_password,
    "404": not_found,
    "playlist gone stale": stale_playlist,
    "truncated segments": truncated_segments,
    "garbage bytes": garbage,
    "network cut for a minute": cable_pulled,
    "30 % of UDP packets lost, 320×192": udp_loss,
    "30 % of UDP packets lost, 1280×720": udp_loss_large,
}


@contextmanager
def rtsp(
    folder: Path,
    *,
    auth: str | None = None,
    cable: CameraNetwork | None = None,
    width_px: int = 320,
    height_px: int = 192,
) -> Iterator[tuple[RtspServer, Path]]:
    clip = write_h264(folder / "cam.h264", width_px=width_px, height_px=height_px)
    server = RtspServer(clip, auth=auth, network=cable)
    try:
        yield server, clip
    finally:
        server.kill()


@contextmanager
def network() -> Iterator[CameraNetwork]:
    cable = CameraNetwork()
    try:
        yield cable
    finally:
        cable.remove()


@contextmanager
def hls(folder: Path) -> Iterator[tuple[WebServer, LivePlaylist, dict[str, bytes]]]:
    """A playlist of segments of a second, and what is served for each of them."""
    names, server = write_hls(folder / "segments", seconds=HLS_S), WebServer()
    whole = {f"/{name}": (folder / "segments" / name).read_bytes() for name in names}
    for path, data in whole.items():
        server.paths[path] = fixed("video/mp2t", data)
    playlist = LivePlaylist(names)
    server.paths["/live.m3u8"] = playlist
    try:
        yield server, playlist, whole
    finally:
        server.kill()
