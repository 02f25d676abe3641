"""`culling models` and `rollback`: a camera's model versions, and which is in use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.commands.common import (
    DEFAULT_CONFIG,
    AsJson,
    Camera,
    ConfigPath,
    Overrides,
    chosen,
    load,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from models.registry import ModelRegistry

app = typer.Typer()


@app.command()
def models(
    camera: Camera,
    pin: Annotated[
        str | None, typer.Option("--pin", metavar="VERSION", help="Keep this version for ever.")
    ] = None,
    unpin: Annotated[
        str | None,
        typer.Option("--unpin", metavar="VERSION", help="Let it be removed when it is old."),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """List the camera's model versions: parent, accuracy, cost. The one in use has a star."""
    from jobs.cameras.versions import set_pin, version_rows
    from jobs.commands.versions import versions_table

    changes = pin is not None or unpin is not None
    registry = _registry(camera, config, overrides, may_lag=not changes)
    if pin is not None:
        set_pin(registry, camera, pin, pinned=True)
    if unpin is not None:
        set_pin(registry, camera, unpin, pinned=False)
    rows = version_rows(registry, camera)
    if as_json:
        incumbent = registry.incumbent(camera)
        print_json({"camera": camera, "incumbent": incumbent, "versions": rows})
    elif rows:
        print_table(versions_table(rows))
    else:
        typer.echo(f"camera {camera!r} has no version of its own yet", err=True)


@app.command()
def rollback(
    camera: Camera,
    version: Annotated[
        str | None, typer.Argument(help="Version to use; default: the parent of the one in use.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Put an earlier version of the camera's model to work, or any that you name."""
    from jobs.cameras.versions import roll_back

    done = roll_back(_registry(camera, config, overrides, may_lag=False), camera, version)
    if as_json:
        print_json({"camera": camera, "before": done.before, "incumbent": done.now})
    else:
        typer.echo(f"camera {camera!r}: {done.now} is in use (before: {done.before})", err=True)


def _registry(camera: str, config: Any, overrides: list[str], *, may_lag: bool) -> ModelRegistry:
    from jobs.bucket.sharing import open_registry

    loaded = load(config, overrides)
    chosen(loaded, [camera], all_cameras=False)
    return open_registry(loaded, [camera], may_lag=may_lag)
