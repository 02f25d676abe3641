"""What sites answer, spoilt: yt-dlp's findings, its errors, and pages that it reads itself."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt, spoilt_json
from benchmarks.fuzz.raw_server import RawServer, whole
from streams.address import Address
from streams.base import StreamError
from streams.site import _explain, _read_info, expires_in_s, resolve

OURS = (StreamError,)
SECRET = "4fW9kQ2zR7mX3vB8"
TIMEOUT_S = 1.0
WHOLE = 20
"""One of so many cases goes through yt-dlp, which takes its time."""

PAGE = Address(f"https://me:{SECRET}@site.example/{SECRET}/live?token={SECRET}")

FOUND: dict[str, Any] = {
    "id": "1",
    "url": "https://cdn.example/a/index.m3u8?expire=1790000000",
    "vcodec": "avc1",
    "protocol": "m3u8_native",
    "is_live": True,
    "entries": None,
    "http_headers": {
        "User-Agent": "x",
        "Referer": f"https://me:{SECRET}@site.example/{SECRET}/live?token={SECRET}",
        "Cookie": SECRET,
        "X-Token": SECRET,
    },
    "formats": [{"url": "http://cdn.example/a", "height": 720}],
}
HTML = """<html><head><title>Live</title><meta property="og:video" content="/a.mp4">
<script type="application/ld+json">{"@type": "VideoObject", "contentUrl": "/a.mp4"}</script>
</head><body><video src="/a.mp4"><source src="/b.m3u8" type="application/x-mpegURL"></video>
<script>jwplayer("x").setup({"file": "/a.m3u8", "sources": [{"file": "/b.mp4"}]});</script>
<iframe src="https://www.youtube.com/embed/dQw4w9WgXcQ"></iframe></body></html>
"""


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one finding, one error or one page."""
    server = RawServer()
    server.give(whole(b"<html>", "text/html"))

    def case(seed: int) -> Case:
        rng = random.Random(seed)
        if seed % WHOLE == 0:
            return Case(lambda: _page(rng, server), (SECRET,))
        way = _error if seed % 5 == 0 else _finding
        return Case(lambda: way(rng), (SECRET,))

    with suppress(*OURS):
        list(_page(random.Random(0), server))
    return case


def _finding(rng: random.Random) -> Iterator[str]:
    data = spoilt_json(rng.choice((FOUND, {"entries": [None, FOUND]})), rng)
    try:
        info = json.loads(data)
    except (ValueError, RecursionError):
        info = None
    found = _read_info(info, PAGE, f"camera 'yard': {PAGE}")
    yield f"{found.address} {found.is_playlist} {found.expires_at_s}"
    yield "\n".join(f"{name}: {value}" for name, value in found.headers.items())


def _error(rng: random.Random) -> Iterator[str]:
    text = f"ERROR: [generic] \x1b[0;31mcannot open {PAGE.secret}: {PAGE.secret!r}\x1b[0m {SECRET}"
    words = spoilt(b"ERROR: [generic] Unable to extract https://x/ video data; " * 3, rng)
    yield repr(_explain(ValueError(words.decode("utf-8", "replace")), PAGE))
    yield repr(_explain(ValueError(text.removesuffix(SECRET)), PAGE))
    yield repr(expires_in_s(words.decode("latin-1"), 1.7e9))


def _page(rng: random.Random, server: RawServer) -> Iterator[str]:
    server.give(whole(spoilt(HTML.encode(), rng), rng.choice(("text/html", "text/xml", "x"))))
    page = Address(f"http://me:{SECRET}@127.0.0.1:{server.port}/p?token={SECRET}")
    found = resolve(page, where=f"camera 'yard': {page}", height_px=720, timeout_s=TIMEOUT_S)
    yield f"{found.address}"
    yield "\n".join(f"{name}: {value}" for name, value in found.headers.items())
