"""Passwords kept outside of config.yaml: `${NAME}` from the environment, `${file:PATH}` from
a file; inserted into an address when it is read, removed when it is written."""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote

from streams.secret_places import places_in, secrets_in
from streams.secret_words import LEAST_RANDOM_IN_QUERY, keep_secret, looks_random

REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LIKE_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_.-]{0,60}")
"""What is shown although it is none: a slip of the pen, and no part of a password."""
_FILE = "file:"

_STAND_IN = "\ue000"
"""Stands for a reference while an address is taken apart: a path may hold the slash of a file's."""

UNCLEAR = (
    "it is not clear where the password ends: give the address with the user's name only and "
    "the password in a file (--password-file), or write / ? # @ and : in it as %2F %3F %23 %40 %3A"
)

HALF_WRITTEN = (
    "a secret of it stands half in a variable and half beside it: put the whole of it into the "
    "variable"
)

ORDINARY = frozenset(
    {"true", "false", "none", "null", "basic", "digest", "live", "main", "stream", "video"}
    | {"admin", "user", "guest", "default", "http", "https", "rtsp", "camera", "person"}
)
"""Values that no secret has but that a parameter of its name may: they are hidden where they stand,
not in every text."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An address with references in place of its secrets, and what they stand for."""

    source: str
    variables: dict[str, str] = field(default_factory=dict, repr=False)


# -- reading ---------------------------------------------------------------------------------------


def fill_in(source: str, folder: Path, *, also: Mapping[str, str] | None = None) -> str:
    """The source with each reference replaced by what it names; raises `ValueError`.

    What makes up a user, a password or a parameter of the query is the secret itself and is
    percent-encoded; anything else, such as a whole address, goes in as it is. Every secret, also
    one written into the source, is masked from now on. Relative paths start at `folder`; the
    variables in `also` beat the environment's.
    """
    names = _references(source)
    text, filled = REFERENCE.sub(_STAND_IN, source), ""
    for name in names:
        before, _, text = text.partition(_STAND_IN)
        filled += before
        filled += _encoded(_look_up(name, folder, also or {}), _place(filled, text))
    filled += text
    _keep(secrets_in(filled))
    return filled


def _references(source: str) -> list[str]:
    """What each reference in it names; raises `ValueError` if one can name nothing."""
    if re.search(r"\$\{[^}]*$", source):
        message = "a ${ in it has no }: it must be ${NAME} or ${file:PATH}"
        raise ValueError(message)
    names = REFERENCE.findall(source)
    for name in names:
        if not name.startswith(_FILE) and not _VARIABLE.fullmatch(name):
            shown = f"${{{name}}}" if _LIKE_VARIABLE.fullmatch(name) else "a ${…} in it"
            message = f"{shown}: must be ${{NAME}}, an environment variable, or ${{file:PATH}}"
            raise ValueError(message)
    return names


def _look_up(name: str, folder: Path, also: Mapping[str, str]) -> str:
    if name.startswith(_FILE):
        return _read_secret(name.removeprefix(_FILE), folder)
    value = also.get(name, os.environ.get(name))
    if not value:
        message = f"the environment variable {name} is {'not set' if value is None else 'empty'}"
        raise ValueError(message)
    return value


def _read_secret(path: str, folder: Path) -> str:
    """The first line of the file."""
    reason = "is empty, its first line must be the password"
    try:
        lines = (folder / Path(path).expanduser()).read_text(encoding="utf-8").splitlines()
        if lines and lines[0]:
            return lines[0]
    except FileNotFoundError:
        reason = "does not exist"
    except UnicodeDecodeError:
        reason = "is not text (UTF-8)"
    except (OSError, RuntimeError) as error:
        reason = f"cannot be read ({getattr(error, 'strerror', None) or 'no such home folder'})"
    message = (
        f"the file {path!r} named in it {reason}"  # outside of the handler: nothing is chained
    )
    raise ValueError(message)


Place = Literal["login", "name", "parameter", "within", "open"]


def _place(before: str, after: str) -> Place:
    """Where in an address something stands: the whole of what is before the `@`, a user or a
    password, a parameter of the query, elsewhere after the host, or where nothing is secret."""
    _, slashes, rest = before.partition("://")
    if not slashes:
        return "open"
    if not re.search(r"[/?#@]", rest):
        if not re.match(r"[^/?#]*@", after):
            return "open"
        return "login" if not rest and after.startswith("@") else "name"
    if re.search(r"[?&;][^?&;#=]*=$", rest) and re.match(r"[&;#]|$", after):
        return "parameter"
    return "within" if re.search(r"[/?#]", rest) else "open"


def _encoded(value: str, place: Place) -> str:
    if place in ("within", "parameter"):  # a login's password is recognised by its place
        keep_secret(value)
    if place in ("within", "open"):
        return value
    name, colon, password = value.partition(":") if place == "login" else (value, "", "")
    return quote(name, safe="") + colon + quote(password, safe="")


