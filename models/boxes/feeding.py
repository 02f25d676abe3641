"""The image on its way into a foreign detector: resized, padded, scaled, as its input wants it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from models.boxes.families.base import USUAL_FIT, Fit, ForeignOptions, Size
from models.boxes.foreign_layouts import shown
from models.errors import ModelError
from models.runtimes import Port

LARGEST_PX = 16_384
"""No detector has a larger input."""


class Placement(NamedTuple):
    """Where the image lies in the input: input = image · scale + offset, for x and y."""

    scale_xy: tuple[float, float]
    offset_xy: tuple[int, int]


class Inputs(NamedTuple):
    """What a net wants: the image, and perhaps the picture's size (`orig_target_sizes`)."""

    image: Port
    size: Port | None

    @property
    def is_nhwc(self) -> bool:
        """Whether colours come last."""
        return self.image.shape[-1] == 3 and self.image.shape[-3] != 3

    @property
    def takes_bytes(self) -> bool:
        """Whether pixels go in as they are, 0…255."""
        return self.image.dtype == np.uint8

    @property
    def fixed(self) -> tuple[int | None, int | None]:
        """Height and width as the net says them."""
        shape = self.image.shape
        high, wide = (shape[-3], shape[-2]) if self.is_nhwc else (shape[-2], shape[-1])
        return high, wide

    def feed(self, placed: NDArray[np.uint8], options: ForeignOptions) -> dict[str, NDArray[Any]]:
        """The inputs by name, for an image (H×W×3 uint8 RGB) that is placed already."""
        fed = {self.image.name: self._as_input(placed, options)}
        if self.size is not None:
            wide_high = np.array([[placed.shape[1], placed.shape[0]]], self.size.dtype)
            fed[self.size.name] = wide_high.reshape(-1) if len(self.size.shape) == 1 else wide_high
        return fed

    def _as_input(self, placed: NDArray[np.uint8], options: ForeignOptions) -> NDArray[Any]:
        ordered = placed if options.channel_order == "rgb" else placed[:, :, ::-1]
        values = (ordered.astype(np.float32) - _f32(options.mean)) / _f32(options.scale)
        if self.takes_bytes:
            values = np.clip(np.round(values), 0, 255)
        if not self.is_nhwc:
            values = values.transpose(2, 0, 1)
        whole = np.ascontiguousarray(values, self.image.dtype)
        return whole if len(self.image.shape) == 3 else whole[None]


def inputs_of(ports: Sequence[Port], path: Path) -> Inputs:
    """The image's input and the size's; others are refused."""
    images = [port for port in ports if len(port.shape) in (3, 4)]
    sizes = [port for port in ports if port not in images and "size" in port.name]
    if len(images) != 1 or len(images) + len(sizes) != len(ports) or len(sizes) > 1:
        have = ", ".join(f"{p.name} {shown(p.shape)}" for p in ports) or "none"
        message = f"{path}: input must be 1×3×height×width, found {have}"
        raise ModelError(message)
    shape = images[0].shape
    if not {shape[-3], shape[-1]} & {3, None}:
        message = f"{path}: input must be 1×3×height×width (or …×3), found {shown(shape)}"
        raise ModelError(message)
    return Inputs(images[0], sizes[0] if sizes else None)


def input_size(inputs: Inputs, options: ForeignOptions, path: Path) -> Size:
    """Height and width from the net's input shape and the options, which must agree."""
    height, width = inputs.fixed
    return (
        _agreed("height_px", options.height_px, height, path),
        _agreed("width_px", options.width_px, width, path),
    )


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


def place(
    image: NDArray[np.uint8], size: Size, options: ForeignOptions, *, fit: Fit = USUAL_FIT
) -> tuple[NDArray[np.uint8], Placement]:
    """The H×W×3 image resized (and padded) to `size` (height, width), and where it went."""
    (height, width), (high, wide) = image.shape[:2], size
    if not options.keep_aspect:
        scale_xy = (wide / width, high / height)
        return _resized(image, wide, high, smooth=fit.smooth), Placement(scale_xy, (0, 0))
    new_w, new_h, scale_xy = _fitted((width, height), (wide, high), fit)
    centred = options.pad_position == "centre"
    left, top = ((wide - new_w) // 2, (high - new_h) // 2) if centred else (0, 0)
    canvas = np.full((high, wide, 3), options.pad_value, np.uint8)
    resized = _resized(image, new_w, new_h, smooth=fit.smooth)
    canvas[top : top + new_h, left : left + new_w] = resized
    return canvas, Placement(scale_xy, (left, top))


def _fitted(
    sides: tuple[int, int], whole: tuple[int, int], fit: Fit
) -> tuple[int, int, tuple[float, float]]:
    """Width and height of a picture (width, height) within the input, and the scale for x and y."""
    spare = fit.spare_px if fit.spare_px < min(whole) else 0
    ratio = min((room - spare) / side for side, room in zip(sides, whole, strict=True))
    exact = [side * ratio for side in sides]
    whole_px = int if fit.cuts else round
    new_w, new_h = (max(1, whole_px(side)) for side in exact)
    if fit.by_ratio and min(exact) >= 1:
        return new_w, new_h, (ratio, ratio)
    return new_w, new_h, (new_w / sides[0], new_h / sides[1])


def _resized(image: NDArray[np.uint8], wide: int, high: int, *, smooth: bool) -> NDArray[np.uint8]:
    if not smooth:
        resized = cv2.resize(image, (wide, high), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.uint8)
    import torch  # the trial of a file (`models.trial`) starts without it

    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    shrunk = torch.nn.functional.interpolate(
        pixels, (high, wide), mode="bilinear", antialias=True, align_corners=False
    )
    return np.ascontiguousarray(shrunk[0].permute(1, 2, 0).numpy())


def _f32(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, np.float32)
