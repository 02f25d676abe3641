"""The container's files say what the guide promises of them: nothing secret goes in, no rights, and
the recorder's folder is only read. `tests/integration/test_container.py` builds and runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))


def copied() -> list[str]:
    """What the Dockerfile copies out of the checkout."""
    lines = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, flags=re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_only_what_is_copied_is_sent_to_the_builder() -> None:
    ignore = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert ignore[0] == "*"
    assert {line[1:] for line in ignore if line.startswith("!")} == set(copied())


@pytest.mark.parametrize("name", copied())
def test_what_is_copied_is_there(name: str) -> None:
    assert (ROOT / name).exists()


def test_every_package_is_copied() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    shipped = packages - {"tests", "benchmarks", "scripts", "examples"}
    assert shipped <= set(copied())


def test_the_last_stage_runs_as_a_user_without_rights() -> None:
    last = DOCKERFILE.rsplit("\nFROM ", 1)[1]
    assert re.search(r"^USER culling$", last, flags=re.MULTILINE)
    assert last.index("USER culling") < last.index("ENTRYPOINT")


def test_the_recorders_folder_is_only_read_and_nothing_else_can_be_written() -> None:
    service = COMPOSE["services"]["culling"]
    recordings = next(v for v in service["volumes"] if v.endswith(":ro"))
    assert "/recordings" in recordings
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "1000:1000"
