"""Reading config.yaml: defaults, then the file's `defaults:`, then the camera's own section, then
the command line; and every problem reported at once."""

from __future__ import annotations

import difflib
import math
import os
import re
import typing
from collections.abc import Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from culling_pipeline.ranges import RULES
from jobs.config.settings import CameraConfig, CameraDefaults, Config
from jobs.config.weights import UNTRAINED
from jobs.errors import ConfigError, redact

__all__ = ["CameraConfig", "Config", "load_config", "parse_config", "parse_overrides", "parse_raw"]

Path_ = tuple[str | int, ...]
MACHINE_KEYS = tuple(key for key in Config.model_fields if key != "cameras")
TOP_KEYS = (*MACHINE_KEYS, "defaults", "cameras")
REPLACED_WHOLE = ("classes",)
"""Mappings a camera replaces instead of adding to them."""
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:|((www|m)\.)?(youtube\.com|youtu\.be)/", re.IGNORECASE)
"""Addresses that are no paths: those with a scheme, and YouTube's pages without one."""


def load_config(
    path: Path, *, overrides: Mapping[str, Any] | None = None, as_written: bool = False
) -> Config:
    """The configuration in `path`, or a `ConfigError` that lists all its faults.

    `overrides` come from the command line (`parse_overrides`) and beat the file; relative paths
    in the file start at its folder. `as_written` leaves references to passwords as they are.
    """
    return parse_config(_read_text(path), path, overrides=overrides, as_written=as_written)


def parse_raw(text: str, path: Path) -> dict[str, Any]:
    """The text's content, checked only to be YAML and a mapping; empty if it is blank."""
    problems = _Problems(path.name)
    raw = _parse_yaml(text, problems)
    if raw is not None and not isinstance(raw, dict):
        problems.add("", "must be a mapping with the key `cameras`")
    if problems.lines:
        raise ConfigError("\n".join(problems.lines))
    return raw or {}


def parse_config(
    text: str,
    path: Path,
    *,
    overrides: Mapping[str, Any] | None = None,
    as_written: bool = False,
) -> Config:
    """As `load_config`, for the present or future content of `path`."""
    problems = _Problems(path.name)
    raw = _parse_yaml(text, problems)
    context = {"folder": path.absolute().parent, "as_written": as_written}
    config = _Reader(context, dict(overrides or {}), problems).read(raw)
    if problems.lines or config is None:
        raise ConfigError("\n".join(problems.lines))
    return config


def parse_overrides(assignments: Sequence[str]) -> dict[str, Any]:
    """`training.epochs=5` and the like, as nested mappings; raises `ConfigError`."""
    nested: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not re.fullmatch(r"[a-z_]+(\.[a-z_]+)*", key):
            message = f"--set {assignment}: must look like training.epochs=5"
            raise ConfigError(message)
        *folders, last = key.split(".")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
        place[last] = _parse_value(text, assignment)
    return nested


def _parse_value(text: str, assignment: str) -> Any:
    with suppress(yaml.YAMLError):
        return yaml.safe_load(text)
    message = f"--set {assignment}: the value is not valid YAML"
    raise ConfigError(message)  # outside of the handler: YAML's errors quote what they read


@dataclass
class _Problems:
    """Collects the lines of a `ConfigError`."""

    file: str
    lines: list[str] = field(default_factory=list)

    def add(self, place: str, text: str) -> None:
        where = [place] if place.startswith("--set") else [self.file, place]
        line = redact(": ".join(part for part in (*where, text) if part))
        if line not in self.lines:
            self.lines.append(line)

    def unknown_key(self, place: str, key: object, known: Sequence[str]) -> None:
        self.add(place, "unknown key." + _did_you_mean(str(key), known))


