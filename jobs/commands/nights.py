"""`culling retrain` and `report`: nights, and what they were worth."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

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
from jobs.errors import EXIT_DONE, UsageError, describe, exit_code

if TYPE_CHECKING:
    from culling_pipeline.run.progress import Progress
    from jobs.commands.listing import Listing
    from jobs.config.settings import Config
    from jobs.database.store import Store

logger = logging.getLogger(__name__)


app = typer.Typer()


@app.command()
def retrain(
    cameras: Annotated[list[str], typer.Argument(metavar="CAMERA...", help="Their names.")] = [],  # noqa: B006
    all_cameras: Annotated[bool, typer.Option("--all", help="All cameras.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard an unfinished night and start a new one.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run one night for these cameras now, or resume an unfinished one."""
    from jobs.commands.progress import open_progress
    from jobs.database.store import open_store

    loaded = load(config, overrides)
    names = chosen(loaded, cameras, all_cameras=all_cameras)
    results: dict[str, dict[str, Any]] = {}
    with open_store(loaded) as store:
        for name in names:
            results[name] = _retrain_one(loaded, name, store, open_progress(), fresh=fresh)
        shown = _shown(loaded, names, store)
    if as_json:
        print_json({"cameras": results})
    else:
        print_table(shown)
    raise typer.Exit(max(result["exit_code"] for result in results.values()))


def _retrain_one(
    config: Config, name: str, store: Store, progress: Progress, *, fresh: bool
) -> dict[str, Any]:
    from jobs.commands.summary import night_to_dict
    from jobs.nights.nightly import retrain_camera

    code, text = EXIT_DONE, None
    try:
        retrain_camera(config, name, store=store, progress=progress, fresh=fresh)
    except Exception as error:  # the boundary: one camera's trouble must not stop the others
        code, text = exit_code(error), describe(error, data_dir=config.data_dir)
        logger.debug("camera %s", name, exc_info=error)
        typer.echo(f"culling: {name}: {text}", err=True)
    night = store.latest_night(name)
    shown = {} if night is None else night_to_dict(config, night, store.record(night.id))
    return {**shown, "error": text, "exit_code": code}


@app.command()
def report(
    camera: Annotated[str | None, typer.Argument(metavar="[CAMERA]", help="Its name.")] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show the latest nights; with a camera, all figures of its night and the report's path."""
    from jobs.bucket.sharing import open_sharing
    from jobs.commands.summary import night_to_dict
    from jobs.database.store import open_store

    loaded = load(config, overrides)
    names = chosen(loaded, [camera] if camera else [], all_cameras=camera is None)
    sharing = open_sharing(loaded)
    with open_store(loaded) as store:
        nights = store.latest_nights(names)
        for night in nights.values():
            if night.state == "done":
                sharing.bring_report(night.camera, night.run_id)
        record = store.record(nights[camera].id) if camera in nights else None
        table = _shown(loaded, names, store)
    if camera and camera not in nights:
        message = f"camera {camera!r} has no night yet: run `culling retrain {camera}`"
        raise UsageError(message)
    if as_json:
        shown = {
            name: night_to_dict(loaded, nights[name], record) if name in nights else None
            for name in names
        }
        print_json({"cameras": shown})
    else:
        print_table(table)


def _shown(config: Config, names: Sequence[str], store: Store) -> Listing:
    """One camera's night in full, or a row for each of several."""
    from jobs.commands.summary import night_table, nights_table

    nights = store.latest_nights(names)
    if len(names) == 1 and nights:
        night = nights[names[0]]
        return night_table(config, night, store.record(night.id))
    return nights_table(config, {name: nights.get(name) for name in names})
