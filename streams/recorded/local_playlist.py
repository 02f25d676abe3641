"""An HLS playlist that lies on the disk, as recorders leave them. FFmpeg would wait for ever for
the rest of one without an end, and go round in one that names itself."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from streams.base import SourceUnreadableError
from streams.live.playlists import PlaylistError, parse_segments, parse_variants
from streams.pictures import PictureError, read_bytes

HEAD_BYTES = 1024
LONGEST_BYTES = 16 * 1024 * 1024
SIGN = b"#EXTM3U"

_REFERENCE = re.compile(r'URI="([^"\n]{1,4096})"')
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def refuse_endless(path: Path, *, where: str) -> bool:
    """Whether the file is a playlist; one that could hold FFmpeg for ever raises
    `SourceUnreadableError`."""
    with path.open("rb") as file:
        if not _is_playlist(file.read(HEAD_BYTES)):
            return False
    try:
        text = read_bytes(path, most_bytes=LONGEST_BYTES).decode("utf-8", "surrogateescape")
        if parse_variants(text):
            reason = "a playlist of playlists: name one of those in it"
        elif parse_segments(text).is_live:
            reason = "a playlist without its end: add the line #EXT-X-ENDLIST to it"
        else:
            bad = next((name for name in _files_in(text) if not _is_media(path, name)), None)
            if bad is None:
                return True
            reason = "a playlist of something else than video files beside it: give one of these"
    except (PlaylistError, PictureError) as exc:
        reason = f"a playlist that cannot be read ({exc})"
    message = f"{where}: {reason}"
    raise SourceUnreadableError(message)


def _is_playlist(head: bytes) -> bool:
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(SIGN)


def _files_in(text: str) -> Iterator[str]:
    for line in map(str.strip, text.split("\n")):
        if line.startswith("#"):
            yield from _REFERENCE.findall(line)
        elif line:
            yield line


def _is_media(playlist: Path, name: str) -> bool:
    """Whether this is a regular file, and no playlist again. Another protocol is no file."""
    scheme = _SCHEME.match(name)
    if scheme is not None and scheme.group(1).lower() == "data":
        return True
    if scheme is not None:
        return False
    found = [playlist.parent / name, playlist.parent / unquote(name.partition("?")[0])]
    for path in found:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                    return not _is_playlist(file.read(HEAD_BYTES))
        except (OSError, ValueError):
            continue
    return not any(map(os.path.lexists, found))  # a segment that is gone is only skipped