# -- the file --------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """A loader that notes keys given twice instead of taking the last."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.duplicates: list[tuple[int, str, int]] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[object, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key != "<<" and key in lines:
                self.duplicates.append((line, key, lines[key]))
            if isinstance(key, str):
                lines[key] = line
        return super().construct_mapping(node, deep)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        message = f"{path}: no such file: `culling init` makes one, --config names another"
        raise ConfigError(message) from error
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path}: cannot be read: {error}"
        raise ConfigError(message) from error


def _parse_yaml(text: str, problems: _Problems) -> Any:
    try:
        loader = _Loader(text)
        raw = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        message = f"{problems.file}: {where}not valid YAML: {error.problem}"
    except yaml.YAMLError as error:
        message = f"{problems.file}: not valid YAML: {' '.join(str(error).split())}"
    else:
        for line, key, first in loader.duplicates:
            problems.add(f"line {line}", f"{key!r} is given twice (first in line {first})")
        return raw
    raise ConfigError(message)  # outside of the handler: YAML's errors quote what they read


# -- from raw mappings to a Config -----------------------------------------------------------------


class _Reader:
    """Puts one file, its defaults and the overrides together, noting every problem."""

    def __init__(
        self, context: dict[str, Any], overrides: dict[str, Any], problems: _Problems
    ) -> None:
        self._context = context
        self._folder: Path = context["folder"]
        self._problems = problems
        self._machine = {k: overrides.pop(k) for k in MACHINE_KEYS if k in overrides}
        self._overrides = overrides

    def read(self, raw: Any) -> Config | None:
        if not isinstance(raw, dict):
            self._problems.add("", "must be a mapping with the key `cameras`")
            return None
        for key in raw:
            if key not in TOP_KEYS:
                self._problems.unknown_key(str(key), key, TOP_KEYS)
        machine = self._read_machine(raw)
        defaults = self._read_defaults(raw.get("defaults"))
        cameras = self._read_cameras(raw.get("cameras"), defaults)
        if machine is None or self._problems.lines:
            return None
        start = Path.cwd() if "data_dir" in self._machine else self._folder
        data_dir = start / machine.data_dir.expanduser()
        return machine.changed(data_dir=data_dir, cameras=cameras)

    def _read_machine(self, raw: dict[str, Any]) -> Config | None:
        given = _merge({key: raw[key] for key in MACHINE_KEYS if key in raw}, self._machine)
        try:
            return Config.model_validate(given, context=self._context)
        except ValidationError as error:
            self._add_all(error, prefix=(), own=raw)
            return None

    def _read_defaults(self, raw: Any) -> dict[str, Any]:
        if raw is None:
            raw = {}
        if not isinstance(raw, dict):
            self._problems.add("defaults", "must be a mapping")
            return {}
        try:
            CameraDefaults.model_validate(raw)
        except ValidationError as error:
            self._add_all(error, prefix=("defaults",), own=None)
        return raw

    def _read_cameras(self, raw: Any, defaults: dict[str, Any]) -> dict[str, CameraConfig]:
        if not isinstance(raw, dict) or not raw:
            self._problems.add("cameras", "must hold at least one camera, by its name")
            return {}
        cameras = {}
        for name, own in raw.items():
            camera = self._read_camera(name, own, defaults)
            if camera is not None:
                cameras[camera.name] = camera
        return cameras

    def _read_camera(self, name: object, own: Any, defaults: dict[str, Any]) -> CameraConfig | None:
        place = f"cameras.{name}"
        if not isinstance(name, str):
            self._problems.add(place, "a camera's name must be text: put it in quotes")
            return None
        if not isinstance(own, dict):
            self._problems.add(place, "must be a mapping with the key `source`")
            return None
        merged = _merge(_merge(defaults, own), self._overrides)
        if "name" in own:
            self._problems.add(f"{place}.name", "unknown key. The key of the section is the name")
        try:
            camera = CameraConfig.model_validate({**merged, "name": name}, context=self._context)
        except ValidationError as error:
            self._add_all(error, prefix=("cameras", name), own=own)
            return None
        return self._resolve_paths(camera)

    def _resolve_paths(self, camera: CameraConfig) -> CameraConfig:
        sections = {
            key: section.changed(weights=self._resolve(section.weights))
            for key, section in (("student", camera.student), ("teacher", camera.teacher))
            if section.weights != UNTRAINED
        }
        return camera.changed(**sections, source=self._resolve(camera.source))

    def _resolve(self, address: str) -> str:
        """A relative path starts at the config file's folder; anything with a scheme stays."""
        if ADDRESS.match(address) or address.startswith("${"):  # the latter only `as_written`
            return address
        return os.path.normpath(self._folder / Path(address).expanduser())

    def _add_all(self, error: ValidationError, *, prefix: Path_, own: Any) -> None:
        """Note pydantic's errors; those from `defaults:` were noted there already."""
        machine_or_camera = self._overrides if prefix else self._machine
        overrides = {} if prefix == ("defaults",) else machine_or_camera
        for detail in error.errors():
            loc = tuple(part for part in detail["loc"] if part != "[key]")
            if _holds(overrides, loc):
                place = "--set " + _dotted(loc)
            elif own is None or loc in ((), ("name",)) or detail["type"] == "missing":
                place = _dotted(prefix if loc == ("name",) else prefix + loc)
            elif _holds(own, loc):
                place = _dotted(prefix + loc)
            else:
                continue
            if detail["type"] == "extra_forbidden":
                kind = CameraConfig if prefix else Config
                known = [key for key in _known_keys(kind, loc[:-1]) if key != "name"]
                self._problems.unknown_key(place, loc[-1], known)
            else:
                self._problems.add(place, _sentence(dict(detail)))


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(value, dict) and isinstance(below, dict) and key not in REPLACED_WHOLE:
            merged[key] = _merge(below, value)
        else:
            merged[key] = value
    return merged


