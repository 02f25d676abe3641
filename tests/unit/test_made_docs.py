"""Documents that scripts make from the code are those of the code as it is; none is too large."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts import make_command_reference, make_file_map

ROOT = Path(__file__).resolve().parents[2]
README_BYTES = 12_000
PICTURE_BYTES = 150_000


def test_the_file_map_is_that_of_the_tree() -> None:
    document = make_file_map.DOCUMENT.read_text(encoding="utf-8")
    assert make_file_map.with_file_map(document) == document, "run `make docs`"


def test_the_file_map_has_every_module_of_the_packages() -> None:
    shown = make_file_map.file_map()
    modules = [p for name in make_file_map.PACKAGES for p in (ROOT / name).rglob("*.py")]
    assert len(modules) > 150
    for path in modules:
        name = path.relative_to(ROOT).as_posix().removesuffix("__init__.py")
        assert f"`{name}`" in shown or f"# {name}\n" in shown, name


def test_a_file_that_says_nothing_of_itself_is_refused(tmp_path: Path) -> None:
    silent = tmp_path / "silent.py"
    silent.write_text("x = 1\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"silent\.py: no docstring"):
        make_file_map.purpose(silent)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.py", '"""First: of `it`.\n\nMore.\n"""\n', "First: of `it`."),
        ("b.py", '"""One sentence. Then another."""\n', "One sentence."),
        ("c.html", "{# A page. -#}\n<p>\n", "A page."),
        ("d.yaml", "# yaml-language-server: $schema=x\n#\n# Every key.\n", "Every key."),
    ],
)
def test_a_files_purpose_is_its_first_sentence(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    assert make_file_map.purpose(path) == said


def test_the_command_reference_is_that_of_the_commands() -> None:
    page = make_command_reference.DOCUMENT.read_text(encoding="utf-8")
    assert make_command_reference.command_reference() == page, "run `make docs`"
    assert page.count("\n## culling ") > 15


def test_the_readme_and_the_pictures_are_small() -> None:
    assert (ROOT / "README.md").stat().st_size <= README_BYTES
    pictures = list((ROOT / "docs" / "pictures").iterdir())
    assert len(pictures) >= 5
    assert [p.name for p in pictures if p.stat().st_size > PICTURE_BYTES] == []


def test_each_entry_of_the_log_has_its_line_in_the_index() -> None:
    folder = ROOT / "docs" / "log"
    index = (folder / "README.md").read_text(encoding="utf-8")
    lines = re.findall(r"^- \d\d-\d\d \[(.+?)\]\((\d{4}-\d\d)\.md#[^)]+\): \S", index, re.M)
    entries = [
        (title, path.stem)
        for path in sorted(folder.glob("2*.md"))
        for title in re.findall(
            r"^## \d{4}-\d\d-\d\d · (.+)$", path.read_text(encoding="utf-8"), re.M
        )
    ]
    assert len(entries) > 50
    assert lines == entries
