"""What the documents claim, held against the code: names, settings, commands, files, links."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import yaml
from pydantic import BaseModel

from culling_pipeline import stage_names
from culling_pipeline.night import night
from culling_pipeline.stage_names import STAGES
from jobs import errors
from jobs.cli import app
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig, Config
from models.boxes.classes import COCO_80, ClassMap

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("streams", "models", "culling_pipeline", "jobs")
README = ROOT / "README.md"
DOCUMENTS = [
    *sorted(ROOT.glob("*.md")),
    ROOT / "examples" / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]
BUILTIN = ("person", "car", "bicycle")
PRESETS = {"person-vehicle-bike": ("vehicle", "person", "bike"), "yolox-coco": COCO_80}
"""What the teachers of the examples know, as in `models.boxes.foreign` (seconds to import)."""


def text_of(*parts: str) -> str:
    return ROOT.joinpath(*parts).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands under `heading`, up to the next heading of its level or a higher one."""
    level = heading.split(" ")[0]
    body = text.split(f"\n{heading}\n", 1)[1]
    return re.split(rf"^#{{1,{len(level)}}} ", body, maxsplit=1, flags=re.MULTILINE)[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all tables in `text`, without head and rule."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [n for n, row in enumerate(cells) if not "".join(row).strip("-")]
    heads = {n - 1 for n in rules}
    return [row for n, row in enumerate(cells) if n not in heads and n not in rules]


# -- the file map ----------------------------------------------------------------------------------


def listed_paths() -> list[str]:
    return re.findall(
        r"^- `([^`]+)`: \S", section(text_of("docs", "architecture.md"), "## File map"), re.M
    )


def test_every_module_is_in_the_file_map() -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".html", ".yaml") and path.name != "__init__.py"
    }
    assert modules - set(listed_paths()) == set(), "run `make docs`"


def test_the_file_map_lists_nothing_missing_and_nothing_twice() -> None:
    listed = listed_paths()
    assert len(listed) > 50
    assert [path for path in listed if not (ROOT / path).exists()] == []
    assert len(set(listed)) == len(listed)


# -- dependencies ----------------------------------------------------------------------------------


def declared_dependencies() -> dict[str, set[str]]:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    groups = {"Core": project["dependencies"]} | {
        f"Extra `{name}`": names for name, names in project["optional-dependencies"].items()
    }
    return {
        heading: {re.split(r"[<>=!~\[; ]", name)[0] for name in names}
        for heading, names in groups.items()
    }


def test_each_dependency_has_its_line_and_each_line_its_dependency() -> None:
    text = text_of("docs", "dependencies.md")
    headings = [h for h in re.findall(r"^## (.+)$", text, re.M) if h != "Left out for now"]
    explained = {h: [row[0].strip("`") for row in rows(section(text, f"## {h}"))] for h in headings}
    assert {h: set(names) for h, names in explained.items()} == declared_dependencies()
    assert all(len(set(names)) == len(names) for names in explained.values())


def test_each_dependency_says_why_and_what_else() -> None:
    explained = rows(text_of("docs", "dependencies.md"))
    assert len(explained) > 20
    for row in explained:
        assert len(row) == 3
        assert all(row), row


# -- configuration ---------------------------------------------------------------------------------


def yaml_examples() -> Iterator[tuple[str, str]]:
    for path in DOCUMENTS:
        found = re.findall(r"^```yaml\n(.*?)^```", path.read_text(encoding="utf-8"), re.M | re.S)
        for number, text in enumerate(found, start=1):
            yield f"{path.relative_to(ROOT)}:{number}", text


