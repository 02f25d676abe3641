"""`culling schedule show`: a training schedule, shown without training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobs.commands.common import AsJson, print_json
from jobs.errors import UsageError

if TYPE_CHECKING:
    from culling_pipeline.training.options import ScheduleCourse

app = typer.Typer(help="Show training schedules without training.")


@app.callback()
def _schedule() -> None:
    """Makes `show` a command of its own."""


@app.command("show")
def schedule_show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="standard, curriculum, clip, dap or clip-dap.")
    ],
    samples: Annotated[int, typer.Option(help="Images in the training set.")],
    epochs: Annotated[int, typer.Option(help="Number of epochs.")],
    warm_up: Annotated[
        int | None, typer.Option(help="DaP's W: epochs on everything at the start.")
    ] = None,
    interval: Annotated[int | None, typer.Option(help="DaP's I: epochs between drops.")] = None,
    keep: Annotated[float | None, typer.Option(help="DaP's p: share kept at a drop.")] = None,
    pick: Annotated[
        list[int] | None, typer.Option(help="DaP's R: epoch of a pick; repeatable.")
    ] = None,
    active: Annotated[
        int | None, typer.Option(help="DaP's α: drops stop α epochs after a pick.")
    ] = None,
    start: Annotated[float | None, typer.Option(help="CLIP's g₀: share at the start.")] = None,
    pace_power: Annotated[int | None, typer.Option(help="CLIP's p: 1 linear, 2 quadratic.")] = None,
    pace_end: Annotated[
        float | None, typer.Option(help="CLIP's a: share of epochs until all are in.")
    ] = None,
    prune_ratio: Annotated[float | None, typer.Option(help="CLIP's ε: share left out.")] = None,
    epsilon_mode: Annotated[
        Literal["fixed", "increasing", "decreasing"] | None,
        typer.Option(help="How CLIP's ε changes over the epochs."),
    ] = None,
    prune: Annotated[
        Literal["easiest", "hardest"] | None, typer.Option(help="What CLIP leaves out.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What a schedule would train on, epoch by epoch, and its share of computation. What is not
    given is as in a night by default."""
    course = _course(locals())
    if as_json:
        print_json({"computation": course.computation, "per_epoch": list(course.per_epoch)})
        return
    _draw(course.per_epoch, samples)
    typer.echo(f"computation: {course.computation:.1%} of standard training")


def _course(asked: Mapping[str, Any]) -> ScheduleCourse:
    """The course of the schedule that the command's options describe."""
    from culling_pipeline.training.options import ScheduleOptions, show
    from jobs.config.night import TrainingSettings

    given = {k: v for k, v in asked.items() if k in ScheduleOptions.__slots__ and v is not None}
    if given.get("pick"):
        given["pick"] = tuple(sorted(given["pick"]))
    epochs = asked["epochs"]
    usual = TrainingSettings(epochs=max(1, epochs)).to_options()  # `show` refuses fewer epochs
    try:
        options = replace(usual, **given)
        return show(asked["name"], samples=asked["samples"], epochs=epochs, options=options)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _draw(per_epoch: Sequence[int], samples: int) -> None:
    for epoch, images in enumerate(per_epoch, start=1):
        typer.echo(f"{epoch:5d} {images:9d} {'█' * round(40 * images / samples)}")
