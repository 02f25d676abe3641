"""What is known of an address before it is opened; why it failed, without its password."""

from __future__ import annotations

import errno
import socket
import traceback
from pathlib import Path
from urllib.error import URLError

import av
import pytest

from streams import site
from streams.address import Address
from streams.base import ConnectionFailedError
from streams.failures import ADVICE, LASTING, failure, guarded, reason_of
from streams.live.hls import web_options
from streams.live.mjpeg import Parts, PartTooLongError
from streams.live.playlists import choose_variant, parse_variants
from streams.site import expires_in_s, find_runtimes, missing_runtime_advice

CANARY = "c4n4ry-0f-the-t3sts"


def test_an_address_shows_itself_without_its_secrets() -> None:
    address = Address(f"rtsp://viewer:{CANARY}@10.0.0.5:554/live?token={CANARY}&channel=1")
    assert str(address) == "rtsp://***@10.0.0.5:554/live?token=***&channel=1"
    assert CANARY not in repr([address]) + f"{address}"
    assert CANARY in address.secret


@pytest.mark.parametrize(
    ("url", "login", "rest"),
    [
        ("http://a:b@host/x?y=1", ("a", "b"), "http://host/x?y=1"),
        ("http://a:p%40ss%3A@host/", ("a", "p@ss:"), "http://host/"),
        ("http://a:p@ss@host:80/", ("a", "p@ss"), "http://host:80/"),
        ("http://only@host/", ("only", ""), "http://host/"),
        ("http://host/", None, "http://host/"),
    ],
)
def test_user_and_password_are_cut_out(url: str, login: object, rest: str) -> None:
    assert Address(url).login == login
    assert Address(url).without_login == rest


# -- failures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        (av.error.HTTPUnauthorizedError(1, CANARY), "wrong password"),
        (av.error.HTTPForbiddenError(1, CANARY), "forbidden"),
        (av.error.HTTPNotFoundError(1, CANARY), "not found"),
        (av.error.HTTPServerError(1, CANARY), "server error"),
        (av.error.HTTPTooManyRequestsError(1, CANARY), "server error"),
        (av.error.ConnectionRefusedError(1, CANARY), "refused"),
        (av.error.ExitError(1, CANARY), "timed out"),
        (av.error.TimeoutError(1, CANARY), "timed out"),
        (av.error.EOFError(1, CANARY), "ended"),
        (av.error.InvalidDataError(1, CANARY), "not a video"),
        (av.error.ProtocolNotFoundError(1, CANARY), "broken off"),
        (URLError(ConnectionRefusedError()), "refused"),
        (URLError(socket.gaierror()), "no such host"),
        (URLError("strange"), "broken off"),
        (OSError(errno.EHOSTUNREACH, CANARY), "unreachable"),
        (ConnectionResetError(), "broken off"),
        (ValueError(CANARY), "broken off"),
    ],
)
def test_each_failure_has_its_plain_word_and_forgets_the_rest(exc: Exception, reason: str) -> None:
    def fail() -> None:
        raise exc

    assert reason_of(exc) == reason
    with pytest.raises(ConnectionFailedError, match="camera 'gate'") as caught:
        guarded("camera 'gate': x", fail)
    error = caught.value
    assert error.reason == reason
    assert (error.__cause__, error.__context__) == (None, None)
    assert CANARY not in "".join(traceback.format_exception(error)) + repr(error)


def test_a_failure_that_took_as_long_as_the_limit_is_a_time_out() -> None:
    def fail() -> None:
        raise av.error.InvalidDataError(1, "")

    with pytest.raises(ConnectionFailedError, match="timed out"):
        guarded("x", fail, limit_s=0.0)
    with pytest.raises(ConnectionFailedError, match="broken off"):
        guarded("x", fail, otherwise="broken off")


def test_every_reason_has_its_advice() -> None:
    assert set(ADVICE) > LASTING
    for reason, advice in ADVICE.items():
        assert f"x: {reason}; {advice}" == str(failure("x", reason))


# -- HLS and MJPEG ---------------------------------------------------------------------------------

