"""How student and teacher of a counting camera are opened for prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from culling_pipeline.tasks.density.counted import Counted
from culling_pipeline.tasks.density.metrics import game
from models.base import Model, OpenModel, Wrapping
from models.boxes.detections import Detections
from models.boxes.zones import outside
from models.density.answer import DensityMap
from models.density.zones import outside_map
from models.zones import Zones

DOUBT_LEVEL = 3
"""The student's two answers are compared in 8×8 parts of the picture (GAME(3)). That is at least
the difference of the counts, and what it found elsewhere comes on top."""


class SelfDoubting(Wrapping):
    """A counting student that looks at each picture twice, once in a mirror.

    Its answer is the mean of the two maps. How far they are apart is its doubt. So a look costs
    twice what the net takes; in return the count is steadier, and the doubt is known.
    """

    def __init__(self, student: Model, zones: Zones) -> None:
        super().__init__(student)
        self._zones = zones

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Counted]:
        """See `models.base.Model`."""
        mirrored = [np.ascontiguousarray(image[:, ::-1]) for image in images]
        plain, other = self.inner.predict(images), self.inner.predict(mirrored)
        return [self._both(*pair) for pair in zip(plain, other, strict=True)]

    def _both(self, plain: DensityMap, mirrored: DensityMap) -> Counted:
        height, width = plain.height_px, plain.width_px
        back = DensityMap(np.ascontiguousarray(mirrored.density[:, ::-1]), height, width)
        one, other = (outside_map(self._zones, said) for said in (plain, back))
        mean = DensityMap(np.asarray((one.density + other.density) / 2, np.float32), height, width)
        return Counted(mean, doubt=game(one, other, level=DOUBT_LEVEL))


@dataclass(frozen=True, slots=True)
class OpenCounter:
    """Opens a counting student, in whichever process it is called."""

    path: Path
    device: str
    zones: Zones
    size: tuple[int, int] | None = None

    def __call__(self) -> SelfDoubting:
        from models.density.student import load_density_student

        student = load_density_student(self.path, self.device)
        return SelfDoubting(
            student if self.size is None else student.at_size(*self.size), self.zones
        )


class IgnoringZones(Wrapping):
    """A model, of boxes or of maps, that says nothing of what lies in the zones."""

    def __init__(self, model: Model, zones: Zones) -> None:
        super().__init__(model)
        self._zones = zones

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """See `models.base.Model`."""
        said = self.inner.predict(images)
        return [
            outside(self._zones, answer, *image.shape[:2])
            if isinstance(answer, Detections)
            else outside_map(self._zones, answer)
            for answer, image in zip(said, images, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class OpenTeacher:
    """Opens a teacher that ignores the zones, in whichever process it is called."""

    build: OpenModel
    zones: Zones

    def __call__(self) -> Model:
        teacher = self.build()
        return IgnoringZones(teacher, self.zones) if self.zones else teacher
