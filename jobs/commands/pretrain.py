"""`culling pretrain`: a student that knows COCO."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobs.commands.common import AsJson, print_json

if TYPE_CHECKING:
    from jobs.nights.pretrain import Pretrained

app = typer.Typer()


@app.command()
def pretrain(
    coco: Annotated[
        Path, typer.Option("--coco", metavar="DIR", help="Folder with annotations/ and train2017/.")
    ],
    out: Annotated[Path, typer.Option(help="File to write; checkpoints lie beside it.")] = Path(
        "student-coco.safetensors"
    ),
    architecture: Annotated[str, typer.Option(help="resnet18, resnet101, …")] = "resnet18",
    width: Annotated[
        float, typer.Option(min=0.05, max=4, help="Factor on the number of channels.")
    ] = 1.0,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from random weights, not from ImageNet.")
    ] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over COCO.")] = 26,
    batch: Annotated[int, typer.Option(min=1, help="Images per step and process.")] = 2,
    learning_rate: Annotated[
        float, typer.Option(min=1e-9, help="For 16 images per step; scaled with their number.")
    ] = 0.02,
    schedule: Annotated[
        Literal["standard", "dap"],
        typer.Option(help="dap: Drop-and-Pick, as its authors pre-train on ImageNet."),
    ] = "standard",
    min_side: Annotated[int, typer.Option(min=32, help="Shorter side of an image, pixels.")] = 800,
    max_side: Annotated[int, typer.Option(min=32, help="Longer side, at most, pixels.")] = 1333,
    loaders: Annotated[int, typer.Option(min=0, help="Processes that read images.")] = 4,
    save_minutes: Annotated[float, typer.Option(min=0, help="Minutes between checkpoints.")] = 10.0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a student on COCO.

    On eight GPUs: `torchrun --nproc-per-node 8 --no-python culling pretrain …`. If it is
    interrupted, the same command resumes it.
    """
    from culling_pipeline.training.pretraining import PretrainPlan
    from jobs.commands.progress import open_progress
    from jobs.nights.pretrain import PretrainWish, run_pretraining

    wish = PretrainWish(
        coco=coco, out=out, architecture=architecture, width=width, from_scratch=from_scratch,
        min_side_px=min_side, max_side_px=max_side, device=device,
    )  # fmt: skip
    plan = PretrainPlan(
        epochs=epochs, learning_rate=learning_rate, batch_size=batch, save_s=60 * save_minutes,
        loaders=loaders, schedule=schedule,
    )  # fmt: skip
    result = run_pretraining(wish, plan, open_progress())
    if result is not None:
        _show(result, as_json=as_json)


def _show(result: Pretrained, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(result))
    typer.echo(_in_words(result), err=True)


def _as_json(result: Pretrained) -> dict[str, Any]:
    accuracy = result.accuracy
    return {
        "weights": str(result.weights),
        "pictures": result.pictures,
        "val": None if accuracy is None else accuracy.model_dump(),
    }


def _in_words(result: Pretrained) -> str:
    accuracy = result.accuracy
    measured = "not measured: val2017 is not there"
    if accuracy is not None:
        box_ap = 100 * accuracy.further[0].value
        measured = f"{box_ap:.1f} box AP on {accuracy.frames:,} pictures of val2017"
    setting = f"student: {{weights: {result.weights}}}"
    return f"trained on {result.pictures:,} pictures, {measured}; {setting}"
