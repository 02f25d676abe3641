"""What the program writes is for its user alone, wherever it lies and whatever the umask is."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

PRIVATE = 0o077
"""Rights of others: none."""
OURS = (
    "days", "frames", "work", "models", "bootstrap", "reports", "corrections", "replay", "views",
    "snapshots", "passwords",
)  # fmt: skip
"""Folders in `data_dir`; its own rights are the user's business, as it may be a mount point."""
DATABASE = "culling.db*"


def write_for_user_only() -> None:
    """From now on, new files and folders of this process and its children are 0600 and 0700,
    exports too."""
    os.umask(os.umask(PRIVATE) | PRIVATE)


def close_to_others(data_dir: Path) -> None:
    """Take from others the rights that an earlier release may have given them."""
    for path in [*(data_dir / name for name in OURS), *data_dir.glob(DATABASE)]:
        with suppress(OSError):  # not there, or another user's
            status = path.lstat()
            if status.st_mode & PRIVATE and not stat.S_ISLNK(status.st_mode):
                path.chmod(status.st_mode & 0o700)
