"""`culling run` as a process of its own."""

from __future__ import annotations

import re
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

import psutil

from benchmarks.testbed.tiny import SMALL, command, environment

ONE_ARM = SMALL | {"judging": SMALL["judging"] | {"compare_random": False}}
"""The same night without the second training: what is shown is who runs it."""


@dataclass(frozen=True)
class Running:
    """A service at work, and what it writes on stderr."""

    process: subprocess.Popen[bytes]
    log: Path

    def family(self) -> list[psutil.Process]:
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def nights(self) -> list[psutil.Process]:
        """The nights' own processes: Python's tracker of resources is the other child."""
        children = psutil.Process(self.process.pid).children()
        return [c for c in children if "spawn_main" in " ".join(c.cmdline())]

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + 600
        while not is_so():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline_s, self.log.read_text()
            time.sleep(0.05)

    def end(self, number: int) -> int:
        """Send a signal to the service alone; its exit code. Nothing of it is left."""
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(240)
        assert psutil.wait_procs(family, timeout=120)[1] == []
        return code

    @property
    def address(self) -> str | None:
        """Of its pages, as soon as it is said."""
        found = re.search(r"http://127\.0\.0\.1:\d+/\w+/", self.log.read_text())
        return None if found is None else found[0]

    def get(self, path: str) -> str:
        assert self.address is not None
        with urllib.request.urlopen(urljoin(self.address, path), timeout=120) as answer:
            return str(answer.read().decode())

    def status(self, path: str) -> int:
        """As `get`; the answer's number alone."""
        try:
            self.get(path)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code
        return 200

    def grows(self, folder: Path) -> None:
        """Wait until there are more frames of a camera than now."""
        before = len(list(folder.rglob("*.jpg")))
        self.wait_until(lambda: len(list(folder.rglob("*.jpg"))) > before)


@contextmanager
def running(
    folder: Path, *arguments: str, files: int | None = None, umask: int = -1
) -> Iterator[Running]:
    """`culling run`, its stderr in a file; killed at the end if it is still there. `files`: how
    many it may have open."""
    limit = [] if files is None else ["prlimit", f"--nofile={files}:{files}"]
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*limit, *command("run", *arguments)],
            cwd=folder,
            env=environment(),
            stderr=stderr,
            umask=umask,
        )
    try:
        yield Running(process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
