"""Makes tests/golden/data-0.1.0: what the last commit of 0.1.0 leaves on disk, for a test that
later releases go on with it (tests/integration/test_old_data.py).

    git worktree add ../old e7fd591
    python -m tests.golden.make_old_data ../old

Everything is done by that commit's command line; this script only kills it at the right moments.
The files there were made with commit e7fd591. They are not to be made again: what a release has
written on somebody's disk stays as it is.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path

import yaml

from tests.integration.old_data import GOLDEN, TENSORS, possible_weights

PORT = 18756
PATIENCE_S = 300.0
UNFINISHED = "resolution"
"""The last stage of the night that is cut off."""
LIVE_FRAMES = 14


def main() -> None:
    old = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(GOLDEN / "config.yaml", folder)
        culling = Culling(old, folder)
        finished_night(culling)
        watched_days(culling)
        queued_night(culling)
        unfinished_night(culling)
        live_day(culling)
        pack(folder / "data", GOLDEN / "data")


class Culling:
    """The old commit's command line, at work in `folder`."""

    def __init__(self, old: Path, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self._environment = {**os.environ, "PYTHONPATH": str(old), "TZ": "UTC"}

    def __call__(self, *arguments: str) -> None:
        subprocess.run(self._command(*arguments), **self._where(), check=True)

    @contextmanager
    def killed_when(self, is_so: Callable[[], bool], *arguments: str) -> Iterator[None]:
        """Run a command in the background; kill it as soon as it is so."""
        process = subprocess.Popen(self._command(*arguments), **self._where())
        try:
            yield
            deadline_s = time.monotonic() + PATIENCE_S
            while not is_so():
                if process.poll() is not None or time.monotonic() > deadline_s:
                    message = f"{' '.join(arguments)}: ended or took too long"
                    raise SystemExit(message)
                time.sleep(0.01)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def ask(self, query: str) -> list[tuple[str, ...]]:
        """What the database says."""
        with closing(sqlite3.connect(self.data / "culling.db", timeout=30)) as connection:
            return connection.execute(query).fetchall()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "jobs.cli", *arguments]

    def _where(self) -> dict[str, object]:
        return {"cwd": self.folder, "env": self._environment}


def finished_night(culling: Culling) -> None:
    """A night that was promoted, and corrected labels of two of its frames."""
    culling("retrain", "yard")
    culling("dataset", "export", "yard", "--output", "out")
    path = culling.folder / "out" / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["images"] = content["images"][:2]
    content["annotations"] = [
        {"id": row["id"], "image_id": row["id"], "category_id": 3, "bbox": [10, 20, 30, 40]}
        for row in content["images"]
    ]
    path.write_text(json.dumps(content), encoding="utf-8")
    culling("dataset", "import", "yard", str(path))


def queued_night(culling: Culling) -> None:
    """The service asks for a night, and waits for its window to open."""
    hour = (time.gmtime().tm_hour + 12) % 24
    content = yaml.safe_load((culling.folder / "config.yaml").read_text(encoding="utf-8"))
    content["service"]["window"] = f"{hour:02d}:00-{hour:02d}:30"
    content["cameras"]["gate"]["schedule"] = "* * * * *"
    path = culling.folder / "waiting.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    asked = "SELECT * FROM dues"
    with culling.killed_when(lambda: bool(culling.ask(asked)), "run", "--config", str(path)):
        pass


def unfinished_night(culling: Culling) -> None:
    """A second night, killed while it trains."""
    stages = "SELECT name FROM stages WHERE night_id = 3 ORDER BY id"
    with culling.killed_when(lambda: (UNFINISHED,) in culling.ask(stages), "retrain", "yard"):
        pass
    done = [name for (name,) in culling.ask(stages)]
    if done[-1] != UNFINISHED:
        message = f"it was quicker than its murderer: {done}"
        raise SystemExit(message)


def watched_days(culling: Culling) -> None:
    """An evening that has had its night, and a part of the day that follows."""
    culling("ingest", "gate", "--frames", "200")
    culling("retrain", "gate")
    culling("ingest", "gate", "--frames", "366")


def live_day(culling: Culling) -> None:
    """A camera that gives snapshots, watched until `culling ingest` is killed in mid-line."""
    pictures = sorted(path.read_bytes() for path in culling.data.glob("frames/yard/*/*.jpg"))
    days = culling.data / "days" / "door"

    def seen() -> bool:
        lines = [line for path in days.glob("*/*.jsonl") for line in path.read_text().splitlines()]
        return sum('"t":' in line for line in lines) >= LIVE_FRAMES

    with snapshots(pictures), culling.killed_when(seen, "ingest", "door"):
        pass
    (daybook,) = days.glob("*/*.jsonl")
    daybook.write_bytes(daybook.read_bytes()[:-20])


@contextmanager
def snapshots(pictures: list[bytes]) -> Iterator[None]:
    """A web server that gives the next picture each time."""
    turn = cycle(pictures)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = next(turn)
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", PORT), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def pack(data: Path, there: Path) -> None:
    """Everything but the weights; the database as SQL, of another machine, as it were. Of the
    weights, training has changed no more than −0 to 0."""
    known = set(possible_weights())
    for path in data.glob(f"models/*/*/{TENSORS}"):
        if path.read_bytes() not in known:
            message = f"{path}: training has changed it, so it would have to be kept"
            raise SystemExit(message)
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(
        data, there, ignore=shutil.ignore_patterns(TENSORS, "culling.db*", ".lock", "*.tmp")
    )
    with closing(sqlite3.connect(data / "culling.db")) as connection:
        for table in ("nights", "dues"):
            connection.execute(f"UPDATE {table} SET host = 'old', process = 'old' WHERE host > ''")
        connection.commit()
        text = "".join(f"{line}\n" for line in connection.iterdump())
    (there / "culling.sql").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
