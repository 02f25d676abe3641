"""`culling export`: a camera's student as a file for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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

app = typer.Typer()


@app.command()
def export(
    camera: Camera,
    format_: Annotated[
        Literal["onnx", "torchscript", "openvino"], typer.Option("--format", help="File format.")
    ],
    layout: Annotated[
        Literal["ours", "yolo-nas-flat", "ssd"],
        typer.Option(help="What goes in and comes out: ours, or what recorders read."),
    ] = "ours",
    output: Annotated[
        Path | None,
        typer.Option(help="File to write; default: CAMERA-VERSION here.", show_default=False),
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="Version to export; default: the one in use.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Export the camera's model as ONNX, TorchScript or OpenVINO IR.

    The file is checked on the control slice before it is written.
    """
    from jobs.commands.progress import open_progress
    from jobs.database.store import open_store
    from jobs.exports.export import export_camera

    loaded = load(config, overrides)
    chosen(loaded, [camera], all_cameras=False)
    with open_store(loaded) as store:
        exported = export_camera(
            loaded,
            camera,
            store=store,
            progress=open_progress(),
            format_=format_,
            layout=layout,
            output=output,
            version=version,
            force=force,
        )
    if as_json:
        print_json(exported.to_dict())
    else:
        typer.echo(exported.in_words, err=True)
