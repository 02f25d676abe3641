"""What can be configured of a night: culling, resolution, training, judging; and every default."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, model_validator

from jobs.config.fields import (
    Count,
    Positive,
    PositiveShare,
    Real,
    Section,
    Share,
    Whole,
)

if TYPE_CHECKING:
    from culling_pipeline.training.loop import TrainPlan
    from culling_pipeline.training.schedule import ScheduleOptions


def _rising(epochs: tuple[int, ...], *, last: int) -> bool:
    return all(a < b for a, b in pairwise((*epochs, last + 1)))


class ConfidenceSettings(Section):
    """L_conf, Dataset Culling sec. 2.1."""

    q: Positive = 3.0
    b: Real = 0.5
    min_score: Share = 0.2
    reduce: Literal["sum", "mean", "max"] = "sum"
    standardise: Annotated[bool, Field(strict=True)] = False


class ControlSettings(Section):
    """The control slice: random frames that only measure."""

    frames: Count = 240
    block_s: Positive = 300.0
    share: Annotated[Real, Field(gt=0, lt=1)] = 0.2
    placement: Literal["auto", "blocks", "end"] = "auto"


class GateSettings(Section):
    """Which frames are not scored: those between every so many-th, and with the change gate those
    on which nothing has changed."""

    every: Count = 1
    enabled: Annotated[bool, Field(strict=True)] = False
    audit_share: PositiveShare = 0.05
    min_recall: Annotated[Real, Field(gt=0, lt=1)] = 0.995


class CullingSettings(Section):
    """What to keep of a day."""

    strategy: Literal["strata", "coverage", "paper", "confidence_only", "random", "uniform"] = (
        "strata"
    )
    keep: Count = 256
    survivors_ratio: Annotated[Real, Field(ge=1)] = 6.0
    parts: Count = 12
    confidence: ConfidenceSettings = ConfidenceSettings()
    gate: GateSettings = GateSettings()
    control: ControlSettings = ControlSettings()

    @property
    def survivors(self) -> int:
        """Frames left after confidence culling."""
        return round(self.keep * self.survivors_ratio)


class ResolutionSettings(Section):
    """optResolution, Dataset Culling sec. 2.2."""

    enabled: Annotated[bool, Field(strict=True)] = True
    threshold: Positive | None = None
    min_scale: PositiveShare = 0.5
    min_object_px: Annotated[Real, Field(ge=0)] = 17.0

    @model_validator(mode="after")
    def _goes_by_something(self) -> Self:
        if self.enabled and self.threshold is None and self.min_object_px == 0:
            message = (
                "nothing says which size is too small: set threshold or min_object_px, "
                "or enabled: false"
            )
            raise ValueError(message)
        return self


SHOWN, LEAST_EPOCHS, MOST_EPOCHS = 18_432, 12, 96
"""So many images a training shows where no epochs are given, each at least and at most so many
times."""


class TrainingSettings(Section):
    """How the student is trained on the kept set (CLIP, Drop-and-Pick)."""

    schedule: Literal["standard", "curriculum", "clip", "dap", "clip-dap"] = "clip-dap"
    epochs: Count | None = None
    corrected_frames: Annotated[Whole, Field(ge=0)] = 64
    batch_size: Count = 8
    learning_rate: Positive = 0.0005
    learning_rate_steps: tuple[Count, ...] | None = None
    learning_rate_drop: PositiveShare = 0.1
    weight_decay: Annotated[Real, Field(ge=0)] = 0.0001
    flip: Annotated[bool, Field(strict=True)] = True
    paste: Share = 0.7
    shift: Annotated[Real, Field(ge=0, le=0.5)] = 0.15
    light: Annotated[Real, Field(ge=0, le=0.5)] = 0.2
    seed: Annotated[Whole, Field(ge=0)] = 0
    warm_up: Annotated[Whole, Field(ge=0)] = 2
    interval: Count | None = None
    keep: PositiveShare = 0.9
    pick: tuple[Count, ...] | None = None
    active: Count | None = None
    start: PositiveShare = 0.25
    pace_power: Annotated[Whole, Field(ge=1, le=2)] = 2
    pace_end: PositiveShare = 0.5
    prune_ratio: Annotated[Real, Field(ge=0, lt=1)] = 0.05
    epsilon_mode: Literal["fixed", "increasing", "decreasing"] = "fixed"
    prune: Literal["easiest", "hardest"] = "easiest"

    @model_validator(mode="after")
    def _epochs_in_order(self) -> Self:
        for name, epochs in (
            ("pick", self.pick),
            ("learning_rate_steps", self.learning_rate_steps),
        ):
            if epochs and self.epochs is None:
                message = f"{name}: got {list(epochs)}, which needs training.epochs as well"
                raise ValueError(message)
            if self.epochs is not None and not _rising(epochs or (), last=self.epochs):
                message = (
                    f"{name}: got {list(epochs or ())}, must rise and end at the last epoch "
                    f"({self.epochs}) or before"
                )
                raise ValueError(message)
        return self

    def for_kept(self, frames: int) -> Self:
        """These with `epochs` settled for a kept set of so many frames: as given, or as many as
        show `SHOWN` images. Few frames need to be seen often; many are dear to see often."""
        if self.epochs is not None:
            return self
        return self.model_copy(
            update={"epochs": min(max(LEAST_EPOCHS, round(SHOWN / frames)), MOST_EPOCHS)}
        )

    @property
    def full_epochs(self) -> int:
        """What training on everything would take: where none are given, as few as there may be."""
        return self.epochs or LEAST_EPOCHS

    @property
    def steps(self) -> tuple[int, ...]:
        """The epochs after which the learning rate falls: as given, or at two thirds."""
        if self.learning_rate_steps is not None:
            return self.learning_rate_steps
        epochs = self.full_epochs
        return (round(epochs * 2 / 3),) if epochs >= 3 else ()

    @property
    def drop_interval(self) -> int:
        """Epochs between two drops: as given, or a sixth of all, so that a long training does not
        end with a handful of images."""
        return self.interval or max(1, round(self.full_epochs / 6))

    def to_options(self, *, learning_rate_steps: tuple[int, ...] | None = None) -> ScheduleOptions:
        """The options of the schedule; where `pick` is not given, everything is picked up again
        where the learning rate falls (Drop-and-Pick, sec. 3.3)."""
        from culling_pipeline.training.schedule import ScheduleOptions

        given = {name: getattr(self, name) for name in ScheduleOptions.__slots__}
        steps = self.steps if learning_rate_steps is None else learning_rate_steps
        given["pick"] = steps if self.pick is None else self.pick
        given["interval"] = self.drop_interval
        return ScheduleOptions(**given)

    def to_plan(self) -> TrainPlan:
        """The plan as `culling_pipeline.training.loop` takes it."""
        from culling_pipeline.tasks.boxes.augment import Variation
        from culling_pipeline.training.loop import TrainPlan

        return TrainPlan(
            schedule=self.schedule,
            epochs=self.full_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            learning_rate_steps=self.steps,
            learning_rate_drop=self.learning_rate_drop,
            variation=Variation(
                flip=self.flip, paste=self.paste, shift=self.shift, light=self.light
            ),
            seed=self.seed,
            options=self.to_options(),
        )


class JudgingSettings(Section):
    """When the new student takes over."""

    compare_random: Annotated[bool, Field(strict=True)] = True
    min_gain: Annotated[Real, Field(ge=-1, le=1)] = 0.0


class ModelsSettings(Section):
    """Which of a camera's model versions stay on disk."""

    keep: Count = 14