def _keep(secrets: Iterable[str]) -> None:
    for secret in secrets:
        if secret.lower() not in ORDINARY:
            keep_secret(secret)


# -- writing ---------------------------------------------------------------------------------------


def take_out(address: str, camera: str, *, used: frozenset[str] = frozenset()) -> Taken:
    """The address as config.yaml may hold it: `${YARD_PASSWORD}` in place of the password of the
    camera `yard`. `used` are variables other cameras have. Raises `ValueError` if it is not clear
    what of it is the password; references that are there already stay.
    """
    _references(address)
    scheme, slashes, rest = address.partition("://")
    if not slashes or scheme.lower() == "file":
        return Taken(address)
    _keep(s for s in secrets_in(address) if not REFERENCE.search(s))
    references = iter(REFERENCE.findall(rest))
    login, at, after = _split_login(REFERENCE.sub(_STAND_IN, rest))
    variables: dict[str, str] = {}

    def put_away(label: str, secret: str, place: Place) -> str:
        if not secret.replace(_STAND_IN, ""):
            return secret
        if _STAND_IN in secret:
            raise ValueError(HALF_WRITTEN)
        name = _new_variable(camera, label, used | variables.keys())
        # What is percent-encoded again where it is filled in is kept as people know it.
        variables[name] = secret if place in ("within", "open") else unquote(secret)
        _keep([variables[name]])
        return f"${{{name}}}"

    user, colon, password = login.partition(":")
    if looks_random(user, least=LEAST_RANDOM_IN_QUERY):
        user = put_away("token", user, "name" if colon else "login")
    written = user + colon + put_away("password", password, "name") + at
    done = 0
    for found in places_in(after):
        if found.kind not in ("login", "user") and found.start >= done:
            before = written + after[done : found.start]
            place = _place(f"{scheme}://{before}", after[found.end :])
            written = before + put_away(found.name, after[found.start : found.end], place)
            done = found.end
    written = re.sub(_STAND_IN, lambda _: f"${{{next(references)}}}", written + after[done:])
    return Taken(f"{scheme}://{written}", variables)


def with_reference(address: str, reference: str) -> str:
    """The address with `${reference}` as the password; raises `ValueError` if it has no user."""
    scheme, slashes, rest = address.partition("://")
    login, at, place = _split_login(rest)
    user = login.partition(":")[0]
    if not slashes or not at or not user:
        message = "a password needs a user: write the address as rtsp://USER@host/path"
        raise ValueError(message)
    return f"{scheme}://{user}:${{{reference}}}@{place}"


def without_secrets(address: str) -> str:
    """What two addresses of one camera have in common: no login, no secret parameter, no default
    port, and host and scheme in lower case."""
    scheme, slashes, rest = REFERENCE.sub(_STAND_IN, address).partition("://")
    if not slashes:
        return address
    host, slash, path = rest.partition("/")
    if "@" in rest:
        host, slash, path = rest.rpartition("@")[2].partition("/")
    default = {"rtsp": ":554", "rtsps": ":322", "http": ":80", "https": ":443"}
    host = host.lower().removesuffix(default.get(scheme.lower(), ":-"))
    bare, done = "", 0
    path = f"{host}{slash}{path}"
    for found in places_in(path):
        if found.kind in ("parameter", "path") and found.begins >= done:
            bare, done = bare + path[done : found.begins], found.end
    return f"{scheme.lower()}://{bare + path[done:]}".rstrip("/?&;#")


def _split_login(rest: str) -> tuple[str, str, str]:
    """Login, `@` (or nothing) and the rest of what follows `://`."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, at, host = authority.rpartition("@")
    port = host.partition(":")[2]
    after = rest[len(authority) :]
    if "@" in after and (at or (port and not port.isdigit()) or after.startswith("#")):
        raise ValueError(UNCLEAR)
    return login, at, rest[len(login) + len(at) :]


def _new_variable(camera: str, label: str, used: frozenset[str] | set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9_]", "_", f"{camera}_{label[:60]}").upper()
    stem = stem if _VARIABLE.fullmatch(stem) else f"CAMERA_{stem}"
    return next(n for n in (stem, *(f"{stem}_{i}" for i in range(2, 1000))) if n not in used)


def hide_in_process_list(address: str) -> None:
    """Write stars over the secrets of `address` in this process's own arguments, which `ps` shows
    to everybody. On Linux only; elsewhere, and until it is called, they can be seen.
    """
    with suppress(OSError, ValueError, IndexError):
        given = Path("/proc/self/cmdline").read_bytes()
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end, see proc(5)
        if start <= 0 or end - start != len(given):
            return
        for secret in map(str.encode, secrets_in(address)):
            for found in re.finditer(re.escape(secret), given):
                ctypes.memset(start + found.start(), ord("*"), len(secret))
