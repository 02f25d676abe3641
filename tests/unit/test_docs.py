"""What the documents claim, held against the code: names, settings, commands, files, links."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs import errors
from jobs.cli import GROUPS
from jobs.commands import dataset, schedule
from jobs.config.load import load_config
from jobs.config.settings import CameraConfig
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
    text = text_of("docs", "design", "dependencies.md")
    headings = [h for h in re.findall(r"^## (.+)$", text, re.M) if h != "Left out for now"]
    explained = {h: [row[0].strip("`") for row in rows(section(text, f"## {h}"))] for h in headings}
    assert {h: set(names) for h, names in explained.items()} == declared_dependencies()
    assert all(len(set(names)) == len(names) for names in explained.values())


def test_each_dependency_says_why_and_what_else() -> None:
    for row in rows(text_of("docs", "design", "dependencies.md")):
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
        if teacher.io is not None:
            names = teacher.io.class_names or PRESETS[teacher.io.preset or ""]
        ClassMap.from_config(camera.classes).check(names)


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


def test_settings_named_in_the_design_exist() -> None:
    camera = CameraConfig(name="yard", source="yard.mp4", classes=["person"])  # type: ignore[arg-type]
    sections = "student|teacher|culling|resolution|training|judging"
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for key in re.findall(rf"`((?:{sections})(?:\.[a-z_]+)+)(?:: [^`]*)?`", text):
            if key.startswith("teacher.io") or key.endswith((".npz", ".db")):
                continue  # null by default, and files
            setting(camera, key)


# -- commands, codes, stages, versions -------------------------------------------------------------


def test_commands_named_exist_and_all_are_named() -> None:
    groups = {"schedule": schedule.app, "dataset": dataset.app}
    commands = {
        (c.name or c.callback.__name__)
        for group in GROUPS
        for c in group.app.registered_commands
        if c.callback
    }
    commands |= {
        f"{group} {c.name}" for group, typer in groups.items() for c in typer.registered_commands
    }
    guides = sorted((ROOT / "docs" / "guide").glob("*.md"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in (README, *guides))
    found = set(re.findall(r"(?:^|`|/)culling ((?:schedule |dataset )?[a-z]+)", text, re.M))
    assert len(found) > 10
    assert found <= commands
    listed = re.findall(r"^## culling (.+)$", text_of("docs", "reference", "commands.md"), re.M)
    assert set(listed) == commands


def test_exit_codes_are_those_of_the_program() -> None:
    codes = {value for value in vars(errors).values() if isinstance(value, int)} - {
        errors.NIGHT_NEEDS_BYTES
    }
    table = rows(text_of("docs", "reference", "exit-codes.md"))
    assert {int(row[0]) for row in table} == codes


def test_stages_are_those_of_the_night_in_their_order() -> None:
    overview = section(text_of("docs/design/night.md"), "## Overview")
    named = [row[0].strip("`") for row in rows(overview)]
    in_code = re.findall(r'_once\(\s*journal, "(\w+)"', text_of("culling_pipeline/night/night.py"))
    assert named == ["start", *in_code]


def test_changelog_knows_the_version() -> None:
    version = tomllib.loads(text_of("pyproject.toml"))["project"]["version"]
    headings = re.findall(r"^## \[([^\]]+)\]", text_of("CHANGELOG.md"), re.M)
    assert headings[:2] == ["Unreleased", version]


# -- links and places ------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
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
