"""What is the same stands once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for package in ("culling_pipeline", "jobs", "models", "streams")
    for path in (ROOT / package).rglob("*.py")
}


@pytest.mark.parametrize(
    ("pattern", "places"),
    [
        (r'"index\.html"', ["culling_pipeline/report/__init__.py"]),
        (r"\b(?:DAY_S|[A-Z_]*DAY_S) = ", ["streams/base.py"]),
        (r"\b86_?400\.0", ["streams/base.py"]),
        (r"\bMAX_PICTURES = |\bEXHIBITS = ", ["culling_pipeline/report/pictures.py"]),
        (r"\bCLOSE_PX\b[^:=\n]* = |\bMAX_BOX_PX\b[^:=\n]* = ", ["models/boxes/exported.py"]),
        (r"\bbuild_strategy\b|\bstandardised_losses\b|\bBACKENDS\b", []),
    ],
)
def test_it_stands_in_one_place(pattern: str, places: list[str]) -> None:
    assert len(SOURCES) > 150
    found = [
        path
        for path, text in SOURCES.items()
        for line in text.splitlines()
        if re.search(pattern, line) and "get_template" not in line
    ]
    assert found == places
