"""From an address to a source, and passwords that never show."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from streams.address import Address
from streams.base import (
    ConnectionFailedError,
    SourceNotFoundError,
    SourceUnreadableError,
    SourceUrlError,
    redact_url,
)
from streams.failures import failure
from streams.open import open_source
from streams.recorded.file import VideoFile
from streams.recorded.folder import ImageFolder
from streams.synthetic.source import SyntheticCamera
from tests.unit.clips import constant_rate, numbered_image, write_clip
from tests.unit.plans import live_options


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with one clip and one folder of images, which is also where we are."""
    write_clip(tmp_path / "my clip.mp4", constant_rate(5))
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), numbered_image(1))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("my clip.mp4", VideoFile),
        ("./my clip.mp4", VideoFile),
        ("~/my clip.mp4", VideoFile),
        ("{home}/my clip.mp4", VideoFile),
        ("file://{home}/my%20clip.mp4", VideoFile),
        ("FILE://localhost{home}/my clip.mp4", VideoFile),
        ("images", ImageFolder),
        ("~/images/", ImageFolder),
        ("file://{home}/images", ImageFolder),
        ("synthetic://street?seed=7&hours=0.01", SyntheticCamera),
        ("Synthetic://street?seed=7&hours=0.01", SyntheticCamera),
    ],
)
def test_each_kind_of_address_opens_its_source(home: Path, url: str, kind: type) -> None:
    with open_source(url.format(home=home), camera="gate") as source:
        assert type(source) is kind
        assert next(iter(source)).camera == "gate"


@pytest.mark.parametrize("url", ["s3://bucket/clip.mp4", "concat://a.mp4", "ftp://h/clip.mp4"])
def test_unknown_kinds_of_address_are_refused_with_what_is_allowed(home: Path, url: str) -> None:
    with pytest.raises(SourceUrlError, match=r"camera 'gate': .*: addresses of the kind") as caught:
        open_source(url, camera="gate")
    assert url in str(caught.value)
    assert "rtsp://…" in str(caught.value)
    assert "synthetic://street" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["rtsp://10.0.0.5/live", "RTSPS://10.0.0.5/live", "device:0", "/dev/video7"]
)
def test_a_live_camera_is_refused_to_who_needs_an_end(url: str) -> None:
    with pytest.raises(SourceUrlError, match=r"live cameras never end, .*; give a recording"):
        open_source(url, camera="gate")


@pytest.mark.parametrize("url", ["device:", "device:front", "device:-1", "device://0"])
def test_a_device_has_a_number(url: str) -> None:
    with pytest.raises(SourceUrlError, match="a device is named device:0 or /dev/video0"):
        open_source(url, camera="gate", live=live_options())


def test_a_device_that_is_not_there_says_so() -> None:
    with pytest.raises(ConnectionFailedError, match=r"camera 'gate': device:99: no such device"):
        open_source("device:99", camera="gate", live=live_options())


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=abc",
        "http://m.youtube.com/watch?v=abc",
        "youtube.com/watch?v=abc",
        "www.YouTube.com/watch?v=abc",
        "youtu.be/abc",
    ],
)
def test_youtube_goes_to_the_sites(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def resolve(page: Address, **_: object) -> None:
        asked.append(page.secret)
        where = "camera 'gate': x"
        raise failure(where, "no stream on this page")

    monkeypatch.setattr("streams.live.http.resolve", resolve)
    with pytest.raises(ConnectionFailedError, match="no stream on this page"):
        open_source(url, camera="gate", recorded=live_options())
    assert asked == [url if "//" in url else f"https://{url}"]


@pytest.mark.parametrize("url", ["http://host/a.mp4", "https://youtu.be/abc", "youtu.be/abc"])
def test_a_source_on_the_web_is_not_read_without_time_outs(url: str) -> None:
    with pytest.raises(SourceUrlError, match=r"camera 'gate': .*: a source on the web .*recorded"):
        open_source(url, camera="gate")


@pytest.mark.parametrize("url", ["file://clip.mp4", "file://~/clip.mp4", "file://", "file://host"])
def test_a_file_address_needs_a_whole_path(home: Path, url: str) -> None:
    with pytest.raises(SourceUrlError, match="needs a whole path after three slashes"):
        open_source(url, camera="gate")


@pytest.mark.parametrize("url", ["", "  "])
def test_an_empty_address_is_refused(url: str) -> None:
    with pytest.raises(SourceUrlError, match="camera 'gate': the url is empty; give rtsp"):
        open_source(url, camera="gate")


@pytest.mark.parametrize("url", ["absent.mp4", "~/absent.mp4", "file:///absent.mp4", "a\0b", "0"])
def test_what_is_not_there_is_not_found(home: Path, url: str) -> None:
    with pytest.raises(SourceNotFoundError, match=r"camera 'gate': .*: no such file"):
        open_source(url, camera="gate")


def test_the_home_of_nobody_is_not_found() -> None:
    with pytest.raises(SourceNotFoundError, match="no such user's home folder; write the whole"):
        open_source("~nobody-by-this-name/clip.mp4", camera="gate")


def test_a_name_too_long_is_unreadable_not_a_crash() -> None:
    with pytest.raises(SourceUnreadableError, match="cannot be looked at"):
        open_source("x" * 5000, camera="gate")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:s3cret@10.0.0.5:554/live", "rtsp://***@10.0.0.5:554/live"),
        ("rtsp://admin:s3cr@et@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
        ("rtsp://admin:s3c/ret@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
        ("rtsp://admin:s3c?ret#@10.0.0.5/live", "rtsp://***@10.0.0.5/live"),
        ("rtsp:/admin:s3cret@10.0.0.5/live", "rtsp:/***@10.0.0.5/live"),
        ("https://s3cret@host/live", "https://***@host/live"),
        ("admin:s3cret@10.0.0.5/live", "***@10.0.0.5/live"),
        ("http://h/a?user=admin&password=s3cret&ch=1", "http://h/a?user=***&password=***&ch=1"),
        ("http://h/a?access_token=s3cret#t", "http://h/a?access_token=***#t"),
        (
            "rtsp://h:554/user=admin_password=s3cret_channel=1",
            "rtsp://h:554/user=***_password=***_channel=1",
        ),
        ("https://www.youtube.com/@channel/live", "https://www.youtube.com/@channel/live"),
        ("https://www.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=abc"),
        ("/data/a:b@c.mp4", "/data/a:b@c.mp4"),
        ("file:///data/a:b@c.mp4", "file:///data/a:b@c.mp4"),
        ("~/key=1.mp4", "~/key=1.mp4"),
        ("clip.mp4", "clip.mp4"),
        ("", ""),
    ],
)
def test_what_is_shown_of_an_address(url: str, shown: str) -> None:
    assert redact_url(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:s3cret@10.0.0.5/live",
        "s3://10.0.0.5/a?password=s3cret",
        "admin:s3cret@10.0.0.5/live",
        "rtsp:/admin:s3cret@10.0.0.5/live",
    ],
)
def test_no_password_in_any_message(home: Path, url: str) -> None:
    with pytest.raises((SourceUrlError, SourceNotFoundError)) as caught:
        open_source(url, camera="gate")
    assert "s3cret" not in str(caught.value)
    assert "10.0.0.5" in str(caught.value)
