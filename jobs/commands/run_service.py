"""`culling run` and `plan`: the service, and its plan for tonight."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
from jobs.commands.signals import TerminatedError, on_sigterm

if TYPE_CHECKING:
    from jobs.config.settings import Config

app = typer.Typer()


@app.command()
def run(config: ConfigPath = DEFAULT_CONFIG, overrides: Overrides = []) -> None:  # noqa: B006
    """Run the service: watch all cameras, run nights on schedule, serve the reports.

    Ctrl-C, SIGTERM or SIGHUP stops it. The next one resumes where it stopped.
    """
    with suppress(TerminatedError):  # it is how services are ended: no error
        _serve(config, overrides)


def _serve(config: Path, overrides: list[str]) -> None:
    from jobs.config.load import parse_overrides
    from jobs.database.store import open_store
    from jobs.executors.choose import configured_executor
    from jobs.logs import log_to_stderr
    from jobs.service.nights import Origin
    from jobs.service.service import Service

    loaded = load(config, overrides)
    log_to_stderr(as_json=loaded.service.logs == "json", times=True)
    logging.getLogger("streams").setLevel(logging.INFO)
    logging.getLogger("jobs").setLevel(logging.INFO)
    origin = Origin(config.absolute(), parse_overrides(overrides))
    with open_store(loaded, may_be_away=True) as store:
        service = Service(loaded, origin, store, configured_executor(loaded))
        on_sigterm(service.end)
        service.run()


@app.command()
def plan(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
    cameras: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Estimate what N cameras need.")
    ] = None,
    gpu: Annotated[
        float, typer.Option(min=0.01, metavar="X", help="… on devices X times as fast as this one.")
    ] = 1.0,
    groups: Annotated[
        bool, typer.Option("--groups", help="Propose cameras that should share one student.")
    ] = False,
) -> None:
    """Show tonight's order, the expected cost of each night, and what does not fit."""
    from jobs.commands.tonight import needs_in_words, needs_of, tonight, tonight_table
    from jobs.database.store import open_store

    loaded = load(config, overrides)
    if groups:
        _propose_groups(loaded, as_json=as_json)
        return
    with open_store(loaded) as store:
        found = tonight(loaded, store)
    needs = None if cameras is None else needs_of(found, cameras, faster=gpu)
    if as_json:
        print_json({"nights": [line.to_dict() for line in found.lines], "needs": needs})
        return
    print_table(tonight_table(found))
    if needs is not None:
        typer.echo(needs_in_words(needs, found, faster=gpu))


def _propose_groups(config: Config, *, as_json: bool) -> None:
    from jobs.commands.groups import alone_table, groups_table, groups_to_dict, in_words
    from jobs.commands.progress import open_progress
    from jobs.database.store import open_store
    from jobs.nights.grouping import groups_of

    with open_store(config) as store:
        found = groups_of(config, store, open_progress())
    if as_json:
        print_json(groups_to_dict(found))
        return
    if found.groups:
        print_table(groups_table(found))
    if found.alone:
        print_table(alone_table(found))
    typer.echo(in_words(found))
