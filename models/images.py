"""Pictures at the size a model works at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def scaled(height_px: int, width_px: int, scale: float) -> tuple[int, int]:
    """Height and width at a scale, never below 32 px (one cell of the coarsest stage)."""
    return max(32, round(height_px * scale)), max(32, round(width_px * scale))


def resize(image: NDArray[np.uint8], height_px: int, width_px: int) -> NDArray[np.uint8]:
    """The image at another size: area averaging down, linear up; untouched at its own size."""
    if image.shape[:2] == (height_px, width_px):
        return image
    shrink = image.shape[0] >= height_px
    how = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width_px, height_px), interpolation=how), np.uint8)


def to_tensor(image: NDArray[np.uint8]) -> Tensor:
    """H×W×3 uint8 to 3×H×W float32 in 0…1, as torchvision's nets take it."""
    import torch  # pictures are read and resized without it

    return torch.from_numpy(image).permute(2, 0, 1).to(torch.float32).div_(255.0)
