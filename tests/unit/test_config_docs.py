"""Each setting stands in one place: what is made from it is up to date and names every key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from jobs.config.fields import Section, texts_of
from jobs.config.new_file import SCHEMA, TEMPLATE
from jobs.config.settings import CameraConfig, CameraDefaults, Config
from scripts.make_config_docs import (
    DOCUMENT,
    ROOT,
    SIGNS,
    constraints,
    document,
    facts,
    is_number,
    made_files,
    section_of,
    template,
)

UNBOUNDED = {"confidence.b", "io.mean", "io.label_offset"}
"""Numbers that may be anything."""


def all_settings(
    section: type[Section] = Config, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[Section], str]]:
    """Every key with the section it is in and the keys above it; `cameras` holds a camera's."""
    for key, field in section.model_fields.items():
        if key == "name":
            continue  # the key of a camera's section
        yield (*path, key), section, key
        below = section_of(field.annotation)
        if below is not None:
            yield from all_settings(below, (*path, key))


SETTINGS = list(all_settings())
IDS = [".".join(path) for path, _, _ in SETTINGS]


def test_settings_are_found() -> None:
    assert len(SETTINGS) > 120
    assert {"fps", "cameras.fps", "cameras.teacher.io.nms_iou"} & set(IDS) == {
        "cameras.fps",
        "cameras.teacher.io.nms_iou",
    }


@pytest.mark.parametrize("name", sorted(made_files()))
def test_what_is_made_is_up_to_date(name: str) -> None:
    made = made_files()[name]
    assert (ROOT / name).read_text(encoding="utf-8") == made, "run `make config-docs`"


@pytest.mark.parametrize(("path", "section", "key"), SETTINGS, ids=IDS)
def test_a_setting_says_what_it_is(path: tuple[str, ...], section: type[Section], key: str) -> None:
    sentence, unit, more = texts_of(section, key)
    assert sentence, "say in one sentence what it is for"
    assert not sentence.endswith("."), "the sentence stands before its unit and range"
    assert not more or more.endswith((".", ")")), "a further explanation is whole sentences"
    if is_number(section.model_fields[key]):
        assert unit is not None, "a number has a unit, or NO_UNIT"
        bounded = bool(constraints(section.model_fields[key]))
        assert bounded or ".".join(path[-2:]) in UNBOUNDED, "a number has a range"


@pytest.mark.parametrize(("path", "section", "key"), SETTINGS, ids=IDS)
def test_a_setting_is_in_every_file(
    path: tuple[str, ...], section: type[Section], key: str
) -> None:
    # config.yaml: under the keys above it, with a comment (a camera's keys are under `defaults`)
    text = template()
    assert re.search(rf"^ *(# +)?{key}:", text, re.M)
    below = section_of(section.model_fields[key].annotation)
    if below is None and key not in ("source", "classes"):
        words = texts_of(section, key)[0].split()[0]
        assert re.search(rf"^ *(# +)?{key}: .*# (as for the |{re.escape(words)})", text, re.M)

    # the document: in a row of its own
    if below is None or key == "cameras":
        rows = re.findall(r"^\| `([a-z_.]+)` \|", document_text(), re.M)
        assert any(row == key or row.endswith(f".{key}") for row in rows)

    # the schema: where the key stands in a file, with its sentence
    entry = in_schema(path)
    assert texts_of(section, key)[0] in entry["description"]


def document_text() -> str:
    return (ROOT / DOCUMENT).read_text(encoding="utf-8")


def in_schema(path: tuple[str, ...]) -> dict[str, Any]:
    """The schema's entry for the key with these keys above it."""
    whole = json.loads(SCHEMA.read_text(encoding="utf-8"))
    node: dict[str, Any] = whole
    for key in path:
        entry = node["properties"][key]
        found = re.search(r'"#/\$defs/(\w+)"', json.dumps(entry))
        node = whole["$defs"][found[1]] if found else entry
    return entry


def test_files_follow_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for section in (CameraDefaults, CameraConfig):
        fps = section.model_fields["fps"]
        monkeypatch.setattr(fps, "description", "pictures a second, said anew")
    assert "fps: 1.0                    # pictures a second, said anew" in template()
    row = (
        "| `fps` | `1.0` | frames per second, above 0, at most 60 | pictures a second, said anew |"
    )
    assert row in document(document_text())


@pytest.mark.parametrize(
    ("section", "key", "expected"),
    [
        (CameraConfig, "fps", "frames per second > 0, ≤ 60"),
        (CameraConfig, "disk_budget_gb", "10⁹ bytes > 0"),
        (CameraConfig, "mask", "0…1"),
        (CameraConfig, "source", ""),
        (Config, "workers", "processes ≥ 1"),
        (Config, "device", "auto, cpu or cuda"),
    ],
)
def test_ranges_are_those_of_the_type(section: type[Section], key: str, expected: str) -> None:
    assert facts(section, key, SIGNS) == expected


# -- the schema ------------------------------------------------------------------------------------


def validator() -> Draft7Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_shipped_file_names_the_schema_beside_it_and_keeps_to_it() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA.name}\n")
    assert list(validator().iter_errors(yaml.safe_load(text))) == []


@pytest.mark.parametrize(
    "camera",
    [
        "{fps: 60, classes: {vehicle: [car, truck], person: person}}",
        "{teacher: {io: {preset: yolox-coco, mean: [1, 2, 3]}}, training: {epochs: 9, pick: [4]}}",
        "{mask: [[[0, 0], [0.3, 0], [0, 0.5]]], schedule: null, student: {weights: none}}",
    ],
)
def test_what_is_right_passes(camera: str) -> None:
    settings = {"source": "a.mp4"} | yaml.safe_load(camera)
    shared = {"workers": 2, "storage": "s3://bucket/x", "defaults": None}
    assert list(validator().iter_errors({**shared, "cameras": {"yard": settings}})) == []


@pytest.mark.parametrize(
    "camera",
    [
        "fps: 0",
        "fps: 61",
        "fsp: 1",
        "name: yard",
        "classes: person",
        "training: {epochs: 2.5}",
        "training: {pick: [0]}",
        "training: {shift: 0.6}",
        "culling: {strategy: stata}",
        "culling: {control: {share: 1}}",
        "judging: {compare_random: 1}",
        "judging: {min_gain: -2}",
        "live: {longest_pause_s: 0.5}",
        "student: {max_side_px: 63}",
        "teacher: {io: {scale: [1, 1, 0]}}",
        "mask: [[[0, 0], [1, 0]]]",
    ],
)
def test_what_is_wrong_is_marked(camera: str) -> None:
    settings = {"source": "a.mp4"} | yaml.safe_load(camera)
    assert list(validator().iter_errors({"cameras": {"yard": settings}}))


@pytest.mark.parametrize(
    "text",
    [
        "cameras: {}",
        "cameras: null",
        "cameras: {yard: {classes: [x]}}",
        "cameras: {A/b: {source: x}}",
        "wrokers: 2",
        "device: gpu",
    ],
)
def test_what_is_wrong_with_the_file_is_marked(text: str) -> None:
    whole = {"cameras": {"yard": {"source": "a.mp4"}}} | yaml.safe_load(text)
    assert list(validator().iter_errors(whole))
