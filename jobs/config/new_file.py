"""`culling init`: writes the commented config.yaml that names every key, and its schema."""

from __future__ import annotations

import os
from pathlib import Path

from jobs import config
from jobs.config.lock import locked
from jobs.errors import ConfigError

TEMPLATE = Path(config.__path__[0]) / "template.yaml"
SCHEMA = Path(config.__path__[0]) / "culling.schema.json"
"""The schema that editors check a config.yaml against; the first line of `TEMPLATE` names it."""

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


def write_config(path: Path) -> None:
    """Write the template to `path`, and the schema beside it; an existing file is never touched,
    but for the schema, which is never anybody's own. Only its owner can read a new one: people
    write passwords into it, whatever we advise."""
    text = TEMPLATE.read_text(encoding="utf-8")
    if not path.parent.is_dir():
        message = f"{path}: there is no folder {path.parent}: make it first"
        raise ConfigError(message)
    try:
        with locked(path), open(os.open(path, NEW, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        message = f"{path}: exists already and is left as it is: remove it or name another file"
        raise ConfigError(message) from error
    write_schema(path.parent)


def write_schema(folder: Path) -> Path:
    """Write the schema into a configuration's folder, in place of an older one."""
    path = folder / SCHEMA.name
    try:
        path.write_text(SCHEMA.read_text(encoding="utf-8"), encoding="utf-8")
    except OSError as error:
        message = f"{path}: cannot be written ({error.strerror})"
        raise ConfigError(message) from error
    return path