MASTER = """#EXTM3U
#EXT-X-STREAM-INF:AVERAGE-BANDWIDTH=1,BANDWIDTH=900,RESOLUTION=1920x1080,CODECS="a,b"
large.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=500,RESOLUTION=1280x720
# a comment
middle/index.m3u8?x=1
#EXT-X-STREAM-INF:BANDWIDTH=300,RESOLUTION=1280x720
middle-poor.m3u8
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_the_largest_variant_that_fits_is_taken(newline: str) -> None:
    variants = parse_variants(MASTER.replace("\n", newline))
    assert [(v.height_px, v.bandwidth_bps) for v in variants] == [
        (1080, 900),
        (720, 500),
        (720, 300),
    ]
    assert choose_variant(variants, 720).url == "middle/index.m3u8?x=1"
    assert choose_variant(variants, 2000).url == "large.m3u8"
    assert choose_variant(variants, 100).url == "middle-poor.m3u8"
    assert parse_variants("#EXTM3U\n#EXTINF:1,\na.ts\n") == []


def test_headers_become_ffmpegs_options() -> None:
    assert web_options(None)["user_agent"] == "culling-pipeline"
    assert "headers" not in web_options(None)
    given = web_options({"User-Agent": "X", "Referer": "http://page/"})
    assert (given["user_agent"], given["headers"]) == ("X", "Referer: http://page/\r\n")


def body(parts: list[bytes], *, with_length: bool) -> bytes:
    out = b""
    for part in parts:
        length = f"Content-Length: {len(part)}\r\n".encode() if with_length else b""
        out += b"--frame\r\nContent-Type: image/jpeg\r\n" + length + b"\r\n" + part + b"\r\n"
    return out + b"--frame\r\n"


@pytest.mark.parametrize("boundary", ["frame", "--frame", '"frame"'])
@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_parts_are_cut_out_whatever_the_pieces(boundary: str, with_length: bool, step: int) -> None:
    parts = [b"first", b"\xff\xd8 second \r\n\r\n \xff\xd9", b"3" * 100]
    data = b"preamble\r\n" + body(parts, with_length=with_length)
    cutter = Parts(boundary)
    got = [p for i in range(0, len(data), step) for p in cutter.feed(data[i : i + step])]
    assert got == parts


def test_a_part_with_a_length_does_not_wait_for_the_next() -> None:
    cutter = Parts("frame")
    assert cutter.feed(b"--frame\r\nContent-Length: 3\r\n\r\nabc") == [b"abc"]


def test_a_part_without_end_is_no_mjpeg(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.live.mjpeg.LONGEST_PART_BYTES", 1000)
    cutter = Parts("frame")
    assert cutter.feed(b"no boundary in here" * 1000) == []  # forgotten as it comes
    with pytest.raises(PartTooLongError, match="no end of a part in"):
        cutter.feed(b"--frame\r\n\r\n" + b"x" * 2000)


# -- sites -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "left_s"),
    [
        ("https://x/videoplayback?expire=1000021600&sig=1", 21600 - 300),
        ("https://x/api/manifest/expire/1000001000/ip/1.2.3.4/index.m3u8", 1000 - 100),
        ("https://x/seg?expires=1000021600", 21600 - 300),
        ("https://x/videoplayback?expire=999999999", None),  # in the past: something else
        ("https://x/videoplayback?expire=3000000000", None),  # decades away: something else
        ("https://x/index.m3u8", None),
    ],
)
def test_an_address_is_left_before_it_expires(url: str, left_s: float | None) -> None:
    assert expires_in_s(url, 1_000_000_000.0) == left_s


def test_yt_dlps_own_words_are_passed_on_without_address_and_password() -> None:
    said = f"\x1b[0;31mERROR:\x1b[0m viewer and {CANARY} do not fit at http://h/?k={CANARY} today"
    reason, advice = site._explain(Exception(said), Address(f"http://viewer:{CANARY}@h/"))
    assert reason == "no stream on this page"
    assert advice == "yt-dlp says: *** and *** do not fit at … today"


@pytest.mark.parametrize(
    ("program", "says", "found"),
    [
        ("deno", "deno 2.9.8 (stable)", ["deno"]),
        ("deno", "deno 1.46.3 (stable)", []),
        ("node", "v22.1.0", ["node"]),
        ("node", "v20.20.2", []),
        ("bun", "1.2.11", ["bun"]),
        ("qjs", "QuickJS version 2024-01-13\nusage: qjs", ["quickjs"]),
        ("deno", "", []),
    ],
)
def test_a_javascript_runtime_that_is_new_enough_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, says: str, found: list[str]
) -> None:
    tool = tmp_path / program
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{says}\nEND\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(site, "_find_program", lambda name: str(tool) if name == program else None)
    assert list(find_runtimes()) == found
    advice = missing_runtime_advice()
    if found:
        assert advice is None
    else:
        assert advice is not None
        assert "pip install 'culling-pipeline[youtube]'" in advice
        assert "deno ≥ 2.3" in advice


NO_STREAM_FOUND = (
    *("x", 7, ["x"], {"url": 7}, {"url": ["x"]}, {"entries": 7}, {"entries": "x"}),
    *(
        {"entries": ["x"]},
        {"entries": [[7]]},
        {"entries": {}},
        {"url": "https://cdn/", "vcodec": "none"},
    ),
)


@pytest.mark.parametrize("found", NO_STREAM_FOUND, ids=repr)
def test_whatever_an_extractor_made_of_a_page_is_read_or_refused(found: object) -> None:
    with pytest.raises(ConnectionFailedError, match=r"no stream on this page|not a web address"):
        site._read_info(found, Address("https://site/live"), "camera 'yard'")


@pytest.mark.parametrize("headers", ["x", 7, ["x"], [("Referer", "x")]], ids=repr)
def test_headers_that_are_no_mapping_are_left_out(headers: object) -> None:
    found = {"url": "https://cdn/a.m3u8", "protocol": "m3u8", "http_headers": headers}
    assert site._read_info(found, Address("https://site/live"), "camera 'yard'").headers == {}


def test_a_sites_header_that_cannot_be_sent_is_left_out() -> None:
    page = Address("https://site.example/live")
    found = {"url": "https://cdn.example/a", "http_headers": {"User-Agent": "\ud800", "A": "b"}}
    assert dict(site._read_info(found, page, "camera 'yard'").headers) == {"A": "b"}
