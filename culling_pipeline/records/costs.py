"""What a night costs: the lines of its ledger, what an image costs, and the budget."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import model_validator

from culling_pipeline.records.base import Record

Activity = Literal["look", "label", "train", "measure", "read"]
"""What costs: a student looks at images, the teacher labels, a student is trained, candidates are
measured, or frames are read from the source and decoded."""

Purpose = Literal["own", "comparison", "control", "watching"]
"""What it costs for: the night's own student, the comparison with random frames, the control slice,
which training on everything would need as well, or watching a live camera, which goes on whether
there is a night or not."""

_OLD_COSTS: dict[str, tuple[Activity, Purpose]] = {
    "student scoring": ("look", "own"),
    "student scoring: stored frames": ("look", "own"),
    "resolution": ("look", "own"),
    "teacher: survivors": ("label", "own"),
    "teacher: control slice": ("label", "control"),
    "teacher: random frames": ("label", "comparison"),
    "training": ("train", "own"),
    "training: first student": ("train", "own"),
    "training: random frames": ("train", "comparison"),
    "judging": ("measure", "control"),
    "judging: random frames": ("measure", "comparison"),
}
"""What 0.1.0's lines of the ledger were, by their names."""


class Cost(Record):
    """One line of the ledger: what a stage cost. `seconds` are summed over processes. Figures go by
    `activity` and `purpose`; `stage` is only shown (`stage_names.py`)."""

    stage: str
    activity: Activity
    purpose: Purpose
    images: int
    seconds: float
    device: str
    backend: str
    """How the model was run that looked at the images (`models.boxes.backend`); empty where none
    did."""

    @model_validator(mode="before")
    @classmethod
    def _of_0_1_0(cls, stored: Any) -> Any:
        """Lines written by 0.1.0 have a name and nothing else that says what they are; the oldest
        say nothing of the backend."""
        if not isinstance(stored, dict) or "activity" in stored or "purpose" in stored:
            return stored
        known = _OLD_COSTS.get(str(stored.get("stage")))
        if known is None:
            return stored
        return {"backend": "", **stored, "activity": known[0], "purpose": known[1]}

    @property
    def seconds_per_image(self) -> float:
        """Mean seconds an image took; 0 for a stage that saw none."""
        return self.seconds / self.images if self.images else 0.0


def mean_seconds(costs: Iterable[Cost], activity: Activity, *, least_images: int = 1) -> float:
    """Mean seconds of this activity for an image, over all lines; 0 if they saw fewer images."""
    mine = [cost for cost in costs if cost.activity == activity]
    images = sum(cost.images for cost in mine)
    return sum(cost.seconds for cost in mine) / images if images >= least_images else 0.0


class SecondsPerImage(Record):
    """Seconds of this machine for a frame that the student looks at, that the teacher labels, that
    training goes through once."""

    look: float
    label: float
    train: float


class Portions(Record):
    """What a budget is divided into: frames the student looks at, frames the teacher labels, frames
    kept to train on, epochs, images that training goes through, and frames of earlier nights that
    are trained on again."""

    looks: int
    labels: int
    keep: int
    epochs: int
    images: int
    replayed: int = 0


class BudgetRecord(Record):
    """What a night may spend, and on what. `total_s` are seconds of detector work for looks, labels
    and training, `share` what that is of full training (None: the budget was given as a time);
    `seconds` is what an image costs by `known_from`. `own` are the night's portions, `lottery`
    those of random frames at the same total cost (None: not compared). With `looks_free` the looks
    are paid for by something else: the camera is watched anyhow. `drawn` says
    why the frames are a random draw from the beginning; empty where they are chosen."""

    total_s: float
    share: float | None
    seconds: SecondsPerImage
    known_from: str
    own: Portions
    lottery: Portions | None
    looks_free: bool = False
    drawn: str = ""

    @property
    def looks(self) -> int | None:
        """How many frames of a recording the student looks at; None: at all."""
        return None if self.looks_free else self.own.looks
