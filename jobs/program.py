"""What this program is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def code_version() -> str:
    """The installed version of this program."""
    try:
        return version("culling-pipeline")
    except PackageNotFoundError:
        return "unknown"
