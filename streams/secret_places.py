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
    PUNCTUATION,
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
        if looks_random(user, least=LEAST_RANDOM_IN_QUERY):  # a token, as some services take it
            found.append(Place(0, len(user), "password", "token", 0))
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


def secrets_in(address: str) -> list[str]:
    """Passwords, secret parameters and the like as they stand in a whole address."""
    _, slashes, rest = address.partition("://")
    if not slashes:
        return []
    return [rest[p.start : p.end] for p in places_in(rest) if p.kind not in ("login", "user")]


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
        stem = _SUFFIX.sub("", text.rstrip(PUNCTUATION))
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
    done = 0
    for (begin, equals), end in zip(begins, ends, strict=True):
        # Words before it may belong to the name (`session_id`) or to the value before: both count.
        name, value = text[max(done, begin - 40) : equals], text[equals + 1 : end]
        done = equals + 1
        if not value:
            continue
        kind = _kind_of(name, value, is_remote=is_remote, depth=depth)
        if kind is not None:
            start = offset + equals + 1
            yield Place(start, offset + end, kind, decoded(text[begin:equals]), offset + begin)


def _is_name(word: str) -> bool:
    word = decoded(word).lower()
    return word in COMPANIONS or is_secrets_name(word) or is_users_name(word)


def _kind_of(name: str, value: str, *, is_remote: bool, depth: int) -> Kind | None:
    if is_secrets_name(name):
        return "parameter"
    if is_users_name(name):
        return "parameter" if "=" in value else "user"
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
_WHOLE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PATH = re.compile(r"/(?!/)|[~.]")
_LOGIN = re.compile(r":[^/]*@")
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
    is_path = _PATH.match(url) and not lacks_scheme(url)
    if is_path or scheme.lower().startswith("file:"):
        return mask(url)
    return mask(scheme + _hidden(url[len(scheme) :], is_remote=bool(scheme)))


def lacks_scheme(url: str) -> bool:
    """Whether an address has a login or more, but no scheme at its start: cut off, misspelt, or
    behind blanks, quotation marks and the like. As a path, it would show its password."""
    if _WHOLE.match(url):
        return False
    return "://" in url or (not _PATH.match(url) and _LOGIN.search(url) is not None)


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
    shown, done, reach = [], 0, _Reach(text)
    while (at := text.find("://", done)) >= 0:
        scheme = _LETTERS.search(text[max(done, at - LONGEST_SCHEME) : at])
        begin = at if scheme is None else at - len(scheme.group())
        end = reach.end_of(begin, at + 3)
        shown += [text[done:begin], redact_url(text[begin:end])]
        done = end
    return mask("".join([*shown, text[done:]]))


class _Reach:
    """How far addresses in a text go. Asked from the beginning to the end, it reads it once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._run_end = self._line_end = self._last_at = -1

    def end_of(self, begin: int, at: int) -> int:
        """At white space outside of `${…}`, or at the quotation mark that closes it; but never
        before an `@` that may end a password."""
        if at > self._run_end:
            self._run_end = self._end_of_run(at)
            self._last_at = self._text.rfind("@", at, self._run_end)
        if at > self._line_end:
            line_end = self._text.find("\n", at)
            self._line_end = len(self._text) if line_end < 0 else line_end
        mark = self._text[begin - 1] if begin else ""
        if mark and mark in "'\"`":
            closing = self._text.find(mark, at, self._line_end)
            if closing >= 0 and (closing > self._run_end or self._last_at < closing):
                return closing
        return self._run_end

    def _end_of_run(self, at: int) -> int:
        while True:
            found = _SPACE.search(self._text, at)
            stop = len(self._text) if found is None else found.start()
            opened = self._text.rfind("${", at, stop)
            variable = _VARIABLE.match(self._text, opened) if opened >= 0 else None
            if variable is None or variable.end() <= stop:
                return stop
            at = variable.end()
