"""Files of others are opened in a process of its own first: one that never ends, takes all memory
or crashes its reader costs a few seconds and gives one line."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.cameras.detectors import configured_detector
from jobs.config.weights import DetectorIo, TeacherSettings
from models import trial
from models.boxes.detector import DetectorSpec
from models.boxes.foreign import open_foreign
from models.boxes.student import load_detector
from models.checkpoint import load_pth, save_checkpoint
from models.errors import ModelError, WeightsError
from models.trial import GIB, Limits, try_first
from tests.unit.test_models_foreign import PLAIN, labels, onnx, rows, runtime, write_net

__all__ = ["runtime"]

FEW = Limits(deadline_s=3.0, memory_bytes=GIB // 4)
ENOUGH = Limits(deadline_s=600.0, memory_bytes=GIB)


def write_looping(path: Path, turns: int) -> Path:
    """A detector whose boxes go through a loop of so many turns, which hangs on no input: both
    runtimes run it while they load it."""
    helper, kind, array = onnx.helper, onnx.TensorProto, onnx.numpy_helper.from_array
    boxes = [1, 5]
    inner = [("turn", kind.INT64, []), ("on", kind.BOOL, []), ("was", kind.FLOAT, boxes)]
    outer = [("goes_on", kind.BOOL, []), ("is", kind.FLOAT, boxes)]
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["on"], ["goes_on"]),
            helper.make_node("Identity", ["was"], ["is"]),
        ],
        "body",
        [helper.make_tensor_value_info(*value) for value in inner],
        [helper.make_tensor_value_info(*value) for value in outer],
    )
    known = [
        array(np.array(turns, np.int64), "turns"),
        array(np.array(True), "start"),
        array(rows((0, 0, 8, 8, 0.9)), "first"),
        array(labels(0), "labels"),
    ]
    nodes = [helper.make_node("Loop", ["turns", "start", "first"], ["boxes"], body=body)]
    outputs = [("boxes", kind.FLOAT, boxes), ("labels", kind.INT64, [1])]
    return write_graph(path, nodes, outputs, known)


def write_graph(path: Path, nodes: list[Any], outputs: list[Any], known: list[Any]) -> Path:
    helper, kind = onnx.helper, onnx.TensorProto
    nodes = [*nodes, helper.make_node("ReduceSum", ["image"], ["total"], keepdims=0)]
    shown = [*outputs, ("total", kind.FLOAT, [])]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", kind.FLOAT, (1, 3, 32, 64))],
        [helper.make_tensor_value_info(*value) for value in shown],
        known,
    )
    opset = [helper.make_opsetid("", 13)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def write_swollen(path: Path, numbers: int) -> Path:
    """A file of a few hundred bytes that holds so many numbers once it is open."""
    helper, kind, array = onnx.helper, onnx.TensorProto, onnx.numpy_helper.from_array
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["much"]),
        helper.make_node("ReduceMax", ["much"], ["most"], keepdims=0),
        helper.make_node("Add", ["found", "most"], ["boxes"]),
    ]
    known = [
        array(np.array([numbers], np.int64), "shape"),
        array(rows((0, 0, 8, 8, 0.9)), "found"),
        array(labels(0), "labels"),
    ]
    outputs = [("boxes", kind.FLOAT, [1, 5]), ("labels", kind.INT64, [1])]
    return write_graph(path, nodes, outputs, known)


def test_a_model_that_passes_is_opened_here(tmp_path: Path, runtime: str) -> None:
    found = open_foreign(write_looping(tmp_path / "net.onnx", 3), PLAIN, limits=ENOUGH)
    (result,) = found.predict([np.zeros((32, 64, 3), np.uint8)])
    assert result.boxes_xyxy.tolist() == [[0, 0, 8, 8]]


def test_a_loop_of_two_to_the_62_ends_with_its_deadline(tmp_path: Path) -> None:
    path = write_looping(tmp_path / "net.onnx", 2**62)
    with pytest.raises(WeightsError, match=r"net\.onnx: did not open within 3 s: .*load_limit_s"):
        open_foreign(path, PLAIN, limits=FEW)


def test_so_does_one_at_check_and_in_a_night(tmp_path: Path) -> None:
    io = DetectorIo(class_names=("vehicle", "person"), outputs="boxes-labels")
    path = write_looping(tmp_path / "net.onnx", 2**62)
    settings = TeacherSettings(weights=str(path), io=io, load_limit_s=3.0)
    with pytest.raises(WeightsError, match="did not open within 3 s"):
        configured_detector(settings, device="cpu")()


def test_a_small_file_that_takes_all_memory_is_refused(tmp_path: Path) -> None:
    path = write_swollen(tmp_path / "net.onnx", 10**9)
    with pytest.raises(WeightsError, match=r"takes more than 0\.25 GiB of memory .*load_limit_gb"):
        open_foreign(path, PLAIN, limits=Limits(deadline_s=600.0, memory_bytes=GIB // 4))
    open_foreign(write_swollen(path, 10**6), PLAIN, limits=ENOUGH)


def test_a_pth_whose_key_takes_for_ever_to_hash(tmp_path: Path) -> None:
    """A tuple of two times the same tuple, and so on: hashing it takes 2^64 steps."""
    path = tmp_path / "net.pth"
    deep = b"\x80\x02}K\x00" + b"\x85" + b"q\x01h\x01\x86q\x01" * 64 + b"K\x00s."
    path.write_bytes(deep)
    settings = TeacherSettings(weights=str(path), class_names=("a",), load_limit_s=3.0)
    with pytest.raises(WeightsError, match=r"net\.pth: did not open within 3 s"):
        configured_detector(settings, device="cpu").torch_detector()


def test_a_description_claims_no_memory_before_its_tensors_are_there(tmp_path: Path) -> None:
    spec = DetectorSpec(
        architecture="resnet101", class_names=("a",), height_px=64, width_px=64, width=2.0
    )
    path = tmp_path / "net.safetensors"
    save_checkpoint(path, {}, {"spec": asdict(spec)})
    limits = Limits(deadline_s=600.0, memory_bytes=GIB // 4)
    with pytest.raises(WeightsError, match="weights of another architecture than FasterRCNN"):
        try_first(load_detector, path, files=[path], limits=limits)


def test_a_file_that_crashes_its_reader_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    with pytest.raises(WeightsError, match=r"net\.onnx: opening it ends the process \(SIGABRT\)"):
        try_first(os.abort, files=[path], limits=ENOUGH)
    with pytest.raises(WeightsError, match=r"opening it ends the process \(exit code 7\)"):
        try_first(os._exit, 7, files=[path], limits=ENOUGH)


def test_an_error_keeps_its_words_and_its_kind(tmp_path: Path) -> None:
    path = write_net(tmp_path / "net.onnx", {"output": rows((0, 0, 8, 8, 0.9))})
    with pytest.raises(ModelError, match="needs labels of shape") as caught:
        open_foreign(path, PLAIN, limits=ENOUGH)
    assert not isinstance(caught.value, WeightsError)
    with pytest.raises(WeightsError, match=r"gone\.pth: no such file"):
        try_first(load_pth, tmp_path / "gone.pth", files=[tmp_path / "gone.pth"], limits=ENOUGH)
    with pytest.raises(ModelError, match=r"^ZeroDivisionError: "):
        try_first(divmod, 1, 0, files=[path], limits=ENOUGH)


def test_what_native_code_prints_is_no_answer(tmp_path: Path, capfd: Any) -> None:
    try_first(os.write, 1, b"{", files=[tmp_path / "net.onnx"], limits=ENOUGH)
    try_first(os.write, 2, b"{", files=[tmp_path / "net.onnx"], limits=ENOUGH)
    assert capfd.readouterr() == ("", "")


def test_a_file_is_tried_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, started = write_looping(tmp_path / "net.onnx", 3), []
    run: Callable[..., Any] = subprocess.run

    def counted(*arguments: Any, **options: Any) -> Any:
        started.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(trial.subprocess, "run", counted)
    for _ in range(3):
        open_foreign(path, PLAIN, limits=ENOUGH)
    assert len(started) == 1
    write_looping(path, 33)
    open_foreign(path, PLAIN, limits=ENOUGH)
    assert len(started) == 2


def test_no_trial_outlives_the_program_that_asked(tmp_path: Path) -> None:
    """Killed itself, it can kill nobody: the other process has an alarm of its own."""
    program = (
        "import sys, pickle; from models.trial import _CHILD, GRACE_S; import time; "
        "sys.stdout.buffer.write(pickle.dumps(sys.path) + pickle.dumps((-GRACE_S + 1, 2**30)) "
        "+ pickle.dumps((time.sleep, (60,))))"
    )
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    ended = subprocess.run(
        [sys.executable, "-c", trial._CHILD], input=asked.stdout, capture_output=True, check=False
    )
    assert ended.returncode == -signal.SIGALRM


def test_a_trial_needs_no_torch(tmp_path: Path) -> None:
    program = "import sys, models.boxes.foreign; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_bomb_is_one(tmp_path: Path) -> None:
    """The same pickle with few steps is read, and is refused for what it holds."""
    few = b"\x80\x02}K\x00\x85q\x01h\x01\x86q\x01K\x00s."
    assert len(pickle.loads(few)) == 1
    (tmp_path / "net.pth").write_bytes(few)
    with pytest.raises(WeightsError, match="must hold a state dict"):
        load_pth(tmp_path / "net.pth")
