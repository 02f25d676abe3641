"""`culling bootstrap`: a first student, where there is none yet."""

from __future__ import annotations

from dataclasses import asdict
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

if TYPE_CHECKING:
    from jobs.commands.listing import Listing
    from jobs.nights.bootstrap import Bootstrapped

app = typer.Typer()


@app.command()
def bootstrap(
    cameras: Annotated[list[str], typer.Argument(metavar="CAMERA...", help="Their names.")] = [],  # noqa: B006
    all_cameras: Annotated[bool, typer.Option("--all", help="All cameras.")] = False,
    frames: Annotated[
        int, typer.Option(min=2, help="Training frames, from all cameras together.")
    ] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over these frames.")] = 24,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from random weights, not from ImageNet.")
    ] = False,
    cost_only: Annotated[
        bool, typer.Option("--cost-only", help="Print the estimated cost and stop.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Train a first student for several cameras at once.

    Frames are drawn evenly from all of them and labelled by the teacher. If it is interrupted, the
    same command resumes it.
    """
    from jobs.commands.progress import open_progress
    from jobs.nights.bootstrap import Bootstrap
    from jobs.nights.bootstrap_inputs import BootstrapInputs, Wish
    from jobs.nights.cost import bootstrap_cost

    loaded = load(config, overrides)
    names = chosen(loaded, cameras, all_cameras=all_cameras)
    wish = Wish(frames=frames, epochs=epochs, from_scratch=from_scratch)
    inputs, progress = BootstrapInputs(loaded, names, wish), open_progress()
    job = Bootstrap(inputs, progress)
    inputs.bring(progress)
    cost = bootstrap_cost(inputs)
    progress.note(cost.in_words())
    shown: dict[str, Any] = {"cost": asdict(cost) | {"total_s": cost.total_s}}
    if not cost_only:
        result = job.run()
        shown |= _as_json(result)
        if not as_json:
            print_table(_table(result))
        for line in _advice(result):
            typer.echo(line, err=True)
    if as_json:
        print_json(shown)


def _as_json(result: Bootstrapped) -> dict[str, Any]:
    cameras = {
        found.camera: {
            "version": found.version,
            "map50": found.accuracy.score.value,
            "map50_before": None if found.before is None else found.before.score.value,
            "control_frames": found.accuracy.frames,
            "in_use": found.in_use,
            "why": found.why,
        }
        for found in result.cameras
    }
    return {"weights": str(result.weights), "objects": result.objects, "cameras": cameras}


def _table(result: Bootstrapped) -> Listing:
    from jobs.commands.listing import Listing, Name

    table = Listing("camera", "version", "mAP50", "before", "in use", "why")
    for found in result.cameras:
        table.add_row(
            Name(found.camera),
            Name(found.version),
            f"{found.accuracy.score.value:.3f}",
            "–" if found.before is None else f"{found.before.score.value:.3f}",
            "yes" if found.in_use else "no",
            found.why,
        )
    return table


def _advice(result: Bootstrapped) -> list[str]:
    """What to do next."""
    unseen = [name for name, count in result.objects.items() if count == 0]
    said = [f"for cameras to come: student: {{weights: {result.weights}}}"]
    if unseen:
        said.append(f"the teacher showed it no {' and no '.join(unseen)}: it will find none yet")
    said += [
        f"{found.camera}: `culling rollback {found.camera} {found.version}` puts it to work all "
        "the same"
        for found in result.cameras
        if not found.in_use
    ]
    return said
