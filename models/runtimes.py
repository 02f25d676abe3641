"""The two programs that run other people's nets on the CPU, OpenVINO and ONNX Runtime, behind one
face."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError, WeightsError

MOST_WORDS = 2**20
"""A description beside a model is no larger than this."""


@dataclass(frozen=True, slots=True)
class Port:
    """One input of a net: its name, its shape (None: any side) and its type."""

    name: str
    shape: tuple[int | None, ...]
    dtype: np.dtype[Any]


class OpenVinoNet:
    """A net that OpenVINO runs on the CPU, in float32 so that all machines say the same."""

    def __init__(self, openvino: Any, path: Path, threads: int) -> None:
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        try:
            core = openvino.Core()
            model = core.read_model(*_native(path))
            self._model = core.compile_model(model, "CPU", settings)
        except RuntimeError as exc:
            version = f"OpenVINO {openvino.__version__.partition('-')[0]}"
            raise WeightsError(_unreadable(path, exc, version)) from exc
        self._names = [_openvino_name(port, i) for i, port in enumerate(model.outputs)]
        self.inputs = [_openvino_port(port) for port in self._model.inputs]
        self.about = _openvino_words(model) | _words_beside(path)

    def run(self, fed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name, for the inputs by name."""
        try:
            results = self._model([fed[port.name] for port in self.inputs])
        except RuntimeError as exc:
            message = f"OpenVINO could not run the model: {_first_line(exc)}"
            raise ModelError(message) from exc
        return {name: np.array(results[i]) for i, name in enumerate(self._names)}


class OnnxNet:
    """A net that ONNX Runtime runs on the CPU."""

    def __init__(self, onnxruntime: Any, path: Path, threads: int) -> None:
        kinds = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
        own = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception)]
        self._errors: tuple[type[Exception], ...] = (RuntimeError, *own)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                *_native(path), settings, providers=["CPUExecutionProvider"]
            )
        except self._errors as exc:
            version = f"ONNX Runtime {onnxruntime.__version__}"
            raise WeightsError(_unreadable(path, exc, version)) from exc
        self.inputs = [_onnx_port(port) for port in self._session.get_inputs()]
        self.about: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, fed: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name, for the inputs by name."""
        try:
            results = self._session.run(self._names, dict(fed))
        except self._errors as exc:
            message = f"ONNX Runtime could not run the model: {_first_line(exc)}"
            raise ModelError(message) from exc
        return dict(zip(self._names, results, strict=True))


def _onnx_port(port: Any) -> Port:
    kind = re.fullmatch(r"tensor\((\w+)\)", port.type)
    names = {"float": "float32", "double": "float64"}
    name = kind[1] if kind else "float"
    shape = tuple(side if isinstance(side, int) else None for side in port.shape)
    return Port(port.name, shape, np.dtype(names.get(name, name)))


def _openvino_name(port: Any, index: int) -> str:
    """An output has a name for each operator that was folded into it; its own is the result's."""
    targets = [target.get_node().get_friendly_name() for target in port.get_target_inputs()]
    own = {name.removesuffix("/sink_port_0") for name in targets} & port.names
    return str(min(own or port.names, default=f"output{index}"))


def _openvino_port(port: Any) -> Port:
    sides = () if port.partial_shape.rank.is_dynamic else port.partial_shape
    shape = tuple(None if side.is_dynamic else int(side.get_length()) for side in sides)
    name = min(port.names, default="input")
    return Port(name, shape, np.dtype(port.element_type.to_dtype()))


def _openvino_words(model: Any) -> dict[str, str]:
    """What is written into a model: the entries of each section of its rt_info."""
    return dict(_leaves("", model.rt_info))


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    value = getattr(value, "value", value)
    if isinstance(value, Mapping) or type(value).__name__ == "RTMap":
        for key, inner in value.items():
            yield from _leaves(str(key), inner)
    else:
        yield name, str(value)


def _words_beside(path: Path) -> dict[str, str]:
    """The `metadata.yaml` that Ultralytics write beside an OpenVINO IR."""
    beside = path.parent / "metadata.yaml"
    if path.suffix != ".xml" or not beside.is_file() or beside.stat().st_size > MOST_WORDS:
        return {}
    import yaml

    try:
        said = yaml.safe_load(beside.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as exc:
        message = f"{beside}: cannot be read ({type(exc).__name__}); export the model again"
        raise WeightsError(message) from exc
    return {str(key): str(value) for key, value in said.items()} if isinstance(said, dict) else {}


def open_net(path: Path, threads: int) -> OpenVinoNet | OnnxNet:
    """The net in `path`: .onnx in ONNX Runtime if it is there, else in OpenVINO."""
    if path.suffix not in (".xml", ".onnx"):
        message = f"{path}: must end in .xml (OpenVINO IR) or .onnx"
        raise WeightsError(message)
    for file in files_of(path):
        if not file.is_file():
            message = f"{file}: no such file: an .onnx stands alone, an .xml needs its .bin"
            raise WeightsError(message)
    if path.suffix == ".onnx" and (onnxruntime := _imported("onnxruntime")):
        return OnnxNet(onnxruntime, path, threads)
    if openvino := _imported("openvino"):
        return OpenVinoNet(openvino, path, threads)
    message = f"{path}: needs OpenVINO: pip install culling-pipeline[openvino]"
    raise ModelError(message + (" (or [onnx])" if path.suffix == ".onnx" else ""))


def files_of(path: Path) -> list[Path]:
    """What a model consists of: an OpenVINO IR has its weights beside it."""
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]


def _native(path: Path) -> list[str] | list[bytes]:
    """What native code is given to read: the names, or, where one is not UTF-8, the bytes."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return [file.read_bytes() for file in files_of(path)]
    return [str(path)]


def _imported(package: str) -> Any:
    try:
        return import_module(package)
    except ImportError:
        return None


_TOO_NEW = re.compile(
    r"opset|IR version|NOT_IMPLEMENTED|not a registered function|No Op registered|unsupported"
    r"|not supported|OpConversionFailure|No conversion rule",
    re.IGNORECASE,
)
"""What both say of a model that is whole, but of a newer kind or with operators that they lack."""


def _unreadable(path: Path, exc: Exception, runtime: str) -> str:
    if _TOO_NEW.search(str(exc)):
        return (
            f"{path}: {runtime} does not know this kind of model ({_first_line(exc)}); export it "
            "with an older opset and standard operators, or install a newer runtime"
        )
    return f"{path}: damaged, or not a model ({_first_line(exc)}); fetch it again"


def _first_line(exc: Exception) -> str:
    return next((line for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
