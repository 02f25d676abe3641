"""`culling init`: writes the commented config.yaml that names every key, and its schema."""

from __future__ import annotations

from pathlib import Path

from jobs import config
from jobs.errors import ConfigError

TEMPLATE = Path(config.__path__[0]) / "template.yaml"
SCHEMA = Path(config.__path__[0]) / "culling.schema.json"
"""The schema that editors check a config.yaml against; the first line of `TEMPLATE` names it."""


def write_config(path: Path) -> None:
    """Write the template to `path`, and the schema beside it; an existing file is never changed,
    except the schema, which nobody edits."""
    text = TEMPLATE.read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        message = f"{path}: exists already and is left as it is: remove it or name another file"
        raise ConfigError(message) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        message = f"{path}: there is no folder {path.parent}: make it first"
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
