"""Detectors that others trained: an OpenVINO IR or an ONNX file as a `models.base.Detector`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.boxes.classes import COCO_80
from models.boxes.detections import Detections
from models.boxes.foreign_layouts import check_boxes, check_finite, shown, trial_picture
from models.boxes.foreign_yolox import YOLOX, Found, check_yolox, decode_yolox, in_pixels
from models.errors import ModelError
from models.runtimes import OpenVinoNet, files_of, open_net
from models.trial import DEFAULT_LIMITS, Limits, try_first

OutputKind = Literal["boxes-labels", "boxes-scores-labels", "yolox", "yolox-decoded"]

LARGEST_PX = 16_384
"""No detector has a larger input."""
TINY_SCORE = 1e-6
"""Rows without an object have a score of 0, whatever else is in them."""

Arrays = Mapping[str, NDArray[Any]]


class _Wanted(NamedTuple):
    """The shape (None: any) and the kinds of dtype that make an output fit its role."""

    shape: tuple[int | None, ...]
    kinds: str


_EXPECTED: dict[str, dict[str, _Wanted]] = {
    "boxes-labels": {"boxes": _Wanted((None, 5), "f"), "labels": _Wanted((None,), "iu")},
    "boxes-scores-labels": {
        "boxes": _Wanted((None, 4), "f"),
        "scores": _Wanted((None,), "f"),
        "labels": _Wanted((None,), "iu"),
    },
    "yolox": {"boxes": _Wanted((1, None, None), "f")},
    "yolox-decoded": {"boxes": _Wanted((1, None, None), "f")},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOptions:
    """How a foreign detector wants its image and what its outputs mean."""

    class_names: tuple[str, ...]
    outputs: OutputKind
    """`boxes-labels`: boxes N×5 (x1 y1 x2 y2 score) and labels N. `boxes-scores-labels`: boxes
    N×4, scores N, labels N, as torchvision exports them. `yolox`: 1×A×(5 + classes), not decoded,
    objectness and class scores in 0…1. `yolox-decoded`: the same, with centre and sides."""
    box_units: Literal["pixels", "shares"]
    """Boxes are in input pixels, or in shares (0…1) of the input."""
    height_px: int | None
    """Input size; None reads it from the model."""
    width_px: int | None
    channel_order: Literal["bgr", "rgb"]
    mean: tuple[float, float, float]
    """The net sees (pixel − mean) / scale, pixels 0…255, in the channel order above."""
    scale: tuple[float, float, float]
    keep_aspect: bool
    """True pads the resized image to the input size; False stretches it."""
    pad_value: int
    pad_position: Literal["top-left", "centre"]
    """Where the image lies within the padding."""
    boxes_output: str | None
    """Names of the outputs, where shape and type do not tell them apart. YOLOX's one output is
    its boxes output."""
    scores_output: str | None
    labels_output: str | None
    label_offset: int
    """Added to the net's labels: −1 for a net that counts from 1 after the background."""
    min_score: float
    """Nothing below it is returned."""
    nms_iou: float
    """YOLOX only: of two boxes of one class that overlap more, the better stays."""

    def __post_init__(self) -> None:
        if not self.class_names:
            message = "class_names is empty: name the detector's classes, in its order"
            raise ModelError(message)
        if self.outputs not in _EXPECTED:
            message = f"outputs: got {self.outputs!r}, must be one of {', '.join(_EXPECTED)}"
            raise ModelError(message)
        if 0.0 in self.scale:
            message = f"scale: got {self.scale}, no channel may be 0"
            raise ModelError(message)


