"""What a family of detectors says of itself, and what its file shows before it is understood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.boxes.families.names import FAMILY_NAMES, FamilyName
from models.errors import ModelError

Arrays = Mapping[str, NDArray[Any]]
Size = tuple[int, int]
"""Height and width of the net's input, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignOptions:
    """How a foreign detector wants its image and what its outputs mean."""

    class_names: tuple[str, ...]
    outputs: FamilyName
    """The family, which says what the outputs are (`models.boxes.families.registry`)."""
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
    """Names of the outputs, where shape and type do not tell them apart. A family with one output
    has it here."""
    scores_output: str | None
    labels_output: str | None
    label_offset: int
    """Added to the net's labels: −1 for a net that counts from 1 after the background."""
    min_score: float
    """Nothing below it is returned."""
    nms_iou: float
    """Grids only: of two boxes of one class that overlap more, the better stays."""

    def __post_init__(self) -> None:
        if not self.class_names:
            message = "class_names is empty: name the detector's classes, in its order"
            raise ModelError(message)
        if self.outputs not in FAMILY_NAMES:
            message = f"outputs: got {self.outputs!r}, must be one of {', '.join(FAMILY_NAMES)}"
            raise ModelError(message)
        if 0.0 in self.scale:
            message = f"scale: got {self.scale}, no channel may be 0"
            raise ModelError(message)


USUAL: Mapping[str, Any] = {
    "box_units": "pixels",
    "height_px": None,
    "width_px": None,
    "channel_order": "bgr",
    "mean": (0.0, 0.0, 0.0),
    "scale": (1.0, 1.0, 1.0),
    "keep_aspect": False,
    "pad_value": 114,
    "pad_position": "top-left",
    "boxes_output": None,
    "scores_output": None,
    "labels_output": None,
    "label_offset": 0,
    "min_score": 0.05,
    "nms_iou": 0.45,
}
"""What holds where neither the configuration nor the file nor its family says anything."""


def with_usual(**options: Any) -> ForeignOptions:
    """These options, and what is usual for the rest."""
    return ForeignOptions(**{**USUAL, **options})


WRONG_SHARE = 0.1
"""A net may predict so many boxes that end before they begin."""


class Found(NamedTuple):
    """Boxes N×4 (x1 y1 x2 y2), scores N, labels N: not yet clipped, sorted or checked."""

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]


class Wanted(NamedTuple):
    """The shape (None: any) and the kinds of dtype that make an output fit its role."""

    shape: tuple[int | None, ...]
    kinds: str = "f"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a file shows before it is understood: its outputs for the trial's picture, its inputs'
    names and what is written into it."""

    size: Size
    outputs: Arrays
    inputs: tuple[str, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    """Those that the configuration gives."""

    def of_shape(self, *shape: int | None, kinds: str = "f") -> list[str]:
        """Names of the outputs of this shape (None: any side)."""
        wanted = Wanted(shape, kinds)
        return [name for name, array in self.outputs.items() if is_wanted(array, wanted)]

    @property
    def grids(self) -> list[str]:
        """Names of the outputs that are one table of numbers, 1×rows×columns."""
        wanted = Wanted((1, None, None))
        return [name for name, a in self.outputs.items() if is_wanted(a, wanted, exact=True)]


class Fit(NamedTuple):
    """How a family's own program makes a picture fit the input, beyond what the options say."""

    spare_px: int = 0
    """A padded picture is so much smaller than the input."""
    cuts: bool = False
    """A padded picture's sides are cut to whole pixels in place of rounded."""
    by_ratio: bool = False
    """Its boxes go back by the ratio itself, not by what the sides became in whole pixels."""
    smooth: bool = False
    """Resized as by torchvision and Pillow, which average what falls into a pixel when they shrink;
    OpenCV takes single pixels."""


