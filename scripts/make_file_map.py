"""Write the file map in docs/architecture.md: a line per module, from its docstring.

Run it (`make docs`) after a module was added, moved or described anew; tests/unit/test_made_docs.py
fails if it was forgotten.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "architecture.md"
PACKAGES = ("streams", "models", "culling_pipeline", "jobs")
BEGIN = "<!-- The file map: made by scripts/make_file_map.py, not by hand. -->\n"
END = "<!-- The end of the file map. -->\n"
ALSO = (".html", ".yaml")
"""Files beside the modules that have a line: their first comment says what they are for."""
_COMMENT = re.compile(
    r"^\s*(?:\{#-?|<!--|#)\s*(?!yaml-language-server)(\w.*?)\s*(?:-?#\}|-->|$)", re.M
)


def file_map() -> str:
    """The packages, their folders and files, as Markdown lists."""
    return "\n".join(line for package in PACKAGES for line in _folder(ROOT / package, level=3))


def with_file_map(document: str) -> str:
    """`document` with the map of today between its two marks."""
    before, rest = document.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{file_map()}\n{END}{after}"


def _folder(folder: Path, *, level: int) -> Iterator[str]:
    """A heading with the folder's own docstring, its files, then its folders."""
    yield f"{'#' * level} {folder.relative_to(ROOT).as_posix()}/"
    yield ""
    if (folder / "__init__.py").exists():
        yield purpose(folder / "__init__.py")
        yield ""
    files = [p for p in sorted(folder.iterdir()) if _is_listed(p)]
    yield from (f"- `{p.relative_to(ROOT).as_posix()}`: {purpose(p)}" for p in files)
    if files:
        yield ""
    for inner in sorted(p for p in folder.iterdir() if any(map(_is_listed, p.glob("*")))):
        yield from _folder(inner, level=min(level + 1, 5))


def _is_listed(path: Path) -> bool:
    return path.suffix in (".py", *ALSO) and path.name != "__init__.py"


def purpose(path: Path) -> str:
    """The first sentence of the file's docstring, or of its first comment."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        said = ast.get_docstring(ast.parse(text)) or ""
    else:
        found = _COMMENT.search(text)
        said = found[1] if found else ""
    if not said.strip():
        message = f"{path}: no docstring says what it is for"
        raise ValueError(message)
    paragraph = " ".join(said.split("\n\n")[0].split())
    return re.split(r"(?<=[.:;])\s+(?=[A-Z`(])", paragraph)[0].rstrip(".:;") + "."


def main() -> None:
    """Write the document where it has changed."""
    old = DOCUMENT.read_text(encoding="utf-8")
    new = with_file_map(old)
    if new != old:
        DOCUMENT.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
