"""What a stranger may send: however much of it, and however crafted, reading it takes time in
proportion, and no more than that."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from streams.live.mjpeg import Parts, PartTooLongError
from streams.live.playlists import (
    LONGEST_TARGET_S,
    MOST_VARIANTS,
    PlaylistError,
    parse_segments,
    parse_variants,
)
from streams.site import _explain, expires_in_s

pytestmark = pytest.mark.slow

MEGABYTE = 1024 * 1024

LEAST_S = 0.02
"""Of a processor's time; less cannot be compared."""

TIMES_LARGER, TIMES_LONGER = 4, 9
"""So much more to read may take so much longer: in proportion it is 4, with the square 16."""

Parser = Callable[[str], object]


def cost_s(parse: Parser, text: str) -> float:
    """The least of three, of this thread's own time: others on the machine do not count."""
    costs_s = []
    for _ in range(3):
        began_s = time.thread_time()
        parse(text)
        costs_s.append(time.thread_time() - began_s)
    return min(costs_s)


def assert_linear(parse: Parser, line: str, *, most: int = 2 * MEGABYTE) -> None:
    """By the ratio of two sizes, the smaller as large as can be measured; then as much as that."""
    size = 2048
    while (first_s := cost_s(parse, line * (size // len(line)))) < LEAST_S and size < most // 4:
        size *= 2
    second_s = cost_s(parse, line * (TIMES_LARGER * size // len(line)))
    assert second_s <= TIMES_LONGER * max(first_s, LEAST_S)
    parse(line * (most // len(line)))


def in_pieces(text: str) -> None:
    """As a network brings it."""
    cutter, data = Parts("frame"), text.encode("latin-1", "replace")
    with suppress(PartTooLongError):
        for at in range(0, len(data), 97):
            cutter.feed(data[at : at + 97])


def refusing(parse: Parser) -> Parser:
    def read(text: str) -> None:
        with suppress(PlaylistError):
            parse(text)

    return read


def segments(text: str) -> None:
    refusing(parse_segments)("#EXTM3U\n" + text)


def said_by_a_site(text: str) -> None:
    from streams.address import Address

    _explain(ValueError(text), Address("https://me:pw@page/"))


PARSERS: dict[str, Parser] = {
    "variants": refusing(parse_variants),
    "segments": segments,
    "mjpeg": in_pieces,
    "expiry": lambda text: expires_in_s(text, 0.0),
    "site": said_by_a_site,
}

LINES = [
    "#EXT-X-STREAM-INF:BANDWIDTH=1\n",
    "#EXT-X-STREAM-INF:",
    "#EXT-X-STREAM-INF:\n#\n",
    "#EXT-X-STREAM-INF:RESOLUTION=1x",
    "#EXT-X-TARGETDURATION:1",
    "#\n",
    "#\r\n",
    "\r",
    " ",
    "a.ts\n",
    "1",
    "://",
    "http://",
    "/expire/",
    "expires=1",
    "a@",
    "--frame\r\n",
    "--frame\r\n\r\n",
    "--frame\r\nContent-Length: 1\r\n\r\n",
    "Content-Length: \r\n",
    "--fram",
    "\r\n\r",
    "é",
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("name", PARSERS)
def test_twice_as_much_takes_twice_as_long(name: str, line: str) -> None:
    assert_linear(PARSERS[name], line)


def test_a_part_that_comes_byte_by_byte_is_searched_once() -> None:
    def by_bytes(text: str) -> None:
        cutter = Parts("frame")
        cutter.feed(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n")
        for at in range(0, len(text), 64):
            cutter.feed(text[at : at + 64].encode())

    assert_linear(by_bytes, "x" * 64)


def test_numbers_in_a_playlist_are_of_this_world() -> None:
    huge = "9" * 5000
    (variant,) = parse_variants(
        f"#EXT-X-STREAM-INF:BANDWIDTH={huge},RESOLUTION={huge}x{huge}\na.m3u8"
    )
    assert (variant.height_px, variant.bandwidth_bps) == (0, 0)
    said = parse_segments("#EXTM3U\n#EXT-X-TARGETDURATION:86400\na.ts")
    assert said.target_s == LONGEST_TARGET_S
    for target in (huge, "0", "-1", "nan", "1e9"):
        text = f"#EXTM3U\n#EXT-X-TARGETDURATION:{target}\na.ts"
        if target == "0":
            assert parse_segments(text).target_s == 1.0
        else:
            with pytest.raises(PlaylistError, match="no HLS playlist comes back"):
                parse_segments(text)


def test_a_playlist_beyond_what_players_accept_is_refused() -> None:
    many = "#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n"
    assert len(parse_variants(many * MOST_VARIANTS)) == MOST_VARIANTS
    with pytest.raises(PlaylistError, match="more than 1000 streams to choose from"):
        parse_variants(many * (MOST_VARIANTS + 1))
    with pytest.raises(PlaylistError, match="an address of 5000 characters; players accept 4096"):
        parse_variants("#EXT-X-STREAM-INF:BANDWIDTH=1\n" + "a" * 5000)


def test_a_part_that_claims_more_than_there_can_be_is_refused() -> None:
    cutter = Parts("frame")
    assert cutter.feed(b"--frame\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nab\r\n--frame") == [
        b"ab"
    ]
    with pytest.raises(PartTooLongError, match="no end of a part's head"):
        Parts("frame").feed(b"--frame\r\n" + b"a" * 70_000)
