"""Secrets planted in addresses: none shows, whatever it is called and wherever it stands."""

from __future__ import annotations

import string
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from jobs.config.secrets import fill_in, take_out, without_secrets
from jobs.errors import redact
from streams import secret_words
from streams.address import Address
from streams.base import redact_url
from streams.secret_places import places_in, redact_text
from streams.secret_words import is_secrets_name, looks_random
from tests.unit.test_streams_hostile import MEGABYTE, assert_linear


@pytest.fixture(autouse=True)
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Secrets are to be found by where they stand, not because they are known."""
    monkeypatch.setattr(secret_words, "_known", set())
    return


NAMES = [
    *("access_token", "api_key", "apikey", "api-key", "apiKey", "auth", "auth_token", "sid", "jwt"),
    *("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Signature", "sig"),
    *("signature", "Key-Pair-Id", "Policy", "hdnts", "__token__", "wmsAuthSign", "key", "token"),
    *("stream_key", "streamKey", "tkn", "secret", "client_secret", "id_token", "refresh_token"),
    *("session", "session_id", "PHPSESSID", "pass", "passwd", "password", "pwd", "pw", "psw"),
    *("loginpas", "userPassword", "md5", "hash", "digest", "code", "pin", "otp", "credential"),
    *("authorization", "bearer", "ticket", "sas", "licence", "psk", "p%61ssword"),
    *("auth%5Btoken%5D", "access%255Ftoken"),
]

BEFORE = [
    "http://cam/live?{name}=",
    "http://cam:8080/a/b.cgi?x=1&{name}=",
    "http://cam/live;{name}=",
    "http://cam/live?x=1;{name}=",
    "https://cam/live#{name}=",
    "rtsp://cam:554/user=admin_{name}=",
    "rtsp://cam:554/user=admin&{name}=",
    "rtsp://cam/live/{name}=",
]
AFTER = ["", "&y=2", "#t", "&stream=0.sdp?real_stream"]

CHARACTERS = string.ascii_letters + string.digits + "-.~!$*+%_"
SECRETS = st.text(CHARACTERS, min_size=6, max_size=24)
DRAWN = st.one_of(
    st.uuids().map(str),
    st.binary(min_size=16, max_size=32).map(bytes.hex),
    st.binary(min_size=16, max_size=32).map(bytes.hex).map(str.upper),
)


SAID_AROUND = " cannot open : refused source: got must be another Address Taken(source='' YARD_ "


def parts_of(secret: str) -> set[str]:
    return {secret[i : i + 4] for i in range(len(secret) - 3)}


def texts_about(address: str) -> list[str]:
    """All that is ever said of it, by who does not know the secret yet."""
    secret_words._known.clear()
    said = [
        redact_url(address),
        redact(f"cannot open {address}: refused"),
        redact(f"source: got {address!r}, must be another"),
        redact_text(f'{{"source":"{address}","x":"a@b"}}'),
        repr(Address(address)),
        without_secrets(address),
    ]
    try:
        taken = take_out(address, "yard")
    except ValueError as error:
        return [*said, str(error)]
    return [*said, taken.source, repr(taken)]


def assert_hidden(address: str, secret: str, *, around: str) -> None:
    around += SAID_AROUND + around.upper()
    left = parts_of(secret) - parts_of(around)
    assume(left)
    for text in texts_about(address):
        assert not [part for part in left if part in text], text


@pytest.mark.parametrize("name", NAMES)
@given(secret=SECRETS, before=st.sampled_from(BEFORE), after=st.sampled_from(AFTER))
@settings(max_examples=15, deadline=None)
def test_what_is_called_a_secret_is_hidden(name: str, secret: str, before: str, after: str) -> None:
    assume("%" not in secret or quote(secret, safe=CHARACTERS) == secret)
    before = before.format(name=name)
    assert_hidden(before + secret + after, secret, around=before + " " + after)


@given(secret=DRAWN, place=st.sampled_from([
    "http://cam/live?x={}", "http://cam/live?{}", "http://cam/live#{}", "http://cam/live?a=1&id={}&b=2",
    "rtsp://cam:7447/{}", "http://cam/{}/index.m3u8", "http://cam/{}.m3u8", "http://cam/a;v={}",
]))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_what_looks_drawn_is_hidden_whatever_it_is_called(secret: str, place: str) -> None:
    assert_hidden(place.format(secret), secret, around=place)


@given(
    secret=st.text(min_size=6, max_size=24).filter(lambda t: t.isprintable() and "\ue000" not in t),
    place=st.sampled_from(
        [
            "rtsp://admin:{}@cam/1",
            "rtsp://cam/admin:{}/live",
            "http://cam/token/{}/live.m3u8",
            "http://cam/a?url={}",
        ]
    ),
)
@example(secret="/cam00", place="rtsp://admin:{}@cam/1")
@settings(max_examples=100, deadline=None)
def test_a_password_in_its_place_is_hidden(secret: str, place: str) -> None:
    encoded = quote(secret, safe="")
    if "url=" in place:
        encoded = quote(f"rtsp://admin:{encoded}@inner/1", safe="")
    address = place.format(encoded)
    around = place + place.replace(
        "admin:{}@", ""
    )  # the host, as it is shown, may be in a password
    assert_hidden(address, encoded, around=around + quote("rtsp://admin:@inner/1", safe=""))
    if "@cam" in place and secret.split() == [secret]:  # as people write it
        assert_hidden(place.format(secret), secret, around=around)


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://h:554/Streaming/Channels/101?transportmode=unicast&profile=Profile_1",
        "rtsp://h/cam/realmonitor?channel=1&subtype=0",
        "rtsp://h/h264Preview_01_main",
        "rtsp://h:8554/axis-media/media.amp?videocodec=h264&resolution=1280x720",
        "rtsp://h/MediaInputH264StreamChannel1",
        "http://h/2026-11-26_20-15-33_camera12_yard.mp4",
        "http://h/20260105T070000Z/2026-01-01T10:00:00.mp4?t=10&monkey=1&donkey=2",
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/@channel/live",
        "http://h/building_site_north_entrance_camera_01/index.m3u8",
        "synthetic://street?seed=7&hours=24",
    ],
)
def test_what_is_no_secret_stays_to_be_read(address: str) -> None:
    assert redact_url(address) == address
    assert take_out(address, "yard").source == address


def test_a_cheap_recorder_s_path_keeps_what_is_beside_the_password() -> None:
    address = "rtsp://h:554/user=admin_password=tlJw_bo6_channel=1_stream=0.sdp?real_stream"
    taken = take_out(address, "yard")
    assert taken.variables == {"YARD_PASSWORD": "tlJw_bo6"}
    assert taken.source == address.replace("tlJw_bo6", "${YARD_PASSWORD}")
    assert redact_url(address) == (
        "rtsp://h:554/user=***_password=***_channel=1_stream=0.sdp?real_stream"
    )


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://h:554/user=admin_password=tl%4Abo6_channel=1_stream=0.sdp?real_stream",
        "rtsp://cam/admin:PW12/live",
        "http://cam/live?access_token=a%2Fb&api_key=c%26d&x=1#sid=efgh",
        "rtsp://cam:7447/aBcD1234EfGh5678",
        "http://cam/token/xyz-12/live.m3u8?jwt=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "https://cam/a?X-Amz-Signature=0af3b1&X-Amz-Credential=AKIA%2F2026",
    ],
)
def test_whatever_was_taken_out_goes_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    taken = take_out(address, "yard")
    assert taken.variables
    for name, value in taken.variables.items():
        monkeypatch.setenv(name, value)
    assert fill_in(taken.source, tmp_path) == address


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://me:${file:/run/a@b}hunter2@cam/1",
        "see 'rtsp://me:${file:/a b/c@d}hunter2@cam/1' now",
        "see rtsp://me:${file:/a b/c@d}hunter2@cam/1 now",
        "rtsp://me:hunter2@cam/${A@B}",
        "rtsp://${A@B}:hunter2@cam/1?k=hunter2",
        "got 'rtsp://me:hun ter2 hunter2@cam/1'",
        '{"a": "rtsp://cam/1", "b": "rtsp://me:hunter2@cam/2?token=hunter2"}',
        "http://a/1 http://u:hunter2@b/2 and c@d",
    ],
)
def test_an_at_sign_elsewhere_does_not_cut_the_masking(text: str) -> None:
    assert "hunter2" not in redact(text)
    assert "hunter2" not in redact_url(text)


def test_half_a_secret_beside_a_variable_is_refused() -> None:
    for address in ("rtsp://me:pre${X}@cam", "http://cam/?token=${X}post"):
        with pytest.raises(ValueError, match="put the whole of it into the variable"):
            take_out(address, "yard")


def test_ordinary_words_are_not_stars_everywhere(tmp_path: Path) -> None:
    fill_in("http://cam/live?auth=true&session=live&code=main", tmp_path)
    assert redact("true: the live view of main") == "true: the live view of main"


def test_names_are_told_by_their_words() -> None:
    assert not [n for n in NAMES if not is_secrets_name(n)]
    for name in ("channel", "stream", "monkey", "donkey", "keyframe", "v", "list", "resolution"):
        assert not is_secrets_name(name)
    assert not looks_random("front-door-camera-2")


@given(st.text(max_size=300))
@settings(max_examples=500, deadline=None)
def test_any_text_can_be_hidden(text: str) -> None:
    redact(text)
    redact_url(f"rtsp://{text}")
    for place in places_in(text):
        assert 0 <= place.begins <= place.start <= place.end <= len(text)


LINES = [
    *("://", "a://b ", "x=", "pass", "passpass=", "a_b=", "user=a_", "%25", "@", ":", "${", "${a}"),
    *("'a://b", "&token=a", "/a:b", "A1b2", "=", "a@b://", "'", "${ a://", "'a://\"b://"),
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.slow
@pytest.mark.parametrize("parse", [redact, redact_url, lambda text: redact_url("http://" + text)])
def test_redaction_takes_time_in_proportion(parse: object, line: str) -> None:
    assert callable(parse)
    assert_linear(parse, line, most=MEGABYTE // 4)
