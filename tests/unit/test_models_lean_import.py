"""Detectors start without torch's compiler, and whoever wants it has the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys

import models.boxes.detector
from models.boxes.lean_import import SPARED, _stand_in

assert "torch._dynamo" not in sys.modules
assert SPARED not in sys.modules
import torchvision
assert type(torchvision.__spec__.loader).__module__ == "_frozen_importlib_external"

# As a torchvision would that needs another of its functions.
with _stand_in():
    from torch._dynamo.utils import is_compile_supported as asked_late, counters
    assert "torch._dynamo" in sys.modules
import torch._dynamo.utils as real
assert real.__file__ and sys.modules[SPARED] is real
assert counters is real.counters

# The function that it had asked for is the real one's word.
own = sys.modules["torchvision.ops.roi_align"].is_compile_supported
assert own is not real.is_compile_supported
real.is_compile_supported = lambda device_type: f"asked about {device_type}"
assert own("cpu") == asked_late("cpu") == "asked about cpu"
"""


@pytest.mark.slow  # it loads the compiler too, which takes seconds
def test_detectors_load_without_the_compiler_which_stays_to_be_had() -> None:
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
