"""The command line: words, exit codes, and that `--json` is alone on stdout."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import types
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks.testbed.small_night import DAY, night_record
from culling_pipeline.records.day import GateRecord
from jobs import cli
from jobs.cameras.detectors import weights_path
from jobs.commands.summary import _figures, in_one_line
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.errors import NightError
from jobs.setup.check import check_streams
from models.errors import WeightsError
from streams.base import StreamError
from tests.unit.clips import constant_rate, write_clip

Retrain = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a config of two cameras."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(
        "cameras:\n"
        "  yard: {source: 'synthetic://street?hours=0.1', classes: [person]}\n"
        "  door: {source: missing.mp4, classes: [person]}\n",
        encoding="utf-8",
    )
    return tmp_path


@pytest.fixture
def nightly(monkeypatch: pytest.MonkeyPatch) -> Callable[[Retrain], None]:
    """Puts a function in the place of `jobs.nights.nightly.retrain_camera`."""

    def put(retrain: Retrain) -> None:
        module = types.ModuleType("jobs.nights.nightly")
        module.retrain_camera = retrain  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "jobs.nights.nightly", module)

    return put


def good_night(config: Config, name: str, *, store: Store, **_: Any) -> None:
    with store.running_night(name, DAY) as journal:
        path = config.report_dir(name, journal.night.run_id) / "index.html"
        path.parent.mkdir(parents=True)
        path.write_text("<html>", encoding="utf-8")
        store.finish_night(journal.night.id, night_record(name))


def test_schedule_show_reproduces_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    setting = "--samples 50000 --epochs 300 --warm-up 40 --interval 10 --keep 0.9 --pick 150"
    assert cli.run(["schedule", "show", "dap", *setting.split(), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"computation", "per_epoch"}
    assert round(shown["computation"], 2) == 0.63
    assert len(shown["per_epoch"]) == 300
    assert cli.run(["schedule", "show", "dap", *setting.split(), "--pick", "225"]) == 0
    assert "computation: 72.6%" in capsys.readouterr().out


def test_schedule_show_goes_by_the_settings_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    # By default a drop comes after every sixth of the epochs, and a pick at two thirds
    assert cli.run(["schedule", "show", "dap", "--samples", "100", "--epochs", "36", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["per_epoch"]
    assert counts == [100] * 8 + [90] * 6 + [81] * 6 + [72] * 4 + [100] * 6 + [90] * 6


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["schedule", "show", "dip", "--samples", "9", "--epochs", "3"], "got 'dip', must be one"),
        (["schedule", "show", "dap", "--samples", "0", "--epochs", "3"], "samples: got 0, must be"),
        (["schedule", "show", "dap", "--epochs", "3"], "Missing option '--samples'"),
        (["fly"], "No such command 'fly'"),
        (["retrain"], "name cameras or give --all, and not both"),
        (["retrain", "yard", "--all"], "name cameras or give --all, and not both"),
        (["retrain", "yrd"], "there is no camera 'yrd'; known: yard, door"),
        (["report", "yard"], "camera 'yard' has no night yet: run `culling retrain yard`"),
        (["models", "x"], "there is no camera 'x'"),
        (["check", "--set", "fps=0"], "--set fps: got 0, must be > 0"),
        (["check", "--config", "no.yaml"], "no such file: `culling init` makes one"),
        (["init"], "exists already and is left as it is"),
    ],
)
def test_bad_usage_is_one_clear_line_and_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert err.startswith("culling: ")
    assert expected in err


def test_every_mistake_in_the_file_gets_its_line(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "config.yaml").write_text(
        "cameras: {a: {source: x, classes: [p], fps: 0}, b: {source: x, clases: [p]}}",
        encoding="utf-8",
    )
    assert cli.run(["check", "--json"]) == 2
    out, err = capsys.readouterr()
    assert "culling: config.yaml: cameras.a.fps: got 0, must be > 0\n" in err
    assert 'cameras.b.clases: unknown key. Did you mean "classes"?' in err
    assert json.loads(out)["exit_code"] == 2


def test_debug_shows_the_traceback(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["report", "yrd", "--debug"]) == 2
    assert "Traceback" in capsys.readouterr().err
    assert cli.run(["report", "yrd"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_retrain_and_report(
    folder: Path, capsys: pytest.CaptureFixture[str], nightly: Callable[[Retrain], None]
) -> None:
    nightly(good_night)
    assert cli.run(["retrain", "yard", "--json"]) == 0
    yard = json.loads(capsys.readouterr().out)["cameras"]["yard"]
    report = folder / "culling-data" / "reports" / "yard" / "2026-11-21" / "index.html"
    assert (yard["state"], yard["exit_code"], yard["report"]) == ("done", 0, str(report))
    assert cli.run(["report", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["cameras"]
    assert shown["yard"]["record"] is None  # of all cameras that would be too much
    assert shown["yard"]["figures"]["promoted"] is True
    assert shown["door"] is None
    assert cli.run(["report", "yard", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)["cameras"]
    assert shown["yard"]["record"]["judge"]["promoted"] is True
    assert cli.run(["report", "yard"]) == 0
    out = capsys.readouterr().out
    assert "0.500 → 0.500" in out
    assert "culled vs random" in out


def test_one_camera_that_fails_does_not_stop_the_others_and_the_worst_code_counts(
    folder: Path, capsys: pytest.CaptureFixture[str], nightly: Callable[[Retrain], None]
) -> None:
    errors = {"yard": NightError("the loss is not finite"), "door": StreamError("gone")}
    asked = []

    def retrain(config: Config, name: str, *, fresh: bool, **_: Any) -> None:
        asked.append((name, fresh))
        raise errors[name]

    nightly(retrain)
    assert cli.run(["retrain", "--all", "--fresh", "--json"]) == 5
    out, err = capsys.readouterr()
    assert asked == [("yard", True), ("door", True)]
    assert "culling: yard: the loss is not finite\n" in err
    codes = {name: one["exit_code"] for name, one in json.loads(out)["cameras"].items()}
    assert codes == {"yard": 5, "door": 3}


def test_an_interrupted_night_ends_with_130(
    folder: Path, capsys: pytest.CaptureFixture[str], nightly: Callable[[Retrain], None]
) -> None:
    def retrain(config: Config, name: str, *, store: Store, **_: Any) -> None:
        with store.running_night(name, date(2026, 11, 21)):
            raise KeyboardInterrupt

    nightly(retrain)
    assert cli.run(["retrain", "yard"]) == 130
    assert "interrupted: run the same command again" in capsys.readouterr().err
    with Store(folder / "culling-data") as store:
        night = store.latest_night("yard")
        assert night is not None
        assert night.state == "interrupted"


@pytest.fixture
def versions(folder: Path) -> Path:
    """Versions of the camera yard: start, a (in use), and its child b; the folder of them."""
    import torch

    from models.registry import ModelRegistry

    registry = ModelRegistry(folder / "culling-data" / "models")
    for day, (version, parent) in enumerate([("start", "builtin:x"), ("b", "start"), ("a", "b")]):
        meta = {"parent": parent, "created_at": f"2026-11-2{day}T03:00:00+00:00"}
        registry.add("yard", version, {"w": torch.zeros(1)}, meta)
    registry.promote("yard", "a")
    return folder / "culling-data" / "models" / "yard"


def in_use(capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.run(["models", "yard", "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)["incumbent"])


def test_models_lists_versions_the_oldest_first(
    versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["models", "yard", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["incumbent"] == "a"
    rows = [(v["version"], v["parent"], v["in_use"], v["error"]) for v in shown["versions"]]
    assert rows == [
        ("start", "builtin:x", False, None),
        ("b", "start", False, None),
        ("a", "b", True, None),
    ]
    assert cli.run(["models", "door"]) == 0
    assert "no version of its own yet" in capsys.readouterr().err
    (versions / "b" / "meta.json").write_text("{", encoding="utf-8")
    assert cli.run(["models", "yard"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "damaged" in line and " b " in line]
    assert [line for line in lines if "*" in line and " a " in line]


def test_pin_and_unpin(versions: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for option, expected in (("--pin", [True]), ("--unpin", [False])):
        assert cli.run(["models", "yard", option, "b", "--json"]) == 0
        shown = json.loads(capsys.readouterr().out)["versions"]
        assert [v["pinned"] for v in shown if v["version"] == "b"] == expected


def test_rollback_to_the_parent_then_to_one_by_name(
    versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["rollback", "yard"]) == 0
    assert in_use(capsys) == "b"
    assert cli.run(["rollback", "yard", "--json"]) == 0
    out = json.loads(capsys.readouterr().out)
    assert out == {"camera": "yard", "before": "b", "incumbent": "start"}
    assert cli.run(["rollback", "yard"]) == 2
    assert "start has no parent to go back to; name one of: a, b, start" in capsys.readouterr().err
    (versions / "incumbent.json").write_text("", encoding="utf-8")
    assert cli.run(["rollback", "yard", "a"]) == 0  # also mends a damaged pointer
    assert in_use(capsys) == "a"


def test_rollback_to_a_damaged_version_keeps_the_one_in_use(
    versions: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (versions / "b" / "model.safetensors").write_bytes(b"half")
    assert cli.run(["rollback", "yard"]) == 4
    assert "truncated or changed" in capsys.readouterr().err
    assert in_use(capsys) == "a"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["rollback", "yard", "c"], "camera 'yard' has no version 'c'; there are: a, b, start"),
        (["models", "yard", "--pin", "c"], "camera 'yard' has no version 'c'; there are: a, b"),
        (["models", "yard", "--unpin", "../a"], "camera 'yard' has no version '../a'"),
        (["rollback", "door"], "camera 'door' has no model in use yet: run `culling retrain door`"),
        (["rollback", "yrd"], "there is no camera 'yrd'"),
    ],
)
def test_versions_that_are_not_there(
    versions: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert expected in err
    assert in_use(capsys) == "a"


def test_init_help_and_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["init"]) == 0
    assert list(load_config(tmp_path / "config.yaml").cameras) == ["street"]
    config, schema = tmp_path / "config.yaml", tmp_path / "culling.schema.json"
    config.write_text("mine")
    made = schema.read_bytes()
    schema.write_text("an older one")
    assert cli.run(["init", "--schema"]) == 0
    assert (config.read_text(), schema.read_bytes()) == ("mine", made)
    assert cli.run(["--version"]) == 0
    assert cli.run([]) == 2
    out, _ = capsys.readouterr()
    assert out.startswith("culling ")
    assert "retrain" in out


def test_help_and_schedules_start_without_torch() -> None:
    code = (
        "import sys; from jobs import cli\n"
        "args = ['schedule', 'show', 'dap', '--samples', '9', '--epochs', '3', '--json']\n"
        "assert cli.run(args) == 0\n"
        "assert not {'torch', 'sqlalchemy', 'cv2'} & set(sys.modules)\n"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, capture_output=True)


# -- check -----------------------------------------------------------------------------------------


def test_check_names_what_is_wrong_and_ends_with_the_worst_code(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = [
        "--set",
        "student.weights=builtin:no-such",
        "--set",
        "teacher.weights=gone.safetensors",
    ]
    assert cli.run(["check", "--json", *weights]) == 4
    said = capsys.readouterr()
    findings = json.loads(said.out)["findings"]
    assert "checking: begins (14)" in said.err
    assert "checking: done, 14/14, " in said.err, "also what was not looked into"
    by = {(f["camera"], f["part"]): f for f in findings}
    assert by["yard", "stream"]["exit_code"] == 0
    assert "320×192" in by["yard", "stream"]["detail"]
    assert by["door", "stream"]["exit_code"] == 3
    assert "missing.mp4" in by["door", "stream"]["detail"]
    assert "there is no such built-in model" in by["yard", "student"]["detail"]
    assert "gone" in by["yard", "teacher"]["detail"]
    assert cli.run(["check", *weights]) == 4
    assert "wrong" in capsys.readouterr().out


def test_check_looks_into_weights(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import torch

    from models.boxes.detector import DetectorSpec, TorchDetector, build_model
    from models.boxes.student import meta_of
    from models.checkpoint import save_checkpoint

    size = {"height_px": 64, "width_px": 64, "width": 0.125}
    knows = DetectorSpec(architecture="resnet18", class_names=("persons",), **size)  # type: ignore[arg-type]
    model = build_model(knows)
    teacher = TorchDetector(model, knows)
    save_checkpoint(folder / "t.safetensors", model.state_dict(), meta_of(teacher))
    torch.save(model.state_dict(), folder / "s.pth")
    student = "student={weights: s.pth, class_names: [person], width: 0.125}"
    settings = [student, "teacher.weights=t.safetensors"]
    options = [word for setting in settings for word in ("--set", setting)]
    assert cli.run(["check", "--json", *options]) == 4
    found = json.loads(capsys.readouterr().out)["findings"]
    by = {(f["camera"], f["part"]): f["detail"] for f in found}
    words = by["yard", "student"]
    assert words.startswith(f"{folder}/s.pth (1 classes, run by ")
    assert " on a CPU); of your own making" in words
    assert "'person' is unknown to the detector" in by["yard", "teacher"]


def test_check_refuses_a_teacher_of_another_family(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One whose family was named wrongly, and one that is of none."""
    pytest.importorskip("onnxruntime")
    from tests.unit import layouts

    layouts.yolo(folder / "net.onnx")
    odd = layouts.Net(layouts.STRETCHED)
    odd.output("odd", odd.shaped(odd.score(), 1, 1, 1, 1, 2), (1, 1, 1, 1, 2))
    odd.save(folder / "odd.onnx")
    for weights, io, said in (
        ("net.onnx", ", outputs: ssd", "'ssd' needs boxes of shape 1×1×?×7"),
        ("odd.onnx", "", "of no known family"),
    ):
        teacher = f"teacher={{weights: {weights}, io: {{class_names: [car, person]{io}}}}}"
        assert cli.run(["check", "--json", "--set", teacher]) == 4
        found = json.loads(capsys.readouterr().out)["findings"]
        (teacher_s,) = [f for f in found if (f["camera"], f["part"]) == ("yard", "teacher")]
        assert teacher_s["exit_code"] == 4
        assert said in teacher_s["detail"]
        assert "\n" not in teacher_s["detail"]


