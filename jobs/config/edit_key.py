"""Sets one key of one camera in config.yaml: its value is replaced or a line put in, and no other
byte changes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from jobs.config.edit import as_yaml, ends_of, find_cameras, line_after, put_lines
from jobs.errors import ConfigError

_COMMENT = re.compile(r"(?<!\S)#[^\r\n]*")
"""In a list of numbers, which holds no text."""


def set_key(text: str, camera: str, key: str, value: Any) -> str:
    """The text of a configuration in which this camera's `key` ("mask", "teacher.weights") has this
    value. Raises `ConfigError` where the camera is written in a way that is too unusual for
    that."""
    keys = key.split(".")
    try:
        written = _with_key(text, camera, keys, value)
        same = yaml.safe_load(written) == _content(text, camera, keys, value)
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, LookupError):
        same = False
    if not same:
        message = (
            f"camera {camera!r} is written in a way that only you can add to; put in there:\n"
            f"{keys[0]}: {as_yaml(_nested(keys[1:], value))}"
        )
        raise ConfigError(message)
    return written


def _content(text: str, camera: str, keys: Sequence[str], value: Any) -> Any:
    """What the new text has to hold: the old content with this value, and no other camera's."""
    raw = yaml.safe_load(text)
    changed = _with(raw["cameras"][camera] or {}, keys, value)
    return {**raw, "cameras": raw["cameras"] | {camera: changed}}


def _with(content: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    key, *inner = keys
    return {**content, key: _with(content.get(key, {}), inner, value) if inner else value}


def _nested(keys: Sequence[str], value: Any) -> Any:
    """The value below these keys; the value itself below none."""
    for key in reversed(keys):
        value = {key: value}
    return value


def _with_key(text: str, camera: str, keys: Sequence[str], value: Any) -> str:
    cameras = find_cameras(text)
    found = cameras and _entry(cameras[1], camera)
    if not found:
        raise ValueError(camera)
    section, (key, *inner) = _own(*found), keys
    while known := _entry(section, key):
        if not inner:
            return _replaced(text, *known, value)
        section, (key, *inner) = _own(*known), inner
    value = _nested(inner, value)
    if section.flow_style:
        last = section.value[-1][1].end_mark.index
        return f"{text[:last]}, {key}: {as_yaml(value)}{text[last:]}"
    indent = section.value[0][0].start_mark.column
    line = f"{' ' * indent}{key}: {as_yaml(value)}"
    ending = "\r\n" if "\r\n" in text else "\n"
    return put_lines(text, line_after(text, section, indent), [line], ending)


def _entry(section: yaml.Node, key: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of this entry, with their places."""
    if not isinstance(section, yaml.MappingNode):
        raise ValueError(key)
    return next((pair for pair in section.value if pair[0].value == key), None)


def _own(name: yaml.Node, section: yaml.Node) -> yaml.MappingNode:
    """A mapping with entries that stands here; what an alias means stands elsewhere."""
    if not isinstance(section, yaml.MappingNode) or not section.value:
        raise ValueError(name.value)
    if section.start_mark.index < name.end_mark.index:
        raise ValueError(name.value)
    return section


def _replaced(text: str, key: yaml.Node, node: yaml.Node, value: Any) -> str:
    """The value in place of the old one; comments that stood among a list's lines go above it."""
    start = key.end_mark.index
    end = max(ends_of(node), key=lambda mark: mark.index).index
    if node.start_mark.index < start:  # an alias
        raise ValueError(key.value)
    old = text[start:end]
    indent = " " * key.start_mark.column
    ending = "\r\n" if "\r\n" in text else "\n"
    above = "".join(f"{c.strip()}{ending}{indent}" for c in _COMMENT.findall(old))
    begin = key.start_mark.index
    return f"{text[:begin]}{above}{text[begin:start]}: {as_yaml(value)}{text[end:]}"
