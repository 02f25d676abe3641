"""Files of models, spoilt: .pth, pickles, safetensors with their meta, ONNX, OpenVINO IR."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import pickle
import random
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt, spoilt_json
from jobs.cameras.detectors import BUILTIN_FOLDER
from models.boxes.foreign import ForeignDetector, open_foreign
from models.boxes.recognition import PRESETS
from models.boxes.student import load_detector
from models.checkpoint import load_pth
from models.errors import ModelError
from models.trial import Limits

OURS = (ModelError,)
SIDE = 32
STUDENT_FILE = BUILTIN_FOLDER / "street-student.safetensors"
HEAD = 20_000
"""Of a file of tensors: their names, types and places."""
NET, STUDENT = 5, 10
"""One of so many cases is a net, which is opened in a process of its own and takes its time; one of
so many a student."""
OPTIONS = PRESETS["person-vehicle-bike"]
LIMITS = Limits(deadline_s=60.0, memory_bytes=1024**3)


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case opens one file, as the program does."""
    torch.set_num_threads(1)
    logging.getLogger("openvino").setLevel(logging.ERROR)
    pickles, nets = _pickles(folder), _nets(folder)

    def run(seed: int) -> Iterator[str]:
        rng = random.Random(seed)
        if seed % NET == 0:
            yield from _net(rng.choice(nets), folder, rng)
        elif seed % STUDENT == 1:
            yield from _student(folder, rng)
        else:
            whole = rng.choice(pickles)
            path = folder / f"spoilt{whole.suffix}"
            path.write_bytes(_spoilt_pickle(whole, rng))
            yield _shapes(path)

    for whole in pickles:
        _shapes(whole)
    for whole in nets:
        ForeignDetector(whole, OPTIONS)
    load_detector(STUDENT_FILE)
    return lambda seed: Case(lambda: run(seed))


def _shapes(path: Path) -> str:
    return repr({name: tuple(tensor.shape) for name, tensor in load_pth(path).items()})


def _ask(path: Path) -> str:
    detector = open_foreign(path, OPTIONS, limits=LIMITS)
    return repr(detector.predict([np.zeros((40, 60, 3), np.uint8)]))


def _pickles(folder: Path) -> list[Path]:
    weight = torch.arange(24.0).reshape(2, 3, 4)
    state = OrderedDict({"w": weight, "column": weight[:, 1], "count": torch.tensor(3)})
    paths = [folder / name for name in ("a.pth", "b.pth", "c.pkl")]
    torch.save({"meta": {"seed": 1}, "state_dict": state}, paths[0])
    torch.save({"state_dict": state}, paths[1], _use_new_zipfile_serialization=False)
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    paths[2].write_bytes(pickle.dumps({"model": arrays, "__author__": "x"}, protocol=2))
    return paths


def _spoilt_pickle(whole: Path, rng: random.Random) -> bytes:
    """Its bytes, or, of a zip, what is in it."""
    if not zipfile.is_zipfile(whole) or rng.random() < 0.3:
        return spoilt(whole.read_bytes(), rng)
    made = io.BytesIO()
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(made, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if rng.random() < 0.1:
                continue
            if rng.random() < 0.3:
                data = spoilt(data, rng, 3)
            packed = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA))
            after.writestr(name, data, packed)
    if rng.random() < 0.1:  # says that it is encrypted
        return made.getvalue().replace(b"PK\x01\x02\x14\x03\x14\0\0", b"PK\x01\x02\x14\x03\x14\0\1")
    return made.getvalue()


def _nets(folder: Path) -> list[Path]:
    """A net of a constant answer, as ONNX, and as an OpenVINO IR where OpenVINO is there."""
    import onnx

    helper: Any = onnx.helper
    constants = {
        "boxes": np.array([(0, 0, 8, 16, 0.6)], np.float32),
        "labels": np.array([1], np.int64),
    }
    nodes, outputs = [], []
    for name, array in constants.items():
        value = onnx.numpy_helper.from_array(array, f"{name}_value")
        nodes.append(helper.make_node("Constant", [], [name], value=value))
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        outputs.append(helper.make_tensor_value_info(name, kind, array.shape))
    image = helper.make_tensor_value_info("image", 1, (1, 3, SIDE, SIDE))
    total = helper.make_tensor_value_info("total", 1, [])
    nodes.append(helper.make_node("ReduceSum", ["image"], ["total"], keepdims=0))
    graph = helper.make_graph(nodes, "tiny", [image], [*outputs, total])
    opset = [helper.make_opsetid("", 13)]
    path = folder / "a.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    if find_spec("openvino") is None:
        return [path]
    openvino: Any = import_module("openvino")
    openvino.save_model(openvino.convert_model(path), path.with_suffix(".xml"))
    return [path, path.with_suffix(".xml")]


def _net(whole: Path, folder: Path, rng: random.Random) -> Iterator[str]:
    """A spoilt net; of an IR, its text or its tensors."""
    path = folder / f"spoilt{whole.suffix}"
    path.write_bytes(whole.read_bytes())
    victim = path
    if whole.suffix == ".xml":
        tensors = path.with_suffix(".bin")
        tensors.write_bytes(whole.with_suffix(".bin").read_bytes())
        victim = tensors if rng.random() < 0.2 else path
    victim.write_bytes(spoilt(victim.read_bytes(), rng))
    yield _ask(path)


def _student(folder: Path, rng: random.Random) -> Iterator[str]:
    """A version's folder: tensors and their meta, one of them spoilt, the checksum set right."""
    path = folder / "student.safetensors"
    data, meta = STUDENT_FILE.read_bytes(), STUDENT_FILE.with_suffix(".json").read_bytes()
    if rng.random() < 0.4:
        start = spoilt(data[:HEAD], rng)
        data = start + data[HEAD:]
        content = json.loads(meta)
        if rng.random() < 0.8:
            content["sha256"] = hashlib.sha256(data).hexdigest()
        meta = json.dumps(content).encode()
    else:
        meta = spoilt_json(json.loads(meta), rng)
    path.write_bytes(data)
    path.with_suffix(".json").write_bytes(meta)
    yield repr(load_detector(path).class_names)
