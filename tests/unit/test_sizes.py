"""How long classes and functions may be, so that each can be read at one sitting."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("streams", "models", "culling_pipeline", "jobs")
MAX_CLASS, MAX_FUNCTION = 150, 50

LONGER: dict[str, str] = {
    "culling_pipeline/tasks/base.py: Task": "one interface, mostly docstrings",
    "culling_pipeline/tasks/boxes/task.py: BoxTask": "one interface, each method hands over",
    "culling_pipeline/tasks/density/task.py: CountTask": "the same interface",
    "jobs/config/night.py: TrainingSettings": "a list of settings, each with its sentence",
}
"""What may be longer, and why. One that is no longer too long has to be taken out."""


def too_long(sources: Mapping[str, str]) -> dict[str, int]:
    """Lines of each class and function that is too long, by `path: name`. Decorators do not count,
    docstrings do."""
    found = {}
    for path, source in sources.items():
        for node in _blocks(ast.parse(source)):
            assert node.end_lineno is not None
            lines = node.end_lineno - node.lineno + 1
            most = MAX_CLASS if isinstance(node, ast.ClassDef) else MAX_FUNCTION
            if lines > most:
                found[f"{path}: {node.name}"] = lines
    return found


def _blocks(tree: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Every file of the four packages, by its path."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}


def test_classes_and_functions_can_be_read_at_one_sitting(sources: dict[str, str]) -> None:
    assert len(sources) > 50
    found = too_long(sources)
    assert {name: lines for name, lines in found.items() if name not in LONGER} == {}
    assert set(LONGER) - set(found) == set(), "no longer too long: take them out of LONGER"


@pytest.mark.parametrize(
    ("head", "most"),
    [
        ("class A:", MAX_CLASS),
        ("def f():", MAX_FUNCTION),
        ("async def f():", MAX_FUNCTION),
        ("@decorated\ndef f():", MAX_FUNCTION),
    ],
)
def test_one_line_too_many_is_found(head: str, most: int) -> None:
    longest = head + (most - 1) * "\n    x = 1"
    assert too_long({"a.py": longest}) == {}
    assert list(too_long({"a.py": longest + "\n    x = 1"}).values()) == [most + 1]


def test_a_method_counts_as_a_function() -> None:
    method = "class A:\n    def f(self):" + MAX_FUNCTION * "\n        x = 1"
    assert too_long({"a.py": method}) == {"a.py: f": MAX_FUNCTION + 1}
