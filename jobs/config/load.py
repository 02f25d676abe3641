"""Reading config.yaml: defaults, then the file's `defaults:`, then the camera's own section, then
the command line; and every problem reported at once."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from culling_pipeline.ranges import RULES
from jobs.config.count import CountSettings
from jobs.config.fields import Section
from jobs.config.groups import mistakes
from jobs.config.settings import CameraConfig, CameraDefaults, Config
from jobs.config.shown import can_be_secret, section_of, shown_key, shown_value
from jobs.config.weights import UNTRAINED
from jobs.config.yaml_text import MOST_CHARACTERS, NotYamlError, parse_yaml
from jobs.errors import ConfigError, redact
from streams.secret_places import lacks_scheme

__all__ = ["CameraConfig", "Config", "load_config", "parse_config", "parse_overrides", "parse_raw"]

Path_ = tuple[str | int, ...]
MOST_LINES = 100
"""Of what is wrong; nobody mends more at once."""
LONGEST_LINE = 1000
MACHINE_KEYS = tuple(key for key in Config.model_fields if key != "cameras")
TOP_KEYS = (*MACHINE_KEYS, "defaults", "cameras")
REPLACED_WHOLE = ("classes",)
"""Mappings a camera replaces instead of adding to them."""
SITE = re.compile(r"((www|m)\.)?(youtube\.com|youtu\.be)/", re.IGNORECASE)
ADDRESS = re.compile(rf"[a-z][a-z0-9+.-]+:|{SITE.pattern}", re.IGNORECASE)
"""Addresses that are no paths: those with a scheme, and YouTube's pages without one."""
RECORDINGS = "recordings:"
"""What a recorder's folder begins with; a path follows."""
LACKS_SCHEME = (
    "an address must begin with its scheme, such as rtsp:// or https://, with nothing before it "
    "(a path that looks like one is written file:///PATH)"
)


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
            shown = re.match(r"[A-Za-z_.]{0,60}", key)
            message = f"--set {shown[0] if shown else ''}: must look like training.epochs=5"
            raise ConfigError(message)
        *folders, last = key.split(".")
        place = nested
        for folder in folders:
            place = place.setdefault(folder, {})
            if not isinstance(place, dict):
                message = f"--set {key}: {folder} has a value already"
                raise ConfigError(message)
        place[last] = _parse_value(text, key)
    return nested


def _parse_value(text: str, key: str) -> Any:
    try:
        return parse_yaml(text)[0]
    except NotYamlError:
        message = f"--set {key}: the value is not valid YAML"
    raise ConfigError(message)


@dataclass
class _Problems:
    """Collects the lines of a `ConfigError`."""

    file: str
    lines: list[str] = field(default_factory=list)

    def add(self, place: str, text: str) -> None:
        where = [place] if place.startswith("--set") else [self.file, place]
        line = redact(": ".join(part for part in (*where, text) if part))
        if line not in self.lines and len(self.lines) < MOST_LINES:
            self.lines.append(line if len(line) <= LONGEST_LINE else line[:LONGEST_LINE] + "…")

    def unknown_key(self, place: str, key: object, known: Sequence[str]) -> None:
        self.add(place, "unknown key." + _did_you_mean(shown_key(key), known))


# -- the file --------------------------------------------------------------------------------------


def _read_text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MOST_CHARACTERS + 1)
    except FileNotFoundError as error:
        message = f"{path}: no such file: `culling init` makes one, --config names another"
        raise ConfigError(message) from error
    except (OSError, ValueError) as error:
        message = f"{path}: cannot be read: {error}"
        raise ConfigError(message) from error


