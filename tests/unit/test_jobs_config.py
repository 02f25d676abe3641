"""Reading config.yaml: defaults, precedence, and a clear line for each mistake."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from jobs.config.live import LiveSettings
from jobs.config.load import load_config, parse_overrides
from jobs.config.new_file import SCHEMA, write_config
from jobs.config.night import CullingSettings, TrainingSettings
from jobs.config.settings import CameraConfig, CameraDefaults, Config
from jobs.config.weights import DetectorIo
from jobs.errors import ConfigError
from models.boxes.families.base import ForeignOptions

ROOT = Path(__file__).resolve().parents[2]
YARD = "cameras: {yard: {source: yard.mp4, classes: [person]}}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def load(folder: Path, text: str, *overrides: str) -> Config:
    return load_config(write(folder, text), overrides=parse_overrides(overrides))


def problems(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    return str(caught.value).splitlines()


def all_keys(model: type[BaseModel]) -> set[str]:
    keys = set(model.model_fields)
    for field in model.model_fields.values():
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                keys |= all_keys(kind)
    return keys


# -- the shipped file ------------------------------------------------------------------------------


def test_shipped_file_equals_the_defaults() -> None:
    config = load_config(ROOT / "config.yaml")
    assert config.data_dir == ROOT / Config().data_dir
    assert config.model_copy(update={"data_dir": Config().data_dir, "cameras": {}}) == Config()
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
    assert CameraDefaults.model_validate(raw["defaults"]) == CameraDefaults()


def test_shipped_file_names_every_key() -> None:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))

    def keys(node: object) -> set[str]:
        if not isinstance(node, dict):
            return set()
        return set(node).union(*map(keys, node.values()))

    expected = (all_keys(CameraConfig) - all_keys(DetectorIo) - {"name"}) | set(Config.model_fields)
    assert expected <= keys(raw)
    text = (ROOT / "config.yaml").read_text(encoding="utf-8")
    for key in DetectorIo.model_fields:
        assert re.search(rf"^    #   {key}:", text, re.MULTILINE), key


def test_literals_and_defaults_match_the_code_they_configure() -> None:
    from culling_pipeline.culling.strategies import STRATEGIES
    from culling_pipeline.training.options import SCHEDULES
    from models.boxes.families.registry import FAMILIES
    from models.boxes.recognition import PRESETS
    from streams.keyframes import Sampling
    from streams.live.options import Transport

    def choices(model: type[BaseModel], field: str) -> tuple[str, ...]:
        return get_args(model.model_fields[field].annotation)

    assert choices(TrainingSettings, "schedule") == SCHEDULES
    assert choices(CullingSettings, "strategy") == tuple(STRATEGIES)
    assert get_args(choices(DetectorIo, "preset")[0]) == tuple(PRESETS)
    for key, plan in (("sampling", Sampling), ("transport", Transport)):
        assert choices(LiveSettings, key) == get_args(plan)
    assert get_args(get_args(DetectorIo.model_fields["outputs"].annotation)[0]) == tuple(FAMILIES)
    for preset in ("person-vehicle-bike", "yolox-coco"):  # written out, as before there were more
        theirs = options_of(DetectorIo(preset=preset))
        ours = DetectorIo(
            class_names=theirs.class_names,
            outputs=theirs.outputs,
            keep_aspect=theirs.keep_aspect,
        )
        assert ours.to_options() == theirs


def options_of(io: DetectorIo) -> ForeignOptions:
    options = io.to_options()
    assert isinstance(options, ForeignOptions)
    return options


# -- what a good file gives ------------------------------------------------------------------------


def test_precedence_is_defaults_file_camera_command_line(tmp_path: Path) -> None:
    text = """
defaults: {training: {epochs: 7, batch_size: 3}, culling: {control: {frames: 10}}}
cameras:
  yard: {source: a.mp4, classes: [person], training: {epochs: 9}}
  door: {source: b.mp4, classes: [person]}
