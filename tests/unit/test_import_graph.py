"""Who may import whom, read from the source of every module: `jobs → culling_pipeline →
{models, streams}`, and neither tests nor benchmarks from any of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "streams": {"streams"},
    "models": {"models"},
    "culling_pipeline": {"culling_pipeline", "models", "streams"},
    "jobs": {"jobs", "culling_pipeline", "models", "streams"},
}
NOT_SHIPPED = {"tests", "benchmarks", "scripts"}
OURS = {*MAY_IMPORT, *NOT_SHIPPED}
COMMAND_LINE = "jobs/cli.py"


def imports(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every module imported anywhere, in a function or by name too."""
    package = Path(path).parent.parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*start, *filter(None, [node.module])))
            yield node.lineno, module or node.names[0].name
        elif isinstance(node, ast.Call) and _name(node.func) in (
            "import_module",
            "importlib.import_module",
            "__import__",
        ):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant):
                    yield node.lineno, str(argument.value)


def endings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every `print(…)` and of every way to end the program."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name(node.func) in ("print", "sys.exit", "exit", "quit"):
            yield node.lineno, _name(node.func)
        elif isinstance(node, ast.Name | ast.alias) and _name(node) == "SystemExit":
            yield node.lineno, "SystemExit"
        elif isinstance(node, ast.ImportFrom) and node.module == "sys":
            yield from ((node.lineno, "sys.exit") for a in node.names if a.name == "exit")


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.alias):
        return node.name
    return f"{_name(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def offences(sources: Mapping[str, str]) -> list[str]:
    """What is wrong with these modules, given by path; empty if nothing."""
    found = []
    for path, source in sources.items():
        tree = ast.parse(source)
        package = path.split("/")[0]
        for line, module in imports(tree, path):
            top = module.split(".")[0]
            if top in OURS and top not in MAY_IMPORT[package]:
                found.append(f"{path}:{line}: {package} must not import {module}")
        if path != COMMAND_LINE:
            found += [
                f"{path}:{line}: {name} below the command line" for line, name in endings(tree)
            ]
    return found


def test_every_import_points_downwards_and_only_the_command_line_prints() -> None:
    paths = [path for package in MAY_IMPORT for path in (ROOT / package).rglob("*.py")]
    sources = {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}
    assert {path.split("/")[0] for path in sources} == set(MAY_IMPORT)
    assert len(sources) > 50
    assert offences(sources) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("streams/a.py", "import models", "1: streams must not import models"),
        (
            "streams/a.py",
            "from models.boxes.detections import iou",
            "1: streams must not import models.boxes.detections",
        ),
        ("models/a.py", "import numpy, streams.base", "1: models must not import streams.base"),
        ("models/a.py", "def f():\n    import jobs", "2: models must not import jobs"),
        ("models/a.py", "if T:\n  from jobs import x", "2: models must not import jobs"),
        ("culling_pipeline/a.py", "import jobs.cli as c", "must not import jobs.cli"),
        ("culling_pipeline/report/a.py", "from ... import jobs", "must not import jobs"),
        ("culling_pipeline/report/a.py", "from ...jobs import x", "must not import jobs"),
        ("streams/a.py", "importlib.import_module('models.x')", "must not import models.x"),
        ("streams/a.py", "__import__('jobs')", "must not import jobs"),
        ("jobs/a.py", "from tests.unit.clips import x", "must not import tests.unit.clips"),
        ("jobs/cli.py", "import benchmarks", "jobs must not import benchmarks"),
        ("jobs/a.py", "print('x')", "1: print below the command line"),
        ("models/a.py", "import sys\nsys.exit(1)", "2: sys.exit below the command line"),
        ("models/a.py", "from sys import exit", "1: sys.exit below the command line"),
        ("models/a.py", "raise SystemExit(2)", "1: SystemExit below the command line"),
    ],
)
def test_an_offence_is_found(path: str, source: str, expected: str) -> None:
    found = offences({path: source})
    assert len(found) == 1
    assert found[0].startswith(f"{path}:")
    assert expected in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("jobs/a.py", "import models, streams.base\nfrom culling_pipeline.night.night import x"),
        ("culling_pipeline/report/a.py", "from ..records import x\nfrom . import charts"),
        ("streams/synthetic/street/a.py", "from ..base import Frame\nimport numpy"),
        ("models/a.py", "sys.stdout.write('x')\nblueprint('x')\nfrom streamsaver import models"),
        ("jobs/cli.py", "import sys\nprint('x')\nsys.exit(0)"),
    ],
)
def test_what_is_allowed_is_no_offence(path: str, source: str) -> None:
    assert offences({path: source}) == []
