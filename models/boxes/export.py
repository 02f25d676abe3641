"""A student as a file that runs elsewhere: ONNX, OpenVINO IR or TorchScript, with its own words.

Whatever the format, one image goes in, 3×height×width float32 RGB of 0…255 at the student's size,
and N rows come out, best first: boxes N×4 float32 (x1 y1 x2 y2 in input pixels), scores N float32,
labels N int64, an index into `class_names`. Rows without an object have score 0 and label −1: N is
fixed (100, for SSD 300) because OpenVINO makes one row of leftovers out of none. Layouts for other
programs are in `models.boxes.export_layouts`.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from models.boxes.detector import TorchDetector, set_image_size
from models.boxes.export_layouts import (
    TABLE,
    ForOthers,
    Layout,
    example_of,
    label_map,
    write_label_map,
)
from models.errors import ModelError

Format = Literal["onnx", "torchscript", "openvino"]
FORMATS: tuple[Format, ...] = get_args(Format)
SUFFIXES: dict[str, str] = {"onnx": ".onnx", "torchscript": ".pt", "openvino": ".xml"}
INPUT = "image"
OUTPUTS = ("boxes", "scores", "labels")
SECTION = "culling"
"""Under this word OpenVINO's rt_info and TorchScript's extra files hold the description."""

SCRIPT_ABOUT = f"{SECTION}.json"
OPSET = 17
_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "onnx": (("onnx",), ("onnxruntime", "openvino")),
    "torchscript": (),
    "openvino": (("onnx",), ("openvino",)),
}
"""Packages of which one each is needed, to write the file and to try it."""


class ExportError(ModelError):
    """A model could not be exported, or the file does not say what the model says."""


def require_packages(format_: str) -> None:
    """Raise `ExportError` if what a format needs is not installed."""
    for choices in _NEEDS[format_]:
        if not any(find_spec(name) for name in choices):
            message = (
                f"export as {format_} needs {' or '.join(choices)}, which is not installed: "
                f"pip install 'culling-pipeline[{format_}]'"
            )
            raise ExportError(message)


def export_files(path: Path, format_: str, layout: Layout = "ours") -> tuple[Path, ...]:
    """What an export to `path` consists of; an OpenVINO IR has its weights beside it, a layout for
    others the names of its classes."""
    weights = (path.with_suffix(".bin"),) if format_ == "openvino" else ()
    return (path, *weights, *(() if layout == "ours" else (label_map(path),)))


def export_detector(
    detector: TorchDetector,
    path: Path,
    format_: str,
    about: Mapping[str, Any],
    *,
    layout: Layout = "ours",
) -> None:
    """Write the detector at its size to `path`; `about` goes inside, each value as JSON. Its model
    is on the CPU afterwards.

    A net that cannot be traced raises `ExportError`, and so does a missing package.
    """
    require_packages(format_)
    spec = detector.spec
    size = (spec.height_px, spec.width_px)
    net: nn.Module = _Exportable(detector.model.cpu().eval())
    set_image_size(detector.model, *size)
    image = torch.rand(3, *size) * 255
    if layout != "ours":
        net, image = ForOthers(net, layout, size), example_of(size)
        write_label_map(path, spec.class_names)
        about = {**about, "layout": layout}
    outputs = list(OUTPUTS) if layout == "ours" else [TABLE]
    write_net(net, image, path, format_, about, outputs=outputs, called=spec.architecture)


def write_net(
    net: nn.Module,
    image: Tensor,
    path: Path,
    format_: str,
    about: Mapping[str, Any],
    *,
    outputs: Sequence[str],
    called: str,
) -> None:
    """Write a net that takes `image` alone; its outputs get these names. `called` names it where
    it cannot be written, which raises `ExportError`."""
    require_packages(format_)
    words = {name: json.dumps(value, ensure_ascii=False) for name, value in about.items()}
    try:
        with quietly(), torch.no_grad():
            if format_ == "torchscript":
                _write_script(net, image, path, words)
            elif format_ == "onnx":
                _write_onnx(net, image, path, words, outputs)
            else:
                _write_openvino(net, image, path, words, outputs)
    except (RuntimeError, TypeError, ValueError) as exc:
        line = next((line for line in str(exc).splitlines() if line.strip()), type(exc).__name__)
        message = f"{called} could not be exported as {format_}: {line}"
        raise ExportError(message) from exc


def read_about(path: Path) -> dict[str, Any]:
    """What `export_detector` wrote into a file; `ExportError` for a file that is none of ours."""
    format_ = next((name for name, suffix in SUFFIXES.items() if suffix == path.suffix), "")
    try:
        words = {"onnx": _onnx_words, "openvino": _openvino_words, "torchscript": _script_words}[
            format_
        ](path)
        about = {name: json.loads(word) for name, word in words.items()}
    except (KeyError, RuntimeError, ValueError, OSError, _decode_error()) as exc:
        message = f"{path}: not a model that `culling export` has written"
        raise ExportError(message) from exc
    if "class_names" not in about:
        message = f"{path}: it says nothing of its classes: `culling export` has not written it"
        raise ExportError(message)
    return about


class _Exportable(nn.Module):
    """A torchvision detector with one image in and three arrays of as many rows out as it ever
    finds boxes."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        limited: Any = getattr(model, "roi_heads", model)
        self.rows = int(limited.detections_per_img)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`image` is 3×H×W float32 in 0…255; gives boxes, scores and labels from 0."""
        found = self.model([image / 255.0])
        found = found[1][0] if isinstance(found, tuple) else found[0]  # a scripted one gives both
        boxes, scores, labels = found["boxes"], found["scores"], found["labels"] - 1
        # Where nothing is found, OpenVINO has a row of leftovers, which may be NaN: it is no box,
        # and rows are picked, since NaN times 0 is NaN.
        is_box = (labels >= 0) & (scores > 0) & (scores <= 1) & (boxes[:, 2:] > boxes[:, :2]).all(1)
        rows = self.rows
        place = torch.arange(rows, device=image.device)
        here = place < is_box.to(labels.dtype).sum()
        picked = torch.where(here, place, torch.full_like(place, rows))
        boxes = torch.cat([boxes, boxes.new_zeros(rows + 1, 4)])
        scores = torch.cat([scores, scores.new_zeros(rows + 1)])
        labels = torch.cat([labels, labels.new_full((rows + 1,), -1)])
        return boxes[picked], scores[picked], labels[picked]


# --- the three formats ---------------------------------------------------------------------------


def _write_script(net: nn.Module, image: Tensor, path: Path, words: dict[str, str]) -> None:
    traced = torch.jit.trace(net, (image,), check_trace=False)  # type: ignore[no-untyped-call]
    extra = {SCRIPT_ABOUT: json.dumps(words, ensure_ascii=False)}
    torch.jit.save(traced, path, _extra_files=extra)


def open_script(path: Path) -> Any:
    """A TorchScript file, to be called; a damaged one raises `ExportError`."""
    try:
        with quietly():
            return torch.jit.load(path)  # type: ignore[no-untyped-call]
    except RuntimeError as exc:
        message = f"{path}: damaged, or no TorchScript; export it again"
        raise ExportError(message) from exc


def _script_words(path: Path) -> dict[str, str]:
    extra = {SCRIPT_ABOUT: ""}
    with quietly():
        torch.jit.load(path, _extra_files=extra)  # type: ignore[no-untyped-call]
    words: dict[str, str] = json.loads(extra[SCRIPT_ABOUT])
    return words


def _write_onnx(
    net: nn.Module, image: Tensor, path: Path, words: dict[str, str], outputs: Sequence[str]
) -> None:
    onnx = import_module("onnx")
    torch.onnx.export(
        net,
        (image,),
        str(path),
        dynamo=False,
        opset_version=OPSET,
        input_names=[INPUT],
        output_names=list(outputs),
    )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, words)
    onnx.save(model, path)


def _onnx_words(path: Path) -> dict[str, str]:
    onnx = import_module("onnx")
    return {prop.key: prop.value for prop in onnx.load(path).metadata_props}


def _write_openvino(
    net: nn.Module, image: Tensor, path: Path, words: dict[str, str], outputs: Sequence[str]
) -> None:
    openvino = import_module("openvino")
    with TemporaryDirectory() as folder:
        between = Path(folder) / "between.onnx"
        _write_onnx(net, image, between, {}, outputs)
        model = openvino.Core().read_model(between)  # convert_model takes ten times as long
    for name, word in words.items():
        model.set_rt_info(word, [SECTION, name])
    openvino.save_model(model, path, compress_to_fp16=False)


def _openvino_words(path: Path) -> dict[str, str]:
    openvino = import_module("openvino")
    info = openvino.Core().read_model(path).get_rt_info([SECTION])
    return {name: str(word) for name, word in info.value.items()}


def _decode_error() -> type[Exception]:
    """What protobuf raises for a file that is no ONNX; nothing where there is no protobuf."""
    try:
        error: type[Exception] = import_module("google.protobuf.message").DecodeError
    except ImportError:
        return ModelError
    return error


@contextmanager
def quietly() -> Iterator[None]:
    """Tracing warns of torch's and torchvision's own lines, which nobody here can change."""
    loud = [logging.getLogger(name) for name in ("torch.onnx", "openvino")]
    levels = [logger.level for logger in loud]
    for logger in loud:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loud, levels, strict=True):
            logger.setLevel(level)
