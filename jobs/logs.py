"""The log on stderr, as text or as one JSON object a line; never with a password in it."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from jobs.errors import redact

AS_IT_IS = {"as_it_is": True}
"""`extra` of the one entry that has to show a secret: the address of the pages, with its token."""


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


def _shown(record: logging.LogRecord, text: str) -> str:
    return text if getattr(record, "as_it_is", False) else redact(text)
