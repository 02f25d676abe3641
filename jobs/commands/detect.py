"""`culling detect`: what a camera's student finds in a video, drawn or as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from jobs.commands.common import (
    DEFAULT_CONFIG,
    Camera,
    ConfigPath,
    Overrides,
    chosen,
    load,
    print_json,
)
from jobs.errors import UsageError

app = typer.Typer()


@app.command()
def detect(
    camera: Camera,
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A video, a folder of images or an address.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Write a video with boxes, .mp4.", show_default=False)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON per frame.")
    ] = False,
    every: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds between frames; 0: every frame; default: as fps."),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after N frames.", metavar="N")
    ] = None,
    version: Annotated[
        str | None,
        typer.Option(help="Version to use; default: the one in use.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
) -> None:
    """Run the camera's model on a video: draw the boxes, or print them as JSON."""
    from jobs.commands.progress import open_progress
    from jobs.exports.detect import Wanted
    from jobs.exports.detect import detect as run

    if output is None and not as_json:
        message = "say what to make of it: --output VIDEO.mp4, --json, or both"
        raise UsageError(message)
    loaded = load(config, overrides)
    chosen(loaded, [camera], all_cameras=False)
    wanted = Wanted(
        output=output,
        on_line=print_json if as_json else None,
        every_s=every,
        frames=frames,
        version=version,
        force=force,
    )
    done = run(loaded, camera, source, wanted, progress=open_progress())
    if output is not None:
        typer.echo(f"camera {camera!r}: {done} frames are in {output}", err=True)
