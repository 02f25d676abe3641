"""`culling add`: what it writes, what it refuses, and with which exit code."""

from __future__ import annotations

import json
import logging
import os
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import pytest

from jobs import cli
from jobs.config.load import load_config
from jobs.errors import ConfigError
from jobs.setup.add import Added, Request, add_camera
from streams.base import SourceUnreadableError
from tests.unit.clips import constant_rate, write_clip

CANARY = "c4n4ry-0f-the-t3sts"
CAMERA = f"rtsp://viewer:{CANARY}@192.0.2.1/stream1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def config(folder: Path) -> Path:
    path = folder / "config.yaml"
    path.write_text("cameras:\n  gate: {source: rtsp://me@cam/1, classes: [person]}\n")
    return path


@pytest.fixture
def clip(folder: Path) -> Path:
    (folder / "clips").mkdir()
    return write_clip(folder / "clips" / "yard.mp4", constant_rate(100))


def test_a_newcomer_gets_a_configuration_with_this_camera_only(
    folder: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["add", "yard", "clips/yard.mp4"]) == 0
    out, err = capsys.readouterr()
    lines = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert lines["yard:"] == "added to config.yaml"
    assert lines["kind"] == "file"
    assert lines["rate"] == "25 pictures/s"
    assert lines["source"] == "clips/yard.mp4"
    assert "the snapshot shows what the camera sees; only you can read it" in err
    loaded = load_config(folder / "config.yaml")
    assert (folder / "culling.schema.json").is_file()
    assert list(loaded.cameras) == ["yard"]
    assert loaded.cameras["yard"].source == str(clip)
    assert loaded.cameras["yard"].class_names == ("person", "car", "bicycle")


def test_after_init_the_example_does_not_stay_behind(folder: Path) -> None:
    assert cli.run(["init"]) == 0
    assert cli.run(["add", "street", "a.mp4", "--no-probe"]) == 0
    cameras = load_config(folder / "config.yaml").cameras
    assert {name: camera.source for name, camera in cameras.items()} == {
        "street": str(folder / "a.mp4")
    }