USUAL_FIT = Fit()
Settings = dict[str, Any]
"""Some of the fields of `ForeignOptions`."""
RGB_SHARES: Settings = {"channel_order": "rgb", "scale": (255.0, 255.0, 255.0)}
"""A net that sees red, green and blue as 0…1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One layout of outputs, and how its detectors are usually fed."""

    name: FamilyName
    title: str
    """For `culling check`."""
    roles: Mapping[str, Wanted]
    """The outputs that are used: `boxes`, `scores`, `labels`."""
    recognise: Callable[[Look], Settings | None]
    """What the file tells of its options; None for a file of another family."""
    read: Callable[[Arrays, Size, ForeignOptions], Found]
    """The outputs by their roles → boxes in pixels of the input."""
    usual: Mapping[str, Any] = field(default_factory=dict)
    """What holds where neither the file nor the configuration says anything."""
    usual_size: Size = (640, 640)
    """For a file that takes any size."""
    fit: Fit = USUAL_FIT
    check: Callable[[Arrays, Size, ForeignOptions, Path], None] | None = None
    """Refuses a grid of another layout, once at opening. None: the family gives a list of boxes,
    which is judged by the first boxes there are (`columns`)."""
    columns: Callable[[Arrays, ForeignOptions], Found] | None = None
    """The list of boxes as the net gives it, in the units of the options."""


def is_wanted(array: NDArray[Any], wanted: Wanted, *, exact: bool = False) -> bool:
    """Whether an output has this shape and type, or (not if `exact`) so after a batch of 1."""
    shape = array.shape
    if not exact and len(shape) == len(wanted.shape) + 1 and shape[0] == 1:
        shape = shape[1:]
    return (
        array.dtype.kind in wanted.kinds
        and len(shape) == len(wanted.shape)
        and all(want in (None, have) for have, want in zip(shape, wanted.shape, strict=True))
    )


def in_pixels(boxes: NDArray[np.float32], size: Size, options: ForeignOptions) -> NDArray[Any]:
    """Boxes (N×4) in the units of the options, in input pixels."""
    if options.box_units == "pixels":
        return boxes
    return boxes * np.array((size[1], size[0]) * 2, np.float32)


def corners(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Centre and sides (N×4) → x1 y1 x2 y2."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1, dtype=np.float32)


def best_of_each(found: Found, nms_iou: float) -> Found:
    """Non-maximum suppression within each class."""
    import torch  # the trial of a file (`models.trial`) starts without it
    from torchvision.ops import batched_nms

    tensors = [torch.from_numpy(np.ascontiguousarray(part)) for part in found]
    best = batched_nms(*tensors, nms_iou).numpy()
    return Found(found.boxes[best], found.scores[best], found.labels[best])


def read_columns(family_columns: Callable[[Arrays, ForeignOptions], Found]) -> Any:
    """`Family.read` of a list of boxes: its columns, in input pixels."""

    def read(found: Arrays, size: Size, options: ForeignOptions) -> Found:
        columns = family_columns(found, options)
        return columns._replace(boxes=in_pixels(columns.boxes, size, options))

    return read


def as_found(boxes: NDArray[Any], scores: NDArray[Any], labels: NDArray[Any]) -> Found:
    """The three columns in our types."""
    return Found(
        boxes.reshape(-1, 4).astype(np.float32),
        scores.reshape(-1).astype(np.float32),
        labels.reshape(-1).astype(np.int64),
    )


def same_count(boxes: int, labels: int) -> None:
    """Refuse outputs that do not belong together."""
    if boxes != labels:
        message = f"the detector returns {boxes} boxes, but {labels} labels"
        message += ": name its outputs (teacher.io.boxes_output, labels_output)"
        raise ModelError(message)


def are_corners(boxes: NDArray[Any]) -> bool:
    """Whether nearly all (N×4) end behind where they begin. Centre and sides rarely do."""
    return bool((boxes[:, 2:] < boxes[:, :2]).any(axis=1).mean() <= WRONG_SHARE)


def whole_numbers(values: NDArray[Any]) -> bool:
    """Whether all are whole and none is below −1, as class numbers are."""
    return bool((values == np.round(values)).all() and (values >= -1).all())


def units_of(boxes: NDArray[Any], near: float) -> Literal["pixels", "shares"]:
    """What boxes are in, by how far they reach; shares where there are none."""
    return "pixels" if boxes.size and float(np.abs(boxes).max()) > near else "shares"


def sequence_names(count: int, known: Mapping[int, Sequence[str]]) -> tuple[str, ...]:
    """The class names that this number of classes usually has; none where it has no usual ones."""
    return tuple(known.get(count, ()))
