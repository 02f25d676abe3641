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


Names = Annotated[
    list[str], typer.Argument(metavar="CAMERA...", help="Names of cameras or groups.")
]
app = typer.Typer()


@app.command()
def retrain(
    cameras: Names = [],  # noqa: B006
    all_cameras: Annotated[bool, typer.Option("--all", help="All cameras.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Discard an unfinished night and start a new one.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run one night for these cameras now, or resume an unfinished one.

    A camera in a group has its night with the group.
    """
    from jobs.commands.progress import open_progress
    from jobs.database.store import open_store

    loaded = load(config, overrides)
    given = [member for name in cameras for member in loaded.groups.get(name, [name])]
    names = chosen(loaded, given, all_cameras=all_cameras)
    results: dict[str, dict[str, Any]] = {}
    with open_store(loaded) as store:
        for name in names:
            if name not in results:
                results |= _retrain(loaded, name, store, open_progress(), fresh=fresh)
        names = list(results)
        shown = _shown(loaded, names, store)
    if as_json:
        print_json({"cameras": results})
    else:
        print_table(shown)
    raise typer.Exit(max(result["exit_code"] for result in results.values()))


def _retrain(
    config: Config, name: str, store: Store, progress: Progress, *, fresh: bool
) -> dict[str, dict[str, Any]]:
    """The night of this camera, or of all cameras of its group, and what came of each."""
    from jobs.commands.summary import night_to_dict
    from jobs.nights.night_of import night_of

    code, text, group = EXIT_DONE, None, night_of(config, name)
    try:
        group.run(store=store, progress=progress, fresh=fresh)
    except Exception as error:  # the boundary: one camera's trouble must not stop the others
        code, text = exit_code(error), describe(error, data_dir=config.data_dir)
        logger.debug("camera %s", name, exc_info=error)
        typer.echo(f"culling: {group.name}: {text}", err=True)
    results = {}
    for camera in group.cameras:
        night = store.latest_night(camera)
        shown = {} if night is None else night_to_dict(config, night, store.record(night.id))
        results[camera] = {**shown, "error": text, "exit_code": code}
    return results


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
