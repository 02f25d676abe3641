"""YouTube and the other sites yt-dlp knows: from a page to the address of its stream.

The page's address is what is kept. A stream's address is good for a few hours and one network
address only, so it is asked for anew at every connection, and before it expires.
"""

from __future__ import annotations

import logging
import queue
import re
import shutil
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from streams.address import Address
from streams.base import DAY_S
from streams.failures import NO_STREAM, NOT_WEB, TIMED_OUT, failure, reason_of, reason_of_status
from streams.requests import OURS_ALONE
from streams.secret_places import secrets_in
from streams.secret_words import SHORTEST
from streams.web import is_web

logger = logging.getLogger(__name__)

EXPIRY_MARGIN_S, EXPIRY_SHARE = 300.0, 0.1
"""How long before its end an address is given up: this much, or a tenth of what is left."""

LEAST_S, STEPS = 60.0, 6
"""How long all of yt-dlp's questions may take together: this, or so many times the time-out of one.
YouTube's pages with a JavaScript runtime take half a minute on a slow machine."""

LONGEST_EXPIRY_S = 7 * DAY_S
"""An `expire` further away is something else."""

HEARD, EXPLAINED = 20_000, 160
"""How many characters of yt-dlp's own words are looked at, and how many are passed on."""

RUNTIMES: Mapping[str, tuple[str, str, str, tuple[int, ...]]] = {
    "deno": ("deno", "--version", r"deno (\d+(?:\.\d+)*)", (2, 3)),
    "node": ("node", "--version", r"v(\d+(?:\.\d+)*)", (22,)),
    "bun": ("bun", "--version", r"(\d+(?:\.\d+)*)", (1, 2, 11)),
    "quickjs": ("qjs", "--help", r"QuickJS.* version (\d+(?:[.-]\d+)*)", (2023, 12, 9)),
}
"""yt-dlp's name → the program, how to ask its version, where that stands, and the least that will
do (from yt-dlp 2026.10.26)."""

_EXPIRE = re.compile(r"[/?&;]expires?[/=](\d{9,11})(?=[/&;]|$)")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a page's stream is just now; its address is a secret of its own (it is signed)."""

    address: Address
    is_playlist: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    expires_at_s: float | None = None


class _Silence:
    """yt-dlp writes to stderr unless it is given something to talk to."""

    def debug(self, message: str) -> None: ...

    info = warning = error = debug


def resolve(page: Address, *, where: str, height_px: int, timeout_s: float) -> Resolved:
    """Ask yt-dlp for one stream with picture, at the live edge if it is live: the largest of at
    most `height_px`. `timeout_s` bounds each of its requests.

    Raises `ConnectionFailedError`.
    """
    import yt_dlp  # takes half a second, and most cameras have no page

    settings = {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "skip_download": True,
        "noplaylist": True,
        "cachedir": False,
        "color": "never",
        "logger": _Silence(),
        "format": f"best[height<=?{height_px}]/best",
        "live_from_start": False,
        "socket_timeout": timeout_s,
        "retries": 0,
        "extractor_retries": 0,
        "js_runtimes": {name: {"path": path} for name, path in find_runtimes().items()},
    }

    def extract() -> Any:
        with yt_dlp.YoutubeDL(settings) as site:
            return site.extract_info(page.secret, download=False)

    try:
        info = _within(max(LEAST_S, STEPS * timeout_s), extract)
    except yt_dlp.utils.YoutubeDLError as exc:
        reason, advice = _explain(exc, page)
    except TimeoutError:
        reason, advice = TIMED_OUT, None
    else:
        return _read_info(info, page, where)
    raise failure(where, reason, advice)  # outside of the handler: no __context__, no URL


def _within(limit_s: float, action: Callable[[], Any]) -> Any:
    """What `action` returns. Its own time-outs bound each wait, not all of them together: after
    `limit_s` it is left behind, in a thread that ends when the other side does."""
    done: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            done.put((action(), None))
        except BaseException as exc:
            done.put((None, exc))

    threading.Thread(target=run, name="site", daemon=True).start()
    try:
        found, failed = done.get(timeout=limit_s)
    except queue.Empty:
        raise TimeoutError from None
    if failed is not None:
        raise failed
    return found


def find_runtimes() -> dict[str, str]:
    """The JavaScript runtimes here that are new enough for yt-dlp: its name for each, and its path.

    YouTube's pages cannot be fully read without one.
    """
    found = {}
    for name, (program, flag, pattern, least) in RUNTIMES.items():
        path = _find_program(program)
        if path is not None and _version(path, flag, pattern) >= least:
            found[name] = path
    return found