class ForeignDetector:
    """A detector read from an OpenVINO IR (.xml with its .bin) or an ONNX file.

    It is opened and tried on a picture with things in it at once, so that what does not fit
    `options` raises `ModelError` here and not in the night. A pickled one is opened again from its
    path. A file of which nothing is known yet is opened by `open_foreign`.
    """

    backend: str
    """`openvino` or `onnxruntime`, whichever runs it."""

    def __init__(self, path: Path, options: ForeignOptions, *, threads: int = 1) -> None:
        if threads < 1:
            message = f"threads: got {threads}, must be 1 or more"
            raise ModelError(message)
        self._arguments = (Path(path), options, threads)
        try:
            self._open(Path(path), options, threads)
        except ModelError:
            raise
        except Exception as exc:  # the boundary: damaged nets make both runtimes raise anything
            reason = f"{type(exc).__name__}: {str(exc).partition(chr(10))[0]}"
            message = f"{path}: cannot be used as a detector ({reason}); export it again"
            raise ModelError(message) from exc

    def _open(self, path: Path, options: ForeignOptions, threads: int) -> None:
        self._options = options
        self._net = open_net(path, threads)
        self.backend = "openvino" if isinstance(self._net, OpenVinoNet) else "onnxruntime"
        self._size = _input_size(self._net.input_shape, options, path)
        probe = self._run(trial_picture(self._size))
        self._names = _find_outputs(probe, options, path)
        found = self._by_role(probe)
        self._is_judged = False
        if options.outputs in YOLOX:
            check_yolox(found["boxes"], self._size, options, path)
        else:
            self._judge(found)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels mean."""
        return self._options.class_names

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the net's input, in pixels."""
        return self._size

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """What is in each image (H×W×3 uint8 RGB), in its own pixels, best first.

        One image at a time, so they need not be of one size; no image gives an empty list.
        """
        return [self._predict_one(image) for image in images]

    def __reduce__(self) -> tuple[Callable[..., ForeignDetector], tuple[object, ...]]:
        return _reopen, self._arguments

    def _predict_one(self, image: NDArray[np.uint8]) -> Detections:
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
            message = f"an image must be H×W×3 uint8, got {image.shape} {image.dtype}"
            raise ModelError(message)
        placed, placement = _place(image, self._size, self._options)
        found = self._by_role(self._run(placed))
        if not self._is_judged and self._options.outputs not in YOLOX:
            self._judge(found)
        return _to_detections(
            _decode(found, self._size, self._options), placement, self._options, image.shape
        )

    def _by_role(self, raw: Arrays) -> Arrays:
        """The outputs that are used; NaN in them is refused."""
        found = {role: raw[name] for role, name in self._names.items()}
        check_finite({self._names[role]: a for role, a in found.items()}, self._arguments[0])
        return found

    def _judge(self, found: Arrays) -> None:
        """Check the layout by the first boxes that there are. A net that found nothing in the
        trial's picture is judged by its first find."""
        columns = _columns(found, self._options)
        in_shares = self._options.box_units == "shares"
        self._is_judged = check_boxes(
            columns[:2], self._size, in_shares=in_shares, path=self._arguments[0]
        )
        _known_labels(columns, self._options)

    def _run(self, placed: NDArray[np.uint8]) -> Arrays:
        return self._net.run(_as_input(placed, self._options, rank=len(self._net.input_shape)))


def open_foreign(
    path: Path, options: ForeignOptions, *, threads: int = 1, limits: Limits = DEFAULT_LIMITS
) -> ForeignDetector:
    """The detector in a file of others. It is opened and asked in another process first: a file
    that never ends, takes all memory or crashes its runtime raises `ModelError` too."""
    path = Path(path)
    try_first(_reopen, path, options, threads, files=files_of(path), limits=limits)
    return ForeignDetector(path, options, threads=threads)


def _reopen(path: Path, options: ForeignOptions, threads: int) -> ForeignDetector:
    return ForeignDetector(path, options, threads=threads)


# --- presets ------------------------------------------------------------------------------------

