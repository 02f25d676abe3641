"""Who may import whom, read from the source of every module: `jobs → culling_pipeline →
{models, streams}`, what is not shipped by none of them (`tests → benchmarks`), rooms
(folders) only from rooms on a lower floor, and no file in a circle."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAY_IMPORT = {
    "streams": {"streams"},
    "models": {"models"},
    "culling_pipeline": {"culling_pipeline", "models", "streams"},
    "jobs": {"jobs", "culling_pipeline", "models", "streams"},
}
BESIDE = {
    "benchmarks": {"benchmarks", *MAY_IMPORT},
}
"""What tests and benchmarks share is in `benchmarks/testbed`: a benchmark needs no test to run."""
NOT_SHIPPED = {"tests", "scripts", *BESIDE}
OURS = {*MAY_IMPORT, *NOT_SHIPPED}
COMMAND_LINE = "jobs/cli.py"

Floors = Sequence[Sequence[str]]
FLOORS: dict[str, Floors] = {
    "models": (
        ("base", "errors", "images", "without_compiler", "zones"),
        ("files", "runtimes", "shapes", "specs", "trial", "unpickling"),
        ("checkpoint", "versions"),
        ("boxes", "registry"),
        ("density",),
        ("pretrained",),
    ),
    "streams": (
        ("keyframes", "left_out", "picture_headers", "sampler", "secret_words"),
        ("secret_places",),
        ("base",),
        ("address", "failures", "mask", "one_size", "pictures", "synthetic"),
        ("decoding", "requests"),
        ("web",),
        ("site",),
        ("live",),
        ("recorded",),
        ("open",),
        ("probe",),
    ),
    "culling_pipeline": (
        ("errors", "records", "ranges", "stage_names", "svg"),
        ("run", "tasks"),
        ("gate", "culling"),
        ("day",),
        ("labels", "judging", "monitoring", "report"),
        ("training", "groups"),
        ("night",),
    ),
    "jobs": (
        ("errors", "private", "program"),
        ("config", "logs"),
        ("database",),
        ("cameras",),
        ("bucket",),
        ("disk",),
        ("nights",),
        ("executors", "exports", "setup", "watch"),
        ("service",),
        ("pages",),
        ("commands",),
        ("cli",),
    ),
}
"""The rooms of a package, from the lowest floor to the highest. A room is a folder; a file directly
in the package has a place among them."""
MAX_ROOMS, MAX_FLOORS = 13, 7
"""Folders and floors of `culling_pipeline`: a newcomer has to see the night in it."""

Edge = tuple[str, str]
TELLING = ast.Import | ast.ImportFrom | ast.Call | ast.Name | ast.alias
TO_BE_MENDED: frozenset[Edge] = frozenset()
"""Imports that point upwards or close a circle of files, for now. Take out what is mended."""


def imports(tree: ast.AST, path: str) -> Iterator[tuple[int, str]]:
    """Line and full name of every module imported anywhere, in a function or by name too."""
    package = Path(path).parent.parts
    for node in _nodes(tree):
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


@cache
def parsed(source: str) -> ast.Module:
    """Each file is parsed once for all tests."""
    return ast.parse(source)


@cache
def _nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """What can say something about imports or endings, in one walk for all tests."""
    return tuple(node for node in ast.walk(tree) if isinstance(node, TELLING))


def endings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every `print(…)` and of every way to end the program."""
    for node in _nodes(tree):
        if isinstance(node, ast.Call) and _name(node.func) in ("print", "sys.exit", "exit", "quit"):
            yield node.lineno, _name(node.func)
        elif isinstance(node, ast.Name | ast.alias) and _name(node) == "SystemExit":
            yield node.lineno, "SystemExit"
        elif isinstance(node, ast.ImportFrom) and node.module == "sys":
            yield from ((node.lineno, "sys.exit") for a in node.names if a.name == "exit")


