"""Sets one key of one camera in config.yaml: its value is replaced or a line put in, and no other
byte changes."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jobs.config.edit import as_yaml, ends_of, find_cameras, line_after, put_lines
from jobs.errors import ConfigError

_COMMENT = re.compile(r"(?<!\S)#[^\r\n]*")
"""In a list of numbers, which holds no text."""


def set_key(text: str, camera: str, key: str, value: Any) -> str:
    """The text of a configuration in which this camera's `key` has this value. Raises `ConfigError`
    where the camera is written in a way that is too unusual for that."""
    try:
        written = _with_key(text, camera, key, value)
        same = yaml.safe_load(written) == _content(text, camera, key, value)
    except (yaml.YAMLError, ValueError, AttributeError, TypeError, LookupError):
        same = False
    if not same:
        message = (
            f"camera {camera!r} is written in a way that only you can add to; put in there:\n"
            f"{key}: {as_yaml(value)}"
        )
        raise ConfigError(message)
    return written


def _content(text: str, camera: str, key: str, value: Any) -> Any:
    """What the new text has to hold: the old content with this value."""
    raw = yaml.safe_load(text)
    cameras = {name: settings or {} for name, settings in raw["cameras"].items()}
    cameras[camera] = {**cameras[camera], key: value}
    return {**raw, "cameras": raw["cameras"] | {camera: cameras[camera]}}


def _with_key(text: str, camera: str, key: str, value: Any) -> str:
    found = find_cameras(text)
    if found is None or not isinstance(found[1], yaml.MappingNode):
        raise ValueError(camera)
    name, section = next(
        (pair for pair in found[1].value if pair[0].value == camera), (found[0], found[0])
    )
    if not isinstance(section, yaml.MappingNode) or not section.value:
        raise ValueError(camera)
    if section.start_mark.index < name.end_mark.index:  # an alias: what it means stands elsewhere
        raise ValueError(camera)
    for known, node in section.value:
        if known.value == key:
            return _replaced(text, known, node, value)
    if section.flow_style:
        last = section.value[-1][1].end_mark.index
        return f"{text[:last]}, {key}: {as_yaml(value)}{text[last:]}"
    indent = section.value[0][0].start_mark.column
    line = f"{' ' * indent}{key}: {as_yaml(value)}"
    ending = "\r\n" if "\r\n" in text else "\n"
    return put_lines(text, line_after(text, section, indent), [line], ending)


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