_PERSON_VEHICLE_BIKE = ForeignOptions(
    class_names=("vehicle", "person", "bike"),
    outputs="boxes-labels",
    box_units="pixels",
    height_px=None,
    width_px=None,
    channel_order="bgr",
    mean=(0.0, 0.0, 0.0),
    scale=(1.0, 1.0, 1.0),
    keep_aspect=False,
    pad_value=114,
    pad_position="top-left",
    boxes_output=None,
    scores_output=None,
    labels_output=None,
    label_offset=0,
    min_score=0.05,
    nms_iou=0.45,
)
PRESETS = {
    "person-vehicle-bike": _PERSON_VEHICLE_BIKE,
    "yolox-coco": replace(
        _PERSON_VEHICLE_BIKE, class_names=COCO_80, outputs="yolox", keep_aspect=True
    ),
}
"""Options of detectors that are known by measurement: Open Model Zoo's
person-vehicle-bike-detection-2003 and -2004 (stretched, BGR 0…255), Megvii's YOLOX on COCO (BGR
0…255, padded with 114 at the right and bottom)."""


# --- the image on its way in ---------------------------------------------------------------------


class _Placement(NamedTuple):
    """Where the image lies in the input: input = image · scale + offset, for x and y."""

    scale_xy: tuple[float, float]
    offset_xy: tuple[int, int]


