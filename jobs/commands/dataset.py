"""`culling dataset export` and `import`: frames and labels for people to check and correct."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
)

app = typer.Typer(help="Export frames with labels as COCO; import corrected labels.")


@app.command("export")
def dataset_export(
    camera: Camera,
    output: Annotated[Path, typer.Option(help="A new folder for images and labels.")],
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Export the last night's kept set as COCO: images and annotations.json."""
    from jobs.database.store import open_store
    from jobs.exports.dataset import export_dataset

    loaded = load(config, overrides)
    chosen(loaded, [camera], all_cameras=False)
    with open_store(loaded) as store:
        done = export_dataset(loaded, camera, output, store=store)
    if as_json:
        print_json(done)
    else:
        said = f"{done['images']} images with {done['annotations']} boxes are in {output}"
        typer.echo(f"camera {camera!r}: {said}", err=True)


@app.command("import")
def dataset_import(
    camera: Camera,
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="Corrected labels, COCO.")],
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Import corrected labels; from now on they replace the teacher's.

    Every image in the file counts as checked, one without boxes as empty.
    """
    from jobs.database.store import open_store
    from jobs.exports.dataset import import_dataset

    loaded = load(config, overrides)
    chosen(loaded, [camera], all_cameras=False)
    with open_store(loaded) as store:
        done = import_dataset(loaded, camera, file, store=store)
    if as_json:
        print_json(done)
    else:
        said = (
            f"{done['images']} images with {done['annotations']} boxes taken ({done['new']} new), "
            f"{done['corrections']} corrected frames in all; the next night trains on them"
        )
        typer.echo(f"camera {camera!r}: {said}", err=True)
