"""Pickles of weights are read without being run, and every hostile one ends in one clear line."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.checkpoint import load_pth
from models.errors import WeightsError
from models.unpickling import read_pickled


@pytest.fixture
def metadata() -> Iterator[type]:
    """A class as MMDetection's checkpoints have in their metadata, gone when they are read."""
    module = types.ModuleType("mmcv.utils.config")

    class ConfigDict(dict[str, object]):
        pass

    ConfigDict.__module__, ConfigDict.__qualname__ = module.__name__, "ConfigDict"
    module.ConfigDict = ConfigDict  # type: ignore[attr-defined]
    parents = {"mmcv": types.ModuleType("mmcv"), "mmcv.utils": types.ModuleType("mmcv.utils")}
    modules = {**parents, module.__name__: module}
    sys.modules.update(modules)
    yield ConfigDict
    for name in modules:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("zipped", [True, False])
def test_metadata_of_a_foreign_class_stays_inert(
    tmp_path: Path, metadata: type, zipped: bool
) -> None:
    weight = torch.arange(6.0).reshape(2, 3)
    state = OrderedDict({"w": weight, "column": weight[:, 1], "tracked": torch.tensor(3)})
    meta = {"config": metadata(model=metadata(depth=101)), "seed": np.float64(1.5), "tags": {"a"}}
    path = tmp_path / "w.pth"
    torch.save({"meta": meta, "state_dict": state}, path, _use_new_zipfile_serialization=zipped)
    # Given that whoever imports the class again would be seen doing it,
    del sys.modules["mmcv.utils.config"]
    # Then the tensors come and nothing was imported.
    found = load_pth(path)
    assert {name: tensor.tolist() for name, tensor in found.items()} == {
        name: tensor.tolist() for name, tensor in state.items()
    }
    assert "mmcv.utils.config" not in sys.modules


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_arrays_as_detectron2_publishes(tmp_path: Path, protocol: int) -> None:
    arrays = {
        "stem.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "columns": np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        "half": np.ones(3, np.float16),
        "count": np.array(7, np.int64),
        "none": np.zeros((0, 4), np.float32),
    }
    path = tmp_path / "model_final.pkl"
    content = {"model": arrays, "__author__": "somebody", "matching_heuristics": True}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    found = load_pth(path)
    assert {n: t.tolist() for n, t in found.items()} == {n: a.tolist() for n, a in arrays.items()}
    assert found["half"].dtype == torch.float32
    assert found["count"].shape == ()


def test_every_kind_of_number_comes_as_it_is(tmp_path: Path) -> None:
    kinds = [torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8, torch.bool]
    state = {str(kind): torch.ones(3, dtype=kind) for kind in kinds}
    state["empty"] = torch.zeros(0, 4)
    state["parameter"] = torch.nn.Parameter(torch.ones(2))
    torch.save(state, tmp_path / "w.pth")
    found = read_pickled(tmp_path / "w.pth")
    assert isinstance(found, dict)
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def _os_system(target: Path) -> bytes:
    return b"cos\nsystem\n(S'touch %s'\ntR." % os.fsencode(target)


def _getattr_chain(target: Path) -> bytes:
    return b"cbuiltins\neval\n(S'open(%r, \"w\")'\ntR." % str(target).encode()


def _in_the_state(target: Path) -> bytes:
    return b"(dS'state_dict'\n(dS'w'\n" + _os_system(target)[:-1] + b"ss."


def _torch_hub(target: Path) -> bytes:
    return b"ctorch.hub\nload\n(S'somebody/repository'\nS'%s'\ntR." % os.fsencode(target)


def _numpy_exec(target: Path) -> bytes:
    return b'cnumpy.testing._private.utils\nrunstring\n(S\'open("%s","w")\'\n(dtR.' % os.fsencode(
        target
    )