"""
    cameras = load(tmp_path, text).cameras
    assert cameras["yard"].training.epochs == 9
    assert cameras["door"].training.epochs == 7
    assert cameras["yard"].training.batch_size == 3
    assert cameras["yard"].training.interval == TrainingSettings().interval
    assert cameras["door"].culling.control.frames == 10
    cameras = load(tmp_path, text, "training.epochs=5").cameras
    assert {c.training.epochs for c in cameras.values()} == {5}


def test_classes_are_a_list_or_a_mapping_and_replaced_whole(tmp_path: Path) -> None:
    text = """
defaults: {classes: {vehicle: [car, truck]}}
cameras:
  a: {source: a.mp4}
  b: {source: a.mp4, classes: [person]}
  c: {source: a.mp4, classes: {vehicle: car, person: [pedestrian, rider]}}
"""
    cameras = load(tmp_path, text).cameras
    assert cameras["a"].classes == {"vehicle": ("car", "truck")}
    assert cameras["b"].classes == {"person": ("person",)}
    assert cameras["c"].classes == {"vehicle": ("car",), "person": ("pedestrian", "rider")}
    assert cameras["c"].class_names == ("vehicle", "person")


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "cameras:\n"
        "  a: {source: clips/a.mp4, classes: [x], student: {weights: s.safetensors}}\n"
        "  b: {source: 'synthetic://street?seed=1', classes: [x]}\n",
    )
    assert config.data_dir == tmp_path / "culling-data"
    assert config.cameras["a"].source == str(tmp_path / "clips" / "a.mp4")
    assert config.cameras["a"].student.weights == str(tmp_path / "s.safetensors")
    assert config.cameras["a"].teacher.weights == "builtin:street-teacher"
    assert config.cameras["b"].source == "synthetic://street?seed=1"


def test_data_dir_from_the_command_line_starts_where_you_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert load(tmp_path, YARD, "data_dir=d").data_dir == tmp_path / "here" / "d"


def test_password_comes_from_the_environment_and_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YARD_PASSWORD", "hunter2")
    text = "cameras: {yard: {source: 'rtsp://me:${YARD_PASSWORD}@cam/1', classes: [person]}}"
    camera = load(tmp_path, text).cameras["yard"]
    assert camera.source == "rtsp://me:hunter2@cam/1"
    assert "hunter2" not in repr(camera) + camera.source_shown
    monkeypatch.setenv("YARD_PASSWORD", "other")
    assert load(tmp_path, text).cameras["yard"].fingerprint == camera.fingerprint


def test_live_settings_arrive_at_the_reader(tmp_path: Path) -> None:
    live = "{transport: udp, longest_pause_s: 9, frozen_s: 7, height_px: 480}"
    text = f"cameras: {{yard: {{source: 'rtsp://cam/1', classes: [x], live: {live}}}}}"
    options = load(tmp_path, text).cameras["yard"].live.to_options(must_answer=False)
    assert (options.transport, options.longest_pause_s, options.height_px) == ("udp", 9, 480)
    assert (options.health.frozen_s, options.must_answer) == (7, False)


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("window: 5 to 6", "service.window: got '5 to 6', must be two times of a day such as"),
        ("window: '01:00-25:00'", "must be two times of a day such as 01:00-05:00"),
        ("window: '01:00-01:00'", "must begin and end at different times"),
        ("port: 99999", "service.port: got 99999, must be 65535 or less"),
        ("notify_of: [all]", "service.notify_of[0]: got 'all', must be one of 'failed'"),
        ("budget_minute: 3", 'service.budget_minute: unknown key. Did you mean "budget_minutes"?'),
        ("tries: 0", "service.tries: got 0, must be 1 or more"),
        ("notify: ['mailto://${NOBODY}']", "the environment variable NOBODY is not set"),
    ],
)
def test_mistake_in_the_service(tmp_path: Path, service: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"service: {{{service}}}\n{YARD}")
    assert expected in str(caught.value)


def test_a_size_is_chosen_by_something(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="resolution: nothing says which size is too small"):
        load(tmp_path, YARD, "resolution.min_object_px=0")
    off = load(tmp_path, YARD, "resolution.min_object_px=0", "resolution.enabled=false")
    assert not off.cameras["yard"].resolution.enabled
    asked = load(tmp_path, YARD, "resolution.min_object_px=0", "resolution.threshold=0.1")
    assert asked.cameras["yard"].resolution.threshold == 0.1


def test_secrets_of_the_machine_are_filled_in_and_shown_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "p@ss/w:rd#")
    text = "database: 'postgresql://culling:${DB_PASSWORD}@db/culling'\n"
    text += "service: {notify: ['mailto://me:${DB_PASSWORD}@example.org']}\n"
    config = load(tmp_path, text + YARD)
    assert config.database == "postgresql://culling:p%40ss%2Fw%3Ard%23@db/culling"
    assert config.service.notify == ("mailto://me:p%40ss%2Fw%3Ard%23@example.org",)
    assert "p@ss" not in repr(config)
    assert "p%40ss" not in repr(config)


FINGERPRINTS = {
    "plain": ("60eea1140ab8549d", "{source: 'rtsp://cam/1', classes: [person]}"),
    "much": (
        "d536c9a94832e5a9",
        """
    fps: 2
    mask: [[[0, 0], [0.3, 0], [0, 0.5]]]
    judging: {min_gain: 0.01}
    source: rtsp://me:${YARD_PASSWORD}@cam/1
    classes: {vehicle: [car, truck], person: person}
    schedule: null
    ignore_zones: [[[0.5, 0.5], [1, 0.5], [1, 1]]]
    student: {weights: none, width: 0.5}
    culling: {strategy: coverage, keep: 64, gate: {enabled: true}, control: {share: 0.25}}
    training: {epochs: 12, learning_rate_steps: [8], pick: [4, 8], paste: 0}
    resolution: {threshold: 0.1, min_object_px: 12}
    live: {sampling: exact, frozen_s: 30}
