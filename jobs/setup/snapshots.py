"""Pictures of a camera for its owner's eyes: `data_dir/snapshots/`."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jobs.errors import ConfigError


def write_snapshot(data_dir: Path, name: str, image: NDArray[np.uint8]) -> Path:
    """Write an image (H×W×3 uint8 RGB) as `data_dir/snapshots/NAME.jpg`, readable only by its
    owner."""
    from culling_pipeline.day.frame_files import as_jpeg

    path = data_dir / "snapshots" / f"{name}.jpg"
    data = as_jpeg(image)
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.parent.mkdir(exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        message = f"{path}: the snapshot cannot be written ({error.strerror}): see data_dir"
        raise ConfigError(message) from error
    return path
