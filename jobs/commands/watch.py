"""`culling ingest`: watch cameras until stopped."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jobs.commands.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigPath,
    Overrides,
    chosen,
    load,
    print_json,
    print_table,
)
from jobs.errors import EXIT_DONE, UsageError, exit_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobs.config.settings import Config
    from jobs.watch.watch import CameraWatch

app = typer.Typer()

LOOK_S = 1.0
"""How often config.yaml is looked at."""


@app.command()
def ingest(
    cameras: Annotated[
        list[str], typer.Argument(metavar="[CAMERA]...", help="All cameras, if none is named.")
    ] = [],  # noqa: B006
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Stop after 90s, 10m, 8h or 2d.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after N frames of each camera.", metavar="N")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Watch live cameras: score their frames and keep those a night may need.

    Ctrl-C stops it, and nothing is lost. `culling retrain` then trains on what was watched.
    """
    from jobs.commands.summary import feeds_table, feeds_to_dict
    from jobs.database.store import open_store
    from jobs.watch.watch import CameraWatch

    loaded = load(config, overrides)
    names = chosen(loaded, cameras, all_cameras=not cameras)
    logging.getLogger("streams").setLevel(logging.INFO)
    logging.getLogger("jobs").setLevel(logging.INFO)
    with open_store(loaded, may_be_away=True) as store:
        service = CameraWatch(
            loaded,
            [loaded.cameras[name] for name in names],
            store,
            for_s=None if duration is None else seconds_of(duration),
            frames=frames,
        )
        named = names if cameras else None
        try:
            with followed(service, loaded, (config, overrides), named):
                service.run()
        finally:
            if as_json:
                print_json({"cameras": feeds_to_dict(service)})
            else:
                print_table(feeds_table(service))
    errors = [watcher.error for watcher in service.watchers.values() if watcher.error]
    raise typer.Exit(max((exit_code(error) for error in errors), default=EXIT_DONE))


@contextmanager
def followed(
    watch: CameraWatch, config: Config, place: tuple[Path, list[str]], named: list[str] | None
) -> Iterator[None]:
    """Meanwhile cameras that are new in config.yaml, or other there, are taken up; of those that
    were named, no others."""
    from jobs.config.followed import FollowedConfig
    from jobs.config.load import parse_overrides

    followed = FollowedConfig(config, place[0], parse_overrides(place[1]))
    ends = threading.Event()

    def look() -> None:
        while not ends.wait(LOOK_S):
            now = followed.look()
            if now is not None:
                wanted = [c for n, c in now.cameras.items() if named is None or n in named]
                watch.take_up(now, wanted)

    looking = threading.Thread(target=look, name="config", daemon=True)
    looking.start()
    try:
        yield
    finally:
        ends.set()
        looking.join()


def seconds_of(text: str) -> float:
    """A time such as 90s, 10m, 8h or 2d."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None or float(found[1]) == 0:
        message = f"--for {text}: must be a time such as 90s, 10m, 8h or 2d"
        raise UsageError(message)
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]
