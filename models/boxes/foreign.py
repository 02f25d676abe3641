"""Detectors that others trained: an OpenVINO IR or an ONNX file as a `models.base.Detector`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.boxes.detections import Detections
from models.boxes.families.base import Arrays, ForeignOptions, Found, Size, is_wanted
from models.boxes.families.registry import FAMILIES
from models.boxes.feeding import Placement, input_size, inputs_of, place
from models.boxes.foreign_layouts import check_boxes, check_finite, shown, trial_picture
from models.boxes.recognition import GivenOptions, described, recognised
from models.errors import ModelError
from models.runtimes import OpenVinoNet, files_of, open_net
from models.trial import DEFAULT_LIMITS, Limits, try_first

TINY_SCORE = 1e-6
"""Rows without an object have a score of 0, whatever else is in them."""


class ForeignDetector:
    """A detector read from an OpenVINO IR (.xml with its .bin) or an ONNX file.

    Its family is recognised, unless `options` are complete. It is tried on a picture with things
    in it at once, so that what does not fit raises `ModelError` here and not in the night. A
    pickled one is opened again from its path. A file of which nothing is known yet is opened by
    `open_foreign`.
    """

    backend: str
    """`openvino` or `onnxruntime`, whichever runs it."""

    def __init__(
        self, path: Path, options: ForeignOptions | GivenOptions, *, threads: int = 1
    ) -> None:
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

    def _open(self, path: Path, given: ForeignOptions | GivenOptions, threads: int) -> None:
        self._net = open_net(path, threads)
        self.backend = "openvino" if isinstance(self._net, OpenVinoNet) else "onnxruntime"
        self._inputs = inputs_of(self._net.inputs, path)
        self._options = recognised(self._net, given, path)
        self._family = FAMILIES[self._options.outputs]
        self._size = input_size(self._inputs, self._options, path)
        probe = self._run(trial_picture(self._size))
        self._names = _find_outputs(probe, self._options, path)
        found = self._by_role(probe)
        self._is_judged = False
        if self._family.check is not None:
            self._family.check(found, self._size, self._options, path)
        else:
            self._judge(found)

    @property
    def class_names(self) -> tuple[str, ...]:
        """What the labels mean."""
        return self._options.class_names

    @property
    def options(self) -> ForeignOptions:
        """How it is fed and read: as given, or as recognised."""
        return self._options

    @property
    def input_size(self) -> Size:
        """Height and width of the net's input, in pixels."""
        return self._size

    @property
    def described(self) -> str:
        """Its family and how it is fed, in words."""
        return described(self._options, self._size)

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
        placed, placement = place(image, self._size, self._options, fit=self._family.fit)
        found = self._by_role(self._run(placed))
        if not self._is_judged and self._family.check is None:
            self._judge(found)
        boxes = self._family.read(found, self._size, self._options)
        return _to_detections(boxes, placement, self._options, image.shape)

    def _by_role(self, raw: Arrays) -> Arrays:
        """The outputs that are used; NaN in them is refused."""
        found = {role: raw[name] for role, name in self._names.items()}
        check_finite({self._names[role]: a for role, a in found.items()}, self._arguments[0])
        return found

    def _judge(self, found: Arrays) -> None:
        """Check a list of boxes by the first that there are. A net that found nothing in the
        trial's picture is judged by its first find."""
        assert self._family.columns is not None
        columns = self._family.columns(found, self._options)
        in_shares = self._options.box_units == "shares"
        self._is_judged = check_boxes(
            columns[:2], self._size, in_shares=in_shares, path=self._arguments[0]
        )
        _known_labels(columns, self._options)

    def _run(self, placed: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        return self._net.run(self._inputs.feed(placed, self._options))


def open_foreign(
    path: Path,
    options: ForeignOptions | GivenOptions,
    *,
    threads: int = 1,
    limits: Limits = DEFAULT_LIMITS,
) -> ForeignDetector:
    """The detector in a file of others. It is opened and asked in another process first: a file
    that never ends, takes all memory or crashes its runtime raises `ModelError` too."""
    path = Path(path)
    try_first(_reopen, path, options, threads, files=files_of(path), limits=limits)
    return ForeignDetector(path, options, threads=threads)


def _reopen(path: Path, options: ForeignOptions | GivenOptions, threads: int) -> ForeignDetector:
    return ForeignDetector(path, options, threads=threads)


# --- outputs on their way out --------------------------------------------------------------------


def _find_outputs(probe: Arrays, options: ForeignOptions, path: Path) -> dict[str, str]:
    """Role → output name: the one that the options name, or the first that fits; one that fits
    without a batch dimension comes first."""
    chosen: dict[str, str] = {}
    for role, wanted in FAMILIES[options.outputs].roles.items():
        named: str | None = getattr(options, f"{role}_output")
        if named:
            wanted = wanted._replace(kinds="fiu")
        fitting = [
            name
            for exact in (True, False)
            for name, array in probe.items()
            if name not in chosen.values()
            and (not named or name == named)
            and is_wanted(array, wanted, exact=exact)
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
    found: Found, placement: Placement, options: ForeignOptions, shape: Sequence[int]
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
