"""Adds a camera to config.yaml: lines are inserted, and no other byte changes.

PyYAML gives the positions in the text. A writer that keeps comments (ruamel.yaml) would rewrite the
whole file with its own indentation, quotes and nulls.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from jobs.config.lock import locked
from jobs.config.new_file import TEMPLATE
from jobs.errors import ConfigError


def insert_camera(text: str, name: str, settings: Mapping[str, Any]) -> str:
    """The text of a configuration with this camera after the others; raises `ConfigError` where it
    is too unusual for that. The untouched file of `culling init` loses its example camera."""
    if text == template_text():
        return _replace_example(text, name, settings)
    try:
        written = _insert(text, name, settings)
        same = _without(written, name) == _without(text, name)
    except (yaml.YAMLError, ValueError, AttributeError):
        same = False
    if not same:
        lines = "\n".join(["cameras:", *_block({name: settings}, indent=2, step=2)])
        message = f"this file is written in a way that only you can add to; put in:\n{lines}"
        raise ConfigError(message)
    return written


def template_text() -> str:
    """What `culling init` writes."""
    return TEMPLATE.read_text(encoding="utf-8")


def _without(text: str, name: str) -> Any:
    """The content of the text without this camera."""
    raw = yaml.safe_load(text) or {}
    cameras = {key: value for key, value in (raw.get("cameras") or {}).items() if key != name}
    return {**raw, "cameras": cameras}


# -- where in the text -----------------------------------------------------------------------------


def _insert(text: str, name: str, settings: Mapping[str, Any]) -> str:
    ending = "\r\n" if "\r\n" in text else "\n"
    found = find_cameras(text)
    if found is None:
        lines = ["cameras:", *_block({name: settings}, indent=2, step=2)]
        return put_lines(text, len(text.splitlines()), lines, ending)
    key, cameras = found
    if isinstance(cameras, yaml.MappingNode) and cameras.value:
        if cameras.flow_style:
            return _insert_in_braces(text, cameras, name, settings)
        indent = cameras.value[0][0].start_mark.column
        lines = _block({name: settings}, indent=indent, step=_step(cameras, indent))
        return put_lines(text, line_after(text, cameras, indent), lines, ending)
    if cameras.start_mark.index < cameras.end_mark.index:  # {} or null, to make room
        text = text[: cameras.start_mark.index].rstrip(" ") + text[cameras.end_mark.index :]
    lines = _block({name: settings}, indent=key.start_mark.column + 2, step=2)
    return put_lines(text, key.end_mark.line + 1, lines, ending)


def find_cameras(text: str) -> tuple[yaml.Node, yaml.Node] | None:
    """Key and value of `cameras`, with their places; None if there is no such key."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if root is None:
        return None
    return next(((key, value) for key, value in root.value if key.value == "cameras"), None)


def _step(cameras: yaml.MappingNode, indent: int) -> int:
    """The indentation of the other cameras' keys."""
    columns = [
        camera.value[0][0].start_mark.column - indent
        for _, camera in cameras.value
        if isinstance(camera, yaml.MappingNode) and camera.value and not camera.flow_style
    ]
    return columns[-1] if columns else 2


def line_after(text: str, cameras: yaml.MappingNode, indent: int) -> int:
    """The line below the last camera and the comments that belong to it."""
    last = max(ends_of(cameras), key=lambda mark: mark.index)
    number = last.line + bool(last.column)  # a block of text ends where the next line begins
    lines = text.splitlines()
    for line in lines[number:]:
        bare = line.lstrip(" ")
        if not bare.startswith("#") or len(line) - len(bare) < indent:
            break
        number += 1
    return number


def ends_of(node: yaml.Node) -> Iterator[yaml.Mark]:
    """Where the last things in it end: a block's own end is where the next thing begins."""
    if isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        for child in node.value:
            for part in child if isinstance(child, tuple) else (child,):
                yield from ends_of(part)
    else:
        yield node.end_mark