def test_a_real_camera_gets_a_teacher_that_knows_the_world(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real = "pretrained:r101-mmdet-3x"
    for name, url in (("yard", "a.mp4"), ("gate", "rtsp://cam/1"), ("toy", "synthetic://street")):
        assert cli.run(["add", name, url, "--no-probe"]) == 0
    assert "243 MB, Apache-2.0, is downloaded at its first use" in capsys.readouterr().err
    cameras = load_config(folder / "config.yaml").cameras
    teachers = {name: camera.teacher.weights for name, camera in cameras.items()}
    assert teachers == {"yard": real, "gate": real, "toy": "builtin:street-teacher"}
    # One that the file names for all stays.
    text = "defaults: {teacher: {weights: mine.onnx}}\ncameras: {}\n"
    (folder / "own.yaml").write_text(text)
    assert cli.run(["add", "yard", "a.mp4", "--no-probe", "--config", "own.yaml"]) == 0
    camera = load_config(folder / "own.yaml").cameras["yard"]
    assert camera.teacher.weights == str(folder / "mine.onnx")


def test_the_snapshot_is_a_picture_only_its_owner_can_read(
    folder: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["add", "yard", str(clip), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    path = Path(shown["snapshot"])
    assert path == folder / "culling-data" / "snapshots" / "yard.jpg"
    assert [stat.S_IMODE(p.stat().st_mode) for p in (path, path.parent, path.parent.parent)] == [
        0o600, 0o700, 0o700,
    ]  # fmt: skip
    image = cv2.imread(str(path))
    assert image is not None
    assert image.shape[:2] == (shown["found"]["height_px"], shown["found"]["width_px"])
    assert cli.run(["add", "again", str(clip), "--force"]) == 0  # beside the first


def test_a_mask_of_the_defaults_covers_the_snapshot_too(folder: Path, clip: Path) -> None:
    left_half = "[[[0, 0], [0.5, 0], [0.5, 1], [0, 1]]]"
    (folder / "config.yaml").write_text(f"defaults: {{mask: {left_half}}}\n")
    assert cli.run(["add", "yard", str(clip)]) == 0
    image = cv2.imread(str(folder / "culling-data" / "snapshots" / "yard.jpg"))
    assert image is not None
    assert image[:, :64].max() < 16
    assert image[40:, 80:].max() > 100


def test_json_is_one_object_that_says_it_all(
    folder: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["add", "yard", "clips/yard.mp4", "--classes", "person, cat", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == {
        "camera": "yard",
        "source": "clips/yard.mp4",
        "classes": ["person", "cat"],
        "teacher": "pretrained:r101-mmdet-3x",
        "config": "config.yaml",
        "found": {
            "kind": "file",
            "live": False,
            "width_px": 144,
            "height_px": 64,
            "rate_fps": 25.0,
            "codec": "h264",
            "keyframe_interval_s": 1.0,
            "duration_s": 4.0,
            "frames": 4,
            "to_fetch": None,
            "look_bytes": None,
            "said": [],
        },
        "snapshot": str(folder / "culling-data" / "snapshots" / "yard.jpg"),
        "variables": [],
        "advice": [],
        "exit_code": 0,
    }


def test_the_password_becomes_a_variable_to_be_set(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["add", "yard", CAMERA, "--no-probe", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["variables"] == ["YARD_PASSWORD"]
    assert "the password is not in config.yaml: set YARD_PASSWORD to it" in err
    text = config.read_text()
    assert "    source: rtsp://viewer:${YARD_PASSWORD}@192.0.2.1/stream1\n" in text
    assert CANARY not in out + err + text
    assert not (config.parent / "culling-data").exists()
    # the next camera can be added though the variable is not set
    assert cli.run(["add", "door", "rtsp://192.0.2.2/1", "--no-probe"]) == 0
    assert cli.run(["check"]) == 2
    assert "cameras.yard.source: the environment variable YARD_PASSWORD is" in (
        capsys.readouterr().err
    )
    monkeypatch.setenv("YARD_PASSWORD", CANARY)
    assert load_config(config).cameras["yard"].source == CAMERA
    assert cli.run(["add", "more", CAMERA, "--no-probe", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variables"] == ["MORE_PASSWORD"]


@pytest.mark.parametrize("address", [CAMERA, "rtsp://viewer@192.0.2.1/stream1"])
def test_the_password_goes_into_a_file(
    config: Path, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    path = config.parent / "yard.password"
    if address != CAMERA:
        path.write_text(f"{CANARY}\n")
        path.chmod(0o600)
    given = ["--no-probe", "--password-file", "yard.password"]
    assert cli.run(["add", "yard", address, *given]) == 0
    assert "${file:yard.password}" in config.read_text()
    assert path.read_text() == f"{CANARY}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_config(config).cameras["yard"].source == CAMERA
    out, err = capsys.readouterr()
    assert CANARY not in out + err
    assert "set " not in err


def test_a_password_file_elsewhere_is_named_by_its_whole_path(
    config: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    given = ["--no-probe", "--password-file", "pw", "--config", str(config)]
    assert cli.run(["add", "yard", CAMERA, *given]) == 0
    assert f"${{file:{elsewhere}/pw}}" in config.read_text()
    assert cli.run(["add", "clip", "a.mp4", "--no-probe", "--config", str(config)]) == 0
    assert load_config(config).cameras["clip"].source == str(elsewhere / "a.mp4")


def test_a_reference_in_the_address_stays_as_it_is(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "rtsp://viewer:${MY_OWN}@192.0.2.1/stream1"
    assert cli.run(["add", "yard", address, "--no-probe"]) == 0
    assert f"source: {address}\n" in config.read_text()


def test_classes_of_the_defaults_are_not_repeated(config: Path) -> None:
    config.write_text("defaults: {classes: [cat]}\n")
    assert cli.run(["add", "yard", CAMERA, "--no-probe"]) == 0
    assert cli.run(["add", "door", "a.mp4", "--no-probe", "--classes", "dog"]) == 0
    assert "[person" not in config.read_text()
    text = config.read_text().replace("${YARD_PASSWORD}", "pw")
    config.write_text(text)
    classes = [camera.class_names for camera in load_config(config).cameras.values()]
    assert classes == [("cat",), ("dog",)]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["gate", "rtsp://cam/2"], "there is a camera 'gate' in config.yaml already: give another"),
        (["yard", "rtsp://cam:554/1"], "camera 'gate' in config.yaml has this source already (rts"),
        (["Yard!", "rtsp://cam/2"], "'Yard!': a camera's name must be of a-z, 0-9, _ and - only"),
        (["rtsp://cam/2", "yard"], "a camera's name must be of a-z, 0-9"),
        (["yard"], "Missing argument 'URL'"),
        (["yard", f"rtsp://a:{CANARY}@c/1", "x"], "unexpected extra argument(s) (x)"),
        (["yard", "rtsp://cam/2", "--classes", ","], "--classes: name what to find, such as"),
        (["yard", "a.mp4", "--classes", "cat,cat"], "classes: got ['cat', 'cat'], must not hold"),
        (["yard", f"rtsp://a:{CANARY}#/@c/1"], "it is not clear where the password ends"),
        (["yard", "rtsp://c/1", "--password-file", "no"], "a password needs a user"),
        (["yard", "~nosuchuser/x.mp4"], "~nosuchuser/x.mp4: there is no such user's home folder"),
        (["yard", "rtsp://me@c/1", "--password-file", "~nosuchuser/x"], "no such user's home"),
        (["yard", "rtsp://me@c/1", "--password-file", "no"], "the file 'no' named in it does not"),
        (["yard", f"rtsp://a:{CANARY}@c", "--password-file", "config.yaml"], "holds something"),
        (["yard", f"rtsp://a:{CANARY}@c", "--password-file", "no/pw"], "no/pw: cannot be written"),
        (
            ["yard", f"http://a:{CANARY}@c/?pwd={CANARY}", "--password-file", "no"],
            "it has several secrets: write ${file:PATH} in the place of each yourself",
        ),
        (["yard", "rtsp://me:${NOT_SET}@c/1", "--probe"], "NOT_SET is not set (--no-probe adds"),
    ],
)
def test_what_is_refused_is_one_clear_line_and_changes_nothing(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    before = config.read_bytes()
    assert cli.run(["add", "--no-probe", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert expected in err
    assert CANARY not in err
    assert config.read_bytes() == before
    assert [path.name for path in config.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cameras:\n  gate: {source: a.mp4, classes: [x], fsp: 1}\n", "cameras.gate.fsp: unknown"),
        ("cameras: [\n", "not valid YAML"),
        ("- cameras\n", "must be a mapping with the key `cameras`"),
        ("{workers: 2}", "only you can add to; put in:"),
        ("cameras: {}\ndefaults: 3\n", "defaults: must be a mapping"),
    ],
)
def test_a_configuration_with_mistakes_is_left_alone(
    config: Path, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    config.write_text(text)
    assert cli.run(["add", "yard", CAMERA, "--no-probe"]) == 2
    assert expected in capsys.readouterr().err
    assert config.read_text() == text


def test_a_camera_that_does_not_open_is_not_added(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = config.read_bytes()
    assert cli.run(["add", "yard", "gone.mp4", "--json"]) == 3
    out, err = capsys.readouterr()
    assert "gone.mp4: no such file" in err
    assert json.loads(out)["exit_code"] == 3
    assert config.read_bytes() == before
    assert not (config.parent / "culling-data").exists()


def test_a_camera_that_hangs_is_given_up(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = threading.Event()
    monkeypatch.setattr("jobs.setup.probing.probe_camera", lambda *_, **__: release.wait(10))
    assert cli.run(["add", "yard", "rtsp://me@192.0.2.1/1", "--timeout-s", "0.2"]) == 3
    release.set()
    assert "no frame from rtsp://***@192.0.2.1/1 in 0.2 s: is the camera on" in (
        capsys.readouterr().err
    )


def test_a_snapshot_that_cannot_be_written_says_where(
    config: Path, clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "culling-data").write_text("a file in the way")
    assert cli.run(["add", "yard", str(clip)]) == 2
    assert "yard.jpg: the snapshot cannot be written" in capsys.readouterr().err
    assert "yard" not in config.read_text()


def test_no_error_and_no_log_shows_the_password(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(camera: object, **_: object) -> None:
        logging.getLogger("streams.x").warning("it is %s", CANARY)
        try:
            raise ValueError(CANARY)
        except ValueError as error:
            message = f"{CAMERA} and {CANARY}"
            raise SourceUnreadableError(message) from error

    monkeypatch.setattr("jobs.setup.probing.probe_camera", fail)
    assert cli.run(["add", "yard", CAMERA, "--debug", "--json"]) == 3
    out, err = capsys.readouterr()
    assert "Traceback" in err
    assert "culling: it is ***" in err
    assert json.loads(out)["error"] == "rtsp://***@192.0.2.1/stream1 and ***"
    assert CANARY not in out + err


def add_at_once(path: Path, urls: dict[str, str]) -> list[Added]:
    together = threading.Barrier(len(urls))

    def one(name: str) -> Added:
        together.wait(30)
        return add_camera(Request(name=name, url=urls[name], config=path, look=False))

    with ThreadPoolExecutor(len(urls)) as pool:
        return list(pool.map(one, urls))


@pytest.mark.parametrize("is_new", [False, True])
def test_twelve_at_once_are_all_in_the_file(config: Path, is_new: bool) -> None:
    if is_new:
        config.unlink()
    added = add_at_once(config, {f"cam{i}": f"rtsp://192.0.2.1/{i}" for i in range(12)})
    names = {one.camera.name for one in added}
    assert set(load_config(config).cameras) == names | (set() if is_new else {"gate"})
    beside = {"config.yaml"} | ({"culling.schema.json"} if is_new else set())
    assert {path.name for path in config.parent.iterdir()} == beside


def test_two_at_once_never_share_a_variable(config: Path) -> None:
    urls = {name: f"rtsp://me:{CANARY}-{i}@192.0.2.1/{i}" for i, name in enumerate(("a-b", "a_b"))}
    one, other = add_at_once(config, urls)
    assert one.variables != other.variables
    assert (
        len({camera.source for camera in load_config(config, as_written=True).cameras.values()})
        == 3
    )


def test_a_line_that_an_editor_wrote_meanwhile_stays(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jobs.config import edit

    sync, saved = edit.os.fsync, []

    def save_meanwhile(handle: int) -> None:
        if not saved:
            saved.append(True)
            with config.open("a") as file:
                file.write("workers: 7\n")
        sync(handle)

    monkeypatch.setattr("jobs.config.edit.os.fsync", save_meanwhile)
    assert cli.run(["add", "yard", "rtsp://192.0.2.1/1", "--no-probe"]) == 0
    loaded = load_config(config)
    assert (loaded.workers, set(loaded.cameras)) == (7, {"gate", "yard"})


def test_a_new_configuration_is_its_owners_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert cli.run(["init"]) == 0
        assert cli.run(["add", "yard", CAMERA, "--no-probe", "--config", "other.yaml"]) == 0
    finally:
        os.umask(before)
    for name in ("config.yaml", "other.yaml"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


TOKEN = "9fQ2rT7bK4xW8mZ3"


@pytest.mark.parametrize(
    "address",
    [
        f"rtsp://{TOKEN}@door/1",
        f"https://{TOKEN}:@door/1",
        f"youtube.com/watch?v=dQw4w9WgXcQ&access_token={TOKEN}",
    ],
)
def test_a_token_without_a_user_becomes_a_variable(
    config: Path,
    address: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(["add", "yard", address, "--no-probe", "--config", str(config)]) == 0
    assert TOKEN not in config.read_text(encoding="utf-8")
    assert TOKEN not in "".join(capsys.readouterr())
    monkeypatch.setenv("YARD_TOKEN", TOKEN)
    monkeypatch.setenv("YARD_ACCESS_TOKEN", TOKEN)
    source = load_config(config).cameras["yard"].source
    assert source.removeprefix("https://") == address.removeprefix("https://")


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f" rtsp://me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"'rtsp://me:{TOKEN}@cam/1'", "an address must begin with its"),
        (f"url=rtsp://me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"://me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"//me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"rtsp//me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"rtsp:/me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"me:{TOKEN}@cam/1", "an address must begin with its"),
        (f"rtsp://me:${{{TOKEN}@cam/1", "a ${ in it has no }"),
        (f"rtsp://me:${{{TOKEN}}}@cam/1", "a ${…} in it: must be ${NAME}"),
    ],
)
def test_an_address_written_wrongly_is_refused_and_its_secret_not_shown(
    config: Path, address: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = config.read_text(encoding="utf-8")
    assert cli.run(["add", "yard", address, "--no-probe", "--config", str(config)]) == 2
    out, err = capsys.readouterr()
    assert said in err
    assert TOKEN not in out + err
    assert config.read_text(encoding="utf-8") == before
    # And so is one that was written there by hand.
    with config.open("a", encoding="utf-8") as file:
        file.write(f"  yard: {{source: {json.dumps(address)}, classes: [person]}}\n")
    with pytest.raises(ConfigError, match=re.escape(f"cameras.yard.source: {said[:20]}")) as caught:
        load_config(config)
    assert TOKEN not in str(caught.value)
