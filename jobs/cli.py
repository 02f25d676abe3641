"""The command line: all commands, their exit codes, and the only `sys.exit`."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from jobs.commands import (
    bootstrap,
    dataset,
    density,
    detect,
    export,
    models,
    nights,
    pretrain,
    quickstart,
    run_service,
    schedule,
    setup,
    watch,
)
from jobs.commands.common import print_json
from jobs.commands.signals import on_sigterm, terminate
from jobs.commands.terminal import is_closed_pipe, write_to_nobody, write_what_can_be_shown
from jobs.config.secrets import hide_in_process_list
from jobs.errors import (
    EXIT_CLOSED,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    describe,
    exit_code,
    redact,
)
from jobs.logs import log_to_stderr
from jobs.private import write_for_user_only
from models.without_compiler import spare_the_compiler

GROUPS = (
    quickstart,
    setup,
    watch,
    bootstrap,
    pretrain,
    nights,
    run_service,
    models,
    detect,
    export,
)

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Retrain a small detector for each fixed camera, every night.",
)
for group in GROUPS:
    app.add_typer(group.app)
app.add_typer(schedule.app, name="schedule")
app.add_typer(dataset.app, name="dataset")
app.add_typer(density.app, name="density")


def main() -> None:
    """Entry point of `culling`."""
    for argument in sys.argv[1:]:
        hide_in_process_list(argument)
    on_sigterm(terminate)
    write_for_user_only()
    write_what_can_be_shown()
    code = EXIT_DONE
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except (OSError, SystemExit) as error:
        cause = error.__context__ if isinstance(error, SystemExit) else error  # Typer's exit
        if not is_closed_pipe(cause):
            raise
        code = code or EXIT_CLOSED
        write_to_nobody()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command; its exit code. Errors become one clear line on stderr."""
    rest = [argument for argument in arguments if argument != "--debug"]
    debug = len(rest) < len(arguments)
    log_to_stderr()
    spare_the_compiler()
    for package in ("jobs", "culling_pipeline", "models", "streams"):
        logging.getLogger(package).setLevel(logging.DEBUG if debug else logging.NOTSET)
    logging.getLogger("streams.live.health").setLevel(logging.NOTSET)
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
        print_json({"error": text, "exit_code": code})
    return code


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
    debug: Annotated[  # taken out by `run`; here for the help
        bool, typer.Option("--debug", help="Show tracebacks; may stand anywhere.")
    ] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed_version

        typer.echo(f"culling {installed_version('culling-pipeline')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_USAGE)


if __name__ == "__main__":
    main()
