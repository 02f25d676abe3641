"""A PostgreSQL server of one's own: private, on a free port, killed and started again at will."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import count
from pathlib import Path
from urllib.parse import quote

from benchmarks.testbed.live import free_port

USER, ADMIN = "culling", "admin"
PASSWORD = "c4n4ry @/:%#?$'\"\\é of the d4tabase"
"""With everything in it that means something in an address, a shell, SQL or a connection string."""
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "shared_buffers": "16MB",
}
START_S = 30.0


def forms(password: str) -> set[str]:
    """How a password may show: as it is, in an address, in a repr, in SQL."""
    sql = password.replace("'", "''")
    return {password, quote(password, safe=""), quote(password), repr(password)[1:-1], sql}


def programs() -> Path | None:
    """The folder of the newest server here (Debian keeps it out of PATH), or None."""
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: float(p.parent.name))
    if found is not None:
        folders.append(Path(found).resolve().parent)
    return folders[-1] if folders else None


class PostgresServer:
    """Its databases belong to `USER`, who comes in by password alone (scram-sha-256)."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="culling-postgres-"))
        self._data = self.folder / "data"
        self._names = (f"culling_{k}" for k in count())
        self.port = free_port()
        # The server refuses to run as root.
        self._as = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        self.give(self.folder)
        self._make()
        self.start()
        quoted = PASSWORD.replace("'", "''")
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{quoted}'")

    @property
    def log(self) -> str:
        """All that it has said."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        login = f"{user}:{quote(password, safe='')}"
        return f"postgresql://{login}@127.0.0.1:{self.port}/{database}"

    def new_database(self, *, owner: str = USER, options: str = "") -> str:
        """The address of an empty one."""
        name = next(self._names)
        self.sql(f"CREATE DATABASE {name} OWNER {owner} {options}")
        return self.url(name)

    def sql(self, command: str, *, database: str = "postgres") -> None:
        """One command of the server's administrator."""
        import psycopg

        url = self.url(database, user=ADMIN)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(command)  # type: ignore[call-overload]

    def give(self, folder: Path) -> None:
        """The server may write there."""
        if self._as:
            shutil.chown(folder, "postgres", "postgres")

    def start(self) -> None:
        settings = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
        command = [str(self.programs / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *settings], stdout=log, stderr=log, cwd=self.folder, **self._as
            )
        self._wait()

    def kill(self) -> None:
        """At once: no connection is ended in good order."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=START_S)

    def close(self) -> None:
        """Stop it and forget all its databases."""
        if self._process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _make(self) -> None:
        password = self.folder / "password"
        password.write_text(PASSWORD + "\n", encoding="utf-8")
        command = [str(self.programs / "initdb"), "-D", str(self._data), "-U", ADMIN]
        command += ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8"]
        made = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.folder, **self._as
        )
        password.unlink()
        assert made.returncode == 0, made.stderr

    def _wait(self) -> None:
        import psycopg

        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s and self._process.poll() is None:
            with suppress(psycopg.OperationalError):
                return self.sql("SELECT 1")
            time.sleep(0.05)
        raise AssertionError(self.log)
