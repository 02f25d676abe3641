"""The container image, built and run where a builder is at hand: Docker with its engine, or Buildah
with a base image that `CULLING_BASE_IMAGE` names. It takes minutes and gigabytes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(1800)
ROOT = Path(__file__).resolve().parents[2]
TAG = "culling-pipeline-test"
BUILDAH = ["buildah", "--storage-driver", "vfs"]


def said(command: Sequence[str]) -> str:
    """What the command prints; it must end well."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
    return done.stdout


def has_engine() -> bool:
    """Whether a Docker engine answers."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def run() -> Iterator[list[str]]:
    """The command that runs something in the image; what follows are the image's arguments."""
    base, index = os.environ.get("CULLING_BASE_IMAGE"), os.environ.get("CULLING_TORCH_INDEX")
    options = [] if base is None else ["--build-arg", f"BASE={base}"]
    options += [] if index is None else ["--build-arg", f"TORCH_INDEX={index}"]
    if has_engine() and os.environ.get("CULLING_CONTAINER"):
        said(["docker", "build", "--quiet", "--tag", TAG, *options, "."])
        yield ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", TAG]
        said(["docker", "rmi", TAG])
        return
    if shutil.which("buildah") is None or base is None:
        pytest.skip(
            "no builder here: set CULLING_CONTAINER=1 beside Docker's engine, or "
            "CULLING_BASE_IMAGE beside Buildah"
        )
    said([*BUILDAH, "build", "--isolation", "chroot", "--tag", TAG, *options, "."])
    container = said([*BUILDAH, "from", TAG]).strip()
    yield [*BUILDAH, "run", "--isolation", "chroot", container, "--", "culling"]
    said([*BUILDAH, "rm", container])


def test_the_image_has_the_program_and_no_rights(run: list[str]) -> None:
    assert said([*run, "--version"]).startswith("culling ")
    if run[0] == "buildah":
        assert said([*run[:-1], "id", "-u"]).strip() == "1000"
        assert said([*run[:-1], "sh", "-c", "test -w /opt/culling || echo no"]).strip() == "no"


def test_a_first_report_comes_out_of_it(run: list[str]) -> None:
    source = "synthetic://street?seed=7&hours=0.04&width=160&height=96"
    out = said([*run, "quickstart", source, "--budget", "2 s", "--yes"])
    assert "/data/culling-data/reports/street/" in out.replace("\n", "").replace(" ", "")
