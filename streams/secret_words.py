"""What a secret looks like: what it is called, and how it is spelt; and the secrets this process
knows, so that no text it shows holds one, wherever it stands.

There is this one list of names and this one rule. It errs on the side of hiding: a channel's name
that is hidden costs a look into config.yaml, a password that is shown costs a camera.
"""

from __future__ import annotations

import re
from itertools import pairwise
from urllib.parse import quote, unquote

SHORTEST = 4
"""Characters; a shorter secret is only hidden where it stands as one in an address, or half of
every text would be stars."""

MASK = "***"

WITHIN_NAMES = (
    *("pass", "pwd", "psw", "token", "secret", "signature", "credential", "apikey", "accesskey"),
    *("privatekey", "authkey", "streamkey", "secretkey", "sharedkey", "keypair", "bearer", "jwt"),
    *("hmac", "auth", "sess", "hdnts", "hdnea", "cookie", "wmsauth", "signkey"),
)
"""A name that holds one of these, without what is between its words, is a secret's."""

WORDS_OF_NAMES = frozenset(
    {"pw", "pa", "key", "keys", "sig", "sign", "sgn", "sid", "ssid", "pin", "otp", "code", "hash"}
    | {
        "md5",
        "sha",
        "sha1",
        "sha256",
        "digest",
        "nonce",
        "cred",
        "creds",
        "ticket",
        "tk",
        "tok",
        "tkn",
    }
    | {"st", "ak", "sk", "sas", "policy", "license", "licence", "loginpas", "k", "crypt", "psk"}
)
"""… or a name of which one of these is a whole word: a monkey is no key."""

USERS = frozenset({"user", "usr", "username", "login", "loginuse", "account", "name", "uid", "u"})
"""Names of users: no secrets, but nobody's business either."""

LEAST_RANDOM, LEAST_RANDOM_IN_QUERY = 16, 12
"""Characters; what is shorter is a word or a number, and YouTube's names have eleven."""

MOST_READABLE, LEAST_CHANGES = 0.6, 0.38
"""Of a name that people gave, more than the first share is long words and numbers, and at less than
the second share of its places it changes between small, capital and digit."""

_BETWEEN = re.compile(r"[^A-Za-z0-9]+")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_READABLE = re.compile(r"[A-Z]?[a-z]{5,}|[A-Z]{5,}|[0-9]{4,}|(?i:main|media|live|h26[45])")
_RANDOM = re.compile(r"[A-Za-z0-9+/=_.~%-]+")
_HEX = re.compile(r"[0-9a-fA-F]+")

_known: set[str] = set()


def keep_secret(secret: str) -> None:
    """From now on `mask` hides it, as it is and percent-encoded."""
    _known.update(
        form for form in (secret, unquote(secret), quote(secret, safe="")) if len(form) >= SHORTEST
    )


def mask(text: str) -> str:
    """The text with stars for every secret that is known."""
    for secret in sorted(_known, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def decoded(text: str) -> str:
    """Without percent signs, also where they were encoded in turn."""
    for _ in range(3):
        if "%" not in text:
            break
        text = unquote(text)
    return text


def is_secrets_name(name: str) -> bool:
    """Whether a parameter of this name, as it stands in an address, holds a secret."""
    name = decoded(name[-200:])
    words = _BETWEEN.split(_HUMPS.sub(" ", name))
    squeezed = "".join(words).lower()
    if any(part in squeezed for part in WITHIN_NAMES):
        return True
    plain = _BETWEEN.split(name.lower())
    return any(word.lower() in WORDS_OF_NAMES for word in (*words, *plain))


def is_users_name(name: str) -> bool:
    """Whether a parameter of this name says who watches."""
    return any(word in USERS for word in _BETWEEN.split(decoded(name[-200:]).lower()))


def looks_random(value: str, *, least: int = LEAST_RANDOM) -> bool:
    """Whether nobody would have chosen this text: a token, a signature, a number drawn."""
    text = decoded(value[:4096])
    if len(text) < least or not _RANDOM.fullmatch(text):
        return False
    text = _BETWEEN.sub("", text)
    if text.isdigit():
        return len(text) > LEAST_RANDOM  # times have up to sixteen
    if text.isalpha() and (text.islower() or text.isupper()):
        return False
    if _HEX.fullmatch(text) and len(text) >= LEAST_RANDOM:
        return True
    if sum(map(len, _READABLE.findall(text))) <= MOST_READABLE * len(text):
        return True
    kinds = [0 if c.isdigit() else 1 if c.islower() else 2 for c in text]
    return sum(a != b for a, b in pairwise(kinds)) >= LEAST_CHANGES * len(text)