def _parse_yaml(text: str, problems: _Problems) -> Any:
    try:
        raw, duplicates = parse_yaml(text)
    except NotYamlError as error:
        message = f"{problems.file}: {error}"
        raise ConfigError(message) from None
    for twice in duplicates:
        key = repr(shown_key(twice.key))
        problems.add(f"line {twice.line}", f"{key} is given twice (first in line {twice.first})")
    return raw


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
                self._problems.unknown_key(shown_key(key), key, TOP_KEYS)
        machine = self._read_machine(raw)
        defaults = self._read_defaults(raw.get("defaults"))
        cameras = self._read_cameras(raw.get("cameras"), defaults)
        self._check_groups(machine, raw.get("cameras"), cameras)
        if machine is None or self._problems.lines:
            return None
        start = Path.cwd() if "data_dir" in self._machine else self._folder
        data_dir = self._at_home(str(machine.data_dir), "data_dir")
        return machine.changed(data_dir=start / data_dir, cameras=cameras)

    def _read_machine(self, raw: dict[str, Any]) -> Config | None:
        given = _merge({key: raw[key] for key in MACHINE_KEYS if key in raw}, self._machine)
        try:
            return Config.model_validate(given, context=self._context)
        except ValidationError as error:
            self._add_all(error, prefix=(), own=raw)
            return None

    def _check_groups(
        self, machine: Config | None, raw: Any, cameras: dict[str, CameraConfig]
    ) -> None:
        if machine is None or not isinstance(raw, dict):
            return
        named = [name for name in raw if isinstance(name, str)]
        for group, why in mistakes(machine.groups, cameras, named):
            self._problems.add(f"groups.{shown_key(group)}", why)

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
        place = f"cameras.{shown_key(name)}"
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
        place = f"cameras.{camera.name}"
        sections: dict[str, Section] = {
            key: section.changed(weights=self._resolve(section.weights, f"{place}.{key}.weights"))
            for key, section in (("student", camera.student), ("teacher", camera.teacher))
            if section.weights != UNTRAINED
        }
        if lacks_scheme(camera.source) and not camera.source.startswith("${"):
            self._problems.add(f"{place}.source", LACKS_SCHEME)
        sections["count"] = self._resolve_count(camera.count, f"{place}.count")
        return camera.changed(**sections, source=self._resolve(camera.source, f"{place}.source"))

    def _resolve_count(self, count: CountSettings, place: str) -> CountSettings:
        """The same for the nets that count; a net's name is no path."""
        said = {"student": None if count.is_net else count.student, "teacher": count.teacher}
        found = {k: self._resolve(v, f"{place}.{k}") for k, v in said.items() if v is not None}
        return count.changed(**found)

    def _resolve(self, address: str, place: str) -> str:
        """A relative path starts at the config file's folder; anything with a scheme stays."""
        if address.startswith(RECORDINGS):
            return RECORDINGS + self._resolve(address.removeprefix(RECORDINGS) or ".", place)
        if ADDRESS.match(address) or address.startswith("${"):  # the latter only `as_written`
            return address
        return os.path.normpath(self._folder / self._at_home(address, place))

    def _at_home(self, path: str, place: str) -> Path:
        """The path with `~` and `~user` spelt out."""
        try:
            return Path(path).expanduser()
        except RuntimeError:
            self._problems.add(place, "there is no such user's home folder as it begins with")
            return Path(path)

    def _add_all(self, error: ValidationError, *, prefix: Path_, own: Any) -> None:
        """Note pydantic's errors; those from `defaults:` were noted there already."""
        machine_or_camera = self._overrides if prefix else self._machine
        overrides = {} if prefix == ("defaults",) else machine_or_camera
        kind = CameraConfig if prefix else Config
        for detail in error.errors():
            loc = tuple(part for part in detail["loc"] if part != "[key]")
            if detail["type"] == "invalid_key":  # it is written otherwise there than in the file
                loc = loc[:-1]
            if _holds(overrides, loc):
                place = "--set " + _dotted(loc)
            elif own is None or loc in ((), ("name",)) or detail["type"] == "missing":
                place = _dotted(prefix if loc == ("name",) else prefix + loc)
            elif _holds(own, loc):
                place = _dotted(prefix + loc)
            else:
                continue
            if detail["type"] == "extra_forbidden":
                known = [key for key in _known_keys(kind, loc[:-1]) if key != "name"]
                self._problems.unknown_key(place, loc[-1], known)
            else:
                secret = can_be_secret(kind, loc)
                self._problems.add(place, _sentence(dict(detail), is_secret=secret))


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
        text += (
            f"[{part}]"
            if isinstance(part, int)
            else f".{shown_key(part)}"
            if text
            else shown_key(part)
        )
    return text


def _did_you_mean(given: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(given, known, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else f" Known: {', '.join(known)}"


def _known_keys(model: type[BaseModel], loc: Path_) -> list[str]:
    """The keys of the section at `loc`."""
    for part in loc:
        field = model.model_fields.get(str(part))
        section = None if field is None else section_of(field.annotation)
        if section is None:
            return []
        model = section
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


def _sentence(detail: dict[str, Any], *, is_secret: bool) -> str:
    """One pydantic error in words: what was given, and the rule it breaks."""
    context, kind = detail.get("ctx", {}), detail["type"]
    shown = shown_value(detail["input"], is_secret=is_secret)
    if kind in ("missing", "invalid_key"):
        return "missing" if kind == "missing" else "its keys must be text (put them in quotes)"
    if kind == "value_error":
        rule = str(context["error"])
        whole = not isinstance(detail["input"], str | int | float | list)
        return rule if whole or not rule.startswith("must") else f"got {shown}, {rule}"
    rule = _RULES[kind].format(**context) if kind in _RULES else str(detail["msg"])
    hint = ""
    if kind == "literal_error" and isinstance(detail["input"], str):
        hint = _close_choice(detail["input"], context["expected"])
    return f"got {shown}, {rule}{hint}"


def _close_choice(given: str, expected: str) -> str:
    close = difflib.get_close_matches(given, re.findall(r"'([^']*)'", expected), n=1, cutoff=0.5)
    return f'. Did you mean "{close[0]}"?' if close else ""
