"""The command line. What a command does is elsewhere; here are its words, its exit code, and the
only `sys.exit`."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from typer.exceptions import TyperException

from jobs.errors import (
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
    describe,
    exit_code,
    redact,
)
from jobs.secrets import hide_in_process_list

if TYPE_CHECKING:
    from jobs.settings import Config

logger = logging.getLogger(__name__)

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Retrain a small detector for each fixed camera, every night.",
)
schedule_app = typer.Typer(help="Look at training schedules without training.")
app.add_typer(schedule_app, name="schedule")

ConfigPath = Annotated[Path, typer.Option("--config", help="The configuration file.")]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Beats the file; repeatable.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
DEFAULT_CONFIG = Path("config.yaml")


def main() -> None:
    """Entry point of `culling`."""
    for argument in sys.argv[1:]:
        hide_in_process_list(argument)
    _stop_on_sigterm()
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Errors become one clear line on stderr."""
    rest = [argument for argument in arguments if argument != "--debug"]
    debug = len(rest) < len(arguments)
    _log_to_stderr()
    for package in ("jobs", "culling_pipeline", "models", "streams"):
        logging.getLogger(package).setLevel(logging.DEBUG if debug else logging.NOTSET)
    logging.getLogger("streams.health").setLevel(logging.NOTSET)
    try:
        code = int(app(args=rest, prog_name="culling", standalone_mode=False) or EXIT_DONE)
        if code != EXIT_INTERRUPTED:
            return code
        text = describe(KeyboardInterrupt())  # Typer made an exit code of it
    except TyperException as error:
        code, text = EXIT_USAGE, redact(f"{error.format_message()} (see culling --help)")
    except KeyboardInterrupt as error:
        code, text = EXIT_INTERRUPTED, describe(error)
    except Exception as error:  # the boundary
        code, text = exit_code(error), describe(error)
        if debug:
            typer.echo(redact("".join(traceback.format_exception(error))), err=True)
    for line in text.splitlines():
        typer.echo(f"culling: {line}", err=True)
    if "--json" in rest:
        _print_json({"error": text, "exit_code": code})
    return code


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[  # taken out by `run`; here for the help
        bool, typer.Option("--debug", help="Show tracebacks; goes anywhere.")
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"culling {installed_version('culling-pipeline')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_USAGE)


@app.command()
def init(
    config: Annotated[Path, typer.Option("--config", help="Where to.")] = DEFAULT_CONFIG,
) -> None:
    """Write a commented config.yaml that names every key."""
    from jobs.init import write_config

    write_config(config)
    typer.echo(f"wrote {config}: name your cameras in it, then run `culling check`", err=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of a-z, 0-9, _, -.")],
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="rtsp://…, http(s)://…, a file, a folder, device:0."),
    ],
    classes: Annotated[
        str | None, typer.Option(help="What to find, such as person,car.", show_default=False)
    ] = None,
    password_file: Annotated[
        Path | None, typer.Option(help="Holds the password, or is to.", show_default=False)
    ] = None,
    probe: Annotated[bool, typer.Option("--probe/--no-probe", help="Look at it first.")] = True,
    force: Annotated[bool, typer.Option("--force", help="Even if its source is there.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Patience with the camera.")] = 30.0,
) -> None:
    """Look at a camera, show what it sees, and add it to the configuration."""
    from jobs.add import Request, add_camera

    _leave_health_to_the_answer()
    given = None if classes is None else tuple(filter(None, map(str.strip, classes.split(","))))
    if given == ():
        message = "--classes: name what to find, such as person,car"
        raise UsageError(message)
    added = add_camera(
        Request(
            name=name,
            url=url,
            config=config,
            classes=given,
            password_file=password_file,
            look=probe,
            force=force,
            timeout_s=timeout_s,
        )
    )
    if as_json:
        _print_json(added.to_dict() | {"exit_code": EXIT_DONE})
    else:
        typer.echo("\n".join(added.lines()))
    for note in added.notes():
        typer.echo(f"culling: {note}", err=True)


@app.command()
def check(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="Patience with a stream.")] = 30.0,
) -> None:
    """Validate the configuration, open every stream and model, say what is wrong."""
    from jobs.check import check_config, worst_exit_code
    from jobs.summary import findings_table

    _leave_health_to_the_answer()
    findings = check_config(_load(config, overrides), timeout_s=timeout_s)
    code = worst_exit_code(findings)
    if as_json:
        _print_json({"findings": [found.to_dict() for found in findings], "exit_code": code})
    else:
        Console().print(findings_table(findings))
    raise typer.Exit(code)