def missing_runtime_advice() -> str | None:
    """What to install so that YouTube works fully; None if a JavaScript runtime is there."""
    if find_runtimes():
        return None
    least = ", ".join(f"{name} ≥ {'.'.join(map(str, v))}" for name, (*_, v) in RUNTIMES.items())
    return (
        "yt-dlp needs a JavaScript runtime for YouTube and found none that is new enough "
        f"({least}); install one, for example with: pip install 'culling-pipeline[youtube]'"
    )


def expires_in_s(url: str, now_unix_s: float) -> float | None:
    """Seconds after which to leave this address, some time before it expires by its own words."""
    found = _EXPIRE.search(url)
    if found is None:
        return None
    left_s = int(found.group(1)) - now_unix_s
    if not 0 < left_s < LONGEST_EXPIRY_S:
        return None
    return left_s - min(EXPIRY_MARGIN_S, EXPIRY_SHARE * left_s)


def _passed_on(headers: Mapping[Any, Any], page: Address) -> dict[str, str]:
    """What other hosts are told: they get our requests for the stream and its segments, so not the
    page's address with its login and tokens, nor what the page alone is to know. As browsers do."""
    secrets = [s for s in (*(page.login or ()), *secrets_in(page.secret)) if len(s) >= SHORTEST]
    passed: dict[str, str] = {}
    for name, value in ((str(n), str(v)) for n, v in headers.items()):
        if name.lower() in ("referer", "origin"):
            value = _origin_of(value, with_slash=name.lower() == "referer")
        elif name.lower() in OURS_ALONE:
            continue
        clean = value and not re.search(r"[\r\n\0\ud800-\udfff]", name + value)
        if clean and not any(secret in unquote(value) for secret in secrets):
            passed[name] = value
    return passed


def _origin_of(url: str, *, with_slash: bool) -> str:
    """Scheme and host of an address, nothing where there are none."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not host:
        return ""
    return f"{parts.scheme}://{host}{'/' if with_slash else ''}"


def _read_info(info: Any, page: Address, where: str) -> Resolved:
    info = _mapping(info)
    entries = info.get("entries")
    if isinstance(entries, Iterable):  # a page with several videos: its first
        info = _mapping(next((entry for entry in entries if entry), None))
    url = info.get("url")
    if url and not is_web(Address(str(url))):
        raise failure(where, NOT_WEB)
    if not isinstance(url, str) or not url or info.get("vcodec") == "none":
        raise failure(where, NO_STREAM)
    left_s = expires_in_s(url, time.time())
    return Resolved(
        Address(url),
        is_playlist=str(info.get("protocol", "")).startswith("m3u8"),
        headers=_passed_on(_mapping(info.get("http_headers")), page),
        expires_at_s=None if left_s is None else time.monotonic() + left_s,
    )


def _mapping(value: Any) -> Mapping[Any, Any]:
    """What an extractor made of a site's answer; empty where that is something else."""
    return value if isinstance(value, Mapping) else {}


def _explain(exc: Any, page: Address) -> tuple[str, str | None]:
    """The reason, and yt-dlp's own words without any address where they help."""
    cause = (getattr(exc, "exc_info", None) or (None, None, None))[1]
    inner = getattr(cause, "cause", None)
    status = getattr(cause, "status", None)
    if isinstance(status, int):
        return reason_of_status(status), None
    if type(cause).__name__ in ("TransportError", "SSLError", "ProxyError"):
        return reason_of(inner) if isinstance(inner, BaseException) else TIMED_OUT, None
    words = _COLOUR.sub("", str(exc)[:HEARD]).removeprefix("ERROR: ")
    words = " ".join("…" if "://" in word else word for word in words.split())
    for secret in page.login or ():
        words = words.replace(secret, "***") if secret else words
    return NO_STREAM, f"yt-dlp says: {words[:EXPLAINED].strip()}"


def _find_program(name: str) -> str | None:
    """Beside this Python first: that is where pip puts deno."""
    beside = Path(sysconfig.get_path("scripts")) / name
    return str(beside) if beside.is_file() else shutil.which(name)


def _version(path: str, flag: str, pattern: str) -> tuple[int, ...]:
    """(0,) for a program that does not say."""
    try:
        said = subprocess.run([path, flag], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError):
        return (0,)
    found = re.search(pattern, said.stdout)
    return tuple(int(n) for n in re.split(r"[.-]", found.group(1))) if found else (0,)
