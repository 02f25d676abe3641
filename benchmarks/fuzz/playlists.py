"""Playlists as cameras, sites and recorders write them, spoilt: HLS from a server and from a disk,
DASH, and the answers around them (statuses, headers, redirects)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt, spoilt_lines
from benchmarks.fuzz.raw_server import RawServer, whole
from streams.address import Address
from streams.base import StreamError
from streams.live.hls import find_playlist
from streams.live.options import LiveOptions
from streams.live.playlists import PlaylistError, choose_variant, parse_segments, parse_variants
from streams.open import open_source
from streams.recorded.file import VideoFile
from streams.web import sniff

OURS = (StreamError, PlaylistError)
SECRET = "4fW9kQ2zR7mX3vB8"
HLS = "application/vnd.apple.mpegurl"
TIMEOUT_S = 1.0

MASTER = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=1280000,RESOLUTION=640x360,CODECS="avc1.4d401e"
low/index.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2560000,RESOLUTION=1280x720
high/index.m3u8
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="x",URI="a.m3u8"
"""
MEDIA = """#EXTM3U
#EXT-X-VERSION:3
#EXT-X-TARGETDURATION:2
#EXT-X-MEDIA-SEQUENCE:7
#EXTINF:2.0,
clip.ts
#EXT-X-DISCONTINUITY
#EXTINF:2.0,
clip.ts
#EXT-X-ENDLIST
"""
DASH = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">
<Period><AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="9">
<BaseURL>clip.ts</BaseURL>
</Representation></AdaptationSet></Period></MPD>
"""
ODD = (
    *("", " ", "#", "#EXTM3U", "#EXT-X-ENDLIST", "#EXT-X-TARGETDURATION:", "\0", "\ufeff#EXTM3U"),
    *("#EXT-X-TARGETDURATION:1e400", "#EXT-X-TARGETDURATION:-1", "#EXT-X-TARGETDURATION:NaN"),
    *("#EXT-X-TARGETDURATION:99999999999", "#EXTINF:-1,", "#EXTINF:1e999,", "#EXTINF:x"),
    *(
        "file:///etc/passwd",
        "/etc/passwd",
        "../../../../etc/passwd",
        "http://[::1",
        "//x/y",
        "http:",
    ),
    *(
        "concat:a|b",
        "data:text/plain,x",
        "ftp://127.0.0.1:1/x",
        "crypto:clip.ts",
        "http://u:p@127.0.0.1:1/",
    ),
    *("list.m3u8", "x" * 5000, "é\u202e", '#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/passwd"'),
    *('#EXT-X-MAP:URI="list.m3u8"', "#EXT-X-BYTERANGE:99999999999@-1", "#EXT-X-STREAM-INF:"),
    *("#EXT-X-STREAM-INF:BANDWIDTH=-1,RESOLUTION=0x0", "#EXT-X-STREAM-INF:RESOLUTION=²x³", "²"),
    *(
        "#EXT-X-PLAYLIST-TYPE:VOD",
        "#EXT-X-MEDIA-SEQUENCE:-9223372036854775809",
        "http://127.0.0.1:0/",
    ),
    *(
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
        "&a;",
        "<BaseURL>file:///etc/passwd</BaseURL>",
        "http://h:x/",
    ),
)
HEADERS = (
    *("Location: file:///etc/passwd\r\n", "Location: http://[::1\r\n", "Location: \r\n", "x\r\n"),
    *("Last-Modified: Thu, 99 Foo 99999 25:61:61 GMT\r\n", "Last-Modified: \xff\r\n", ": y\r\n"),
    *("Transfer-Encoding: chunked\r\n", "Content-Length: -1\r\n", "Content-Length: x\r\n"),
    *("Content-Encoding: gzip\r\n", f"A: {'b' * 70_000}\r\n", "A: b\r\n" * 300, "\0: \0\r\n"),
    *("Location: /again\r\n", "WWW-Authenticate: Basic\r\n", "WWW-Authenticate: Digest x\r\n"),
    *(
        'WWW-Authenticate: Digest realm="a", nonce="\xff", algorithm=XX\r\n',
        "Location: http://h:x/\r\n",
    ),
    *("Content-Type: multipart/x-mixed-replace\r\n", "Content-Range: bytes x-y/z\r\n", ""),
    *("WWW-Authenticate: Negotiate\r\n", "WWW-Authenticate: \r\n", "Location: //\r\n"),
)
STATUSES = (
    "200 OK",
    "206 x",
    "301 x",
    "302 x",
    "308 x",
    "401 x",
    "404 x",
    "500 x",
    "999 x",
    "1 x",
    "",
)
KINDS = (HLS, "text/html", "image/jpeg", "video/mp4", "", "x", "audio/x-mpegurl", "a/b;c=\xff;;")


def options() -> LiveOptions:
    """With short time-outs."""
    from jobs.config.live import LiveSettings

    made = LiveSettings().to_options(must_answer=True)
    return made.__class__(**{n: getattr(made, n) for n in made.__slots__} | {
        "open_timeout_s": TIMEOUT_S, "read_timeout_s": TIMEOUT_S,
    })  # fmt: skip


PIXELS = {"mjpeg": "yuvj420p"}


def write_clip(path: Path, frames: int = 8, codec: str = "mpeg4") -> Path:
    """A little clip."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 48, PIXELS.get(codec, "yuv420p")
        for number in range(frames):
            image = np.full((48, 64, 3), 20 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one playlist, read from a text, the disk or a server."""
    server, live = RawServer(), options()
    write_clip(folder / "clip.ts")

    def case(seed: int) -> Case:
        rng = random.Random(seed)
        way = (_text, _text, _disk, _served, _answered)[seed % 5]
        return Case(lambda: way(rng, folder, server, live), (SECRET,))

    for seed in range(5):
        try:
            list(case(seed).run())
        except OURS:
            continue
    return case


Way = Iterator[str]


def _text(rng: random.Random, folder: Path, server: RawServer, live: LiveOptions) -> Way:
    text = spoilt_lines(rng.choice((MASTER, MEDIA)), ODD, rng).decode("utf-8", "replace")
    variants = parse_variants(text)
    if variants:
        yield choose_variant(variants, rng.choice((1, 360, 10**6))).url
    yield repr(parse_segments(text).target_s)


def _disk(rng: random.Random, folder: Path, server: RawServer, live: LiveOptions) -> Way:
    path = folder / rng.choice(("list.m3u8", "list.m3u8", "list.mpd", "list.mp4"))
    path.write_bytes(spoilt_lines(rng.choice((MASTER, MEDIA, MEDIA, DASH)), ODD, rng))
    with VideoFile(path, camera="yard") as source:
        for frame in source.frames():
            yield str(frame.image.shape)


def _served(rng: random.Random, folder: Path, server: RawServer, live: LiveOptions) -> Way:
    first, second = (spoilt_lines(rng.choice((MASTER, MEDIA)), ODD, rng) for _ in range(2))
    server.give(whole(first, HLS), whole(second, HLS))
    address = Address(f"http://me:{SECRET}@127.0.0.1:{server.port}/{SECRET}/a.m3u8?token={SECRET}")
    found = find_playlist(address, where=f"camera 'yard': {address}", options=live)
    yield f"{found.address} {found.segments.is_live}"


def _answered(rng: random.Random, folder: Path, server: RawServer, live: LiveOptions) -> Way:
    """The head of an answer is wrong."""
    body = rng.choice((MEDIA.encode(), b"<html>", b"\xff\xd8\xff", b"", b"\0" * 2000))
    more = "".join(rng.choice(HEADERS) for _ in range(rng.randint(0, 2)))
    answer = whole(body, rng.choice(KINDS), status=rng.choice(STATUSES), more=more)
    answer = spoilt(answer, rng, 3) if rng.random() < 0.4 else answer
    server.give(answer)
    url = f"http://me:{SECRET}@127.0.0.1:{server.port}/{rng.choice(('', 'a.m3u8', 'a.jpg'))}"
    address = Address(f"{url}?token={SECRET}")
    if rng.random() < 0.8:
        yield repr(sniff(address, where=f"camera 'yard': {address}", timeout_s=TIMEOUT_S))
        return
    with open_source(address.secret, camera="yard", live=live) as source:
        yield repr(source.info)