def _place(
    image: NDArray[np.uint8], size: tuple[int, int], options: ForeignOptions
) -> tuple[NDArray[np.uint8], _Placement]:
    """The H×W×3 image resized (and padded) to `size` (height, width), and where it went."""
    (height, width), (high, wide) = image.shape[:2], size
    if not options.keep_aspect:
        stretched = cv2.resize(image, (wide, high), interpolation=cv2.INTER_LINEAR)
        return stretched.astype(np.uint8), _Placement((wide / width, high / height), (0, 0))
    ratio = min(high / height, wide / width)
    new_w, new_h = max(1, round(width * ratio)), max(1, round(height * ratio))
    centred = options.pad_position == "centre"
    left, top = ((wide - new_w) // 2, (high - new_h) // 2) if centred else (0, 0)
    canvas = np.full((high, wide, 3), options.pad_value, np.uint8)
    resized = cv2.resize(image, (new_w, new_h), interpolation=cv2.INTER_LINEAR)
    canvas[top : top + new_h, left : left + new_w] = resized
    return canvas, _Placement((new_w / width, new_h / height), (left, top))


def _as_input(
    placed: NDArray[np.uint8], options: ForeignOptions, *, rank: int
) -> NDArray[np.float32]:
    """H×W×3 uint8 RGB → 1×3×H×W (3×H×W for a net of rank 3) float32 as the net wants it."""
    ordered = placed if options.channel_order == "rgb" else placed[:, :, ::-1]
    values = (ordered.astype(np.float32) - _f32(options.mean)) / _f32(options.scale)
    chw = np.ascontiguousarray(values.transpose(2, 0, 1), np.float32)
    return chw if rank == 3 else chw[None]


def _input_size(
    shape: Sequence[int | None], options: ForeignOptions, path: Path
) -> tuple[int, int]:
    """Height and width from the net's input shape and the options, which must agree."""
    if len(shape) not in (3, 4) or shape[-3] not in (3, None):
        message = f"{path}: input must be 1×3×height×width, found {shown(shape)}"
        raise ModelError(message)
    height = _agreed("height_px", options.height_px, shape[-2], path)
    return height, _agreed("width_px", options.width_px, shape[-1], path)


def _agreed(name: str, wanted: int | None, fixed: int | None, path: Path) -> int:
    if wanted is not None and fixed is not None and wanted != fixed:
        message = f"{path}: {name}: got {wanted}, but the model's is fixed at {fixed}: leave it out"
        raise ModelError(message)
    size = wanted if wanted is not None else fixed
    if size is not None and size > LARGEST_PX:
        message = f"{path}: {name}: got {size}, must be {LARGEST_PX} or less: a damaged model?"
        raise ModelError(message)
    if size is None or size < 1:
        message = f"{path}: the model takes any size: set {name} (1 or more)"
        raise ModelError(message)
    return size


# --- outputs on their way out --------------------------------------------------------------------


def _find_outputs(probe: Arrays, options: ForeignOptions, path: Path) -> dict[str, str]:
    """Role → output name: the one that the options name, or the first that fits."""
    chosen: dict[str, str] = {}
    for role, wanted in _EXPECTED[options.outputs].items():
        named: str | None = getattr(options, f"{role}_output")
        fitting = [
            name
            for name, array in probe.items()
            if name not in chosen.values()
            and (name == named if named else array.dtype.kind in wanted.kinds)
            and _fits(array.shape, wanted.shape)
        ]
        if not fitting:
            have = ", ".join(f"{n} {shown(a.shape)} {a.dtype}" for n, a in probe.items())
            message = (
                f"{path}: outputs '{options.outputs}' needs {role} of shape "
                f"{shown(wanted.shape)}{f' named {named!r}' if named else ''}; the model has "
                f"{have}: choose another `outputs`, or name them with {role}_output"
            )
            raise ModelError(message)
        chosen[role] = fitting[0]
    return chosen


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether `shape` is as wanted, or so after a batch dimension of 1."""
    if len(shape) == len(wanted) + 1 and shape[0] == 1:
        shape = shape[1:]
    return len(shape) == len(wanted) and all(
        want in (None, have) for have, want in zip(shape, wanted, strict=True)
    )


def _decode(found: Arrays, size: tuple[int, int], options: ForeignOptions) -> Found:
    if options.outputs in YOLOX:
        return decode_yolox(found["boxes"], size, options)
    columns = _columns(found, options)
    return columns._replace(boxes=in_pixels(columns.boxes, size, options))


def _columns(found: Arrays, options: ForeignOptions) -> Found:
    """Boxes as the net gives them, scores and labels."""
    labels = found["labels"].reshape(-1).astype(np.int64)
    if found["boxes"].shape[-2] != len(labels):
        message = f"the detector returns {found['boxes'].shape[-2]} boxes, but {len(labels)} labels"
        message += ": name its outputs (teacher.io.boxes_output, labels_output)"
        raise ModelError(message)
    if options.outputs == "boxes-labels":
        rows = found["boxes"].reshape(-1, 5).astype(np.float32)
        return Found(rows[:, :4], rows[:, 4], labels)
    boxes = found["boxes"].reshape(-1, 4).astype(np.float32)
    return Found(boxes, found["scores"].reshape(-1).astype(np.float32), labels)


def _known_labels(found: Found, options: ForeignOptions) -> NDArray[np.int64]:
    """The labels as our class numbers; one that counts and has no name is refused."""
    labels = found.labels + options.label_offset
    counted = labels[found.scores >= max(options.min_score, TINY_SCORE)]
    if (counted >= len(options.class_names)).any():
        message = (
            f"the detector found class {counted.max()} (label_offset added), but class_names "
            f"has {len(options.class_names)}: name them all, or correct label_offset"
        )
        raise ModelError(message)
    return labels


def _to_detections(
    found: Found, placement: _Placement, options: ForeignOptions, shape: Sequence[int]
) -> Detections:
    """Input pixels → pixels of the image: clipped, degenerate ones dropped, sorted best first."""
    boxes = found.boxes - _f32(placement.offset_xy * 2)
    boxes = boxes / _f32(placement.scale_xy * 2)
    boxes = np.clip(boxes, 0, _f32((shape[1], shape[0]) * 2))
    labels = _known_labels(found, options)
    keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    keep &= (found.scores >= options.min_score) & (labels >= 0)
    order = np.flatnonzero(keep)
    order = order[np.argsort(-found.scores[order], kind="stable")]
    return Detections(boxes[order], np.minimum(found.scores[order], 1.0), labels[order])


def _f32(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)
