"""Detectors start without torch's compiler, and whoever wants it has the real one."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.executors import local, ray

SCRIPT = """
import sys

import models
from models.without_compiler import SPARED, _stand_in, spare_the_compiler
assert not [f for f in sys.meta_path if type(f).__module__.startswith("models")]  # nobody asked
spare_the_compiler()
spare_the_compiler()
assert [type(f).__module__ for f in sys.meta_path].count("models.without_compiler") == 1
import models.boxes.detector

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


TRAINED = """
import sys

import torch

from models.without_compiler import uncompiled

net = torch.nn.Linear(2, 2)


def one_step():
    optimizer = torch.optim.AdamW(net.parameters())
    optimizer.zero_grad()
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()


with uncompiled():
    one_step()
    torch.optim.SGD(net.parameters(), momentum=0.9).state_dict()
    assert not hasattr(sys.modules["torch._dynamo"], "__file__")
assert "torch._dynamo" not in sys.modules

# Whoever asks for anything else has the real one, and so has everybody from then on.
with uncompiled():
    from torch._dynamo.utils import counters
    one_step()
import torch._dynamo
assert torch._dynamo.__file__ and torch._dynamo.utils.counters is counters
with uncompiled():
    assert sys.modules["torch._dynamo"] is torch._dynamo
    one_step()
own = torch.optim.Optimizer.zero_grad.__wrapped__
assert getattr(own, "__dynamo_disable") is not own
"""
NIGHT = """
import sys
from pathlib import Path

from models.without_compiler import spare_the_compiler

spare_the_compiler()
from benchmarks.testbed.tiny import SMALL, run_tiny_night, tiny_config

run_tiny_night(tiny_config(Path(sys.argv[1]), **SMALL))
assert "torch._dynamo" not in sys.modules
"""
ROOT = Path(__file__).resolve().parents[2]
STUDENT = str(ROOT / "models/weights/street-student.safetensors")
LOADED = (
    "(__import__('importlib').import_module('models.boxes.student').load_detector("
    f"__import__('pathlib').Path({STUDENT!r})), 'torch._dynamo' in __import__('sys').modules)[1]"
)
"""Whether a process that has read a student's weights has the compiler too."""
READ = f"import pickle, sys; pickle.load(sys.stdin.buffer); assert not eval({LOADED!r})"
PROCESSES = {
    "the command line": f"""
from jobs.cli import run
run(["--version"])
assert not eval({LOADED!r})
""",
    "a night's workers": f"""
from culling_pipeline.run.workers import Workers
if __name__ == "__main__":
    with Workers(2) as workers:
        assert workers.submit(eval, {LOADED!r}).result() is False
""",
    "a reader of pictures": f"""
import pickle, subprocess, sys
from models.without_compiler import spare_the_compiler
spare_the_compiler()
from culling_pipeline.training.pretraining import _Pictures
read = {READ!r}
subprocess.run([sys.executable, "-c", read], input=pickle.dumps(_Pictures(())), check=True)
""",
}


@pytest.mark.slow
@pytest.mark.parametrize("process", PROCESSES)
def test_processes_that_detect_ask_for_it(process: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(PROCESSES[process])
    done = subprocess.run(
        [sys.executable, script], env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_service_s_nights_ask_for_it_before_they_load_anything() -> None:
    for work in (local._work, ray._run):
        source = inspect.getsource(work)
        assert 0 < source.index("spare_the_compiler()") < source.index("import log_nights")


@pytest.mark.slow  # they load the compiler too, which takes seconds
@pytest.mark.parametrize("script", [SCRIPT, TRAINED, NIGHT], ids=["load", "train", "night"])
def test_all_works_without_the_compiler_which_stays_to_be_had(script: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, tmp_path],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