@pytest.mark.slow
def test_check_shows_what_the_teacher_finds(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On the camera's own frames; and warns where a teacher of drawn streets meets real footage."""
    write_clip(folder / "real.mp4", constant_rate(100))
    (folder / "check.yaml").write_text(
        "cameras:\n  toy: {source: 'synthetic://street?seed=7&hours=1', classes: [person, car]}\n"
        "  real: {source: real.mp4, classes: [person]}\n"
    )
    assert cli.run(["check", "--json", "--config", "check.yaml"]) == 0
    said = capsys.readouterr()
    assert "checking: done, 14/14, " in said.err
    found = json.loads(said.out)["findings"]
    by = {(f["camera"], f["part"]): f["detail"] for f in found}
    assert re.match(r"in 3 frames it finds \S+ person, \S+ car; its", by["toy", "teacher's look"])
    picture = folder / "culling-data" / "snapshots" / "toy-teacher.jpg"
    assert by["toy", "teacher's look"].endswith(f"its boxes are in {picture}")
    assert picture.stat().st_mode & 0o777 == 0o600
    assert "WARNING" not in by["toy", "teacher"]
    assert "WARNING: builtin:street-teacher has only ever seen drawn" in by["real", "teacher"]
    assert "it finds nothing in 1 frame" in by["real", "teacher's look"]


def test_a_stream_that_hangs_is_left_behind() -> None:
    cameras = [
        CameraConfig(name=name, source="rtsp://me:pw@cam/1", classes=["person"])  # type: ignore[arg-type]
        for name in ("slow", "fast")
    ]
    release = threading.Event()

    def first_frame(camera: CameraConfig) -> str:
        if camera.name == "slow":
            release.wait(10)
        return "a frame"

    found = check_streams(cameras, timeout_s=0.2, look=first_frame)
    release.set()
    assert (found["fast"].exit_code, found["slow"].exit_code) == (0, 3)
    assert "no frame from rtsp://***@cam/1 in 0.2 s: is the camera on" in found["slow"].detail


def test_builtin_weights_are_looked_up_by_name() -> None:
    assert weights_path("/a/b.pth") == Path("/a/b.pth")
    with pytest.raises(WeightsError, match="builtin:x: there is no such built-in model; known:"):
        weights_path("builtin:x")


def test_the_figures_of_a_night_tell_of_the_change_gate() -> None:
    record = night_record()
    gate = GateRecord(scored=60, skipped=40, audited=5, misses=0, recall=1.0, threshold=5.0)
    gated = record.model_copy(update={"ingest": record.ingest.model_copy(update={"gate": gate})})
    assert "change gate" not in _figures(record)
    assert _figures(gated)["change gate"].startswith("40 of 100 frames were not scored")


def test_a_night_in_one_line(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path)
    record = night_record()
    line = in_one_line(config, record)
    assert "\n" not in line
    assert line.startswith(f"{record.camera}: ")
    assert "model" in line
    assert line.endswith(f"{record.run_id}/index.html for the report.")
