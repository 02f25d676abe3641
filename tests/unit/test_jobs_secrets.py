"""Passwords outside of config.yaml: put into an address, taken out of one, and never shown."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from jobs.config.load import load_config
from jobs.config.secrets import fill_in, take_out, with_reference, without_secrets
from jobs.config.settings import CameraConfig
from jobs.errors import ConfigError, redact
from streams.address import Address
from streams.base import redact_url
from streams.secret_words import keep_secret, mask

AWKWARD = "p@ss/w:rd#"
CANARY = "c4n4ry-0f-the-t3sts"


# -- reading ---------------------------------------------------------------------------------------


def in_environment(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str) -> str:
    monkeypatch.setenv("YARD_PASSWORD", value)
    return "YARD_PASSWORD"


def in_file(monkeypatch: pytest.MonkeyPatch, folder: Path, value: str) -> str:
    (folder / "yard").write_text(f"{value}\r\nsecond line\n", encoding="utf-8")
    return "file:yard"


@pytest.mark.parametrize("put", [in_environment, in_file])
@pytest.mark.parametrize("value", [AWKWARD, "100%", "p%40ss", "ein wört", "hunter2"])
def test_a_password_arrives_whole_whatever_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, put, value: str
) -> None:
    name = put(monkeypatch, tmp_path, value)
    url = fill_in(f"rtsp://viewer:${{{name}}}@cam:554/live?x=1", tmp_path)
    assert Address(url).login == ("viewer", value)
    assert Address(url).without_login == "rtsp://cam:554/live?x=1"
    assert value not in redact_url(url)


@pytest.mark.parametrize(
    ("source", "value", "filled"),
    [
        ("rtsp://${X}@cam/1", "me:p@ss", "rtsp://me:p%40ss@cam/1"),
        ("rtsp://${X}:pw@cam/1", "m@e", "rtsp://m%40e:pw@cam/1"),
        ("http://cam/snap?user=me&pwd=${X}", "a&b#c", "http://cam/snap?user=me&pwd=a%26b%23c"),
        ("http://cam/snap?pwd=${X}&n=1", "a b", "http://cam/snap?pwd=a%20b&n=1"),
        ("rtsp://${X}/1", "cam:554", "rtsp://cam:554/1"),
        ("rtsp://me:pw@${X}/1", "cam:554", "rtsp://me:pw@cam:554/1"),
        ("${X}", "rtsp://me:pw@cam/1", "rtsp://me:pw@cam/1"),
        ("${X}/yard.mp4", "/data", "/data/yard.mp4"),
        ("http://cam/${X}/live?a=b", "t/0", "http://cam/t/0/live?a=b"),
        ("http://${X}:${X}@cam/?k=${X}", "p@", "http://p%40:p%40@cam/?k=p%40"),
    ],
)
def test_only_what_is_a_secret_by_its_place_is_encoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, value: str, filled: str
) -> None:
    monkeypatch.setenv("X", value)
    assert fill_in(source, tmp_path) == filled


def test_a_file_is_sought_from_the_configs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "pw").write_text("hunter2\n", encoding="utf-8")
    (tmp_path / "config.yaml").write_text(
        "cameras:\n"
        "  a: {source: 'rtsp://me:${file:pw}@cam/1', classes: [x]}\n"
        f"  b: {{source: 'rtsp://me:${{file:{tmp_path}/pw}}@cam/1', classes: [x]}}\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path / "elsewhere")
    cameras = load_config(tmp_path / "config.yaml").cameras
    assert {camera.source for camera in cameras.values()} == {"rtsp://me:hunter2@cam/1"}
    unfilled = load_config(tmp_path / "config.yaml", as_written=True).cameras["a"]
    assert unfilled.source == "rtsp://me:${file:pw}@cam/1"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("rtsp://me:${NOT_SET_ANYWHERE}@cam", "environment variable NOT_SET_ANYWHERE is not set"),
        ("rtsp://me:${EMPTY}@cam", "the environment variable EMPTY is empty"),
        ("rtsp://me:${YARD-PW}@cam", r"\$\{YARD-PW\}: must be \$\{NAME\}, an environment"),
        ("rtsp://me:${file:gone}@cam", "the file 'gone' named in it does not exist"),
        ("rtsp://me:${file:blank}@cam", "the file 'blank' named in it is empty, its first line"),
        ("rtsp://me:${file:.}@cam", r"the file '.' named in it cannot be read \(Is a directory\)"),
        ("rtsp://me:${file:binary}@cam", r"the file 'binary' named in it is not text \(UTF-8\)"),
        ("rtsp://me:${file:~nobody-here/x}@cam", r"cannot be read \(no such home folder\)"),
    ],
)
def test_a_secret_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, expected: str
) -> None:
    monkeypatch.setenv("EMPTY", "")
    (tmp_path / "blank").write_text("\nsecond", encoding="utf-8")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=expected):
        fill_in(source, tmp_path)


# -- never shown -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "rtsp://me:${X}@cam/1",
        "http://cam/${X}/live",
        "http://cam/live?pwd=${X}",
        "http://cam/live?code=${X}",
        f"rtsp://me:{CANARY}@cam/1",
        f"http://cam/live?user=me&loginpas={CANARY}",
    ],
)
def test_no_text_shows_it_once_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("X", CANARY)
    camera = CameraConfig(name="yard", source=source, classes=["person"])  # type: ignore[arg-type]
    assert CANARY in camera.source
    shown = [repr(camera), str(camera), camera.source_shown, redact(f"it was {CANARY}.")]
    shown += [redact_url(camera.source), redact_url(f"/data/{CANARY}.mp4")]
    assert not [text for text in shown if CANARY in text]
    monkeypatch.setenv("X", "another-password")
    other = source.replace(CANARY, "another-password")
    again = CameraConfig(name="yard", source=other, classes=["person"])  # type: ignore[arg-type]
    assert again.fingerprint == camera.fingerprint


def test_percent_encoded_it_is_known_as_well() -> None:
    keep_secret(AWKWARD)
    keep_secret("a%20space")
    assert mask(f"{AWKWARD} p%40ss%2Fw%3Ard%23 a space") == "*** *** ***"
    keep_secret("abc")
    assert mask("abc") == "abc"  # too short to be hidden wherever it stands


def test_a_host_or_a_folder_from_the_environment_is_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("X", "camera-host")
    fill_in("rtsp://me:pw@${X}/1", tmp_path)
    fill_in("${X}/yard.mp4", tmp_path)
    assert mask("camera-host") == "camera-host"


@pytest.mark.parametrize(
    "text",
    [
        f"cameras: {{yard: {{source: ['rtsp://me:{CANARY * 3}@cam/1'], classes: [x]}}}}",
        f"cameras: {{yard: {{source: 'rtsp://me:{CANARY}@cam/1, classes: [x]}}}}\n",
        f"cameras:\n  yard:\n    source: rtsp://me:{CANARY}@cam/1\n   classes: [x]\n",
        f"cameras: {{yard: 'rtsp://me:{CANARY}@cam/1'}}",
        f"cameras: {{yard: {{source: 'rtsp://me:{CANARY}@cam/1', fps: '{CANARY}', classes: [x]}}}}",
    ],
)
def test_a_mistake_in_the_file_does_not_show_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    error = caught.value
    whole = "".join(traceback.format_exception(error))
    assert CANARY not in whole + repr(error.__context__) + repr(error.__cause__)


# -- writing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "source", "variables"),
    [
        ("rtsp://me:pw1@cam/1", "rtsp://me:${YARD_PASSWORD}@cam/1", {"YARD_PASSWORD": "pw1"}),
        ("rtsp://me:a%40b@cam", "rtsp://me:${YARD_PASSWORD}@cam", {"YARD_PASSWORD": "a@b"}),
        ("rtsp://me:a@b@cam", "rtsp://me:${YARD_PASSWORD}@cam", {"YARD_PASSWORD": "a@b"}),
        (
            "http://cam/s?user=me&pwd=x%26&n=1",
            "http://cam/s?user=me&pwd=${YARD_PWD}&n=1",
            {"YARD_PWD": "x&"},
        ),
        ("rtsp://me@cam/1", "rtsp://me@cam/1", {}),
        ("rtsp://me:${A}@cam/1", "rtsp://me:${A}@cam/1", {}),
        ("rtsp://me:${file:/a/b}@cam/1", "rtsp://me:${file:/a/b}@cam/1", {}),
        ("https://youtu.be/watch?v=a&monkey=1", "https://youtu.be/watch?v=a&monkey=1", {}),
        ("https://www.youtube.com/@chan/live", "https://www.youtube.com/@chan/live", {}),
        ("http://cam:8080/live", "http://cam:8080/live", {}),
        ("clips/a:b@c.mp4", "clips/a:b@c.mp4", {}),
        ("file:///clips/a:b@c.mp4", "file:///clips/a:b@c.mp4", {}),
    ],
)
def test_secrets_are_taken_out_of_an_address(
    address: str, source: str, variables: dict[str, str]
) -> None:
    taken = take_out(address, "yard")
    assert (taken.source, taken.variables) == (source, variables)
    assert not [value for value in variables.values() if value in repr(taken)]


@pytest.mark.parametrize("address", ["rtsp://me:a%40b@cam/1?token=t%2F1", "http://me:pw1@cam"])
def test_what_was_taken_out_goes_in_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    taken = take_out(address, "yard")
    for name, value in taken.variables.items():
        monkeypatch.setenv(name, value)
    assert fill_in(taken.source, tmp_path) == address


@pytest.mark.parametrize(
    "address",
    [
        f"rtsp://admin:{AWKWARD}@cam/1",
        "rtsp://admin:w/rd@cam/1",
        "rtsp://admin:w#rd@cam/1",
        "rtsp://admin:123#@cam/1",
        "rtsp://admin:pw@cam/a@b",
    ],
)
def test_where_the_password_ends_is_not_guessed(address: str) -> None:
    with pytest.raises(ValueError, match="not clear where the password ends"):
        take_out(address, "yard")
    assert "w:rd" not in redact_url(address)


def test_each_camera_gets_a_variable_of_its_own() -> None:
    used = frozenset({"A_B_PASSWORD"})
    assert take_out("rtsp://u:pw@c", "a-b", used=used).source == "rtsp://u:${A_B_PASSWORD_2}@c"
    assert take_out("rtsp://u:pw@c", "1st").source == "rtsp://u:${CAMERA_1ST_PASSWORD}@c"


def test_a_reference_needs_a_user() -> None:
    assert with_reference("rtsp://me@cam/1", "file:p/q") == "rtsp://me:${file:p/q}@cam/1"
    assert with_reference("rtsp://me:${A}@cam/1", "B") == "rtsp://me:${B}@cam/1"
    for address in ("rtsp://cam/1", "yard.mp4"):
        with pytest.raises(ValueError, match="a password needs a user"):
            with_reference(address, "B")


@pytest.mark.parametrize(
    "other",
    [
        "rtsp://Cam:554/1",
        "RTSP://me:pw@cam/1",
        "rtsp://me:${file:/run/secrets/yard}@cam/1/",
        "rtsp://me:p/w@cam/1",
    ],
)
def test_addresses_of_one_camera_are_told(other: str) -> None:
    assert without_secrets(other) == without_secrets("rtsp://cam/1")


@pytest.mark.parametrize("other", ["rtsp://cam/2", "rtsps://cam/1", "rtsp://cam:555/1", "cam/1"])
def test_addresses_of_two_cameras_are_told(other: str) -> None:
    assert without_secrets(other) != without_secrets("rtsp://cam/1")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_the_list_of_processes_does_not_show_it() -> None:
    code = (
        "import sys, jobs.config.secrets as s; from pathlib import Path\n"
        "s.hide_in_process_list(sys.argv[1])\n"
        "print(sys.argv[1]); print(Path('/proc/self/cmdline').read_bytes())\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, f"rtsp://me:{CANARY}@cam", "last"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    argument, shown = done.stdout.splitlines()
    assert argument == f"rtsp://me:{CANARY}@cam"
    assert CANARY not in shown
    assert f"rtsp://me:{'*' * len(CANARY)}@cam\\x00last" in shown
