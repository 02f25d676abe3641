"""Files of models, spoilt: .pth, pickles, safetensors with their meta, ONNX."""

from __future__ import annotations

import json
import pickle
import random
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt, spoilt_json
from jobs.cameras.detectors import BUILTIN_FOLDER
from models.boxes.foreign import PRESETS, ForeignDetector
from models.boxes.student import load_detector
from models.checkpoint import load_pth
from models.errors import ModelError

OURS = (ModelError,)
SIDE = 32


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case opens one file."""
    torch.set_num_threads(1)
    student = BUILTIN_FOLDER / "street-student.safetensors"
    files = [*_pickles(folder), _net(folder / "a.onnx"), student]

    def run(seed: int) -> Iterator[str]:
        rng = random.Random(seed)
        if seed % 10 == 0:
            yield from _student(student, folder, rng)
            return
        whole = rng.choice(files[:-1])
        path = folder / f"spoilt{whole.suffix}"
        path.write_bytes(spoilt(whole.read_bytes(), rng))
        if zipfile.is_zipfile(whole) and rng.random() < 0.7:
            _spoil_within(whole, path, rng)
        yield from _opened(path)

    for whole in files[:-1]:
        list(_opened(whole))
    load_detector(student.with_suffix(""))
    return lambda seed: Case(lambda: run(seed))


def _opened(path: Path) -> Iterator[str]:
    if path.suffix == ".onnx":
        detector = ForeignDetector(path, PRESETS["person-vehicle-bike"])
        yield repr(detector.predict([np.zeros((40, 60, 3), np.uint8)]))
    else:
        yield repr({name: tuple(t.shape) for name, t in load_pth(path).items()})


def _pickles(folder: Path) -> list[Path]:
    weight = torch.arange(24.0).reshape(2, 3, 4)
    state = OrderedDict({"w": weight, "column": weight[:, 1], "count": torch.tensor(3)})
    paths = [folder / name for name in ("a.pth", "b.pth", "c.pkl")]
    torch.save({"meta": {"seed": 1}, "state_dict": state}, paths[0])
    torch.save({"state_dict": state}, paths[1], _use_new_zipfile_serialization=False)
    arrays = {name: tensor.numpy() for name, tensor in state.items()}
    paths[2].write_bytes(pickle.dumps({"model": arrays, "__author__": "x"}, protocol=2))
    return paths


def _spoil_within(whole: Path, path: Path, rng: random.Random) -> None:
    """A zip that is in order, with spoilt things in it."""
    with zipfile.ZipFile(whole) as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            data = before.read(name)
            if rng.random() < 0.3:
                continue
            if rng.random() < 0.5:
                data = spoilt(data, rng, 3)
            packed = rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            after.writestr(name, data, packed)


def _net(path: Path) -> Path:
    """A net of a constant answer."""
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
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def _student(whole: Path, folder: Path, rng: random.Random) -> Iterator[str]:
    """A version's folder: tensors and their meta, one of them spoilt."""
    path = folder / "student"
    tensors, meta = path.with_suffix(".safetensors"), path.with_suffix(".json")
    shutil.copyfile(whole, tensors)
    content = json.loads(whole.with_suffix(".json").read_bytes())
    meta.write_bytes(spoilt_json(content, rng))
    if rng.random() < 0.3:
        shutil.copyfile(whole.with_suffix(".json"), meta)
        data = bytearray(tensors.read_bytes())
        data[:2000] = spoilt(bytes(data[:2000]), rng)
        tensors.write_bytes(data)
    yield repr(load_detector(path).class_names)
