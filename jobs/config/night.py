"""The settings of a night: culling, resolution, training and judging, with all defaults."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, model_validator

from culling_pipeline.ranges import (
    Count,
    Flag,
    HalfShare,
    InnerShare,
    NotNegative,
    OneOrMore,
    OneOrTwo,
    Positive,
    PositiveShare,
    Real,
    Share,
    ShareBelowOne,
    SignedShare,
    WholeFromZero,
)
from jobs.config.fields import NO_UNIT, Section, setting

if TYPE_CHECKING:
    from culling_pipeline.day.control_slice import ControlPlan
    from culling_pipeline.gate.gate import GatePlan
    from culling_pipeline.records.costs import SecondsPerImage
    from culling_pipeline.tasks.boxes.confidence import ConfidencePlan
    from culling_pipeline.tasks.samples import Variation
    from culling_pipeline.training.loop import TrainPlan
    from culling_pipeline.training.options import ScheduleOptions


def _rising(epochs: tuple[int, ...], *, last: int) -> bool:
    return all(a < b for a, b in pairwise((*epochs, last + 1)))


class ConfidenceSettings(Section):
    """L_conf, Dataset Culling sec. 2.1."""

    q: Positive = setting(3.0, "weight of the entropy", unit=NO_UNIT)
    b: Real = setting(0.5, "constant that is added", unit=NO_UNIT)
    min_score: Share = setting(0.2, "detections below this score do not count", unit=NO_UNIT)
    reduce: Literal["sum", "mean", "max"] = setting(
        "sum", "how the losses of a frame's detections become the frame's loss"
    )
    standardise: Flag = setting(
        False,
        "true: all classes weigh the same",
        more="Each class is brought to mean 0 and deviation 1 over the day, then classes are "
        "added.",
    )

    def to_plan(self) -> ConfidencePlan:
        """The plan as `culling_pipeline.tasks.boxes.confidence` takes it."""
        from culling_pipeline.tasks.boxes.confidence import ConfidencePlan

        return ConfidencePlan(**self.model_dump())


class ControlSettings(Section):
    """The control slice: random frames for measuring only."""

    frames: Count = setting(240, "size of the control slice", unit="frames")
    block_s: Positive = setting(
        300.0, "length of a block; the control slice is made of whole blocks", unit="seconds"
    )
    share: InnerShare = setting(0.2, "share of the blocks in the control slice", unit=NO_UNIT)
    placement: Literal["auto", "blocks", "end"] = setting(
        "auto",
        "blocks: over the whole day; end: the last part of the recording; auto: end for "
        "recordings under an hour, else blocks",
    )

    def to_plan(self) -> ControlPlan:
        """The plan as `culling_pipeline.day.control_slice` takes it."""
        from culling_pipeline.day.control_slice import ControlPlan

        return ControlPlan(**self.model_dump())


class GateSettings(Section):
    """Which frames are not scored: all but every Nth and, with the change gate, those without a
    change."""

    every: Count = setting(
        1,
        "score every Nth sampled frame; 1: every frame",
        unit="frames",
        more="At 5 and `fps: 1` the student scores one frame in five seconds. The frames between "
        "can be drawn at random (control slice, random frames), but how hard they are is not "
        "known. This saves the most on a slow machine; [What is "
        "kept](../guide/what-is-kept.md#a-slow-machine) shows what it costs.",
    )
    enabled: Flag = setting(
        False,
        "true: skip unchanged frames (the change gate)",
        more="A skipped frame takes over the detections of the last scored one. See [A "
        "night](../design/night.md#the-change-gate).",
    )
    audit_share: PositiveShare = setting(
        0.05,
        "share of the unchanged frames that are scored anyway, to measure what skipping loses",
        unit=NO_UNIT,
    )
    min_recall: InnerShare = setting(
        0.995,
        "share of the frames with an object that must not be lost",
        unit=NO_UNIT,
        more="Where the gate cannot keep this, it skips nothing.",
    )

    def to_plan(self) -> GatePlan:
        """The plan as `culling_pipeline.gate.gate` takes it."""
        from culling_pipeline.gate.gate import GatePlan

        return GatePlan(**self.model_dump())


_TIME = re.compile(r"(\d+(?:\.\d+)?) *(s|min|h)")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def _share_or_time(value: object) -> object:
    """A share as it is; a time as it stands, if it is one."""
    if isinstance(value, str) and (found := _TIME.fullmatch(value.strip())) and float(found[1]):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    message = "must be a share above 0 and at most 1, such as 0.01, or a time such as 30 min"
    raise ValueError(message)


Budget = Annotated[
    PositiveShare | str,
    BeforeValidator(_share_or_time, json_schema_input_type=PositiveShare | str),
]
"""A share of full training, or a time in words."""


class SecondsSettings(Section):
    """What an image costs on this machine: all three, or none."""

    look: Positive | None = setting(
        None, "the student looks at a frame; null: measured", unit="seconds"
    )
    label: Positive | None = setting(
        None, "the teacher labels a frame; null: measured", unit="seconds"
    )
    train: Positive | None = setting(
        None, "training goes through a frame once; null: measured", unit="seconds"
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if given and len(given) < 3:
            message = f"got {' and '.join(given)} only, must be all of look, label, train or none"
            raise ValueError(message)
        return self

    @property
    def per_image(self) -> SecondsPerImage | None:
        """As the budget takes them; None: to be measured."""
        if self.look is None or self.label is None or self.train is None:
            return None
        from culling_pipeline.records.costs import SecondsPerImage

        return SecondsPerImage(look=self.look, label=self.label, train=self.train)


MOST_HELD = 1536
"""The most frames of a day that wait for a night whose budget decides how many it takes."""


class CullingSettings(Section):
    """What to keep of a day."""

    budget: Budget = setting(
        0.01,
        "what a night may cost: a share of full training on a whole day, or a time such as 30 min",
        unit=NO_UNIT,
        more="Looks, labels and training are counted, in seconds of detector work on this machine; "
        "measuring and the comparison with random frames come on top. Full training labels and "
        "trains on 86,400 frames. `culling check` shows what the budget is divided into; see "
        "[What a night costs](../design/budget.md).",
    )
    strategy: Literal[
        "mixed", "unsure", "strata", "coverage", "paper", "confidence_only", "random", "uniform"
    ] = setting(
        "mixed",
        "how frames are chosen",
        more="All that is labelled is kept: `mixed`: one half those the student was least sure of "
        "in equal parts of the day, the other drawn at random; `unsure`: only the former; "
        "`confidence_only`: those of the whole day; `random`: drawn at random; `uniform`: evenly "
        "in time. Kept are some of the labelled ones: `strata`: by what the student missed or "
        "invented, in equal parts of the day; `coverage`: the frames that together show most of "
        "what the student gets wrong; `paper`: as in Dataset Culling.",
    )
    keep: Count | None = setting(
        None,
        "size of the kept set; null: what the budget pays for",
        unit="frames",
    )
    survivors_ratio: OneOrMore = setting(
        6.0,
        "survivors of confidence culling, as a multiple of `keep` (strata, coverage, paper)",
        unit=NO_UNIT,
        more="The teacher labels the survivors. The other strategies keep all of them.",
    )
    looks: Count | Literal["all"] | None = setting(
        None,
        "how many frames of a recording the student looks at; null: what the budget pays for",
        unit="frames",
        more="Half of them are drawn at random, the others lie where something changes. The frames "
        "between can be drawn at random, but how hard they are is not known. A live camera is "
        "looked at all day long (`gate`), whatever a night costs.",
    )
    trusted_from: Share | None = setting(
        0.3,
        "mAP50 on the control slice from which the student's unsureness is believed; null: always",
        unit=NO_UNIT,
        more="Below it, or where L_conf does not rank the student's errors, a night's frames are "
        "drawn at random, and the report says why.",
    )
    seconds: SecondsSettings = setting(
        SecondsSettings(), "what an image costs; it decides how the budget is divided"
    )
    parts: Count = setting(
        12, "equal parts of the day that share the kept set (strata, coverage)", unit="parts"
    )
    confidence: ConfidenceSettings = setting(ConfidenceSettings(), "the confidence loss L_conf")
    gate: GateSettings = setting(GateSettings(), "which frames the student does not score")
    control: ControlSettings = setting(
        ControlSettings(), "the control slice: frames that only measure"
    )

    @property
    def budget_s(self) -> float | None:
        """The budget in seconds; None where it is a share of full training."""
        if not isinstance(self.budget, str):
            return None
        found = _TIME.fullmatch(self.budget.strip())
        assert found is not None
        return float(found[1]) * _SECONDS[found[2]]

    @property
    def held(self) -> int:
        """The most frames of a day that wait on disk for a night to choose from, of each kind."""
        return MOST_HELD if self.keep is None else max(1, round(self.keep * self.survivors_ratio))


class ResolutionSettings(Section):
    """optResolution, Dataset Culling sec. 2.2."""

    enabled: Flag = setting(True, "false: always train and run at full size")
    threshold: Positive | None = setting(
        None,
        "largest allowed change of L_conf: its mean square, relative to full size; null: any",
        unit=NO_UNIT,
        more="This holds beside `min_object_px`. With `null` the student is not asked.",
    )
    min_scale: PositiveShare = setting(
        0.5, "smallest scale to try", unit=NO_UNIT, more="The scales are 0.9ⁿ."
    )
    min_object_px: NotNegative = setting(
        17.0,
        "smallest side of an object; smaller scales are not used; 0: any",
        unit="pixels",
        more="No scale is used at which more than a tenth of a class's objects in the kept set "
        "would have a side (root of the box's area) below this. With 0, `threshold` must be set.",
    )

    @model_validator(mode="after")
    def _goes_by_something(self) -> Self:
        if self.enabled and self.threshold is None and self.min_object_px == 0:
            message = (
                "nothing says which size is too small: set threshold or min_object_px, "
                "or enabled: false"
            )
            raise ValueError(message)
        return self


FULL_EPOCHS = 12
"""How often training on everything would go through the day."""


class TrainingSettings(Section):
    """How the student is trained on the kept set (CLIP, Drop-and-Pick)."""

    schedule: Literal["standard", "curriculum", "clip", "dap", "clip-dap"] = setting(
        "clip-dap", "which images an epoch trains on"
    )
    epochs: Count | None = setting(
        None,
        "length of the training; null: what the budget pays for",
        unit="epochs",
        more="That is 8, or up to 96 where there are few frames.",
    )
    corrected_frames: WholeFromZero = setting(
        64,
        "largest number of frames with corrected labels that are added to the kept set, newest "
        "first; 0: none",
        unit="frames",
        more="Labels are corrected with `culling dataset import`.",
    )
    replay: ShareBelowOne = setting(
        0.0,
        "share of the images that are frames of earlier nights, so that the student does not "
        "forget; 0: none",
        unit=NO_UNIT,
        more="0.5 is what was tried on real days. Where there are fewer of them, the share is "
        "smaller. They cost training, no label.",
    )
    replay_frames: Count = setting(
        512,
        "largest number of frames that stay on disk for this, in every hour and light as many",
        unit="frames",
        more="They do not count in the disk budgets.",
    )
    batch_size: Count = setting(8, "images in a training step", unit="images")
    learning_rate: Positive = setting(0.0005, "the highest learning rate", unit=NO_UNIT)
    learning_rate_steps: tuple[Count, ...] | None = setting(
        None,
        "the learning rate falls after these epochs, such as [8]; null: at two thirds",
        unit="epochs",
        more="A list needs `epochs`.",
    )
    learning_rate_drop: PositiveShare = setting(
        0.1, "the learning rate falls to this share of itself", unit=NO_UNIT
    )
    weight_decay: NotNegative = setting(0.0001, "weight decay of AdamW", unit=NO_UNIT)
    flip: Flag = setting(True, "mirror every other image")
    paste: Share = setting(
        0.7,
        "chance that an object of a similar frame is pasted in, at its own place; 0: never",
        unit=NO_UNIT,
    )
    shift: HalfShare = setting(
        0.15,
        "every other image is scaled by up to this share and moved by up to half of it",
        unit=NO_UNIT,
    )
    light: HalfShare = setting(
        0.2, "brightness and contrast change by up to this share", unit=NO_UNIT
    )
    crops: Share = setting(
        0.0,
        "share of the training pictures that are square crops of the frame around objects",
        unit=NO_UNIT,
        more="For recorders that show the student such crops; see [Models in other "
        "programs](../guide/export.md#square-crops).",
    )
    seed: WholeFromZero = setting(0, "seed of all random choices in the night", unit=NO_UNIT)
    warm_up: WholeFromZero = setting(
        2, "DaP: epochs on all images at the start", unit="epochs", more="W in the paper."
    )
    interval: Count | None = setting(
        None,
        "DaP: epochs between two drops; null: a sixth of all",
        unit="epochs",
        more="I in the paper.",
    )
    keep: PositiveShare = setting(
        0.9, "DaP: share of the images that a drop keeps", unit=NO_UNIT, more="p in the paper."
    )
    pick: tuple[Count, ...] | None = setting(
        None,
        "DaP: all images come back after these epochs, such as [8]; null: at learning_rate_steps",
        unit="epochs",
        more="R in the paper. A list needs `epochs`.",
    )
    active: Count | None = setting(
        None,
        "DaP: drops stop this many epochs after a pick; null: they do not stop",
        unit="epochs",
        more="α in the paper.",
    )
    start: PositiveShare = setting(
        0.25,
        "CLIP: share of the images, the easiest, to start with",
        unit=NO_UNIT,
        more="g₀ in the paper.",
    )
    pace_power: OneOrTwo = setting(2, "CLIP: growth, 1 linear or 2 quadratic", unit=NO_UNIT)
    pace_end: PositiveShare = setting(
        0.5,
        "CLIP: share of the epochs after which growth ends",
        unit=NO_UNIT,
        more="a in the paper.",
    )
    prune_ratio: ShareBelowOne = setting(
        0.05, "CLIP: share of the images left out", unit=NO_UNIT, more="ε in the paper."
    )
    epsilon_mode: Literal["fixed", "increasing", "decreasing"] = setting(
        "fixed", "CLIP: how prune_ratio changes over the epochs"
    )
    prune: Literal["easiest", "hardest"] = setting(
        "easiest",
        "CLIP: which images are left out",
        more="`hardest` helps against noisy labels.",
    )

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

    @property
    def full_epochs(self) -> int:
        """The epochs of training on everything: as given, or a dozen."""
        return self.epochs or FULL_EPOCHS

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
        from culling_pipeline.training.options import ScheduleOptions

        given = {name: getattr(self, name) for name in ScheduleOptions.__slots__}
        steps = self.steps if learning_rate_steps is None else learning_rate_steps
        given["pick"] = steps if self.pick is None else self.pick
        given["interval"] = self.drop_interval
        return ScheduleOptions(**given)

    def to_variation(self) -> Variation:
        """How far frames are varied, as `culling_pipeline.tasks.boxes.augment` takes it."""
        from culling_pipeline.tasks.samples import Variation

        return Variation(**{name: getattr(self, name) for name in Variation.__slots__})

    def to_plan(self) -> TrainPlan:
        """The plan as `culling_pipeline.training.loop` takes it."""
        from culling_pipeline.training.loop import TrainPlan

        return TrainPlan(
            schedule=self.schedule,
            epochs=self.full_epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            learning_rate_steps=self.steps,
            learning_rate_drop=self.learning_rate_drop,
            variation=self.to_variation(),
            seed=self.seed,
            options=self.to_options(),
        )


class JudgingSettings(Section):
    """When the new student is promoted."""

    compare_random: Flag = setting(
        True,
        "train a second student on random frames at the same cost",
        more="It gives the line *culled vs random*. The lottery needs no looks and spends what "
        "they cost on more labels and more training.",
    )
    min_gain: SignedShare = setting(
        0.0,
        "how much better in mAP50 the new student must be; 0.01 is one point",
        unit=NO_UNIT,
    )

    earlier_frames: WholeFromZero = setting(
        64,
        "how many control frames of earlier days both students are measured on as well; 0: none",
        unit="frames",
        more="In every hour and light as many; they stay on disk for this, and do not count in the "
        "disk budgets. The report says how the new student does on them; the verdict goes by the "
        "day alone.",
    )


class ModelsSettings(Section):
    """Which of a camera's model versions stay on disk."""

    keep: Count = setting(
        14,
        "how many of the newest stay; the one in use, its parent and pinned ones always stay",
        unit="versions",
        more="Older ones are removed at the end of a night. `culling models CAMERA --pin VERSION` "
        "pins one.",
    )