def _holds(raw: Any, loc: Path_) -> bool:
    """Whether this raw mapping itself says something at `loc`."""
    for part in loc:
        if not isinstance(raw, dict):
            return True  # what is said ends above `loc`
        if part not in raw:
            return False
        raw = raw[part]
    return bool(loc)


# -- words -----------------------------------------------------------------------------------------


def _dotted(loc: Path_) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _did_you_mean(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else f" Known: {', '.join(known)}"


def _known_keys(model: type[BaseModel], loc: Path_) -> list[str]:
    """The keys of the section at `loc`."""
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        choices = (annotation, *typing.get_args(annotation))
        model = next(c for c in choices if isinstance(c, type) and issubclass(c, BaseModel))
    return list(model.model_fields)


_RULES = RULES | {
    "string_type": "must be text (put it in quotes)",
    "string_too_short": "must not be empty",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "model_type": "must be a mapping",
    "model_attributes_type": "must be a mapping",
    "path_type": "must be a path",
}


def _sentence(detail: dict[str, Any]) -> str:
    """One pydantic error in words: the value and the rule it breaks."""
    context, kind = detail.get("ctx", {}), detail["type"]
    if kind == "missing":
        return "missing"
    if kind == "value_error":
        rule = str(context["error"])
        whole = not isinstance(detail["input"], str | int | float | list)
        return rule if whole or not rule.startswith("must") else f"got {_shown(detail)}, {rule}"
    rule = _RULES[kind].format(**context) if kind in _RULES else str(detail["msg"])
    hint = ""
    if kind == "literal_error" and isinstance(detail["input"], str):
        hint = _close_choice(detail["input"], context["expected"])
    return f"got {_shown(detail)}, {rule}{hint}"


def _close_choice(given: str, expected: str) -> str:
    close = difflib.get_close_matches(given, re.findall(r"'([^']*)'", expected), n=1, cutoff=0.5)
    return f'. Did you mean "{close[0]}"?' if close else ""


def _shown(detail: dict[str, Any]) -> str:
    value = detail["input"]
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value}"
    text = redact(repr(value))  # before it is cut, or a password loses the @ that tells it
    return text if len(text) <= 60 else text[:57] + "…"
