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
from jobs.errors import UsageError

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
    from jobs.commands.versions import version_rows, versions_table

    changes = pin is not None or unpin is not None
    registry = _registry(camera, config, overrides, may_lag=not changes)
    if pin is not None:
        _known(registry, camera, pin)
        registry.pin(camera, pin)
    if unpin is not None:
        _known(registry, camera, unpin)
        registry.unpin(camera, unpin)
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
    registry = _registry(camera, config, overrides, may_lag=False)
    if version is None:
        before = registry.incumbent(camera)
        version = _parent(registry, camera, before)
        done = registry.promote(camera, version, instead_of=before)
        if not done:
            message = f"camera {camera!r}: a night put another model to work just now: look again"
            raise UsageError(message)
    else:
        _known(registry, camera, version)
        before = _incumbent_or_none(registry, camera)
        registry.promote(camera, version)
    if as_json:
        print_json({"camera": camera, "before": before, "incumbent": version})
    else:
        typer.echo(f"camera {camera!r}: {version} is in use (before: {before})", err=True)


def _registry(camera: str, config: Any, overrides: list[str], *, may_lag: bool) -> ModelRegistry:
    from jobs.bucket.sharing import open_registry

    loaded = load(config, overrides)
    chosen(loaded, [camera], all_cameras=False)
    return open_registry(loaded, [camera], may_lag=may_lag)


def _incumbent_or_none(registry: ModelRegistry, camera: str) -> str | None:
    """A damaged pointer must not prevent its repair."""
    from models.errors import WeightsError

    try:
        return registry.incumbent(camera)
    except WeightsError:
        return None


def _parent(registry: ModelRegistry, camera: str, incumbent: str | None) -> str:
    versions = registry.all_versions(camera)
    if incumbent is None:
        message = f"camera {camera!r} has no model in use yet: run `culling retrain {camera}`"
        raise UsageError(message)
    parent = registry.parent(camera, incumbent)
    if parent in versions:
        assert parent is not None
        return parent
    message = (
        f"camera {camera!r}: {incumbent} has no parent to go back to; name one of: "
        f"{', '.join(versions)}"
    )
    raise UsageError(message)


def _known(registry: ModelRegistry, camera: str, version: str) -> None:
    versions = registry.all_versions(camera)
    if version not in versions:
        known = ", ".join(versions) or "none"
        message = f"camera {camera!r} has no version {version!r}; there are: {known}"
        raise UsageError(message)
