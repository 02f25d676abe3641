"""`culling add`: looks at a camera and adds it to config.yaml, without its password."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from jobs.config.edit import insert_camera, read_text, template_text, update_file
from jobs.config.load import (
    ADDRESS,
    LACKS_SCHEME,
    RECORDINGS,
    SITE,
    parse_config,
    parse_raw,
)
from jobs.config.new_file import write_schema
from jobs.config.secrets import Taken, fill_in, take_out, with_reference, without_secrets
from jobs.config.settings import CAMERA_NAME, CameraConfig, Config
from jobs.errors import UsageError
from jobs.setup.camera_block import BY_NAME, Wish, block, checked_teacher
from jobs.setup.probing import advice, figures, found_to_dict, probe_within
from jobs.setup.snapshots import write_snapshot
from models.pretrained.catalogue import PREFIX, published
from streams.base import redact_url
from streams.secret_places import lacks_scheme
from streams.secret_words import mask

if TYPE_CHECKING:
    from jobs.cameras.nets import Nets
    from streams.probe import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asked for."""

    name: str
    url: str = field(repr=False)
    config: Path
    wish: Wish = field(default_factory=Wish)
    password_file: Path | None = None
    look: bool = True
    force: bool = False
    timeout_s: float = 30.0
    settings_for: Callable[[Probe], Mapping[str, Any]] | None = None
    """Further settings of the camera, by what its source turned out to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """The result. `source` is as written to the file, without a secret; `variables` are those that
    the operator still has to set."""

    camera: CameraConfig
    source: str
    config: Path
    found: Probe | None
    snapshot: Path | None
    variables: tuple[str, ...]
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return {
            "camera": self.camera.name,
            "source": mask(self.source),
            "classes": list(self.camera.class_names),
            "teacher": _nets(self.camera).teacher_weights,
            "config": str(self.config),
            "found": None if self.found is None else found_to_dict(self.found),
            "snapshot": None if self.snapshot is None else str(self.snapshot),
            "variables": list(self.variables),
            "advice": list(self.advice),
        }

    def lines(self) -> list[str]:
        """For a person."""
        shown = {} if self.found is None else figures(self.found)
        if self.snapshot is not None:
            shown["snapshot"] = str(self.snapshot)
        nets = _nets(self.camera)
        shown |= {"source": mask(self.source), nets.found: ", ".join(self.camera.class_names)}
        shown["teacher"] = nets.teacher_weights
        width = max(map(len, shown)) + 2
        lines = [f"{self.camera.name}: added to {self.config}"]
        lines += [f"  {name:{width}}{value}" for name, value in shown.items()]
        return lines

    def notes(self) -> list[str]:
        """What to do next, or could be better."""
        said = list(self.advice)
        if self.snapshot is not None:
            said.append(
                "the snapshot shows what the camera sees; only you can read it: delete it once "
                "you have looked"
            )
        weights = _nets(self.camera).teacher_weights
        if weights.startswith(PREFIX) and (entry := published(weights)) is not None:
            said.append(
                f"the teacher, {entry.described()}, is downloaded at its first use: by "
                "`culling check --download` now, or by the first night"
            )
        if self.variables:
            said.append(
                f"the password is not in {self.config}: set {' and '.join(self.variables)} to it "
                f"before you go on, such as by `read -rs {self.variables[0]}; export "
                f"{self.variables[0]}` (a service: EnvironmentFile= in its unit); --password-file "
                "PATH keeps it in a file instead"
            )
        return said


@dataclass(frozen=True, slots=True)
class Planned:
    """A camera as it would be added. `taken` is its address with its secrets, `source` is what
    would be written to the file."""

    config: Config
    camera: CameraConfig
    taken: Taken
    source: str

    def opened(self, config: Path) -> CameraConfig:
        """The camera with its secrets, to be opened."""
        source = self.camera.source if _is_path(self.taken.source) else self.taken.source
        filled = fill_in(source, config.absolute().parent, also=self.taken.variables)
        return self.camera.changed(source=filled)


def plan_camera(request: Request) -> Planned:
    """What would be added; whatever the configuration would refuse is refused."""
    if not CAMERA_NAME.fullmatch(request.name):
        message = f"{request.name!r}: a camera's name must be of a-z, 0-9, _ and - only"
        raise UsageError(message)
    text = read_text(request.config)
    taken, source = _take_secrets(request, text)
    _, config = _planned(text, request, source)
    return Planned(config, config.cameras[request.name], taken, source)


def add_camera(request: Request) -> Added:
    """Look at the camera and add it; config.yaml is written last, if all went well."""
    planned = plan_camera(request)
    camera, taken = planned.camera, planned.taken
    found = look_at(planned, request) if request.look else None
    more = request.settings_for(found) if request.settings_for and found else {}
    _write_password_file(request.password_file, taken)
    snapshot = None if found is None else _write_snapshot(planned.config.data_dir, camera, found)
    taken, source = _write_camera(request, more)
    unset = (name for name, value in taken.variables.items() if os.environ.get(name) != value)
    return Added(
        camera=camera,
        source=source,
        config=request.config,
        found=found,
        snapshot=snapshot,
        variables=() if request.password_file else tuple(unset),
        advice=tuple(advice(camera, found)),
    )


def _write_camera(request: Request, more: Mapping[str, Any]) -> tuple[Taken, str]:
    """Plan it again: the file may have changed under the look. What its address has become."""
    planned: list[tuple[Taken, str]] = []

    def change(before: str | None) -> str:
        taken, source = _take_secrets(request, before)
        text, _ = _planned(before, request, source, more)
        if before is None:
            write_schema(request.config.parent)
        planned.append((taken, source))
        return text

    update_file(request.config, change)
    return planned[-1]


# -- the secrets -----------------------------------------------------------------------------------


def _take_secrets(request: Request, text: str | None) -> tuple[Taken, str]:
    """The address to open, with its secrets; and the address to write to the file, which holds
    `text` now."""
    folder = request.config.absolute().parent
    used = frozenset(re.findall(r"\$\{(\w+)\}", text or ""))
    try:
        if lacks_scheme(request.url) and not request.url.startswith("${"):
            raise ValueError(LACKS_SCHEME)
        taken = take_out(_as_in_config(request.url, folder), request.name, used=used)
        if request.password_file is None:
            return taken, taken.source
        return _refer_to_file(taken, _path_in_config(request.password_file, folder), folder)
    except ValueError as error:
        text = f"{redact_url(request.url)}: {error}"
    raise UsageError(text)  # outside of the handler, so that no error is chained


def _refer_to_file(taken: Taken, path: str, folder: Path) -> tuple[Taken, str]:
    reference = f"file:{path}"
    if len(taken.variables) > 1:
        message = "it has several secrets: write ${file:PATH} in the place of each yourself"
        raise ValueError(message)
    if taken.variables:
        (name,) = taken.variables
        return taken, taken.source.replace(f"${{{name}}}", f"${{{reference}}}")
    taken = Taken(with_reference(taken.source, reference))
    fill_in(taken.source, folder)  # the file must be there
    return taken, taken.source


def _write_password_file(path: Path | None, taken: Taken) -> None:
    """Write the address's password to its file; an existing file must hold it already."""
    if path is None or not taken.variables:
        return
    (password,) = taken.variables.values()
    path = _at_home(path)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "w", encoding="utf-8") as file:
            file.write(f"{password}\n")
    except FileExistsError:
        if path.read_text(encoding="utf-8").splitlines()[:1] != [password]:
            message = f"{path}: holds something else than the address's password: name a new file"
            raise UsageError(message) from None
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror})"
        raise UsageError(message) from error


