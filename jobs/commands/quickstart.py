"""`culling quickstart`: from an address to a first report, in one command.

It does one after the other what a newcomer would do: add the camera, check it, watch it for a while
where it is live, run a first night on what is there, and say what to put into the crontab.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from jobs.commands.common import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigPath,
    load,
    print_json,
    print_table,
)
from jobs.commands.wishes import TaskOption, TeacherClassesOption, TeacherOption, wish_of
from jobs.errors import EXIT_DONE

if TYPE_CHECKING:
    from culling_pipeline.records.night import NightRecord, UnusableNight
    from jobs.config.settings import Config
    from jobs.database.nights import Night
    from jobs.setup.camera_block import Wish
    from jobs.setup.check import Finding

app = typer.Typer()


@app.command()
def quickstart(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A video file, a folder, rtsp://…, http(s)://…"),
    ],
    name: Annotated[
        str | None, typer.Option(help="The camera's name; by default made of its source.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="What to find, e.g. person,car.", show_default=False)
    ] = None,
    task: TaskOption = None,
    teacher: TeacherOption = None,
    teacher_classes: TeacherClassesOption = None,
    watch_for: Annotated[
        str, typer.Option("--for", metavar="TIME", help="How long a live camera is watched first.")
    ] = "10m",
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="What a night may cost, e.g. 30 min.", show_default=False
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
    timeout_s: Annotated[
        float, typer.Option(min=0.1, help="Seconds to wait for the camera.")
    ] = 30.0,
) -> None:
    """Look at a source, add it, and run a first night on what is there; ends with a report.

    The same command goes on where it was stopped.
    """
    from culling_pipeline.report import words
    from jobs.setup.first_settings import how_it_goes_on

    began = time.monotonic()
    models = wish_of(classes, task, teacher, teacher_classes)
    camera = _camera(_Wish(source, name, models, budget, timeout_s), config)
    loaded = load(config, [])
    findings = _look(loaded, camera, timeout_s, as_json=as_json)
    if not yes and not as_json and sys.stdin.isatty():
        typer.confirm("Run the first night now?", default=True, abort=True, err=True)
    is_live = _is_live(findings)
    done = _run(loaded, camera, watch_for if is_live else None)
    goes_on = how_it_goes_on(loaded.cameras[camera], config, live=is_live)
    _say_result(loaded, camera, done, goes_on, as_json=as_json)
    if not as_json:
        typer.echo(f"From the address to the report: {words.duration(time.monotonic() - began)}.")


class _Wish(NamedTuple):
    """What the command line says of a camera."""

    source: str
    name: str | None
    models: Wish
    budget: str | None
    timeout_s: float


def _camera(wish: _Wish, config: Path) -> str:
    """The camera of this source in the configuration: the one that is there, or a new one."""
    from jobs.setup.add import Request, add_camera, camera_with_source
    from jobs.setup.adopt import adopt
    from jobs.setup.first_settings import clip_settings, clip_words, name_for

    known = load(config, []).cameras if _has_cameras(config) else {}
    there = camera_with_source(known, wish.source, config.absolute().parent)
    if there is not None and wish.name in (None, there):
        typer.echo(f"{there}: is in {config} already; going on with it", err=True)
        for line in adopt(wish.models, wish.budget, known[there], config):
            typer.echo(line, err=True)
        return there
    said: list[str] = []

    def chosen(found: Any) -> dict[str, Any]:
        settings = clip_settings(found.info, is_live=found.is_live, budget=wish.budget)
        if "fps" in settings:
            said.append(clip_words(settings, found.info))
        return settings

    added = add_camera(
        Request(
            name=wish.name or name_for(wish.source, known),
            url=wish.source,
            config=config,
            wish=wish.models,
            timeout_s=wish.timeout_s,
            settings_for=chosen,
        )
    )
    for line in [*added.lines(), *said, *added.notes()]:
        typer.echo(line, err=True)
    return added.camera.name


def _has_cameras(config: Path) -> bool:
    """Whether it has cameras of its own: the untouched file of `culling init` has none."""
    from jobs.config.edit import read_text, template_text
    from jobs.config.load import parse_raw

    text = read_text(config)
    if text is None or text == template_text():
        return False
    return bool(parse_raw(text, config).get("cameras"))


def _look(config: Config, camera: str, timeout_s: float, *, as_json: bool) -> list[Finding]:
    """What `culling check` finds of this camera; ends the command where something is wrong."""
    from jobs.commands.progress import open_progress
    from jobs.commands.summary import findings_table
    from jobs.setup.check import check_config, download_weights, worst_exit_code

    only = config.changed(cameras={camera: config.cameras[camera]}, groups={})
    progress = open_progress()
    download_weights(only, progress)
    typer.echo("looking at the camera and trying both models …", err=True)
    findings = check_config(only, timeout_s=timeout_s, progress=progress)
    code = worst_exit_code(findings)
    if as_json and code != EXIT_DONE:
        print_json({"findings": [found.to_dict() for found in findings], "exit_code": code})
    elif not as_json:
        print_table(findings_table(findings))
    if code != EXIT_DONE:
        typer.echo("culling: mend this, then run the same command again", err=True)
        raise typer.Exit(code)
    return findings


def _is_live(findings: list[Finding]) -> bool:
    return any(found.found is not None and bool(found.found["live"]) for found in findings)


def _run(
    config: Config, camera: str, watch_for: str | None
) -> tuple[Night, NightRecord | UnusableNight | None]:
    """Watch the camera for this time, if it is live, and run its night; what came of it."""
    from jobs.commands.progress import open_progress
    from jobs.commands.watch import seconds_of
    from jobs.database.store import open_store
    from jobs.nights.night_of import night_of
    from jobs.watch.watch import CameraWatch

    with open_store(config) as store:
        if watch_for is not None:
            said = f"watching {camera} for {watch_for}; Ctrl-C ends it, and nothing is lost"
            typer.echo(said, err=True)
            cameras = [config.cameras[camera]]
            CameraWatch(config, cameras, store, for_s=seconds_of(watch_for)).run()
        night_of(config, camera).run(store=store, progress=open_progress())
        night = store.latest_night(camera)
        assert night is not None  # it was run above
        return night, store.record(night.id)


def _say_result(
    config: Config,
    camera: str,
    done: tuple[Night, NightRecord | UnusableNight | None],
    goes_on: str,
    *,
    as_json: bool,
) -> None:
    """The night's figures, where its report lies, and how it goes on."""
    from jobs.commands.summary import night_table, night_to_dict

    if as_json:
        shown = night_to_dict(config, *done)
        print_json({"camera": camera, **shown, "goes_on": goes_on, "exit_code": EXIT_DONE})
        return
    print_table(night_table(config, *done))
    typer.echo(goes_on)
