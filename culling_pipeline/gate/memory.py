"""What a change gate has learned, on disk: stored with its day, loaded after a restart and on the
following days.

Evidence is valid for one student at one camera with one set of settings. They are the file's *key*;
a file with another key is not loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import zipfile
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.gate.threshold import Evidence

logger = logging.getLogger(__name__)

MEMORY_FILE = "gate.npz"
_FORMAT = 1


@dataclass(slots=True)
class GateTally:
    """What a gate did in a day: frames scored, passed over and skipped; of the scored, the audits,
    and how many of these would have been lost (misses). The object frames and the lost ones are
    estimates: an audit stands for the skipped frames."""

    scored: int = 0
    passed_over: int = 0
    skipped: int = 0
    audited: int = 0
    misses: int = 0
    object_frames: float = 0.0
    lost_frames: float = 0.0

    @property
    def recall(self) -> float:
        """The estimated recall of object frames."""
        return 1 - self.lost_frames / self.object_frames if self.object_frames else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class GateMemory:
    """What a gate knows: its evidence, the noise of each pixel of its small picture (H×W float32,
    None where it knows none), when the present unbroken stretch of watching began, when the last
    frame was seen (seconds), and the day's tally."""

    evidence: Evidence
    noise: NDArray[np.float32] | None
    since_s: float
    last_s: float
    tally: GateTally


def key_of(about: Mapping[str, Any]) -> str:
    """The key as a digest: the same for equal JSON only."""
    text = json.dumps({"format": _FORMAT, **about}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save_memory(folder: Path, lessons: GateMemory, key: str) -> None:
    """Write the memory into a day's folder, complete or not at all, readable for the owner only."""
    data = io.BytesIO()
    none = np.zeros((0, 0), np.float32)
    np.savez_compressed(
        data,
        key=np.array(key),
        evidence=lessons.evidence,
        noise=none if lessons.noise is None else lessons.noise,
        times_s=np.array([lessons.since_s, lessons.last_s]),
        tally=np.array(astuple(lessons.tally), np.float64),
    )
    aside = folder / f"{MEMORY_FILE}.tmp"
    with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data.getvalue())
    aside.replace(folder / MEMORY_FILE)


def load_memory(folder: Path, key: str) -> GateMemory | None:
    """The memory of a day if it has this key; None if it is missing or damaged."""
    path = folder / MEMORY_FILE
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            if stored["key"].item() != key:
                return None
            tally, noise = stored["tally"], stored["noise"]
            since_s, last_s = stored["times_s"].tolist()
            evidence = stored["evidence"].reshape(-1, 4)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("%s cannot be read (%s): the change gate learns from the start", path, error)
        return None
    counts = GateTally(*(int(n) for n in tally[:5]), *(float(n) for n in tally[5:]))
    return GateMemory(evidence, noise if noise.size else None, since_s, last_s, counts)
