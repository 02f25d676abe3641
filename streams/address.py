"""An address (URL) that always prints itself without its secrets."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit, urlunsplit

from streams.base import redact_url


class Address:
    """A URL; `str` and `repr` hide user, password and token, `secret` is the whole of it."""

    __slots__ = ("_url", "shown")

    def __init__(self, url: str) -> None:
        self._url = url
        self.shown = redact_url(url)

    @property
    def secret(self) -> str:
        """The whole URL, for the library that connects; never for a log or a message."""
        return self._url

    @property
    def login(self) -> tuple[str, str] | None:
        """User and password as written before the `@`, decoded; None if there are none."""
        user, at, _ = urlsplit(self._url).netloc.rpartition("@")
        if not at:
            return None
        name, _, password = user.partition(":")
        return unquote(name), unquote(password)

    @property
    def without_login(self) -> str:
        """The URL with user and password cut out; a token in its query is still there."""
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"
