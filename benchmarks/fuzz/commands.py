"""The commands themselves, as people start them, with addresses that hold a secret: a camera added,
one written by hand checked, and a night that fails with its report. No part of the secret is
printed or stands in a file, but for the configuration that somebody wrote it into."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import yaml

from benchmarks.fuzz.addresses import AROUND, ONE_CAMERA
from benchmarks.fuzz.case import Case
from benchmarks.fuzz.planted import Planted, planted
from jobs.errors import EXIT_DONE, EXIT_MODEL, EXIT_NIGHT, EXIT_STREAM, EXIT_USAGE

OURS: tuple[type[Exception], ...] = ()
ROOT = Path(__file__).resolve().parents[2]
CODES = (EXIT_DONE, EXIT_USAGE, EXIT_STREAM, EXIT_MODEL, EXIT_NIGHT)
TIMEOUT = "0.5"
OF_EVERY = 97
"""Seeds are so far apart that other addresses are tried than by `addresses`."""
DIGITS = frozenset("0123456789abcdef-")
"""A secret of these alone may stand in a file by chance: its checksums are made of them too."""


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one command, or two."""
    os.chdir(folder)

    def case(seed: int) -> Case:
        made = _planted(seed)
        way = (_add, _check, _add, _night)[seed % 4]
        return Case(
            lambda: way(made, random.Random(seed)), (made.secret,), f"{made.around}{AROUND}{folder}"
        )

    return case


def _planted(seed: int) -> Planted:
    at = seed * OF_EVERY
    while set((made := planted(at)).secret.lower()) <= DIGITS:
        at += 1
    return made


def _add(made: Planted, rng: random.Random) -> Iterator[str]:
    """With a look at the camera or without."""
    folder = _empty()
    config = folder / "config.yaml"
    if rng.random() < 0.5:
        config.write_text(ONE_CAMERA, encoding="utf-8")
    more = ["--password-file", str(folder / "secret")] if rng.random() < 0.3 else []
    if "127.0.0.1:1" not in made.address or rng.random() < 0.5:
        more.append("--no-probe")
    yield _said(["add", "yard", made.address, *more], config)
    yield from _written(folder, "secret")


def _check(made: Planted, rng: random.Random) -> Iterator[str]:
    config = _by_hand(made)
    more = ["--json"] if rng.random() < 0.5 else []
    yield _said(["check", "--timeout-s", TIMEOUT, *more], config)
    yield from _written(config.parent, config.name)


def _night(made: Planted, rng: random.Random) -> Iterator[str]:
    """A night that cannot be, and what is said of it afterwards."""
    config = _by_hand(made)
    yield _said(["--debug", "retrain", "yard"], config)
    more = rng.choice((["yard"], ["yard", "--json"], []))
    yield _said(["report", *more], config)
    yield from _written(config.parent, config.name)


def _empty() -> Path:
    folder = Path("here")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def _by_hand(made: Planted) -> Path:
    path = _empty() / "config.yaml"
    camera = {"source": made.address, "classes": ["person"]}
    raw = {"data_dir": "data", "cameras": {"yard": camera}}
    path.write_text(yaml.safe_dump(raw, allow_unicode=True), encoding="utf-8")
    return path


def _said(arguments: Sequence[str], config: Path) -> str:
    command = [sys.executable, "-m", "jobs.cli", *arguments, "--config", str(config)]
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, env=paths)
    said = "\n".join(text.decode("utf-8", "replace") for text in (done.stdout, done.stderr))
    is_traceback = "Traceback (most recent" in said and "--debug" not in arguments
    if done.returncode not in CODES or is_traceback:
        message = f"{arguments} ends with {done.returncode}: {said[-200:]!r}"
        raise RuntimeError(message)
    return said


def _written(folder: Path, but: str) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and path.name != but:
            yield path.read_text(encoding="utf-8", errors="replace")
