"""A camera's empty scene: a small grey picture for each slot of the day.

The median over the control frames of two hours shows no traffic, only what stands still. Pictures
are compared by the directions of their edges, which hardly change with the light.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from culling_pipeline.day.frame_files import load_image
from culling_pipeline.monitoring.daily_figures import slot_of
from culling_pipeline.records.day import StoredFrame

Picture = NDArray[np.uint8]

WIDTH_PX = 160
"""Width of the small pictures."""
MIN_FRAMES = 5
"""A slot with fewer frames gets no background: moving objects would still be in it."""


@dataclass(frozen=True, slots=True)
class Background:
    """A day's backgrounds by slot (H×160 uint8 grey), and the width of the camera's own picture."""

    date: date
    full_width_px: int
    slots: dict[int, Picture]


def background_of(folder: Path, frames: Iterable[StoredFrame], *, day: date) -> Background:
    """The backgrounds of a day from its stored control frames; `FileNotFoundError` names a frame
    that is gone. Slots with too few frames have none; frames must be of one size."""
    by_slot: dict[int, list[Picture]] = defaultdict(list)
    width_px = 0
    for frame in frames:
        image = load_image(folder, frame)
        width_px = image.shape[1]
        by_slot[slot_of(frame.wall_time)].append(shrunk(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)))
    slots = {s: median(found) for s, found in by_slot.items() if len(found) >= MIN_FRAMES}
    return Background(day, width_px, slots)


def shrunk(grey: Picture) -> Picture:
    """A grey picture at `WIDTH_PX`, its proportions kept."""
    height_px = max(8, round(grey.shape[0] * WIDTH_PX / grey.shape[1]))
    small = cv2.resize(grey, (WIDTH_PX, height_px), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def median(pictures: Iterable[Picture]) -> Picture:
    """The median of each pixel over pictures of one size; at least one."""
    return np.asarray(np.median(np.stack(list(pictures)), axis=0), np.uint8)


class Edges(NamedTuple):
    """`direction` [H,W] complex64: twice the angle of the gradient (so that a lit window at night
    and a dark one by day are the same edge), its length 0 (no edge) … 1; `strength` [H,W] float32:
    the gradient in grey levels a pixel; `coarse`: the mean of the same in a blurred picture."""

    direction: NDArray[np.complex64]
    strength: NDArray[np.float32]
    coarse: float


def edges_of(picture: Picture) -> Edges:
    """The edges of a small grey picture: orientation images as in Fitch, Kadyrov, Christmas and
    Kittler, "Orientation correlation", BMVC 2002, sec. 2, but with the angle doubled and weak
    gradients faded out instead of counted in full."""
    gradient = _gradient(picture, 1.0)
    strength = np.abs(gradient)
    faint = 2 * np.median(strength) + 0.3
    direction = gradient**2 / np.maximum(strength**2, 1e-6)
    direction = direction * (strength**2 / (strength**2 + faint**2))
    coarse = float(np.abs(_gradient(picture, 4.0)).mean())
    return Edges(direction.astype(np.complex64), strength, coarse)


def _gradient(picture: Picture, sigma_px: float) -> NDArray[np.complex64]:
    soft = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), sigma_px)
    across = cv2.Sobel(soft, cv2.CV_32F, 1, 0, scale=0.125)
    down = cv2.Sobel(soft, cv2.CV_32F, 0, 1, scale=0.125)
    return np.asarray(across + 1j * down, np.complex64)


def agreement(a: NDArray[np.complex64], b: NDArray[np.complex64]) -> float:
    """How far two edge pictures agree without a shift, −1…1; 0 if one of them has no edge."""
    weight = float(np.sqrt((np.abs(a) ** 2).sum() * (np.abs(b) ** 2).sum()))
    return float((a.conj() * b).real.sum()) / weight if weight > 0 else 0.0


class Shift(NamedTuple):
    """The best agreement of two edge pictures, and its shift: `b` is `a`, moved by x and y
    pixels."""

    agreement: float
    x_px: int
    y_px: int


def best_shift(a: NDArray[np.complex64], b: NDArray[np.complex64], *, reach: float = 0.3) -> Shift:
    """The shift by at most `reach` of width and height at which `b` agrees best with `a`: their
    correlation over the pixels that overlap, for all shifts at once, by FFT."""
    height, width = a.shape
    most = (int(reach * height), int(reach * width))
    shape = (cv2.getOptimalDFTSize(height + most[0]), cv2.getOptimalDFTSize(width + most[1]))

    def spectrum(x: NDArray[np.generic]) -> NDArray[np.complex128]:
        return np.fft.fft2(x, shape)

    ones = spectrum(np.ones(a.shape))
    product = np.fft.ifft2(spectrum(a).conj() * spectrum(b)).real
    weight_a = np.fft.ifft2(spectrum(np.abs(a) ** 2).conj() * ones).real
    weight_b = np.fft.ifft2(ones.conj() * spectrum(np.abs(b) ** 2)).real
    agreements = product / np.sqrt(np.maximum(weight_a, 1e-3) * np.maximum(weight_b, 1e-3))
    ys, xs = (np.arange(-m, m + 1) for m in most)  # negative ones lie at the far end
    near = agreements[np.ix_(ys, xs)]
    row, column = np.unravel_index(int(near.argmax()), near.shape)
    return Shift(float(near[row, column]), int(xs[column]), int(ys[row]))
