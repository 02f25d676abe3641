"""`culling density`: counting nets on data sets of points, CLIP's own experiment."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from jobs.commands.common import AsJson, print_json
from jobs.errors import UsageError

if TYPE_CHECKING:
    from culling_pipeline.tasks.density.metrics import DensityScores
    from culling_pipeline.training.density import DensityPlan
    from jobs.nights.density import DensityTraining

app = typer.Typer(help="Train and measure nets that count on data sets of points.")
Data = Annotated[
    Path, typer.Argument(metavar="DIR", help="ShanghaiTech, Mall, CARPK, UCF-QNRF or points.csv.")
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]


Out = Annotated[Path, typer.Option(help="File to write; a checkpoint lies beside it until then.")]
Width = Annotated[float, typer.Option(min=0.05, max=4, help="Factor on the number of channels.")]
FromScratch = Annotated[
    bool, typer.Option("--from-scratch", help="Start from random weights, not from VGG-16.")
]
Epochs = Annotated[int, typer.Option(min=1, help="Number of epochs.")]
Batch = Annotated[int, typer.Option(min=1, help="Pictures per step.")]
Sigma = Annotated[
    float, typer.Option(min=0.1, help="σ of a point's Gaussian at the size of training, pixels.")
]
MaxSide = Annotated[int, typer.Option(min=32, help="Longer side of a picture, at most, pixels.")]
Crop = Annotated[
    int, typer.Option(min=0, help="Side of the random square that is trained on, pixels; 0: all.")
]
Difficulty = Annotated[
    str, typer.Option(help="CLIP: count, or weights of a trained net whose losses are taken.")
]


@app.command("train")
def density_train(
    data: Data,
    model: Annotated[
        Literal["mcnn", "csrnet", "csrnet_lite"], typer.Option(help="The net.")
    ] = "csrnet_lite",
    schedule: Annotated[
        Literal["standard", "curriculum", "clip", "dap", "clip-dap"],
        typer.Option(help="Which pictures an epoch trains on."),
    ] = "clip",
    out: Out = Path("density.safetensors"),
    what: Annotated[str, typer.Option(help="What is counted.")] = "person",
    width: Width = 1.0,
    from_scratch: FromScratch = False,
    epochs: Epochs = 100,
    batch: Batch = 1,
    learning_rate: Annotated[float, typer.Option(min=1e-9, help="Adam's.")] = 1e-4,
    sigma: Sigma = 4.0,
    max_side: MaxSide = 1024,
    crop: Crop = 0,
    difficulty: Difficulty = "count",
    pace_power: Annotated[int, typer.Option(help="CLIP's p: 1 linear, 2 quadratic.")] = 2,
    start: Annotated[float, typer.Option(help="CLIP's g₀: share at the start.")] = 0.25,
    pace_end: Annotated[float, typer.Option(help="CLIP's a: share of epochs until all.")] = 0.5,
    prune_ratio: Annotated[float, typer.Option(help="CLIP's ε: share left out.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random choices.")] = 0,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Train a counting net on the pictures for training, measure it on those for testing.

    If it is interrupted, the same command resumes it.
    """
    from jobs.commands.progress import open_progress
    from jobs.nights.density import DensityWish, train

    wish = DensityWish(
        data=data, out=out, net=model, width=width, class_name=what, max_side_px=max_side,
        difficulty=difficulty, from_scratch=from_scratch, device=device,
    )  # fmt: skip
    result = train(wish, _plan(locals()), open_progress())
    if as_json:
        print_json(_as_json(result))
    typer.echo(f"{result.weights}: {_in_words(result.test)}", err=True)


@app.command("evaluate")
def density_evaluate(
    data: Data,
    weights: Annotated[Path, typer.Argument(metavar="WEIGHTS", help="What `train` wrote.")],
    split: Annotated[
        Literal["train", "test"], typer.Option(help="Which pictures to measure on.")
    ] = "test",
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """MAE, RMSE, GAME, SSIM and PSNR of trained weights, at the size they were trained at."""
    from jobs.commands.progress import open_progress
    from jobs.nights.density import evaluate

    found = evaluate(data, weights, split=split, device=device, progress=open_progress())
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(_in_words(found))


def _plan(asked: dict[str, Any]) -> DensityPlan:
    """The training that the command's options describe."""
    from culling_pipeline.training.density import DensityPlan
    from jobs.config.night import TrainingSettings

    usual = TrainingSettings(epochs=asked["epochs"]).to_options()
    clip = ("start", "pace_power", "pace_end", "prune_ratio")
    try:
        return DensityPlan(
            schedule=asked["schedule"],
            epochs=asked["epochs"],
            batch_size=asked["batch"],
            learning_rate=asked["learning_rate"],
            sigma_px=asked["sigma"],
            crop_px=asked["crop"],
            seed=asked["seed"],
            options=replace(usual, **{name: asked[name] for name in clip}),
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _as_json(result: DensityTraining) -> dict[str, Any]:
    return {
        "weights": str(result.weights),
        "images": result.images,
        "epochs": [point.model_dump() for point in result.epochs],
        "test": asdict(result.test),
    }


def _in_words(found: DensityScores) -> str:
    grid = ", ".join(f"{value:.1f}" for value in found.game)
    ssim = "–" if found.ssim is None else f"{found.ssim:.3f}"
    psnr = "–" if found.psnr is None else f"{found.psnr:.1f} dB"
    return (
        f"MAE {found.mae:.1f}, RMSE {found.rmse:.1f}, GAME(0…4) {grid}, SSIM {ssim}, PSNR {psnr} "
        f"on {found.pictures} pictures"
    )
