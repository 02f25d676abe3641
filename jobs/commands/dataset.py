"""`culling dataset export` and `import`: frames and labels for people to look at and correct."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigPath,
    Overrides,
    chosen,
    load,
    print_json,
)

app = typer.Typer(help="Frames and labels out, in COCO's format, and corrected labels in.")


@app.command("export")
def dataset_export(
    camera: str,
    output: Annotated[Path, typer.Option(help="A new folder for images and labels.")],
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """The last night's kept set: images and annotations.json, for FiftyOne, CVAT, Label Studio."""
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
    camera: str,
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="COCO, corrected.")],
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Take corrected labels back; from now on they outrank the teacher's. Every image in the file
    counts as looked at."""
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
