"""The log on stderr, as text or as one JSON object a line, and the service's last entries in a file
as well; never with a password in it."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from jobs.errors import redact

AS_IT_IS = {"as_it_is": True}
"""`extra` of the one entry that has to show a secret: the address of the pages, with its token."""


LOG_FILE, OLDER = "culling-run.log", "culling-run.log.1"
LONGEST_FILE = 512 * 1024
"""Bytes; then it becomes the older one, and that one goes."""
TAIL = 48 * 1024
"""Bytes that are read of the end at most."""


class TextFormatter(logging.Formatter):
    """Cuts passwords out of whole entries, including tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        return _shown(record, super().format(record))


class JsonFormatter(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`, and a traceback as `error` if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _shown(record, record.getMessage()),
        }
        if record.exc_info:
            entry["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(entry, ensure_ascii=False)


def log_to_stderr(*, as_json: bool = False, times: bool = False) -> None:
    """Log warnings and worse to stderr from now on; `times` puts the time before each line."""
    handler = logging.StreamHandler()
    shape = "%(asctime)s culling: %(message)s" if times else "culling: %(message)s"
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter(shape))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


class LogFile(logging.Handler):
    """Keeps the last entries in `data_dir`, for the pages of another process, too. What cannot be
    written is on stderr all the same."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__()
        self._path, self._older = data_dir / LOG_FILE, data_dir / OLDER
        self.setFormatter(TextFormatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S%z"))

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "as_it_is", False):  # the pages' token has no business on a page
            return
        with suppress(OSError):
            entry = f"{self.format(record)}\n".encode(errors="replace")
            file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                os.write(file, entry)
                is_full = os.fstat(file).st_size > LONGEST_FILE
            finally:
                os.close(file)
            if is_full:
                os.replace(self._path, self._older)


def log_to_file(data_dir: Path) -> None:
    """Log to the file as well, from now on."""
    logging.getLogger().addHandler(LogFile(data_dir))


def last_entries(data_dir: Path, most: int) -> list[str]:
    """The last lines of the service's log, the latest first."""
    text = b"".join(_end_of(data_dir / name) for name in (OLDER, LOG_FILE))
    lines = redact(text.decode(errors="replace")).splitlines()
    return lines[: -most - 1 : -1]


def _end_of(path: Path) -> bytes:
    """Its last `TAIL` bytes at most, from the beginning of a line."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            text = file.read(TAIL)
    except OSError:
        return b""
    return text if size <= TAIL else text.partition(b"\n")[2]


def _shown(record: logging.LogRecord, text: str) -> str:
    return text if getattr(record, "as_it_is", False) else redact(text)