@pytest.mark.parametrize("text", [pytest.param(t, id=name) for name, t in yaml_examples()])
def test_each_example_is_a_whole_configuration(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    for camera in load_config(path).cameras.values():
        teacher = camera.teacher
        names = teacher.class_names or BUILTIN
        if teacher.weights.startswith("pretrained:"):
            names = COCO_80
        if teacher.io is not None:
            names = teacher.io.class_names or PRESETS[teacher.io.preset or ""]
        ClassMap.from_config(camera.wanted).check(names)


def test_there_is_an_example_for_each_kind_of_teacher() -> None:
    weights = [
        yaml.safe_load(text)["cameras"]["yard"].get("teacher", {}).get("weights", "builtin:")
        for name, text in yaml_examples()
        if name.startswith("docs/guide/detectors")
    ]
    kinds = {Path(path).suffix for path in weights}
    assert kinds == {"", ".xml", ".onnx", ".pth"}


def setting(camera: CameraConfig, key: str) -> Any:
    value: Any = camera
    for part in key.split("."):
        value = getattr(value, part)
    return value


def test_decisions_name_settings_their_defaults_and_where_they_are() -> None:
    camera = CameraConfig(name="yard", source="yard.mp4", classes=["person"])  # type: ignore[arg-type]
    text = section(text_of("docs", "design", "decisions.md"), "## Where the papers leave a choice")
    decisions = rows(text)
    assert len(decisions) > 15
    for *_, where, key, default in decisions:
        assert setting(camera, key.strip("`")) == yaml.safe_load(default.strip("`")), key
        assert (ROOT / where.strip("`")).is_file(), where


def sections_of(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """A configuration's sections by key, those that may be absent too."""
    found = {}
    for key, field in model.model_fields.items():
        for kind in (field.annotation, *get_args(field.annotation)):
            if inspect.isclass(kind) and issubclass(kind, BaseModel):
                found[key] = kind
    return found


def is_setting(model: type[BaseModel], key: str) -> bool:
    """Whether `a.b.c` names a field of the model."""
    first, _, rest = key.partition(".")
    if not rest:
        return first in model.model_fields
    inner = sections_of(model).get(first)
    return inner is not None and is_setting(inner, rest)


def test_settings_named_in_the_documents_exist() -> None:
    models = (CameraConfig, Config)
    keys = {key for model in models for key in sections_of(model)} - set(PACKAGES)
    sections = "|".join(sorted(keys))
    pattern = re.compile(rf"`((?:{sections})(?:\.[a-z_]+)+)(?:: [^`]*)?`")
    named = {
        key
        for path in DOCUMENTS
        for key in pattern.findall(path.read_text(encoding="utf-8"))
        if not key.endswith((".npz", ".db", ".json"))  # files
    }
    assert len(named) > 30
    assert {key for key in named if not any(is_setting(m, key) for m in models)} == set()


@pytest.mark.parametrize("key", ["culling.kept", "culling.keep.more", "teacher.io.no", "no.such"])
def test_a_setting_that_is_none_is_found_out(key: str) -> None:
    assert is_setting(CameraConfig, "culling.control.frames")
    assert is_setting(CameraConfig, "teacher.io.preset")  # its section is null by default
    assert not is_setting(CameraConfig, key)


# -- commands, codes, stages, versions -------------------------------------------------------------


def commands_of(group: Any, start: str = "") -> Iterator[str]:
    """All commands as they are called, those of groups within the group too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, f"{start}{name} ")
        else:
            yield f"{start}{name}"


def test_commands_named_exist_and_all_are_named() -> None:
    commands = set(commands_of(typer.main.get_command(app)))
    groups = {name.partition(" ")[0] for name in commands if " " in name}
    assert len(commands) > 15
    assert groups
    guides = sorted((ROOT / "docs" / "guide").glob("*.md"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in (README, *guides))
    in_group = "".join(f"{group} |" for group in sorted(groups))
    found = set(re.findall(rf"(?:^|`|/)culling ((?:{in_group})[a-z]+)", text, re.M))
    assert len(found) > 10
    assert found <= commands
    listed = re.findall(r"^## culling (.+)$", text_of("docs", "reference", "commands.md"), re.M)
    assert set(listed) == commands


def test_exit_codes_are_those_of_the_program() -> None:
    codes = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert len(codes) > 3
    table = rows(text_of("docs", "reference", "exit-codes.md"))
    assert {int(row[0]) for row in table} == codes


def test_stages_are_those_of_the_night_in_their_order() -> None:
    overview = section(text_of("docs/design/night.md"), "## Overview")
    named = [row[0].strip("`") for row in rows(overview)]
    assert named == [stage.key for stage in STAGES]
    assert stages_of(ast.parse(inspect.getsource(night))) == named[2:]


def stages_of(tree: ast.AST) -> list[str]:
    """The keys of the stages in the order in which the night's code runs each once."""
    stages = [
        (call.lineno, getattr(stage_names, call.args[0].attr).key)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Attribute)
        if isinstance(call.args[0].value, ast.Name) and call.args[0].value.id == "stage_names"
    ]
    return [key for _, key in sorted(stages)]


def test_changelog_knows_the_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", text_of("CHANGELOG.md"), re.M)
    assert headings[:2] == ["Unreleased", version]


# -- links and places ------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links(document: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8"))


def test_there_are_links() -> None:
    assert len([link for document in DOCUMENTS for link in links(document)]) > 50


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_place_on_somebodys_machine(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert re.findall(r"(?<![\w$~/.])/(?:work|home|root|tmp|Users|mnt)/\S*", text) == []
