"""Configurations that are wrong, odd or hostile: one line each, and no secret in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.config.load import parse_overrides
from jobs.errors import ConfigError
from tests.unit.test_jobs_config import YARD, problems

SECRET = "Zq7XvK9wJ3uB"


@pytest.mark.parametrize(
    "text",
    [
        f"service: {{notify: 'tgram://{SECRET}/chat'}}",
        f"service: {{notify: ['tgram://x/y', {{password: {SECRET}}}]}}",
        f"service: 'tgram://{SECRET}/chat'",
        f"'tgram://{SECRET}/chat': 1",
        f"'{SECRET}': 1",
        f"database: {{password: {SECRET}}}",
        f"database: [{SECRET}]",
        f"storage: [{SECRET}]",
        f"storage: {{access_key: {SECRET}, secret_key: [{SECRET}]}}",
        f"storage: {{url: {{key: {SECRET}}}}}",
        f"storage: {{endpoint: 'user:{SECRET}@host'}}",
        f"cameras: {{yard: {{source: [{SECRET}], classes: [x]}}}}",
        f"cameras: {{yard: {{source: {{url: {SECRET}}}, classes: [x]}}}}",
        f"cameras: {{yard: {{source: 'rtsp://me:${{{SECRET}@x}}@cam', classes: [x]}}}}",
        f"cameras: {{yard: {{source: 'rtsp://me:${{file:{SECRET}@cam', classes: [x]}}}}",
        f"cameras: {{yard: {{source: a, classes: [x], fps: {{password: {SECRET}}}}}}}",
        f"cameras: {{yard: {{source: a, classes: {{x: {{password: {SECRET}}}}}}}}}",
        f"database: !{SECRET}",
        f"database: *{SECRET}",
        f"database: &{SECRET} &{SECRET} x",
    ],
)
def test_no_value_of_a_key_that_can_hold_a_secret_is_shown(tmp_path: Path, text: str) -> None:
    said = "\n".join(problems(tmp_path, text))
    assert not [part for part in parts(SECRET) if part in said], said


def test_a_number_as_key_of_storage_is_not_shown(tmp_path: Path) -> None:
    said = "\n".join(problems(tmp_path, YARD + "storage: {access_key: 86753091, secret_key: 7}"))
    assert said.count("got a number (not shown), must be text (put it in quotes)") == 2


def parts(secret: str) -> set[str]:
    return {secret[i : i + 4] for i in range(len(secret) - 3)}


def test_no_value_on_the_command_line_is_shown(tmp_path: Path) -> None:
    for given in (f"database:{SECRET}", f"database=[{SECRET}", f"database={{x: {SECRET}}}"):
        said = "\n".join(problems(tmp_path, YARD, given))
        assert not [part for part in parts(SECRET) if part in said], said


def nested(depth: int, opening: str, closing: str) -> str:
    return "a: " + opening * depth + closing * depth


def bomb(key: str) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 9)]
    return "\n".join([*lines, f"{key}: *a8"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 2001-99-99", "line 1, column 4: not valid YAML: no timestamp (put it in quotes"),
        ("a: 2001-01-01 99:00:00", "no timestamp"),
        ("a: !!int x", "no int"),
        ("a: !!float x", "no float"),
        ("a: !!bool x", "no bool"),
        ("a: !!timestamp x", "no timestamp"),
        ("a: !!set [a]", "a value is not of its tag"),
        ("a: !!python/object/apply:os.system [ls]", "text that begins with ! & or * must be in"),
        ("a: " + "9" * 5000, "a number of too many digits (put it in quotes if it is text)"),
        ("a: " + "9" * 99, "a number that is too large"),
        ("a: 0x" + "f" * 90, "a number that is too large"),
        ('a: "\\0"', "a character that no text may hold"),
        ('a: "\\ud800"', "a character that no text may hold"),
        (nested(5000, "[", "]"), "nested deeper than 50 levels"),
        (nested(5000, "{a: ", "}"), "nested deeper than 50 levels"),
        ("a: " + "- " * 5000, "not valid YAML"),
        ("- " * 5000, "nested deeper than 50 levels"),
        ("a: &x [*x]", "a value cannot hold itself"),
        ("defaults: &x {training: *x}", "a value cannot hold itself"),
        (bomb("workers"), "aliases repeat more than 100000 values"),
        (bomb("<<").replace("[", "{<<: [").replace("]", "]}"), "not valid YAML"),
        ("#" + "x" * 5_000_000, "too long: at most 4194304 characters"),
        (YARD + "reports: {null: 1}", "reports: its keys must be text (put them in quotes)"),
        (YARD + "reports: {1: 1}", "reports: its keys must be text (put them in quotes)"),
        (YARD + "defaults: {live: {null: 1}}", "defaults.live: its keys must be text"),
        (YARD + "data_dir: ~nosuchuser/x", "data_dir: there is no such user's home folder"),
        ("cameras: {yard: {source: ~nosuchuser/x, classes: [x]}}", "yard.source: there is no such"),
        (
            "cameras: {yard: {source: a, classes: [x], teacher: {weights: ~nosuchuser/x}}}",
            "cameras.yard.teacher.weights: there is no such user's home folder",
        ),
    ],
)
def test_a_hostile_text_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (line,) = problems(tmp_path, text)
    assert expected in line
    assert len(line) < 400


def test_a_value_is_given_twice_on_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"--set training\.epochs: training has a value already"):
        parse_overrides(["training=5", "training.epochs=2"])
