"""A camera plugged into this machine: `device:0` or `/dev/video0`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streams.failures import BROKEN, NO_DEVICE, failure
from streams.live.connection import Arrival, Demand, StreamFacts
from streams.live.health import GLANCE_PX


class DevicePicture:
    """The picture a device has just grabbed; valid until it grabs the next."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture

    def rgb(self) -> NDArray[np.uint8] | None:
        good, image = self._capture.retrieve()
        if not good or image is None:
            return None
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)

    def glance(self) -> NDArray[np.uint8] | None:
        image = self.rgb()
        if image is None:
            return None
        small = cv2.resize(image, GLANCE_PX, interpolation=cv2.INTER_NEAREST)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


class DeviceConnection:
    """Read by OpenCV: PyAV's own builds for Linux come without V4L2."""

    def __init__(self, capture: Any, *, where: str) -> None:
        self._capture, self._where = capture, where
        if not capture.isOpened():
            capture.release()
            raise failure(where, NO_DEVICE)

    @property
    def facts(self) -> StreamFacts:
        rate_fps = self._capture.get(cv2.CAP_PROP_FPS)
        return StreamFacts(kind="device", rate_fps=rate_fps if 0 < rate_fps <= 1000 else None)

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        while self._capture.grab():
            yield Arrival(DevicePicture(self._capture))
        raise failure(self._where, BROKEN)

    def close(self) -> None:
        self._capture.release()


def connect_device(device: int | str, *, where: str) -> DeviceConnection:
    """By number, or by its path (Linux)."""
    return DeviceConnection(cv2.VideoCapture(device), where=where)
