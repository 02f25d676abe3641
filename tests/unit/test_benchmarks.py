"""Every benchmark imports, and `--help` says what it does: they are run too seldom to notice it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

ELSEWHERE = {"rtsp_server.py"}
"""It runs in the system's Python, which has GStreamer."""
SCRIPT = """
import contextlib, importlib, io, json, sys

said, (names, commands) = {}, json.loads(sys.argv[1])
sys.argv[1:] = ["--help"]
for name in names:
    module = importlib.import_module(name)
    if name in commands:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            try:
                code = module.main() or "ran instead of helping"
            except SystemExit as end:
                code = end.code
        said[name] = [code, out.getvalue()]
print(json.dumps(said))
"""
"""In one process, for torch takes seconds to import."""


@pytest.mark.slow  # torch and thirty modules
def test_each_imports_and_each_command_has_its_help() -> None:
    sources = _sources()
    commands = [name for name, source in sources.items() if '__name__ == "__main__"' in source]
    assert len(commands) > 15
    assert {"benchmarks.fuzz.__main__", "benchmarks.tried.looks"} <= set(sources)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([list(sources), commands])],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert list(said) == commands
    assert {name: code for name, (code, _) in said.items() if code != 0} == {}
    first_words = {name: _words(sources[name])[:30] for name in commands}
    helps = {name: " ".join(text.split()) for name, (_, text) in said.items()}
    assert [name for name, words in first_words.items() if words not in helps[name]] == []


def _sources() -> dict[str, str]:
    """Every module of a benchmark, also of those that are packages, and its text."""
    paths = sorted(p for p in (ROOT / "benchmarks").rglob("*.py") if p.name not in ELSEWHERE)
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts) for path in paths)
    return {
        name.removesuffix(".__init__"): path.read_text("utf-8")
        for name, path in zip(names, paths, strict=True)
    }


def _words(source: str) -> str:
    return " ".join((ast.get_docstring(ast.parse(source)) or "no docstring").split())