@app.command()
def ingest(
    cameras: Annotated[list[str], typer.Argument(metavar="[CAMERA]...")] = [],  # noqa: B006
    duration: Annotated[
        str | None, typer.Option("--for", metavar="TIME", help="Stop after 90s, 10m, 8h or 2d.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many frames of each camera.")
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Watch cameras (all, or these), score their frames, keep what a night may need. Ctrl-C ends
    it, and nothing is lost; `culling retrain` then trains on what was watched."""
    from jobs.ingest import IngestService
    from jobs.store import Store
    from jobs.summary import feeds_table, feeds_to_dict

    loaded = _load(config, overrides)
    names = _chosen(loaded, cameras, all_cameras=not cameras)
    logging.getLogger("streams").setLevel(logging.INFO)
    logging.getLogger("jobs").setLevel(logging.INFO)
    with Store(loaded.data_dir) as store:
        service = IngestService(
            loaded,
            [loaded.cameras[name] for name in names],
            store,
            for_s=None if duration is None else _seconds(duration),
            frames=frames,
        )
        try:
            service.run()
        finally:
            if as_json:
                _print_json({"cameras": feeds_to_dict(service)})
            else:
                Console().print(feeds_table(service))
    errors = [watcher.error for watcher in service.watchers.values() if watcher.error]
    raise typer.Exit(max((exit_code(error) for error in errors), default=EXIT_DONE))


@app.command()
def retrain(
    cameras: Annotated[list[str], typer.Argument(metavar="CAMERA...")] = [],  # noqa: B006
    all_cameras: Annotated[bool, typer.Option("--all", help="Every camera.")] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Give up an unfinished night and begin a new one.")
    ] = False,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """One night for these cameras, now. An unfinished night is resumed."""
    from jobs.progress import open_progress
    from jobs.store import Store

    loaded = _load(config, overrides)
    names = _chosen(loaded, cameras, all_cameras=all_cameras)
    results: dict[str, dict[str, Any]] = {}
    with Store(loaded.data_dir) as store:
        for name in names:
            results[name] = _retrain_one(loaded, name, store, open_progress(), fresh=fresh)
        done = {name: store.latest_night(name) for name in names}
    if as_json:
        _print_json({"cameras": results})
    else:
        from jobs.summary import nights_table

        Console().print(nights_table(loaded, done))
    raise typer.Exit(max(result["exit_code"] for result in results.values()))


def _retrain_one(
    config: Config, name: str, store: Any, progress: Any, *, fresh: bool
) -> dict[str, Any]:
    from jobs.nightly import retrain_camera
    from jobs.summary import night_to_dict

    code, text = EXIT_DONE, None
    try:
        retrain_camera(config, name, store=store, progress=progress, fresh=fresh)
    except Exception as error:  # the boundary: one camera's trouble must not stop the others
        code, text = exit_code(error), describe(error, data_dir=config.data_dir)
        logger.debug("camera %s", name, exc_info=error)
        typer.echo(f"culling: {name}: {text}", err=True)
    night = store.latest_night(name)
    shown = {} if night is None else night_to_dict(config, night)
    return {**shown, "error": text, "exit_code": code}


@app.command()
def report(
    camera: Annotated[str | None, typer.Argument()] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """The latest night: its report's path and a summary."""
    from jobs.store import Store
    from jobs.summary import night_to_dict, nights_table

    loaded = _load(config, overrides)
    names = _chosen(loaded, [camera] if camera else [], all_cameras=camera is None)
    with Store(loaded.data_dir) as store:
        nights = {name: store.latest_night(name) for name in names}
    if camera and nights[camera] is None:
        message = f"camera {camera!r} has no night yet: run `culling retrain {camera}`"
        raise UsageError(message)
    if as_json:
        shown = {name: night and night_to_dict(loaded, night) for name, night in nights.items()}
        _print_json({"cameras": shown})
    else:
        Console().print(nights_table(loaded, nights))


@app.command()
def models(
    camera: str,
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """The camera's model versions; the one in use is marked."""
    from models.registry import ModelRegistry

    loaded = _load(config, overrides)
    _chosen(loaded, [camera], all_cameras=False)
    registry = ModelRegistry(loaded.models_root)
    versions, incumbent = registry.versions(camera), registry.incumbent(camera)
    if as_json:
        _print_json({"camera": camera, "versions": versions, "incumbent": incumbent})
        return
    for version in versions:
        typer.echo(f"{'*' if version == incumbent else ' '} {version}")
    if not versions:
        typer.echo(f"camera {camera!r} has no version of its own yet", err=True)


@app.command()
def demo(
    data_dir: Annotated[Path, typer.Option(help="Where its night goes.")] = Path("demo-data"),
    as_json: AsJson = False,
) -> None:
    """A whole night on a synthetic camera: offline, minutes on two cores."""
    from jobs.demo import demo_to_dict, run_demo
    from jobs.progress import open_progress
    from jobs.summary import in_one_line, record_table

    config, record = run_demo(data_dir, progress=open_progress())
    if as_json:
        _print_json(demo_to_dict(config, record))
    else:
        Console().print(record_table(config, record))
        typer.echo(in_one_line(config, record))


@schedule_app.callback()
def _schedule() -> None:
    """Keeps `show` a command of its own."""


@schedule_app.command("show")
def schedule_show(
    name: Annotated[str, typer.Argument(help="standard, curriculum, clip, dap or clip-dap.")],
    samples: Annotated[int, typer.Option(help="Images in the training set.")],
    epochs: Annotated[int, typer.Option(help="Epochs.")],
    warm_up: Annotated[int | None, typer.Option(help="DaP W, epochs.")] = None,
    interval: Annotated[int | None, typer.Option(help="DaP I, epochs.")] = None,
    keep: Annotated[float | None, typer.Option(help="DaP p, share kept.")] = None,
    pick: Annotated[list[int] | None, typer.Option(help="DaP R, an epoch; repeatable.")] = None,
    active: Annotated[int | None, typer.Option(help="DaP α, epochs.")] = None,
    start: Annotated[float | None, typer.Option(help="CLIP g₀, share.")] = None,
    pace_power: Annotated[int | None, typer.Option(help="CLIP p, 1 or 2.")] = None,
    pace_end: Annotated[float | None, typer.Option(help="CLIP a, share of epochs.")] = None,
    prune_ratio: Annotated[float | None, typer.Option(help="CLIP ε, share.")] = None,
    epsilon_mode: Annotated[
        Literal["fixed", "increasing", "decreasing"] | None, typer.Option()
    ] = None,
    prune: Annotated[Literal["easiest", "hardest"] | None, typer.Option()] = None,
    as_json: AsJson = False,
) -> None:
    """What a schedule would train on, epoch by epoch, and its share of computation."""
    from culling_pipeline.schedule import ScheduleOptions, show

    given = {key: value for key, value in locals().items() if key in ScheduleOptions.__slots__}
    given["pick"] = tuple(sorted(pick)) if pick else None
    try:
        options = ScheduleOptions(**{k: v for k, v in given.items() if v is not None})
        course = show(name, samples=samples, epochs=epochs, options=options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    if as_json:
        _print_json({"computation": course.computation, "per_epoch": list(course.per_epoch)})
        return
    for epoch, images in enumerate(course.per_epoch, start=1):
        typer.echo(f"{epoch:5d} {images:9d} {'█' * round(40 * images / samples)}")
    typer.echo(f"computation: {course.computation:.1%} of standard training")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None or float(found[1]) == 0:
        message = f"--for {text}: must be a time such as 90s, 10m, 8h or 2d"
        raise UsageError(message)
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


def _load(path: Path, overrides: Sequence[str]) -> Config:
    from jobs.config import load_config, parse_overrides

    return load_config(path, overrides=parse_overrides(overrides))


def _chosen(config: Config, names: Sequence[str], *, all_cameras: bool) -> list[str]:
    for name in names:
        if name not in config.cameras:
            message = f"there is no camera {name!r}; known: {', '.join(config.cameras)}"
            raise UsageError(message)
    if all_cameras == bool(names):
        message = "name cameras or give --all, and not both"
        raise UsageError(message)
    return list(config.cameras) if all_cameras else list(dict.fromkeys(names))


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps(content, ensure_ascii=False))


class _RedactingFormatter(logging.Formatter):
    """Cuts passwords out of whole entries, tracebacks and all."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_RedactingFormatter("culling: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)


def _leave_health_to_the_answer() -> None:
    """A camera that is off is told of in the answer; a line in the log would say it twice."""
    if not logging.getLogger("streams").isEnabledFor(logging.DEBUG):
        logging.getLogger("streams.health").setLevel(logging.ERROR)


def _stop_on_sigterm() -> None:
    """End as by Ctrl-C, so that the night is noted as interrupted; children just end."""
    own_pid = os.getpid()

    def stop(number: int, _: FrameType | None) -> None:
        if os.getpid() != own_pid:
            os._exit(128 + number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


if __name__ == "__main__":
    main()
