"""Where in an address secrets stand, by the one rule there is: in the login, in parameters of the
query, the path or the fragment, and in parts of the path that nobody would have chosen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from streams.secret_words import (
    LEAST_RANDOM_IN_QUERY,
    MASK,
    decoded,
    is_secrets_name,
    is_users_name,
    looks_random,
    mask,
)

Kind = Literal["login", "password", "parameter", "path", "user"]

COMPANIONS = frozenset(
    {"channel", "stream", "subtype", "ch", "chn", "track", "profile", "type", "id", "real", "res"}
    | {"video", "audio", "proto", "unicast", "transport", "width", "height", "fps", "codec", "cam"}
)
"""What stands beside a password in the paths of cheap recorders:
`/user=admin_password=XYZ_channel=1_stream=0.sdp`."""

BEFORE_SECRETS = frozenset(
    {"token", "password", "passwd", "pwd", "pass", "secret", "apikey", "key", "jwt", "sid", "auth"}
    | {"session", "accesstoken", "authtoken", "signature"}
)
"""Parts of a path after which a secret comes: `/token/XYZ/live`."""

_CHUNK = re.compile(r"[^/?&;#]+")
_NAME = re.compile(r"[\w.%\[\]-]{1,200}$")
_SHORT_NAME = re.compile(r"(?:[_,])([A-Za-z0-9%.-]{1,40})$")
_CLOCK = re.compile(r"[\d:.TZ_+-]+(?:\.\w{1,5})?")
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}$")
_SPACE = re.compile(r"\s")
_VARIABLE = re.compile(r"\$\{[^}\n]{0,500}\}")
_LETTERS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*$")

LONGEST_SCHEME = 20


@dataclass(frozen=True, slots=True)
class Place:
    """From `start` to before `end`; `name` is what the secret is called there, and `begins` where
    its name does."""

    start: int
    end: int
    kind: Kind
    name: str
    begins: int


def login_end(rest: str) -> int | None:
    """Where the `@` is that ends the login of what follows `://`; None if there is none. Rather
    too late than too early: a password may itself contain `@`, `/` or `?`."""
    at = rest.rfind("@")
    if at < 0:
        return None
    return at if ":" in rest[:at] or "/" not in rest[:at] else None


def places_in(rest: str, *, is_remote: bool = True, depth: int = 2) -> list[Place]:
    """The secrets of what follows the scheme, in order; and the user's name, which is `user`.

    In what is not `is_remote`, a path perhaps, only parameters with a secret's name count.
    """
    found: list[Place] = []
    start, at = 0, login_end(rest)
    if at is not None:
        user = rest[:at].partition(":")[0]
        found.append(Place(0, at, "login", "login", 0))
        if len(user) < at:
            found.append(Place(len(user) + 1, at, "password", "password", len(user)))
        start = at + 1
    zone = "host"
    previous = ""
    for chunk in _CHUNK.finditer(rest, start):
        before = rest[chunk.start() - 1] if chunk.start() else "/"
        if before in "?#" or (before in "&;" and zone == "path"):
            zone = "fragment" if before == "#" else "query"
        elif zone == "host" and chunk.start() > start:
            zone = "path"
        text, offset = chunk.group(), chunk.start()
        if "=" in text:
            found += _pairs(text, offset, is_remote=is_remote, depth=depth)
        elif is_remote and zone == "path":
            found += _segment(text, offset, previous)
        elif is_remote and zone != "host" and looks_random(text, least=LEAST_RANDOM_IN_QUERY):
            found.append(Place(offset, offset + len(text), "path", zone, offset))
        previous = text
    return found


def _segment(text: str, offset: int, previous: str) -> Iterator[Place]:
    """One part of a path."""
    end = offset + len(text)
    user, colon, password = text.partition(":")
    named = decoded(previous).lower().replace("_", "").replace("-", "") in BEFORE_SECRETS
    if colon and password and user and not _CLOCK.fullmatch(text):
        start = offset + len(user) + 1
        yield Place(start, end, "path", "password", start)
    elif named:
        yield Place(offset, end, "path", "token", offset)
    else:
        stem = _SUFFIX.sub("", text)
        if looks_random(stem):
            yield Place(offset, offset + len(stem), "path", "path", offset)


def _pairs(text: str, offset: int, *, is_remote: bool, depth: int) -> Iterator[Place]:
    """`name=value`, or several with `_` or a comma between them."""
    at = text.index("=")
    first = _NAME.search(text, max(0, at - 200), at)
    begins = [(at if first is None else first.start(), at)]
    while (at := text.find("=", at + 1)) >= 0:
        later = _SHORT_NAME.search(text, max(0, at - 41), at)
        if later is not None and text[at + 1 : at + 2] not in ("", "=") and _is_name(later[1]):
            begins.append((later.start(1), at))
    ends = [begin - 1 for begin, _ in begins[1:]] + [len(text)]
    for (begin, equals), end in zip(begins, ends, strict=True):
        name, value = text[begin:equals], text[equals + 1 : end]
        if not value:
            continue
        kind = _kind_of(name, value, is_remote=is_remote, depth=depth)
        if kind is not None:
            start = offset + equals + 1
            yield Place(start, offset + end, kind, decoded(name), offset + begin)


def _is_name(word: str) -> bool:
    word = decoded(word).lower()
    return word in COMPANIONS or is_secrets_name(word) or is_users_name(word)


def _kind_of(name: str, value: str, *, is_remote: bool, depth: int) -> Kind | None:
    if is_secrets_name(name):
        return "parameter"
    if is_users_name(name):
        return "user"
    if not is_remote:
        return None
    if looks_random(value, least=LEAST_RANDOM_IN_QUERY):
        return "parameter"
    inner = decoded(value) if "%" in value else value
    if depth and ("=" in inner or "@" in inner or "://" in inner) and len(inner) < 10_000:
        within = places_in(inner.rpartition("://")[2], depth=depth - 1)
        if any(place.kind != "user" for place in within):
            return "parameter"
    return None


_SCHEME_OF = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:/+")
_NOT_TEXT = re.compile(r"[\ud800-\udfff]")


def printable(text: str) -> str:
    """The text with `\\xfc` in place of each byte of a file's name that is no UTF-8: such names
    can be opened, but neither printed nor written into JSON."""
    return _NOT_TEXT.sub(lambda found: f"\\x{ord(found.group()) & 0xFF:02x}", text)


def redact_url(url: str) -> str:
    """The address without user, password or token, fit for a log or a message.

    Rather too much is hidden than too little: a password may itself contain `@`, `/` or `?`. In
    local paths only known secrets are hidden.
    """
    url = printable(url)
    found = _SCHEME_OF.match(url)
    scheme = found.group() if found else ""
    if scheme.lower().startswith("file:") or url.startswith(("/", "~", ".")):
        return mask(url)
    return mask(scheme + _hidden(url[len(scheme) :], is_remote=bool(scheme)))


def redact_text(text: str) -> str:
    """A message without the secrets of any address in it, and without any that are known."""
    return _hide_addresses(printable(text))


def _hidden(rest: str, *, is_remote: bool = True) -> str:
    """What follows the scheme, with stars for the login, for secrets and users."""
    shown, done = [], 0
    for place in places_in(rest, is_remote=is_remote):
        if place.start >= done:
            shown += [rest[done : place.start], MASK]
            done = place.end
    return "".join([*shown, rest[done:]])


def _hide_addresses(text: str) -> str:
    shown, done = [], 0
    while (at := text.find("://", done)) >= 0:
        scheme = _LETTERS.search(text[max(done, at - LONGEST_SCHEME) : at])
        begin = at if scheme is None else at - len(scheme.group())
        end = _end_of(text, begin, at + 3)
        shown += [text[done:begin], redact_url(text[begin:end])]
        done = end
    return mask("".join([*shown, text[done:]]))


def _end_of(text: str, begin: int, at: int) -> int:
    """Where the address ends: at white space outside of `${…}`, or at the quotation mark that
    closes it; but never before an `@` that may end a password."""
    end = at
    while True:
        found = _SPACE.search(text, end)
        stop = len(text) if found is None else found.start()
        opened = text.find("${", end, stop)
        variable = _VARIABLE.match(text, opened) if opened >= 0 else None
        if variable is None or variable.end() <= stop:
            end = stop
            break
        end = variable.end()
    mark = text[begin - 1] if begin else ""
    if mark and mark in "'\"`":
        line_end = text.find("\n", at)
        closing = text.find(mark, at, line_end if line_end >= 0 else len(text))
        last_at = text.rfind("@", at, end)
        if closing >= 0 and (closing > end or last_at < closing):
            return closing
    return end
