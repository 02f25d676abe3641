"""Addresses with secrets planted in them: added, read from a file, looked at, in messages and logs.
No part of the secret is said or written, also by a process that does not know it yet."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import yaml
from typer.main import get_command

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.planted import Planted, planted
from jobs import cli
from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.errors import ConfigError, describe, redact
from jobs.setup.check import check_streams
from streams import secret_words
from streams.secret_places import lacks_scheme, redact_url

OURS = (ConfigError,)
TIMEOUT_S = 0.5
WHOLE, LOOKED_AT = 20, 10
"""Every so many addresses go into a new configuration; and so many are opened."""

ONE_CAMERA = "cameras:\n  gate: {source: a.mp4, classes: [person]}\n"

AROUND = "\n".join(
    (
        *("cannot open : refused source: got , must be text", "config.yaml", "yard", "password"),
        *("viewer admin", '{"error": "', "culling: ", "unexpected ", "person bicycle car"),
    )
)


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is all that is done with one address."""
    os.chdir(folder)
    # Made once: it takes longer than the rest, and no address has a part in it.
    cli.app = get_command(cli.app)  # type: ignore[assignment]

    # What is said of an address without a secret: "clip-dap" is no part of one.
    plain = Planted("rtsp://camera/live", "", "")
    usual = "\n".join(text for seed in (0, 1, 5, WHOLE + 1) for text in said_of(plain, seed))

    def case(seed: int) -> Case:
        made = planted(seed)
        around = f"{made.around}{AROUND}{folder}{usual}"
        return Case(lambda: said_of(made, seed), (made.secret,), around)

    list(said_of(planted(0), 0))
    return case


def said_of(made: Planted, seed: int) -> Iterator[str]:
    """Every text about it. Each step begins as a new process does, not knowing the secret."""
    folder = Path(str(seed % 10))
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with in_new_process():
        if lacks_scheme(made.address) or "://" not in made.address:  # no text is searched for these
            yield redact_url(made.address)
        else:
            yield redact(f"cannot open {made.address}: refused")
            yield redact(f"source: got {made.address!r}, must be text")
            yield redact(json.dumps({"source": made.address, "x": "a@b"}))
    with in_new_process():
        yield from _added(made, folder, seed)
    with in_new_process():
        yield from _looked_at(made, folder, seed)


@contextmanager
def in_new_process() -> Iterator[None]:
    """Nothing is known of any secret, and no variable of a camera is set."""
    with patch.object(secret_words, "_known", set()), patch.dict(os.environ):
        yield


def _added(made: Planted, folder: Path, seed: int) -> Iterator[str]:
    """`culling add`, as the command line does it: what it prints, and all files it writes, but for
    the one that is to hold the password."""
    config = folder / "config.yaml"
    if seed % WHOLE:  # where there is none, a template is parsed, which takes as long as the rest
        config.write_text(ONE_CAMERA, encoding="utf-8")
    given = ["add", "yard", made.address, "--no-probe", "--config", str(config)]
    given += ["--json"] if seed % 2 else []
    given += ["--password-file", str(folder / "secret")] if seed % 5 == 0 else []
    yield said_by([*given, "--debug"])
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "secret":
            yield path.read_text(encoding="utf-8", errors="replace")
    with in_new_process():
        yield said_by(["add", "again", made.address, "--no-probe", "--config", str(config)])


def said_by(arguments: list[str]) -> str:
    """What a command prints and logs, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        cli.run(arguments)
    return f"{out.getvalue()}\n{err.getvalue()}"


def _looked_at(made: Planted, folder: Path, seed: int) -> Iterator[str]:
    """A camera written into the file by hand, secret and all: read, opened, described."""
    path = folder / "by_hand.yaml"
    camera = {"source": made.address, "classes": ["person"]}
    raw = {"data_dir": str(folder / "data"), "cameras": {"yard": camera}}
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    try:
        config = load_config(path)
    except ConfigError as error:
        yield describe(error)
        return
    yield from _shown(config)
    if "127.0.0.1:1" in made.address and seed % LOOKED_AT == 0:
        found = check_streams(list(config.cameras.values()), timeout_s=TIMEOUT_S)
        yield json.dumps([finding.to_dict() for finding in found.values()])


def _shown(config: Config) -> Iterator[str]:
    """As a log, a debugger or a record would have it."""
    camera = config.cameras["yard"]
    yield from (repr(config), str(config), repr(camera), camera.source_shown)
