"""`culling run`, `serve` and `plan`: the service, its pages alone, and its plan for tonight."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
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
    from collections.abc import Iterator

    from jobs.config.settings import Config
    from jobs.database.store import Store
    from jobs.watch.watch import CameraWatch

logger = logging.getLogger(__name__)

app = typer.Typer()

SHORTEST_PASSWORD = 10


@app.command()
def run(config: ConfigPath = DEFAULT_CONFIG, overrides: Overrides = []) -> None:  # noqa: B006
    """Run the service: watch all cameras, run nights on schedule, serve the pages.

    Ctrl-C, SIGTERM or SIGHUP stops it. The next one resumes where it stopped.
    """
    with suppress(TerminatedError):  # it is how services are ended: no error
        _run(config, overrides)


def _run(config: Path, overrides: list[str]) -> None:
    from jobs.config.load import parse_overrides
    from jobs.database.store import open_store
    from jobs.executors.choose import configured_executor
    from jobs.logs import log_to_file
    from jobs.service.nights import Origin
    from jobs.service.service import Service

    loaded = _loaded(config, overrides)
    log_to_file(loaded.data_dir)
    origin = Origin(config.absolute(), parse_overrides(overrides))
    with open_store(loaded, may_be_away=True) as store:
        service = Service(loaded, origin, store, configured_executor(loaded))
        on_sigterm(service.end)
        with ExitStack() as at_the_end:
            if loaded.service.port is not None:
                place = (config, overrides)
                at_the_end.enter_context(_served(loaded, store, place, service.watch))
            service.run()


@app.command()
def serve(
    config: ConfigPath = DEFAULT_CONFIG,
    overrides: Overrides = [],  # noqa: B006
    hash_password: Annotated[
        bool,
        typer.Option("--hash-password", help="Ask for a password, print its hash for config.yaml."),
    ] = False,
) -> None:
    """Serve the pages alone: no camera is watched, no night is run.

    `culling run` serves them as well. Ctrl-C, SIGTERM or SIGHUP stops it.
    """
    if hash_password:
        from jobs.pages.access import hash_of

        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        typer.echo(hash_of(_long_enough(password)))
        return
    with suppress(TerminatedError):
        _serve(config, overrides)


def _serve(config: Path, overrides: list[str]) -> None:
    from jobs.database.store import open_store
    from jobs.errors import ConfigError

    loaded = _loaded(config, overrides)
    if loaded.service.port is None:
        message = "service.port: is null: `culling serve` needs one, such as --set service.port=0"
        raise ConfigError(message)
    ends = threading.Event()
    with (
        open_store(loaded) as store,
        _served(loaded, store, (config, overrides), lambda: None),
    ):
        ends.wait()  # until a signal


@contextmanager
def _served(
    loaded: Config,
    store: Store,
    place: tuple[Path, list[str]],
    watch: Callable[[], CameraWatch | None],
) -> Iterator[None]:
    """Meanwhile the pages are served; the log says where."""
    from jobs.config.load import parse_overrides
    from jobs.logs import AS_IT_IS
    from jobs.pages.house import House, Source
    from jobs.pages.pages import Pages
    from jobs.service.metrics import CullingCollector, registry

    source = Source(place[0].absolute(), parse_overrides(place[1]))
    figures = registry(CullingCollector(store, loaded.data_dir, watch))
    pages = Pages(House(loaded, store, figures, source=source, watch=watch))
    pages.start()
    logger.info("reports and metrics: %s", pages.address, extra=AS_IT_IS)
    try:
        yield
    finally:
        pages.close()


def _loaded(config: Path, overrides: list[str]) -> Config:
    from jobs.logs import log_to_stderr

    loaded = load(config, overrides)
    log_to_stderr(as_json=loaded.service.logs == "json", times=True)
    logging.getLogger("streams").setLevel(logging.INFO)
    logging.getLogger("jobs").setLevel(logging.INFO)
    return loaded


def _long_enough(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        message = (
            f"the password has {len(password)} characters, it needs {SHORTEST_PASSWORD} or more"
        )
        raise typer.BadParameter(message)
    return password


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
