"""The tests' surroundings are the same, wherever they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, os, signal, time
from tests.surroundings import settle

os.umask(0o077)
settle()
mask = os.umask(0)
names = ("COLUMNS", "http_proxy", "XDG_CACHE_HOME", "CULLING_CACHE", "CULLING_KILLS", "TZ")
handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)]
print(json.dumps([mask, time.tzname[0], [os.environ.get(name) for name in names]]))
print([getattr(handler, "name", None) or handler.__name__ for handler in handlers])
"""
STRANGE = {
    "TZ": "Pacific/Chatham",
    "COLUMNS": "40",
    "http_proxy": "http://127.0.0.1:9",
    "XDG_CACHE_HOME": "/nonexistent",
    "CULLING_CACHE": "/nonexistent",
    "CULLING_KILLS": "3",
}


def test_strange_surroundings_are_made_usual_ones() -> None:
    script = 'trap "" INT HUP TERM; exec "$0" -c "$1"'  # as in a script's background
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, SCRIPT],
        cwd=ROOT, env=os.environ | STRANGE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        '[18, "UTC", [null, null, null, null, "3", "UTC"]]',
        "['default_int_handler', 'SIG_DFL', 'SIG_DFL']",
    ]


def test_home_is_an_empty_folder_of_this_run(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert Path.home().is_relative_to(tmp_path_factory.getbasetemp())
