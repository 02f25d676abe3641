"""Tensors out of pickles without running them: every name in a pickle becomes an inert record.

Python's unpickler imports and calls whatever a file names. Here it gets a fresh class for every
name that only notes what it was called with; nothing is imported, and nothing but these notes
and plain Python values ever comes into being. Arrays and tensors are then made from the notes,
after their sizes were checked against the bytes that are there.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from models.errors import WeightsError

KNOWN_PACKAGES = frozenset(
    {"torch", "numpy", "collections", "_codecs", "datetime", "pathlib"}
    | {"mmcv", "mmdet", "mmengine", "addict", "detectron2", "fvcore", "yacs"}
)
"""A name of any other package in a file of weights is a sign of something else."""
KNOWN_BUILTINS = frozenset({"set", "frozenset", "complex", "bytes", "bytearray", "slice"})

DTYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
NUMPY_DTYPES = frozenset({"f8", "f4", "f2", "i8", "i4", "i2", "i1", "u1", "b1"})

MOST_REUSE = 4
"""Tensors may share their numbers (tied weights); all together not more than so many times."""

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_PROTOCOL = 1001
_ENCRYPTED = 0x1
"""The flag of an encrypted entry in a zip."""
_BROKEN = (
    pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, ValueError, TypeError,
    OverflowError, MemoryError, RecursionError, NotImplementedError, AssertionError, struct.error,
    zipfile.BadZipFile, OSError, RuntimeError, zlib.error,
)  # fmt: skip
"""What damaged files have been seen to raise."""


class _RefusedError(Exception):
    """The file asks for something that weights do not need."""


def read_pickled(path: Path) -> object:
    """What a `.pth` of torch (zip or the older form) or a pickle of arrays (`.pkl`) holds.

    Plain values stay; tensors and arrays in a mapping, or in a mapping within it, become `Tensor`
    (on the CPU, of the file's own type); all else is an inert record. A file that is missing,
    damaged, unpacks to more than its own size, or names foreign code raises `WeightsError`.
    """
    if not path.is_file():
        message = f"{path}: no such file: check the path of the weights"
        raise WeightsError(message)
    try:
        content = _tensors_in(_read(path), depth=2)
        _check_total(content, path.stat().st_size)
    except _RefusedError as exc:
        message = f"{path}: refused, nothing was run: {exc}"
        raise WeightsError(message) from exc
    except _BROKEN as exc:
        told = isinstance(exc, pickle.UnpicklingError | zipfile.BadZipFile | OSError)
        reason = str(exc) if told else type(exc).__name__
        message = f"{path}: truncated, or not a PyTorch file ({reason}); fetch it again"
        raise WeightsError(message) from exc
    return content


class _Storage:
    """`count` numbers somewhere in the file; `data` gives their bytes once all has been read."""

    def __init__(self, dtype: torch.dtype, count: int, data: Callable[[], bytes]) -> None:
        self.dtype, self.count, self._data = dtype, count, data
        self._flat: Tensor | None = None

    def flat(self) -> Tensor:
        """All of them, shared by the tensors that look into them."""
        if self._flat is None:
            data = self._data()
            _require(len(data) == self.count * self.dtype.itemsize, "a storage is cut short")
            empty = torch.empty(0, dtype=self.dtype)
            self._flat = torch.frombuffer(bytearray(data), dtype=self.dtype) if data else empty
        return self._flat


class _Inert:
    """A thing that a pickle wanted made or called: what it was given, and nothing done."""

    named: ClassVar[str] = ""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = super().__new__(cls)
        self.args, self.state, self.tensor = args, None, None
        return self

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args: tuple[Any, ...]
        self.state: Any
        self.tensor: Tensor | None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, key: Any, value: Any) -> None:
        """Not kept."""

    def append(self, value: Any) -> None:
        """Not kept."""

    def extend(self, values: Any) -> None:
        """Not kept."""

    add = append
    update = extend


class _Unpickler(pickle._Unpickler):
    """Python's own in pure Python (the one in C reserves memory for sizes a file only claims)."""

    def __init__(self, file: io.BytesIO, storage: Callable[[Any], _Storage]) -> None:
        super().__init__(file, encoding="latin1")
        self._storage = storage
        self._names: dict[str, type] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        full = f"{module}.{name}"
        root = module.partition(".")[0]
        builtin = root in ("builtins", "__builtin__") and name in KNOWN_BUILTINS
        if root not in KNOWN_PACKAGES and not builtin:
            message = (
                f"it asks for {full!r}, which weights do not need; save the state dict alone, "
                "with torch.save(model.state_dict(), …)"
            )
            if root in ("ultralytics", "models"):  # YOLOv5 and v7 pickle their own `models`
                message = (
                    "it is a YOLO's program, not its weights alone: export it where it was "
                    "trained (`yolo export model=… format=onnx`) and use the .onnx"
                )
            raise _RefusedError(message)
        if full not in self._names:
            base: type = _Mapping if full == "collections.OrderedDict" else _Inert
            self._names[full] = type(full, (base,), {"named": full})
        return self._names[full]

    def persistent_load(self, pid: Any) -> Any:
        return self._storage(pid)


class _Mapping(dict[Any, Any]):
    def __init__(self) -> None:
        """Empty: filled entry by entry, so that a file can't have one copied over and over."""

    def __setstate__(self, state: Any) -> None:
        """A state dict's versions of its modules: not needed."""


def _read(path: Path) -> object:
    if zipfile.is_zipfile(path):
        return _read_zip(path)
    data = io.BytesIO(path.read_bytes())
    first = _Unpickler(data, _no_storage).load()
    return _read_legacy(data) if first == _LEGACY_MAGIC else first


def _read_zip(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(e.flag_bits & _ENCRYPTED for e in entries):
            message = "it is an encrypted archive; unpack it with its password first"
            raise _RefusedError(message)
        unpacked, packed = sum(e.file_size for e in entries), path.stat().st_size
        if unpacked > packed:
            message = f"it would unpack to {unpacked:,} bytes from {packed:,}; torch packs nothing"
            raise _RefusedError(message)
        names = [e.filename for e in entries if e.filename.endswith("data.pkl")]
        if len(names) != 1:
            message = "no data.pkl in the archive"
            raise pickle.UnpicklingError(message)
        root = names[0].removesuffix("data.pkl")
        if f"{root}byteorder" in archive.namelist():
            _require(archive.read(f"{root}byteorder") == b"little", "not little-endian")

        found: dict[str, _Storage] = {}

        def storage(pid: Any) -> _Storage:
            kind, key, count = _checked(pid)
            if key not in found:
                found[key] = _Storage(kind, count, lambda: archive.read(f"{root}data/{key}"))
            return found[key]

        return _tensors_in(_Unpickler(io.BytesIO(archive.read(names[0])), storage).load(), depth=2)


def _read_legacy(data: io.BytesIO) -> object:
    """torch's form before 1.6: pickles of protocol, system, content and keys, then the bytes."""
    _require(_Unpickler(data, _no_storage).load() == _LEGACY_PROTOCOL, "unknown protocol")
    _Unpickler(data, _no_storage).load()
    bytes_of: dict[str, bytes] = {}
    found: dict[str, _Storage] = {}

    def storage(pid: Any) -> _Storage:
        kind, key, count = _checked(pid)
        if key not in found:
            found[key] = _Storage(kind, count, lambda: bytes_of[key])
        return found[key]

    content = _Unpickler(data, storage).load()
    for key in _Unpickler(data, _no_storage).load():
        (stored,) = struct.unpack("<q", data.read(8))
        _require(stored == found[key].count, f"storage {key} has another size than said")
        bytes_of[key] = data.read(stored * found[key].dtype.itemsize)
    return _tensors_in(content, depth=2)


def _no_storage(pid: Any) -> _Storage:
    message = "a storage where none can be"
    raise pickle.UnpicklingError(message)


def _checked(pid: Any) -> tuple[torch.dtype, str, int]:
    """Type, key and number of elements out of a persistent id of torch."""
    _require(isinstance(pid, tuple) and len(pid) >= 5 and pid[0] == "storage", "odd storage")
    kind = getattr(pid[1], "named", "").rpartition(".")[2]
    _require(kind in DTYPES, f"numbers of an unknown kind ({kind or pid[1]!r})")
    _require(isinstance(pid[4], int) and pid[4] >= 0, "odd storage size")
    _require(len(pid) < 6 or pid[5] is None, "a view of a storage")
    return DTYPES[kind], str(pid[2]), pid[4]


def _tensors_in(value: object, *, depth: int) -> object:
    """The records in a mapping, and in mappings within it, as tensors where they stand for any."""
    if isinstance(value, _Inert):
        value.tensor = _tensor(value) if value.tensor is None else value.tensor
        return value if value.tensor is None else value.tensor
    if isinstance(value, Mapping) and depth > 0:
        return {key: _tensors_in(inner, depth=depth - 1) for key, inner in value.items()}
    return value


def _check_total(content: object, file_bytes: int) -> None:
    """Refuse tensors that look at the same bytes over and over: they'd take room once copied."""
    if not isinstance(content, Mapping):
        return
    inner = [v for v in content.values() if isinstance(v, Mapping)]
    tensors = [v for m in (content, *inner) for v in m.values() if isinstance(v, Tensor)]
    total = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    if total > MOST_REUSE * file_bytes:
        message = f"its tensors would take {total:,} bytes, the file has {file_bytes:,}"
        raise _RefusedError(message)


def _tensor(record: _Inert) -> Tensor | None:
    """The tensor that this record of a call stands for; None if it is something else."""
    name = record.named.rpartition(".")[2]
    if name == "_rebuild_parameter":
        _require(bool(record.args) and isinstance(record.args[0], _Inert), "odd parameter")
        return _tensor(record.args[0])
    if name in ("_rebuild_tensor_v2", "_rebuild_tensor"):
        return _torch_tensor(*record.args[:4])
    if record.named.startswith("numpy") and name in ("_reconstruct", "_frombuffer"):
        return _numpy_tensor(record)
    return None


def _torch_tensor(storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
    _require(isinstance(storage, _Storage), "a tensor without storage")
    numbers = [offset, *size, *stride]
    _require(all(isinstance(n, int) and n >= 0 for n in numbers), "odd tensor shape")
    count, flat = math.prod(size), storage.flat()
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    _require(count == 0 or max(count - 1, last) < len(flat), "a tensor larger than its storage")
    if count == 0:
        return torch.empty(tuple(size), dtype=storage.dtype)
    tensor: Tensor = flat.as_strided(tuple(size), tuple(stride), offset)
    return tensor


def _bytes(data: Any) -> bytes:
    """Bytes as the protocols write them: themselves, Latin-1 text, or a call that makes them."""
    if isinstance(data, _Inert):
        _require(data.named in ("_codecs.encode", "__builtin__.bytes"), "odd array bytes")
        data = data.args[0] if data.args else ""
    _require(isinstance(data, bytes | bytearray | str), "odd array bytes")
    return data.encode("latin1") if isinstance(data, str) else bytes(data)


def _numpy_tensor(record: _Inert) -> Tensor:
    if record.named.endswith("_frombuffer"):
        data, kind, shape, order = record.args
        in_columns = order == "F"
    else:
        _, shape, kind, in_columns, data = record.state
    data = _bytes(data)
    code, swapped = str(kind.args[0]).lstrip("<|="), (kind.state or (0, "<"))[1] == ">"
    _require(code in NUMPY_DTYPES and not swapped, f"an array of an unknown kind ({code})")
    dtype = np.dtype(code)
    _require(all(isinstance(n, int) and n >= 0 for n in shape), "odd array shape")
    _require(math.prod(shape) * dtype.itemsize == len(data), "an array is cut short")
    array = np.frombuffer(bytearray(data), dtype).reshape(shape, order="F" if in_columns else "C")
    tensor: Tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(shape))
    return tensor


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise pickle.UnpicklingError(otherwise)
