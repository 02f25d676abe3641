"""From an address to a source: what kind of thing it names, and a clear no to the rest."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from streams.base import FrameSource, SourceNotFoundError, SourceUrlError, redact_url
from streams.file import VideoFile
from streams.folder import ImageFolder
from streams.synthetic import SyntheticCamera

ALLOWED = "a video file, a folder of images, file:///path or synthetic://street?seed=7"

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_YOUTUBE = re.compile(r"^((www|m)\.)?(youtube\.com|youtu\.be)/", re.IGNORECASE)


def open_source(url: str, *, camera: str) -> FrameSource:
    """Open what `url` names; raises a `StreamError` that says what is wrong and what to do."""
    found = _SCHEME.match(url)
    scheme = found.group(1).lower() if found else ""
    if scheme == "synthetic":
        return SyntheticCamera.from_url(url, camera=camera)
    if scheme not in ("", "file") or _YOUTUBE.match(url):
        message = (
            f"camera {camera!r}: {redact_url(url)}: live sources and web addresses are not there "
            f"yet in this version; give {ALLOWED}"
        )
        raise SourceUrlError(message)
    path = _path_of_file_url(url, camera) if scheme == "file" else _path_of(url, camera)
    if os.path.isdir(path):  # unlike Path.is_dir, False for whatever cannot be looked at
        return ImageFolder(path, camera=camera)
    return VideoFile(path, camera=camera)


def _path_of_file_url(url: str, camera: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        message = (
            f"camera {camera!r}: {url}: a file address needs a whole path after three slashes, "
            "for example file:///data/clip.mp4"
        )
        raise SourceUrlError(message)
    return Path(unquote(parts.path))


def _path_of(text: str, camera: str) -> Path:
    if not text.strip():
        message = f"camera {camera!r}: the url is empty; give {ALLOWED}"
        raise SourceUrlError(message)
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        message = f"camera {camera!r}: {text}: no such user's home folder; write the whole path"
        raise SourceNotFoundError(message) from exc
