"""The secrets this process knows, so that no text it shows holds one, wherever it stands."""

from __future__ import annotations

from urllib.parse import quote, unquote

SHORTEST = 4
"""Characters; a shorter secret is only hidden where it stands as one in an address, or half of
every text would be stars."""

MASK = "***"

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