""",
    ),
    "foreign": (
        "ad6e03b9ac046503",
        """
    source: synthetic://street?seed=7&hours=1
    classes: [vehicle, person]
    student: {weights: /srv/students/yard.pth, class_names: [vehicle, person]}
    teacher:
      weights: /srv/teachers/person-vehicle-bike.xml
      min_side_share: 0.05
      io:
        class_names: [vehicle, person, bike]
        outputs: boxes-labels
        mean: [1, 2, 3]
        label_offset: -1
    models: {keep: 3}
""",
    ),
}
"""What 0.1.0 made of these: a night that it has begun goes on only under the same fingerprint."""


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_fingerprint_is_what_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YARD_PASSWORD", "hunter2")
    fingerprint, camera = FINGERPRINTS[name]
    assert load(tmp_path, f"cameras:\n  yard: {camera}").cameras["yard"].fingerprint == fingerprint


COUNTS = "cameras: {barn: {source: synthetic://plaza, task: count, %s}}"


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("count: {what: person}", ("person",)),
        ("classes: [person]", ("person",)),
        ("classes: {animal: [cow, sheep]}, count: {what: animal}", ("animal",)),
    ],
)
def test_what_a_counting_camera_counts_may_be_said_in_two_places(
    said: str, names: tuple[str, ...], tmp_path: Path
) -> None:
    camera = load(tmp_path, COUNTS % said).cameras["barn"]
    assert camera.class_names == names
    assert camera.trusted_from is None


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("fps: 1", "count: what: missing, name what this camera is to count"),
        ("classes: [person, car]", "got person, car, but `task: count` counts one"),
        ("classes: [person], count: {what: cow}", "got 'cow', but classes has 'person'"),
        ("count: {what: cow, student: vgg.pth}", "must be mcnn, csrnet, csrnet_lite, builtin:"),
        ("count: {what: cow, teacher: yolo.onnx}", "must be builtin:… or a path"),
        ("count: {what: cow, sigma_share: 0.5}", "sigma_share: got 0.5"),
    ],
)
def test_a_counting_camera_that_cannot_be_is_refused(
    said: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(complaint)):
        load(tmp_path, COUNTS % said)


def test_a_counting_camera_has_a_fingerprint_of_its_own(tmp_path: Path) -> None:
    counting, wider = (
        load(tmp_path, COUNTS % f"classes: [person]{more}").cameras["barn"]
        for more in ("", ", count: {sigma_share: 0.02}")
    )
    plain = counting.changed(task="boxes")
    assert len({c.fingerprint for c in (plain, counting, wider)}) == 3
    assert len({c.kind_of_labels(90, 160) for c in (plain, counting, wider)}) == 3


def test_a_copy_is_checked_as_a_file_is(tmp_path: Path) -> None:
    camera = load(tmp_path, YARD).cameras["yard"]
    assert camera.changed(fps=2.0) == load(tmp_path, YARD, "fps=2").cameras["yard"]
    for wrong in ({"fps": 0}, {"fsp": 1}, {"classes": {}}):
        with pytest.raises(ValidationError):
            camera.changed(**wrong)
    with pytest.raises(ValidationError, match=r"needs training\.epochs"):
        TrainingSettings().changed(pick=(3,))


def test_a_copy_fills_no_reference_in_and_forgets_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHOLE_ADDRESS", "http://cam/${UNSET}")
    text = "cameras: {yard: {source: '${WHOLE_ADDRESS}', classes: [person]}}"
    assert load(tmp_path, text).cameras["yard"].source == "http://cam/${UNSET}"
    io = DetectorIo(preset="yolox-coco", nms_iou=0.6).changed(pad_value=0)
    assert io.model_fields_set == {"preset", "nms_iou", "pad_value"}


def test_when_nights_are_is_no_setting_of_a_night(tmp_path: Path) -> None:
    before = load(tmp_path, YARD).cameras["yard"].fingerprint
    assert load(tmp_path, YARD, "schedule=04:00").cameras["yard"].fingerprint == before


def test_fingerprint_changes_with_a_setting(tmp_path: Path) -> None:
    before = load(tmp_path, YARD).cameras["yard"].fingerprint
    assert load(tmp_path, YARD, "culling.keep=8").cameras["yard"].fingerprint != before


def test_everything_is_picked_up_where_the_learning_rate_falls() -> None:
    assert TrainingSettings(epochs=12).to_options().pick == (8,)
    assert TrainingSettings(epochs=2).to_options().pick == ()
    given = TrainingSettings(epochs=9, learning_rate_steps=(3, 9))
    assert given.to_options().pick == (3, 9)
    apart = TrainingSettings(epochs=9, learning_rate_steps=(3,), pick=(5,))
    assert apart.to_options().pick == (5,)
    assert apart.to_plan().learning_rate_steps == (3,)


@pytest.mark.parametrize(
    ("epochs", "interval", "steps"), [(96, 16, (64,)), (16, 3, (11,)), (12, 2, (8,)), (2, 1, ())]
)
def test_drops_and_the_learning_rate_go_with_the_epochs(
    epochs: int, interval: int, steps: tuple[int, ...]
) -> None:
    plan = TrainingSettings().changed(epochs=epochs).to_plan()
    assert (plan.epochs, plan.options.interval) == (epochs, interval)
    assert plan.learning_rate_steps == plan.options.pick == steps


def test_given_epochs_and_intervals_stand() -> None:
    given = TrainingSettings(epochs=30, interval=3)
    assert (given.to_plan().epochs, given.to_options().interval) == (30, 3)
    assert given.full_epochs == 30
    assert TrainingSettings().full_epochs == 12, "training on everything needs no more"


def test_preset_gives_options_and_keys_beside_it_beat_it() -> None:
    from models.boxes.recognition import PRESETS

    options = options_of(DetectorIo(preset="yolox-coco", nms_iou=0.6, height_px=416))
    assert options.class_names == PRESETS["yolox-coco"].class_names
    assert options.keep_aspect
    assert (options.nms_iou, options.height_px) == (0.6, 416)
    whole = options_of(DetectorIo(class_names=("person",), outputs="boxes-labels"))
    assert (whole.class_names, whole.outputs) == (("person",), "boxes-labels")


# -- mistakes --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        ("fps: 0", "yard.fps: got 0, must be > 0"),
        ("fps: .nan", "yard.fps: got nan, must be a finite number"),
        ("fps: .inf", "yard.fps: got inf, must be"),
        ("fps: fast", "yard.fps: got 'fast', must be a number"),
        ("fps: true", "yard.fps: got true, must be a number"),
        ("fsp: 1", 'yard.fsp: unknown key. Did you mean "fps"?'),
        ("zzz: 1", "yard.zzz: unknown key. Known: fps, schedule,"),
        ("name: x", "yard.name: unknown key."),
        ("schedule: 3 Uhr", "yard.schedule: got '3 Uhr', must be a time such as 03:00, or"),
        ("schedule: 0 3 * * 9", "yard.schedule: got '0 3 * * 9', must be a time such as"),
        ("time_zone: Berlin", "yard.time_zone: got 'Berlin', must be a time zone such as"),
        ("training: {epocs: 1}", 'yard.training.epocs: unknown key. Did you mean "epochs"?'),
        ("training: {epochs: 2.5}", "yard.training.epochs: got 2.5, must be a whole number"),
        ("training: {epochs: true}", "yard.training.epochs: got true, must be a whole number"),
        ("training: {epochs: 0}", "yard.training.epochs: got 0, must be 1 or more"),
        ("training: {epochs: 9, pick: [9, 4]}", "yard.training: pick: got [9, 4], must rise"),
        ("training: {epochs: 12, pick: [13]}", "yard.training: pick: got [13], must rise"),
        ("training: {pick: [4]}", "pick: got [4], which needs training.epochs as well"),
        ("training: {epochs: 4, learning_rate_steps: [3, 3]}", "steps: got [3, 3], must rise"),
        ("training: {pick: [0]}", "yard.training.pick[0]: got 0, must be 1 or more"),
        ("training: 5", "yard.training: got 5, must be a mapping"),
        ("culling: {strategy: stata}", 'strategy: got \'stata\', must be one of'),
        ("culling: {strategy: stata}", 'Did you mean "strata"?'),
        ("culling: {control: {share: 1}}", "yard.culling.control.share: got 1, must be < 1"),
        ("live: {sampling: fast}", "yard.live.sampling: got 'fast', must be one of 'exact'"),
        ("live: {open_timeout_s: 0}", "yard.live.open_timeout_s: got 0, must be > 0"),
        ("live: {longest_pause_s: 0.5}", "live.longest_pause_s: got 0.5, must be 1 or more"),
        ("live: {froze_s: 1}", 'yard.live.froze_s: unknown key. Did you mean "frozen_s"?'),
        ("judging: {compare_random: 1}", "compare_random: got 1, must be true or false"),
        ("student: {weights: s.onnx}", "yard.student: weights: got 's.onnx', must be builtin:"),
        ("student: {weights: s.pth}", "yard.student: class_names: missing, a .pth does not say"),
        ("student: {weights: ''}", "yard.student.weights: got '', must not be empty"),
        ("teacher: {weights: b/yolo11n.pt}", "if it is a YOLO of Ultralytics, export it where it"),
        ("teacher: {weights: b/yolo11n.pt}", "yolo11n.pt format=onnx`) and set weights: yolo11n."),
        ("teacher: {io: {mean: 3}}", "yard.teacher.io.mean: got 3, must be a list"),
        ("teacher: {io: {scale: [1, 1, 0]}}", "teacher.io.scale[2]: got 0, must be > 0"),
        ("teacher: {io: {outputs: yolo9}}", "yard.teacher.io.outputs: got 'yolo9', must be "),
        ("classes: [a, a]", "yard.classes: got ['a', 'a'], must not hold a name twice"),
        ("classes: [no]", "yard.classes: got [false], must hold names only: put false in quotes"),
        ("classes: person", "yard.classes: got 'person', must be a list of names, or a mapping"),
        ("classes: []", "yard: classes: missing, name what this camera is to find"),
        ("source: ''", "yard.source: got '', must not be empty"),
        ("source: '${NOT_SET_ANYWHERE}'", "environment variable NOT_SET_ANYWHERE is not set"),
    ],
)  # fmt: skip
def test_mistake_in_a_camera(tmp_path: Path, camera: str, expected: str) -> None:
    base = {"source": "a.mp4", "classes": ["person"]} | yaml.safe_load(camera)
    lines = problems(tmp_path, yaml.safe_dump({"cameras": {"yard": base}}))
    assert len(lines) == 1, lines
    assert lines[0].startswith("config.yaml: cameras.yard")
    assert expected in lines[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "config.yaml: must be a mapping with the key `cameras`"),
        ("data_dir: x", "config.yaml: cameras: must hold at least one camera"),
        ("cameras: {}", "config.yaml: cameras: must hold at least one camera"),
        ("cameras: {yard: }", "config.yaml: cameras.yard: must be a mapping with the key `source`"),
        ("cameras: {yard: {classes: [x]}}", "config.yaml: cameras.yard.source: missing"),
        ("cameras: {no: {source: x}}", "cameras.False: a camera's name must be text"),
        ("cameras: {A/b: {source: x, classes: [x]}}", "A/b: a camera's name must be of a-z, 0-9"),
        (YARD + "wrokers: 2", 'config.yaml: wrokers: unknown key. Did you mean "workers"?'),
        (YARD + "workers: 0", "config.yaml: workers: got 0, must be 1 or more"),
        (YARD + "device: gpu", "config.yaml: device: got 'gpu', must be one of 'auto', 'cpu'"),
        (YARD + "defaults: 3", "config.yaml: defaults: must be a mapping"),
        (YARD + "defaults: {fps: 0}", "config.yaml: defaults.fps: got 0, must be > 0"),
        (YARD + YARD, "config.yaml: line 2: 'cameras' is given twice (first in line 1)"),
        ("cameras:\n  a: [", "config.yaml: line 2, column 7: not valid YAML: "),
        ("cameras: \x00", "config.yaml: not valid YAML: "),
    ],
)
def test_mistake_in_the_file(tmp_path: Path, text: str, expected: str) -> None:
    lines = problems(tmp_path, text)
    assert expected in lines[0], lines
    assert len(lines) == 1 or "not valid" in lines[0], lines


def test_camera_given_twice(tmp_path: Path) -> None:
    text = "cameras:\n  yard: {source: a, classes: [x]}\n  yard: {source: b, classes: [x]}\n"
    assert problems(tmp_path, text) == [
        "config.yaml: line 3: 'yard' is given twice (first in line 2)"
    ]


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = """
wrokers: 2
defaults: {training: {epochs: 0}}
cameras:
  yard: {source: a.mp4, classes: [person], fps: 0, fsp: 1}
  door: {classes: [person]}