# -- the configuration -----------------------------------------------------------------------------


def _nets(camera: CameraConfig) -> Nets:
    from jobs.cameras.nets import nets_of  # torch: seconds, and the pages of a service come here

    return nets_of(camera)


def _planned(
    text: str | None, request: Request, source: str, more: Mapping[str, Any] = MappingProxyType({})
) -> tuple[str, Config]:
    """The new configuration, as text and parsed; errors are raised before anything is written.
    Other cameras' passwords may be missing."""
    if text is None or text == template_text():
        text, raw = template_text(), {}
    else:
        raw = parse_raw(text, request.config)
    _refuse_duplicate(raw.get("cameras"), request, source)
    wish = replace(request.wish, teacher=teacher_in_config(request.wish.teacher, request.config))
    settings = block(wish, source, raw.get("defaults"), request.config.absolute().parent)
    text = insert_camera(text, request.name, settings | dict(more))
    return text, parse_config(text, request.config, as_written=True)


def teacher_in_config(teacher: str | None, config: Path) -> str | None:
    """`--teacher` as the file says it: a path from its folder."""
    if checked_teacher(teacher) is None or str(teacher).startswith(BY_NAME):
        return teacher
    return _path_in_config(Path(str(teacher)), config.absolute().parent)


def _refuse_duplicate(cameras: object, request: Request, source: str) -> None:
    known = cameras if isinstance(cameras, Mapping) else {}
    if request.name in known:
        message = (
            f"there is a camera {request.name!r} in {request.config} already: give another name, "
            "or change its source there"
        )
        raise UsageError(message)
    if request.force or source.startswith(RECORDINGS):  # a recorder's folder may hold several
        return
    folder = request.config.absolute().parent
    for name, camera in known.items():
        other = camera.get("source") if isinstance(camera, Mapping) else None
        if isinstance(other, str) and _same(other, source, folder):
            message = (
                f"camera {name!r} in {request.config} has this source already "
                f"({redact_url(source)}): --force adds it all the same"
            )
            raise UsageError(message)


