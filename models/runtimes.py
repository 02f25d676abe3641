"""The two programs that run other people's nets on the CPU, OpenVINO and ONNX Runtime, behind one
face."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelError, WeightsError


class OpenVinoNet:
    """A net that OpenVINO runs on the CPU, in float32 so that all machines say the same."""

    def __init__(self, openvino: Any, path: Path, threads: int) -> None:
        settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
        try:
            core = openvino.Core()
            self._model = core.compile_model(core.read_model(*_native(path)), "CPU", settings)
        except RuntimeError as exc:
            version = f"OpenVINO {openvino.__version__.partition('-')[0]}"
            raise WeightsError(_unreadable(path, exc, version)) from exc
        self._names = [
            min(port.names, default=f"output{i}") for i, port in enumerate(self._model.outputs)
        ]
        dims = list(self._model.inputs[0].partial_shape) if len(self._model.inputs) == 1 else []
        self.input_shape = [None if dim.is_dynamic else int(dim.get_length()) for dim in dims]

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The outputs by name."""
        try:
            results = self._model([image])
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
        inputs = self._session.get_inputs()
        self._input = inputs[0].name if inputs else ""
        dims = inputs[0].shape if len(inputs) == 1 else []
        self.input_shape = [dim if isinstance(dim, int) else None for dim in dims]
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """The outputs by name."""
        try:
            results = self._session.run(self._names, {self._input: image})
        except self._errors as exc:
            message = f"ONNX Runtime could not run the model: {_first_line(exc)}"
            raise ModelError(message) from exc
        return dict(zip(self._names, results, strict=True))


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