"""
    lines = problems(tmp_path, text)
    assert [line.split(": ")[1] for line in lines] == [
        "wrokers", "defaults.training.epochs", "cameras.yard.fps", "cameras.yard.fsp",
        "cameras.door.source",
    ]  # fmt: skip


def test_mistake_on_the_command_line_says_so(tmp_path: Path) -> None:
    assert problems(tmp_path, YARD, "training.epochs=0") == [
        "--set training.epochs: got 0, must be 1 or more"
    ]
    assert problems(tmp_path, YARD, "workers=0") == ["--set workers: got 0, must be 1 or more"]
    with pytest.raises(ConfigError, match=r"--set training: must look like training\.epochs=5"):
        parse_overrides(["training"])
    with pytest.raises(ConfigError, match=r"--set fps: the value is not valid YAML"):
        parse_overrides(["fps=["])


def test_no_password_in_a_message(tmp_path: Path) -> None:
    text = "cameras: {yard: {source: ['rtsp://me:hunter2@cam/1'], classes: [person]}}"
    lines = problems(tmp_path, text)
    assert "hunter2" not in lines[0]
    assert "must be text" in lines[0]


def test_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file: `culling init` makes one"):
        load_config(tmp_path / "config.yaml")


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"data_dir: caf\xe9")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "latin.yaml")


def test_init_writes_a_file_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    write_config(path)
    assert list(load_config(path).cameras) == ["street"]
    assert (tmp_path / "culling.schema.json").read_bytes() == SCHEMA.read_bytes()
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already and is left as it is"):
        write_config(path)
    assert path.read_text(encoding="utf-8") == "mine"
    with pytest.raises(ConfigError, match="there is no folder"):
        write_config(tmp_path / "nowhere" / "config.yaml")
