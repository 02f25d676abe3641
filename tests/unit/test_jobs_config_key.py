"""One key of one camera set in config.yaml: where it goes, and that nothing else changes."""

from __future__ import annotations

import pytest
import yaml

from jobs.config.edit_key import set_key
from jobs.errors import ConfigError

AREA = [[[0.1, 0.2], [0.3, 0.2], [0.3, 0.5]]]
LINE = "mask: [[[0.1, 0.2], [0.3, 0.2], [0.3, 0.5]]]"


@pytest.mark.parametrize(
    ("before", "put_in"),
    [
        ("cameras:\n  a:\n    source: x   # here\n  b: {source: y}\n", f"    {LINE}\n"),
        ("cameras:\n  a:\n    source: x\n    # more\n\nworkers: 2\n", f"    {LINE}\n"),
        ("cameras:\r\n  a:\r\n      source: x\r\n", f"      {LINE}\r\n"),
        ("cameras:\n  a:\n    source: x", f"\n    {LINE}\n"),
        ("cameras:\n  a: {source: x}  # one\n", f", {LINE}"),
        ("{cameras: {a: {source: x}}}", f", {LINE}"),
        ("cameras:\n  a:\n    classes:\n    - person\n    - car\n", f"    {LINE}\n"),
    ],
)
def test_only_its_line_is_put_in(before: str, put_in: str) -> None:
    after = set_key(before, "a", "mask", AREA)
    assert put_in in after
    assert after.replace(put_in, "") == before
    assert yaml.safe_load(after)["cameras"]["a"]["mask"] == AREA


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "cameras:\n  a:\n    mask: []   # none yet\n    source: x\n",
            f"cameras:\n  a:\n    {LINE}   # none yet\n    source: x\n",
        ),
        (
            "cameras:\n  a:\n    mask:\n      - [[0, 0], [1, 0], [1, 1]]  # the window\n"
            "      # and the door\n      - [[0, 0],\n         [1, 0], [0, 1]]\n    source: x\n",
            f"cameras:\n  a:\n    # the window\n    # and the door\n    {LINE}\n    source: x\n",
        ),
        ("cameras: {a: {mask: [], source: x}}\n", "cameras: {a: {" + LINE + ", source: x}}\n"),
        (
            "cameras:\n  a:\n    mask:\n    source: x\n",
            f"cameras:\n  a:\n    {LINE}\n    source: x\n",
        ),
        (
            "defaults: {mask: []}\ncameras:\n  a:\n    mask: null\n    source: x\n",
            f"defaults: {{mask: []}}\ncameras:\n  a:\n    {LINE}\n    source: x\n",
        ),
    ],
)
def test_a_value_is_replaced_and_its_comments_stay(before: str, after: str) -> None:
    assert set_key(before, "a", "mask", AREA) == after


@pytest.mark.parametrize(
    "text",
    [
        "cameras: yard\n",
        "cameras:\n  b: {source: x}\n",
        "cameras:\n  a:\n",
        "cameras:\n  b: &b {source: x}\n  a: *b\n",
        "defaults: {mask: &m []}\ncameras:\n  a: {source: x, mask: *m}\n",
        "cameras:\n  b: {source: x, mask: &m []}\n  a: {source: x, mask: *m}\n",
        "cameras:\n  a: {source: x, mask: &m []}\n  b: {source: x, mask: *m}\n",
        "workers: 2\n---\ncameras: {a: {source: x}}\n",
    ],
)
def test_what_is_too_unusual_is_left_to_the_operator(text: str) -> None:
    with pytest.raises(ConfigError, match="only you can add to; put in there:\nmask: "):
        set_key(text, "a", "mask", AREA)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "# mine\ncameras:\n  a: {teacher: {weights: 'a.pth'}}   # kept\r\n",
            "# mine\ncameras:\n  a: {teacher: {weights: 'b: c'}}   # kept\r\n",
        ),
        (
            "cameras:\n  a:\n    teacher:\n      io: {}\n    source: x\n",
            "cameras:\n  a:\n    teacher:\n      io: {}\n      weights: 'b: c'\n    source: x\n",
        ),
        (
            "defaults: {teacher: {weights: a.pth}}\ncameras:\n  a:\n    source: x\n",
            "defaults: {teacher: {weights: a.pth}}\ncameras:\n  a:\n    source: x\n"
            "    teacher: {weights: 'b: c'}\n",
        ),
    ],
)
def test_a_key_of_a_section_is_set_where_it_stands(before: str, after: str) -> None:
    assert set_key(before, "a", "teacher.weights", "b: c") == after


def test_a_section_that_others_share_is_left_to_the_operator() -> None:
    shared = "defaults: &all {weights: a.pth}\ncameras: {a: {teacher: *all}}\n"
    with pytest.raises(ConfigError, match=r"there:\nteacher: \{weights: b.pth\}"):
        set_key(shared, "a", "teacher.weights", "b.pth")
