"""A video file as a source."""

from __future__ import annotations

import stat
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import av

from streams.base import SourceNotFoundError, SourceUnreadableError, redact_url
from streams.decoding import Aspect, main_video_stream
from streams.left_out import LeftOut
from streams.pictures import MOST_PIXELS
from streams.recorded.header import Header
from streams.recorded.length import is_joined, measured_s
from streams.recorded.local_playlist import refuse_endless
from streams.recorded.recording import Recording, Shown
from streams.recorded.sound import Pass

PROTOCOLS = "file,crypto,data"
"""What a file may refer to: other files, never the network."""

REFERRING = frozenset(
    {"concat", "dash", "lavfi", "rtp", "rtp_mpegts", "rtsp", "sap", "sdp", "smoothstreaming"}
    | {"webm_dash_manifest"}
)
"""Formats that hold no picture but lead elsewhere, round in a circle if they like."""

LONGEST_STEP_S = 60.0
"""For opening, and for each read."""

LOOKED_AT = 5
"""So many places, evenly spaced, say which size is the commonest."""


class VideoFile(Recording):
    """Frames of a video file; without a creation time in it, its modification time dates it."""

    def __init__(
        self,
        path: str | Path,
        *,
        camera: str,
        started_at: datetime | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        self._path = Path(path)
        self._where = f"camera {camera!r}: {redact_url(str(path))}"
        super().__init__(
            camera=camera,
            location=redact_url(str(path)),
            kind="file",
            written_at=self._require_file(),
            started_at=started_at,
            most_pixels=most_pixels,
        )

    def _require_file(self) -> datetime:
        """When the file was last written; anything but a file is refused."""
        try:
            status = self._path.stat()
        except (FileNotFoundError, NotADirectoryError, ValueError) as exc:
            message = f"{self._where}: no such file; check the path in this camera's url"
            raise SourceNotFoundError(message) from exc
        except OSError as exc:
            message = f"{self._where}: cannot be looked at ({exc.strerror}); check its permissions"
            raise SourceUnreadableError(message) from exc
        if stat.S_ISDIR(status.st_mode):
            message = (
                f"{self._where}: a folder, not a video file; "
                "name one video in it, or open a folder of images as a folder source"
            )
            raise SourceUnreadableError(message)
        if not stat.S_ISREG(status.st_mode):
            message = f"{self._where}: a device or pipe, not a regular file; give a video file"
            raise SourceUnreadableError(message)
        return datetime.fromtimestamp(status.st_mtime, UTC)

    def _open(self) -> Any:
        return open_video(self._path, where=self._where, most_pixels=self._most_pixels)

    def _probe(self) -> tuple[Header, tuple[int, ...]]:
        """The shape is the commonest at a few places: a camera may change its size in mid-day. The
        length is measured where the header cannot know it."""
        header, first = super()._probe()
        duration_s = header.duration_s
        if duration_s is None or self._is_joined():
            with closing(self._open()) as container:
                duration_s = measured_s(container, header)
        header = replace(header, duration_s=duration_s)
        shapes = Counter([first])
        with closing(self._open()) as container, suppress(av.error.FFmpegError, OSError):
            for number in range(1, LOOKED_AT):
                offset_s = header.start_s + duration_s * number / LOOKED_AT
                container.seek(round(offset_s * av.time_base))
                shapes.update(self._next_shape(container))
        return header, shapes.most_common(1)[0][0]

    def _is_joined(self) -> bool:
        with closing(self._open()) as container:
            return is_joined(container, self._path.stat().st_size)

    def _next_shape(self, container: Any) -> list[tuple[int, ...]]:
        aspect = Aspect(main_video_stream(container))
        frame = next(self._decode(container, Pass(LeftOut(self._where))), None)
        if frame is None:
            return []
        try:
            return [self._shape(Shown(frame, 0.0, aspect.of(frame)))]
        except SourceUnreadableError:
            return []


def open_video(path: Path, *, where: str, most_pixels: int) -> Any:
    """PyAV's container of a video file, or of a playlist of files. Raises `SourceUnreadableError`
    if it is none."""
    # Absolute, so that no file name is taken for a protocol.
    try:
        is_playlist = refuse_endless(path, where=where)
        return av.open(
            str(path.absolute()),
            metadata_errors="replace",
            options={
                "protocol_whitelist": PROTOCOLS,
                "format_whitelist": plain_formats(is_playlist),
                "max_pixels": str(most_pixels),
            },
            timeout=LONGEST_STEP_S,
        )
    except PermissionError as exc:
        message = f"{where}: permission denied; make the file readable"
        raise SourceUnreadableError(message) from exc
    except TimeoutError as exc:  # FFmpeg's own, too
        message = f"{where}: does not open within {LONGEST_STEP_S:g} s; copy it elsewhere"
        raise SourceUnreadableError(message) from exc
    except (av.error.FFmpegError, OSError, ValueError) as exc:
        message = (
            f"{where}: not a video that can be opened (damaged, cut off before its "
            "index, or another kind of file); play it elsewhere or copy it again"
        )
        raise SourceUnreadableError(message) from exc


@cache
def plain_formats(is_playlist: bool = False) -> str:
    """Every format there is, without those that lead elsewhere."""
    left_out = REFERRING if is_playlist else REFERRING | {"hls"}
    return ",".join(sorted(av.formats_available - left_out))
