"""A whole task in some sixty lines: how bright a picture is. A night needs no boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.tasks.answers import Sight
from culling_pipeline.tasks.base import Task
from culling_pipeline.tasks.metric import Metric
from culling_pipeline.tasks.samples import Prepared
from models.checkpoint import load_checkpoint


class Lamp:
    """A student with one weight: brightness (0…100) is it times the mean grey (0…1)."""

    class_names, device = ("brightness",), torch.device("cpu")

    def __init__(self, model: nn.Linear, size: tuple[int, int] = (12, 20)) -> None:
        self.model, self.size = model, size

    def at_size(self, height_px: int, width_px: int) -> Lamp:
        return Lamp(self.model, (height_px, width_px))

    def meta(self, **more: Any) -> dict[str, Any]:
        return {"spec": {"size": list(self.size)}, **more}

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[float]:
        weight = self.model.weight.item()
        return [weight * float(image.mean()) / 255 for image in images]


@dataclass(frozen=True)
class Brightness(Task):
    metric = Metric("MAE", unit="lux", higher_is_better=False)
    class_names, nothing = ("brightness",), 0.0
    backend = "auto"

    def open_student(self, path: Path, *, device: str) -> Lamp:
        model = nn.Linear(1, 1, bias=False)
        model.load_state_dict(load_checkpoint(path)[0])
        return Lamp(model)

    def unsureness(self, answer: float) -> float:
        return abs(answer - 50)

    def truth(self, said: float, teacher_names: Sequence[str], **_: int) -> float:
        return said

    def disagreement(self, frame_id: int, answer: float, truth: float) -> Disagreement:
        wrong = round(abs(answer - truth))
        return Disagreement(
            frame_id=frame_id, teacher_objects=1, missed=wrong, invented=0, average_precision=0.0
        )

    def differ(self, one: float, other: float) -> bool:
        return abs(one - other) > 5

    def sight(self, answer: float) -> Sight:
        return Sight(busy=answer > 1, detections=1, objects=(answer,))

    def target(self, truth: float) -> dict[str, Tensor]:
        return {"brightness": torch.tensor(truth)}

    def losses(self, student: Any, batch: Sequence[Prepared]) -> Tensor:
        grey = torch.stack([image.float().mean() / 255 for image, _ in batch])
        truth = torch.stack([target["brightness"] for _, target in batch])
        return (student.model(grey[:, None])[:, 0] - truth) ** 2 / len(batch)

    def score(self, answers: Sequence[float], truths: Sequence[float]) -> Accuracy:
        error = float(np.abs(np.subtract(answers, truths)).mean())
        return Accuracy(
            score=self.metric.score(error), per_class={}, frames=len(truths), objects=len(truths)
        )

    def as_json(self, answer: float) -> dict[str, Any]:
        return {"brightness": answer}

    def answer_from(self, line: Mapping[str, Any]) -> float:
        return float(line.get("brightness", 0.0))


class Lamps:
    """A student that counts the pictures it is shown."""

    class_names = ("brightness",)
    shown = 0

    def predict(self, images: Sequence[NDArray[np.uint8]]) -> list[float]:
        Lamps.shown += len(images)
        return [float(image.mean()) / 255 for image in images]
