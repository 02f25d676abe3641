"""A wheel built from the checkout works in an environment of its own: nothing it needs at run time
is left behind in the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGES = ("streams", "models", "culling_pipeline", "jobs")
NOT_SHIPPED = {".pyc", ".log"}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that the checkout stays as it is; nothing is downloaded."""
    source, out = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    flags = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", *flags, "--wheel-dir", out, source], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_dir(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel in it; what it depends on comes from this one."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    here = sysconfig.get_path("purelib")
    there = asked(python, "import sysconfig; print(sysconfig.get_path('purelib'))")
    # A path named in a .pth file is searched last, and its own .pth files (this checkout's) are not
    # read.
    (Path(there) / "dependencies.pth").write_text(f"{here}\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    flags = ("--no-deps", "--no-index", "--quiet", "--force-reinstall")
    subprocess.run([*pip, "install", *flags, wheel], check=True)
    return folder / "bin"


def asked(python: Path, code: str) -> str:
    done = subprocess.run(
        [python, "-c", code], cwd="/", check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


def culling(bin_dir: Path, folder: Path, *arguments: str) -> str:
    """What a command says; it must end well."""
    done = subprocess.run(
        [bin_dir / "culling", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_file_that_is_no_code_is_in_the_wheel(wheel: Path) -> None:
    wanted = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix not in NOT_SHIPPED and "__pycache__" not in path.parts
    }
    assert {"jobs/config/template.yaml", "models/weights/street-student.safetensors"} <= wanted
    with zipfile.ZipFile(wheel) as archive:
        shipped = set(archive.namelist())
    assert sorted(wanted - shipped) == []
    assert not [name for name in shipped if name.startswith(("tests/", "benchmarks/"))]


def test_it_is_the_wheel_that_runs(bin_dir: Path) -> None:
    where = asked(bin_dir / "python", "import jobs; print(jobs.__file__)")
    assert Path(where).is_relative_to(bin_dir.parent)


def test_commands_work_without_the_checkout(bin_dir: Path, tmp_path: Path) -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["project"]["version"] in culling(bin_dir, tmp_path, "--version")
    culling(bin_dir, tmp_path, "init")
    assert (tmp_path / "config.yaml").read_text() == (ROOT / "config.yaml").read_text()
    asked_for = ("clip-dap", "--samples", "100", "--epochs", "12", "--json")
    shown = json.loads(culling(bin_dir, tmp_path, "schedule", "show", *asked_for))
    assert len(shown["per_epoch"]) == 12


def test_templates_migrations_and_weights_are_found(bin_dir: Path, tmp_path: Path) -> None:
    camera = {"source": "synthetic://street?seed=7&hours=0.02", "classes": ["person", "car"]}
    content = {"data_dir": str(tmp_path / "data"), "cameras": {"street": camera}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    said = culling(bin_dir, tmp_path, "check")
    assert "street" in said
    culling(bin_dir, tmp_path, "report")
    assert (tmp_path / "data" / "culling.db").is_file()