PAYLOADS = {
    "os.system": (_os_system, r"refused, nothing was run: it asks for 'os\.system'"),
    "eval": (_getattr_chain, r"refused, nothing was run: it asks for 'builtins\.eval'"),
    "in the state dict": (_in_the_state, r"it asks for 'os\.system'"),
    # of packages that weights do need: noted, not called, and no state dict
    "torch.hub.load": (_torch_hub, "must hold a state dict, found torch.hub.load"),
    "numpy runstring": (_numpy_exec, "must hold a state dict, found numpy.testing"),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_a_payload_is_not_run(tmp_path: Path, name: str) -> None:
    payload, message = PAYLOADS[name]
    path, target = tmp_path / "w.pkl", tmp_path / "canary"
    path.write_bytes(payload(target))
    with pytest.raises(WeightsError, match=message) as caught:
        load_pth(path)
    assert not target.exists()
    assert "\n" not in str(caught.value)


def test_the_payload_would_have_run(tmp_path: Path) -> None:
    target = tmp_path / "canary"
    pickle.loads(_os_system(target))
    assert target.exists()


def _archive(path: Path, entries: dict[str, bytes], *, how: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in entries.items():
            archive.writestr(f"w/{name}", data)


class _Rebuild:
    """Pickles as torch's call for a tensor of this shape over a storage of `count` floats."""

    def __init__(self, count: int, offset: int, size: Any, stride: Any) -> None:
        self.count, self.arguments = count, (offset, size, stride, False, OrderedDict())

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, (_Stored(self.count), *self.arguments)


class _Stored:
    def __init__(self, count: int) -> None:
        self.count = count


def _pickled(content: object) -> bytes:
    class Pickler(pickle.Pickler):
        def persistent_id(self, item: Any) -> Any:
            if isinstance(item, _Stored):
                return "storage", torch.FloatStorage, "0", "cpu", item.count
            return None

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its older storages
        Pickler(buffer, protocol=2).dump(content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (_Rebuild(4, 0, (10**9, 10**3), (0, 0)), "larger than its storage"),
        (_Rebuild(4, 1, (4,), (1,)), "larger than its storage"),
        (_Rebuild(4, 0, (2, 2), (4, 1)), "larger than its storage"),
        (_Rebuild(4, -1, (2,), (1,)), "odd tensor shape"),
        (_Rebuild(4, 0, (2.5,), (1,)), "odd tensor shape"),
        (_Rebuild(4, 0, (4,), (1, 1)), "truncated"),
        (_Rebuild(10**12, 0, (4,), (1,)), "a storage is cut short"),
    ],
)
def test_a_tensor_that_is_not_in_its_bytes(tmp_path: Path, record: object, message: str) -> None:
    path = tmp_path / "w.pth"
    _archive(path, {"data.pkl": _pickled({"w": record}), "data/0": bytes(16)})
    with pytest.raises(WeightsError, match=message):
        load_pth(path)


def test_the_same_archive_with_a_sane_tensor_is_read(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    record = _Rebuild(4, 1, (3,), (1,))
    _archive(path, {"data.pkl": _pickled({"w": record}), "data/0": struct.pack("<4f", *range(4))})
    assert load_pth(path)["w"].tolist() == [1, 2, 3]


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    zeros = bytes(64 * 1024 * 1024)
    content = _pickled({"w": _Rebuild(len(zeros) // 4, 0, (len(zeros) // 4,), (1,))})
    _archive(path, {"data.pkl": content, "data/0": zeros}, how=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 100_000
    with pytest.raises(WeightsError, match=r"refused.* would unpack to 67,\d+,\d+ bytes from"):
        load_pth(path)


def test_one_storage_looked_at_a_thousand_times_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    record = _Rebuild(4000, 0, (4000,), (1,))
    names = {f"w{k}": _Rebuild(4000, 0, (4000,), (1,)) for k in range(1000)}
    _archive(path, {"data.pkl": _pickled({"w": record, **names}), "data/0": bytes(16000)})
    with pytest.raises(WeightsError, match=r"its tensors would take 16,\d+,\d+ bytes"):
        load_pth(path)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
@pytest.mark.parametrize("how", ["zip", "legacy", "arrays"])
def test_half_a_file_is_one_line(tmp_path: Path, how: str, keep: float) -> None:
    path = tmp_path / "w.pth"
    if how == "arrays":
        path.write_bytes(pickle.dumps({"model": {"w": np.ones(1000, np.float32)}}))
    else:
        zipped = how == "zip"
        torch.save({"w": torch.ones(1000)}, path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(WeightsError, match=r"w\.pth: truncated, or not a PyTorch file") as caught:
        load_pth(path)
    assert "\n" not in str(caught.value)


def test_every_single_byte_damaged_is_read_or_refused(tmp_path: Path) -> None:
    # Given a pickle of arrays with one byte after the other made another one,
    path = tmp_path / "w.pkl"
    whole = pickle.dumps({"model": {"w": np.ones((2, 3), np.float32), "b": np.zeros(2)}})
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x41]) + whole[at + 1 :])
        # Then it either still holds a state dict or is refused; no other error ever comes out.
        with suppress(WeightsError):
            load_pth(path)


def test_an_encrypted_archive_is_told(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.ones(2)}, path)
    data = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(signature)
        while at >= 0:
            data[at + flags] |= 1
            at = data.find(signature, at + 4)
    path.write_bytes(data)
    with pytest.raises(WeightsError, match=r"w\.pth: refused, .* it is an encrypted archive"):
        read_pickled(path)
