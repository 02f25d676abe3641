"""CLIP's own experiment: a density net trained on a data set of points, by any schedule.

As in the paper (section III.A): Adam at 10⁻⁴, the squared distance of the maps (equation 2),
pictures mirrored and changed in brightness and contrast. Each epoch's random numbers follow from
the seed and the epoch, so a killed training continues with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from culling_pipeline.ranges import Count, Flag, HalfShare, Positive, WholeFromZero, check
from culling_pipeline.records.training import EpochPoint
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.density.gallery import Crowd, Gallery, Showing, shown
from culling_pipeline.tasks.density.losses import map_losses
from culling_pipeline.tasks.density.metrics import DensityScores, scores
from culling_pipeline.training.checkpoint import Checkpoint
from culling_pipeline.training.loop import TrainingError
from culling_pipeline.training.options import ScheduleName, ScheduleOptions, build_schedule
from culling_pipeline.training.schedule import Schedule
from models.density.student import DensityStudent
from models.images import to_tensor
from models.without_compiler import uncompiled

RATE = 1e-4
"""Adam's learning rate in the paper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DensityPlan:
    """How to train. `sigma_px` is the Gaussians' σ at the size that is trained on (the paper finds
    one for each data set by trial); `crop_px`, `flip` and `light` as in `Showing`."""

    schedule: ScheduleName
    epochs: Count
    batch_size: Count
    learning_rate: Positive = RATE
    sigma_px: Positive
    crop_px: WholeFromZero
    flip: Flag = True
    light: HalfShare = 0.2
    seed: WholeFromZero = 0
    options: ScheduleOptions

    def __post_init__(self) -> None:
        check(self)

    @property
    def showing(self) -> Showing:
        """How pictures are shown."""
        return Showing(crop_px=self.crop_px, flip=self.flip, light=self.light)


@uncompiled()
def train_density(
    student: DensityStudent,
    gallery: Gallery,
    plan: DensityPlan,
    *,
    difficulty: NDArray[np.float64] | None = None,
    checkpoint: Path | None = None,
    progress: Progress,
    on_epoch: Callable[[EpochPoint], None] = lambda point: None,
) -> tuple[EpochPoint, ...]:
    """Train `student` in place, from `checkpoint` on if it is there; the epochs trained now.

    `difficulty` is CLIP's scoring function: a number for each picture, the easiest lowest. A loss
    that is not finite raises `TrainingError`, a checkpoint of another training `WeightsError`.
    """
    model = student.model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=plan.learning_rate)
    schedule = build_schedule(
        plan.schedule,
        samples=len(gallery),
        epochs=plan.epochs,
        options=plan.options,
        scores=difficulty,
        seed=plan.seed,
    )
    saved = None
    if checkpoint is not None:
        saved = Checkpoint(checkpoint, model, optimizer, _recipe(student, gallery, plan), schedule)
        begin, _ = saved.restore(student.device)
        if begin > 1:
            progress.note(f"going on from {checkpoint}: epoch {begin}")
    points = []
    for epoch in schedule:
        losses = _epoch(student, gallery, plan, schedule, optimizer, progress)
        point = EpochPoint(
            epoch=epoch,
            images=len(losses),
            loss=float(losses.mean()),
            learning_rate=plan.learning_rate,
        )
        points.append(point)
        if saved is not None:
            saved.save(0, at=(epoch + 1, 0))
        on_epoch(point)
    model.eval()
    return tuple(points)


def _epoch(
    student: DensityStudent,
    gallery: Gallery,
    plan: DensityPlan,
    schedule: Schedule,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> NDArray[np.float64]:
    """One epoch; the loss of each of its pictures."""
    epoch = schedule.epoch
    rng = np.random.default_rng([plan.seed, 83, epoch])
    chosen = rng.permutation(schedule.indices)
    found = []
    with progress.stage(f"epoch {epoch} of {plan.epochs}", len(chosen)) as advance:
        for batch in np.array_split(chosen, -(-len(chosen) // plan.batch_size)):
            crowds = [shown(gallery[int(number)], plan.showing, rng) for number in batch]
            each = _losses(student, crowds, plan.sigma_px)
            if not bool(torch.isfinite(each).all()):
                message = f"epoch {epoch}: a loss is not finite; the learning rate may be too high"
                raise TrainingError(message)
            optimizer.zero_grad()
            each.mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            losses = each.detach().cpu().numpy().astype(np.float64)
            schedule.observe(batch, losses)
            found.append(losses)
            advance(len(batch))
    return np.concatenate(found)


def _losses(student: DensityStudent, crowds: Sequence[Crowd], sigma_px: float) -> Tensor:
    """The loss of each picture: together where they have one size, else one by one."""
    images = [to_tensor(np.ascontiguousarray(crowd.image)) for crowd in crowds]
    targets = [
        torch.from_numpy(crowd.truth(student.stride, sigma_px).density)[None] for crowd in crowds
    ]
    if len({image.shape for image in images}) > 1:
        return torch.cat([_losses(student, [crowd], sigma_px) for crowd in crowds])
    maps = student.model(torch.stack(images).to(student.device))
    return map_losses(maps, torch.stack(targets).to(student.device))


def losses_of(student: DensityStudent, gallery: Gallery, sigma_px: float) -> NDArray[np.float64]:
    """The loss of each whole picture, without training: CLIP's scoring function with a trained
    model (section III; the paper takes a CSRNet)."""
    student.model.eval()
    with torch.inference_mode():
        found = [float(_losses(student, [gallery[n]], sigma_px)) for n in range(len(gallery))]
    return np.array(found)


def measure_density(
    student: DensityStudent, gallery: Gallery, *, sigma_px: float, progress: Progress
) -> DensityScores:
    """The student's figures on whole pictures."""
    said, truths = [], []
    with progress.stage("measure", len(gallery)) as advance:
        for number in range(len(gallery)):
            crowd = gallery[number]
            height, width = crowd.image.shape[:2]
            said += student.at_size(height, width).predict([crowd.image])
            truths.append(crowd.truth(student.stride, sigma_px))
            advance(1)
    return scores(said, truths)


def _recipe(student: DensityStudent, gallery: Gallery, plan: DensityPlan) -> dict[str, Any]:
    """What must be the same to continue a training."""
    return {
        **asdict(plan),
        "net": student.spec.net,
        "width": student.spec.width,
        "pictures": len(gallery),
    }
