"""The average of several students: what one student for all of them would know, without training.

Students that were trained from the same start lie close to each other; the mean of their weights
then does on each camera nearly what training on all their frames does (docs/log/).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from models.checkpoint import load_checkpoint, save_checkpoint


def save_average(out: Path, students: Sequence[Path]) -> None:
    """Write the mean of these students' weights to `out`, described as the first of them is."""
    states = [load_checkpoint(path) for path in students]
    first, meta = states[0]
    mean = {
        name: torch.stack([state[name] for state, _ in states]).mean(0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
    save_checkpoint(out, mean, {k: v for k, v in meta.items() if k != "sha256"})
