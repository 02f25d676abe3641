"""What the commands share: their common options, the configuration, JSON on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.errors import UsageError

if TYPE_CHECKING:
    from jobs.commands.listing import Listing
    from jobs.config.settings import Config


Camera = Annotated[str, typer.Argument(metavar="CAMERA", help="Its name in the configuration.")]
ConfigPath = Annotated[Path, typer.Option("--config", help="The configuration file.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Overrides the file; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
DEFAULT_CONFIG = Path("config.yaml")


def load(path: Path, overrides: Sequence[str]) -> Config:
    from jobs.config.load import load_config, parse_overrides

    return load_config(path, overrides=parse_overrides(overrides))


def names_in(classes: str | None, option: str = "--classes") -> tuple[str, ...] | None:
    """What --classes names; None if it was not given."""
    if classes is None:
        return None
    names = tuple(filter(None, map(str.strip, classes.split(","))))
    if not names:
        message = f"{option}: name what to find, such as person,car"
        raise UsageError(message)
    return names


def chosen(config: Config, names: Sequence[str], *, all_cameras: bool) -> list[str]:
    for name in names:
        if name not in config.cameras:
            message = f"there is no camera {name!r}; known: {', '.join(config.cameras)}"
            raise UsageError(message)
    if all_cameras == bool(names):
        message = "name cameras or give --all, and not both"
        raise UsageError(message)
    return list(config.cameras) if all_cameras else list(dict.fromkeys(names))


def print_table(table: Listing) -> None:
    """Print on stdout, as wide as the terminal; a longer name sticks out."""
    from rich.console import Console

    Console().print(table, crop=False)


def print_json(content: dict[str, Any]) -> None:
    is_utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().startswith("utf")
    typer.echo(json.dumps(content, ensure_ascii=not is_utf8))