def put_lines(text: str, number: int, lines: list[str], ending: str) -> str:
    """The text with these lines before the line of this number."""
    before = "".join(text.splitlines(keepends=True)[:number])
    after = text[len(before) :]
    if before and not before.endswith(("\n", "\r")):
        before += ending
    return before + "".join(f"{line}{ending}" for line in lines) + after


def _insert_in_braces(
    text: str, cameras: yaml.MappingNode, name: str, settings: Mapping[str, Any]
) -> str:
    last = cameras.value[-1][1].end_mark.index
    added = as_yaml({name: dict(settings)}).removeprefix("{").removesuffix("}")
    return f"{text[:last]}, {added}{text[last:]}"


# -- what is put in --------------------------------------------------------------------------------


def _block(cameras: Mapping[str, Mapping[str, Any]], *, indent: int, step: int) -> list[str]:
    lines = []
    for name, settings in cameras.items():
        lines.append(" " * indent + as_yaml(name) + ":")
        own = " " * (indent + step)
        lines += [f"{own}{key}: {as_yaml(value)}" for key, value in settings.items()]
    return lines


def as_yaml(value: Any) -> str:
    """The value in one line of YAML."""
    text = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, width=10**9, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _replace_example(text: str, name: str, settings: Mapping[str, Any]) -> str:
    """The template with this camera in place of its example, and all its comments."""
    found = find_cameras(text)
    assert found is not None
    ((key, example),) = found[1].value
    values = {setting.value: value for setting, value in example.value}
    edits = [(key.start_mark.index, key.end_mark.index, as_yaml(name))]
    shown = {setting: value for setting, value in settings.items() if setting in values}
    for setting, value in shown.items():
        node = values[setting]
        edits.append((node.start_mark.index, node.end_mark.index, as_yaml(value)))
    commented = [s for s in settings if s not in shown and _comment(s).search(text)]
    own = " " * example.value[0][0].start_mark.column
    further = [
        f"{own}{s}: {as_yaml(v)}" for s, v in settings.items() if s not in {*shown, *commented}
    ]
    below = max(node.end_mark.line for node in values.values()) + 1
    text = put_lines(text, below, further, "\n")  # below all the edits, so their places stay
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + _aligned(text[end:], len(new) - (end - start))
    for setting in commented:
        place = _comment(setting).search(text)
        assert place is not None
        line = f"{place[1]}{setting}: {as_yaml(settings[setting])}"
        text = text[: place.start()] + line + text[place.end() :]
    return text


def _comment(setting: str) -> re.Pattern[str]:
    """The line that shows this setting as a comment; the setting takes its place."""
    return re.compile(rf"^( +)# {setting}: .*$", flags=re.MULTILINE)


def _aligned(rest: str, longer: int) -> str:
    """What follows in the line, its comment moved back to where it was if there is room."""
    colon, spaces, comment = re.match(r"(:?)( *)(#?)", rest).groups()  # type: ignore[union-attr]
    if not comment:
        return rest
    width = max(1, len(spaces) - longer)
    return colon + " " * width + rest[len(colon) + len(spaces) :]


# -- the file --------------------------------------------------------------------------------------


def read_text(path: Path) -> str | None:
    """The file's text with its line endings as they are; None if there is no file."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read: {error}"
        raise ConfigError(message) from error


def update_file(path: Path, change: Callable[[str | None], str]) -> None:
    """Write the file anew as `change` makes it of the text (None without a file), complete or not
    at all. It keeps its rights, a link stays a link, and only its owner can read a new file.

    One process at a time changes it. An editor takes no lock: if the file has changed under
    `change`, that is asked again.
    """
    path = Path(os.path.realpath(path))
    with locked(path):
        while True:
            before = read_text(path)
            ready = _write_beside(path, change(before))
            try:
                if read_text(path) == before:
                    os.replace(ready, path)
                    return
            finally:
                ready.unlink(missing_ok=True)


def _write_beside(path: Path, text: str) -> Path:
    before = path.stat() if path.exists() else None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror}): make the folder, or its rights"
        raise ConfigError(message) from error
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            os.chmod(name, before.st_mode & 0o7777)
            with suppress(OSError):  # only root may give files away
                os.chown(name, before.st_uid, before.st_gid)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)
