"""Who may do what: roles, sessions with their tokens against forged forms, and logging in."""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

Role = Literal["look", "change"]

SESSION_S = 12 * 3600.0
"""How long a login lasts."""
MOST_SESSIONS = 1000
TRIES, TRIES_IN_S = 5, 300.0
"""Wrong passwords from one address in this time; after them it has to wait."""
MOST_ADDRESSES = 10_000


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who may see the pages. `csrf` has to be in each form that is sent."""

    role: Role
    csrf: str
    address: str
    """Where from, for the audit."""

    @property
    def may_change(self) -> bool:
        """Whether more than looking is allowed."""
        return self.role == "change"


class Sessions:
    """Logins of this process, by the random name in the cookie; the oldest goes when there are
    too many."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._open: OrderedDict[str, tuple[float, Role, str]] = OrderedDict()

    def begin(self, role: Role) -> str:
        """The name of a new session."""
        name = secrets.token_urlsafe(32)
        self._open[name] = (self._now_s() + SESSION_S, role, secrets.token_urlsafe(32))
        while len(self._open) > MOST_SESSIONS:
            self._open.popitem(last=False)
        return name

    def find(self, name: str | None) -> tuple[Role, str] | None:
        """Role and form token of an open session."""
        found = self._open.get(name or "")
        if found is None:
            return None
        if self._now_s() >= found[0]:
            self.end(name)
            return None
        return found[1], found[2]

    def end(self, name: str | None) -> None:
        """Close it."""
        self._open.pop(name or "", None)


class Passwords:
    """Says which role a password has; slowly, one at a time, and not again and again."""

    def __init__(
        self, hashes: dict[Role, str], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._hashes, self._now_s = hashes, now_s
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._one = threading.Lock()

    def wait_s(self, address: str) -> float:
        """How long this address has to wait before it may try again."""
        failed = self._failed.get(address)
        if failed is None or len(failed) < TRIES:
            return 0.0
        return max(0.0, failed[0] + TRIES_IN_S - self._now_s())

    def role_of(self, password: str, address: str) -> Role | None:
        """The role; None if the password is wrong, or this address has to wait."""
        with self._one:
            if self.wait_s(address) > 0:
                return None
            for role, known in self._hashes.items():
                if _is_right(known, password):
                    self._failed.pop(address, None)
                    return role
            self._failed.setdefault(address, deque(maxlen=TRIES)).append(self._now_s())
            while len(self._failed) > MOST_ADDRESSES:
                self._failed.popitem(last=False)
        return None


def hash_of(password: str) -> str:
    """What stands in the configuration for a password."""
    return PasswordHasher().hash(password)


def form_token(secret: str) -> str:
    """The token of forms where there is no session, from the secret in the address."""
    return hmac.new(secret.encode(), b"forms of the pages", "sha256").hexdigest()


def is_same(given: str, known: str) -> bool:
    """Whether two secrets are the same, in a time that says nothing."""
    return secrets.compare_digest(given.encode(), known.encode())


def _is_right(known: str, password: str) -> bool:
    try:
        return PasswordHasher().verify(known, password)
    except (Argon2Error, InvalidHashError):
        return False
