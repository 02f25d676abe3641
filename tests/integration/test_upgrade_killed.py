"""A database of the first release whose upgrade is killed, again and again, at each step."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from jobs.database.connection import REVISION
from tests.unit.stores import Where
from tests.unit.test_database_upgrade import assert_nothing_is_lost, make_first_release

ROOT = Path(__file__).resolve().parents[2]
STEPS = 80
"""More than the upgrade has statements and commits."""
KILLED = """
import os, pathlib, sys
import alembic.command, sqlalchemy as sa
from jobs.database.store import Store

def open_and_die(folder, steps):
    seen = 0
    def step(*args, **kwargs):
        nonlocal seen
        seen += 1
        if seen > steps:
            os.kill(os.getpid(), 9)
    sa.event.listen(sa.Engine, "before_cursor_execute", step)
    sa.event.listen(sa.Engine, "commit", step)
    Store(folder).close()
    os._exit(0)

for folder in sorted(pathlib.Path(sys.argv[1]).glob("killed-*")):
    pid = os.fork()
    if pid == 0:
        open_and_die(folder, int(folder.name.split("-")[1]))
    print(os.waitpid(pid, 0)[1], flush=True)
"""


def test_an_upgrade_killed_at_any_step_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    make_first_release(Where(tmp_path))
    whole = (tmp_path / "culling.db").read_bytes()
    for steps in range(STEPS):
        (tmp_path / f"killed-{steps:02d}").mkdir()
        (tmp_path / f"killed-{steps:02d}" / "culling.db").write_bytes(whole)
    child = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    codes = [int(line) for line in child.stdout.split()]
    assert set(codes) == {9, 0}
    assert codes == sorted(codes, reverse=True)
    assert codes.count(9) > 20
    for steps in range(STEPS):
        where = Where(tmp_path / f"killed-{steps:02d}")
        engine = where.engine()
        with engine.connect() as connection:
            columns = {column["name"] for column in sa.inspect(connection).get_columns("nights")}
            tables = set(sa.inspect(connection).get_table_names())
            query = sa.text("SELECT version_num FROM alembic_version")
            version = connection.execute(query).scalar_one()
        engine.dispose()
        new = version == REVISION
        assert new or codes[steps] == 9
        assert ("record" in columns, "figures" in columns) == (not new, new)
        assert ("records" in tables, "dues" in tables) == (new, new)
    for steps in (0, codes.count(9) // 2, codes.count(9) - 1, STEPS - 1):
        assert_nothing_is_lost(Where(tmp_path / f"killed-{steps:02d}"))