def module_of(path: str) -> str:
    """The module that a file is: `a/b/__init__.py` is `a.b`."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def edges(sources: Mapping[str, str]) -> set[Edge]:
    """Which of these modules imports which, in a function or for types only as well."""
    known = {module_of(path) for path in sources}
    found = set()
    for path, source in sources.items():
        tree, module = parsed(source), module_of(path)
        names = {name for _, name in imports(tree, path)} | set(_submodules(tree, path))
        found |= {(module, name) for name in names if name in known and name != module}
    return found


def _submodules(tree: ast.AST, path: str) -> Iterator[str]:
    """What `from a.b import c` imports if `c` is a module: `a.b.c`."""
    package = Path(path).parent.parts
    for node in _nodes(tree):
        if isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            parent = (*start, *filter(None, [node.module]))
            yield from (".".join((*parent, alias.name)) for alias in node.names)


def upward(found: set[Edge], package: str, floors: Floors) -> set[Edge]:
    """Imports within a package that do not lead from one room to another on a lower floor."""
    floor_of = {room: number for number, rooms in enumerate(floors) for room in rooms}

    def room_of(module: str) -> str:
        return module.split(".")[1]

    inside = {
        (one, other)
        for one, other in found
        if one.startswith(f"{package}.") and other.startswith(f"{package}.")
    }
    return {
        (one, other)
        for one, other in inside
        if room_of(one) != room_of(other) and floor_of[room_of(one)] <= floor_of[room_of(other)]
    }


def circle(found: set[Edge]) -> list[str]:
    """Modules that import each other in a circle, if there is one; else empty."""
    graph: dict[str, set[str]] = {}
    for one, other in found:
        graph.setdefault(one, set()).add(other)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


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
        tree = parsed(source)
        package = path.split("/")[0]
        allowed = (MAY_IMPORT | BESIDE)[package]
        for line, module in imports(tree, path):
            top = module.split(".")[0]
            if top in OURS and top not in allowed:
                found.append(f"{path}:{line}: {package} must not import {module}")
        if package in MAY_IMPORT and path != COMMAND_LINE:
            found += [
                f"{path}:{line}: {name} below the command line" for line, name in endings(tree)
            ]
    return found


def _read(packages: Iterable[str]) -> dict[str, str]:
    paths = [path for package in packages for path in (ROOT / package).rglob("*.py")]
    return {p.relative_to(ROOT).as_posix(): p.read_text(encoding="utf-8") for p in paths}


@pytest.fixture(scope="module")
def sources() -> dict[str, str]:
    """Every file of the four packages, by its path."""
    return _read(MAY_IMPORT)


@pytest.fixture(scope="module")
def found(sources: dict[str, str]) -> set[Edge]:
    """Who imports whom in them."""
    return edges(sources)


def test_every_import_points_downwards_and_only_the_command_line_prints() -> None:
    packages = MAY_IMPORT | BESIDE
    sources = _read(packages)
    assert {path.split("/")[0] for path in sources} == set(packages)
    assert len(sources) > 50
    assert offences(sources) == []


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_only_from_lower_floors(package: str, found: set[Edge]) -> None:
    assert sorted(upward(found, package, FLOORS[package]) - TO_BE_MENDED) == []


@pytest.mark.parametrize("package", FLOORS)
def test_the_floors_name_every_room_once(package: str, sources: dict[str, str]) -> None:
    parts = [module_of(path).split(".") for path in sources]
    rooms = {module[1] for module in parts if module[0] == package and len(module) > 1}
    named = [room for floor in FLOORS[package] for room in floor]
    assert sorted(named) == sorted(rooms)


def test_the_pipeline_stays_small_enough_to_be_seen(sources: dict[str, str]) -> None:
    parts = [path.split("/") for path in sources]
    rooms = {path[1] for path in parts if path[0] == "culling_pipeline" and len(path) > 2}
    assert 5 < len(rooms) <= MAX_ROOMS
    assert len(FLOORS["culling_pipeline"]) <= MAX_FLOORS


def test_no_file_is_in_a_circle(found: set[Edge]) -> None:
    assert len(found) > 500
    assert circle(found - TO_BE_MENDED) == []


def test_what_is_to_be_mended_is_still_broken(found: set[Edge]) -> None:
    assert sorted(TO_BE_MENDED - found) == []


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
        (
            "jobs/a.py",
            "from benchmarks.testbed.tiny import x",
            "must not import benchmarks.testbed.tiny",
        ),
        ("benchmarks/a.py", "from tests.unit.a import x", "must not import tests.unit.a"),
        ("benchmarks/a.py", "import scripts.x", "must not import scripts.x"),
        (
            "benchmarks/a/b.py",
            "def f():\n    import tests.unit",
            "2: benchmarks must not import tests",
        ),
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
        (
            "benchmarks/a.py",
            "import jobs.cli, benchmarks.testbed.tiny, benchmarks.book\nprint('x')",
        ),
    ],
)
def test_what_is_allowed_is_no_offence(path: str, source: str) -> None:
    assert offences({path: source}) == []


FEW_FLOORS: Floors = (("low",), ("mid", "other"), ("top",))


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("p/low/a.py", "from p.top.a import x", ("p.low.a", "p.top.a")),
        ("p/mid/a.py", "from p.other import a", ("p.mid.a", "p.other.a")),
        ("p/mid/a.py", "from ..other import a", ("p.mid.a", "p.other.a")),
        ("p/low/a.py", "def f():\n    import p.top.a", ("p.low.a", "p.top.a")),
        ("p/low/a.py", "if TYPE_CHECKING:\n    from p.top.a import X", ("p.low.a", "p.top.a")),
        ("p/low/a.py", "importlib.import_module('p.top.a')", ("p.low.a", "p.top.a")),
        ("p/low/deep/a.py", "import p.mid.a", ("p.low.deep.a", "p.mid.a")),
        ("p/low/__init__.py", "import p.mid.a", ("p.low", "p.mid.a")),
    ],
)
def test_an_import_that_does_not_point_to_a_lower_floor_is_found(
    path: str, source: str, expected: Edge
) -> None:
    rest = {"p/low/a.py": "", "p/mid/a.py": "", "p/other/a.py": "", "p/top/a.py": ""}
    assert upward(edges({**rest, path: source}), "p", FEW_FLOORS) == {expected}


def test_an_import_from_the_own_room_or_a_lower_floor_is_allowed() -> None:
    few = {
        "p/low/a.py": "import q.top.a",
        "p/low/b.py": "import p.low.a",
        "p/mid/a.py": "import p.low.a",
        "p/top/a.py": "from p.mid import a\nfrom p.low.b import x",
        "q/top/a.py": "import p.low.a",
    }
    assert len(edges(few)) == 6
    assert upward(edges(few), "p", FEW_FLOORS) == set()


@pytest.mark.parametrize(
    "other", ["import p.a", "def f():\n    from p.a import x", "if TYPE_CHECKING:\n    import p.a"]
)
def test_a_circle_of_files_is_found(other: str) -> None:
    few = {"p/a.py": "from p import b", "p/b.py": "import p.c", "p/c.py": other}
    assert set(circle(edges(few))) == {"p.a", "p.b", "p.c"}
    assert circle(edges({**few, "p/c.py": ""})) == []