def camera_with_source(cameras: Mapping[str, CameraConfig], url: str, folder: Path) -> str | None:
    """The name of the camera that has this source already, if there is one."""
    source = _as_in_config(url, folder)
    return next((n for n, c in cameras.items() if _same(c.source_shown, source, folder)), None)


def _same(one: str, other: str, folder: Path) -> bool:
    keys = {
        os.path.normpath(folder / _at_home(Path(source)))
        if _is_path(source)
        else without_secrets(source)
        for source in (one, other)
    }
    return len(keys) == 1


def _is_path(source: str) -> bool:
    return not (ADDRESS.match(source) or source.startswith("${"))


def _as_in_config(url: str, folder: Path) -> str:
    """A path relative to the current folder, made relative to the config's folder; an address with
    its scheme."""
    if SITE.match(url):  # with its scheme, secrets in it are looked for
        return f"https://{url}"
    if url.startswith(RECORDINGS) and len(url) > len(RECORDINGS):
        return RECORDINGS + _path_in_config(Path(url.removeprefix(RECORDINGS)), folder)
    return _path_in_config(Path(url), folder) if _is_path(url) else url


def _path_in_config(path: Path, folder: Path) -> str:
    whole = Path(os.path.abspath(_at_home(path)))
    return str(whole.relative_to(folder) if whole.is_relative_to(folder) else whole)


def _at_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:
        message = f"{redact_url(str(path))}: there is no such user's home folder"
    raise UsageError(message)


# -- the look --------------------------------------------------------------------------------------


def look_at(planned: Planned, request: Request) -> Probe:
    """A first look at a camera that is not added yet."""
    try:
        opened = planned.opened(request.config)
    except ValueError as error:
        message = f"{redact_url(request.url)}: {error} (--no-probe adds the camera unseen)"
        raise UsageError(message) from None
    return probe_within(opened, request.timeout_s)


def _write_snapshot(data_dir: Path, camera: CameraConfig, found: Probe) -> Path:
    """The picture, with masks (those of the file's `defaults:`) blackened."""
    from streams.mask import covered

    image = found.image.copy()
    image[covered(camera.mask, *image.shape[:2])] = 0
    return write_snapshot(data_dir, camera.name, image)
