"""`culling init`: writes the commented config.yaml that names every key."""

from __future__ import annotations

from pathlib import Path

from jobs import config
from jobs.errors import ConfigError

TEMPLATE = Path(config.__path__[0]) / "template.yaml"


def write_config(path: Path) -> None:
    """Write the template to `path`; an existing file is never touched."""
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
