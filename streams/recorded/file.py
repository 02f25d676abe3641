"""A video file as a source."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av

from streams.base import SourceNotFoundError, SourceUnreadableError, redact_url
from streams.recorded.recording import Recording


class VideoFile(Recording):
    """Frames of a video file; without a creation time in it, its modification time dates it."""

    def __init__(
        self, path: str | Path, *, camera: str, started_at: datetime | None = None
    ) -> None:
        self._path = Path(path)
        self._where = f"camera {camera!r}: {redact_url(str(path))}"
        super().__init__(
            camera=camera,
            location=redact_url(str(path)),
            kind="file",
            written_at=self._require_file(),
            started_at=started_at,
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
        # Absolute, so that no file name is taken for a protocol: FFmpeg lets what is opened as a
        # file, a playlist say, refer to other files only, never to the network.
        try:
            return av.open(str(self._path.absolute()), metadata_errors="replace")
        except PermissionError as exc:
            message = f"{self._where}: permission denied; make the file readable"
            raise SourceUnreadableError(message) from exc
        except (av.error.FFmpegError, OSError, ValueError) as exc:
            message = (
                f"{self._where}: not a video that can be opened (damaged, cut off before its "
                "index, or another kind of file); play it elsewhere or copy it again"
            )
            raise SourceUnreadableError(message) from exc
