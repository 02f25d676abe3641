"""`culling init`, `add`, `check` and `demo`: the first five minutes."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Literal

import typer

from jobs.commands.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigPath,
    Overrides,
    load,
    print_json,
    print_table,
)
from jobs.commands.wishes import TaskOption, TeacherClassesOption, TeacherOption, wish_of
from jobs.errors import EXIT_DONE

app = typer.Typer()


@app.command()
def init(
    config: Annotated[Path, typer.Option("--config", help="File to write.")] = DEFAULT_CONFIG,
    schema: Annotated[
        bool, typer.Option("--schema", help="Only the schema for editors, after an upgrade.")
    ] = False,
) -> None:
    """Write a commented config.yaml with every key and its default."""
    from jobs.config.new_file import write_config, write_schema

    if schema:
        typer.echo(f"wrote {write_schema(config.parent)}", err=True)
        return
    write_config(config)
    typer.echo(f"wrote {config}: name your cameras in it, then run `culling check`", err=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Letters a-z, digits, _ and -.")],
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="rtsp://…, http(s)://…, a file, a folder, device:0."),
    ],
    classes: Annotated[
        str | None, typer.Option(help="What to find, e.g. person,car.", show_default=False)
    ] = None,
    task: TaskOption = None,
    teacher: TeacherOption = None,
    teacher_classes: TeacherClassesOption = None,
    password_file: Annotated[
        Path | None, typer.Option(help="File to keep the password in.", show_default=False)
    ] = None,
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Connect to it first.")] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Even if another camera has this source.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
    timeout_s: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the camera.")
    ] = 30.0,
) -> None:
    """Connect to a camera, show what it is, and add it to config.yaml."""
    from jobs.setup.add import Request, add_camera

    _leave_health_to_the_answer()
    added = add_camera(
        Request(
            name=name,
            url=url,
            config=config,
            wish=wish_of(classes, task, teacher, teacher_classes),
            password_file=password_file,
            look=probe,
            force=force,
            timeout_s=timeout_s,
        )
    )
    if as_json:
        print_json(added.to_dict() | {"exit_code": EXIT_DONE})
    else:
        typer.echo("\n".join(added.lines()))
    for note in added.notes():
        typer.echo(f"culling: {note}", err=True)


@app.command()
def check(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for a stream.")] = 30.0,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch published weights first.")
    ] = False,
) -> None:
    """Check the configuration, every stream and every model, and estimate what nights cost."""
    from jobs.commands.progress import open_progress
    from jobs.commands.summary import findings_table
    from jobs.setup.check import check_config, download_weights, worst_exit_code

    _leave_health_to_the_answer()
    loaded = load(config, overrides)
    progress = open_progress()
    if download:
        download_weights(loaded, progress)
    findings = check_config(loaded, timeout_s=timeout_s, progress=progress)
    code = worst_exit_code(findings)
    if as_json:
        print_json({"findings": [found.to_dict() for found in findings], "exit_code": code})
    else:
        print_table(findings_table(findings))
    raise typer.Exit(code)


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="Folder for its data.")] = Path("demo-data"),
    task: Annotated[
        Literal["boxes", "count"],
        typer.Option(help="A street with boxes, or a square whose people are counted."),
    ] = "boxes",
    as_json: AsJson = False,
) -> None:
    """Run one whole night on a synthetic camera: offline, about five minutes on two cores.

    With `--task count` it takes less than three.
    """
    from jobs.commands.progress import open_progress
    from jobs.commands.summary import demo_to_dict, in_one_line, record_table
    from jobs.nights.demo import run_demo

    config, record = run_demo(data_dir, progress=open_progress(), task=task)
    if as_json:
        print_json(demo_to_dict(config, record))
    else:
        print_table(record_table(config, record))
        typer.echo(in_one_line(config, record))


def _leave_health_to_the_answer() -> None:
    """The answer already reports a camera that is off; a log line would repeat it."""
    if not logging.getLogger("streams").isEnabledFor(logging.DEBUG):
        logging.getLogger("streams.live.health").setLevel(logging.ERROR)
