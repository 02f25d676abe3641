"""tests/golden/data-0.1.0 as 0.1.0 left it: the database from its SQL, the weights from the
built-in student, of which training at next to no rate has changed no more than −0 to 0."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "data-0.1.0"
BUILTIN = ROOT / "models" / "weights" / "street-student.safetensors"
TENSORS = "model.safetensors"
UNFINISHED = 3
"""The id of the night that was cut off."""


def restore(folder: Path) -> None:
    """Copy it into an empty `folder`: config.yaml, and `data` beside it. The night that was cut off
    began a minute ago, since it is given up after a day; its process has not been heard of for
    long."""
    shutil.copytree(GOLDEN, folder, dirs_exist_ok=True)
    data = folder / "data"
    with closing(sqlite3.connect(data / "culling.db")) as connection:
        connection.executescript((data / "culling.sql").read_text(encoding="utf-8"))
        connection.execute(
            "UPDATE nights SET lease_until = started_at, "
            "started_at = strftime('%Y-%m-%d %H:%M:%f000', 'now', '-1 minute') WHERE id = ?",
            (UNFINISHED,),
        )
        connection.commit()
    (data / "culling.sql").unlink()
    weights = {hashlib.sha256(tensors).hexdigest(): tensors for tensors in possible_weights()}
    for path in data.glob("models/*/*/meta.json"):
        sha256 = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        path.with_name(TENSORS).write_bytes(weights[sha256])


def possible_weights() -> Iterator[bytes]:
    """The built-in student as a version's file, each −0 of its weights as it is or as 0."""
    halves = load_file(BUILTIN)
    whole = {n: t.astype(np.float32) if t.dtype == np.float16 else t for n, t in halves.items()}
    negative = [
        (tensor.reshape(-1), index)
        for tensor in whole.values()
        if tensor.dtype == np.float32
        for index in np.flatnonzero(np.signbit(tensor) & (tensor == 0))
    ]
    for zeros in product((-0.0, 0.0), repeat=len(negative)):
        for (flat, index), zero in zip(negative, zeros, strict=True):
            flat[index] = zero
        yield save(whole)
