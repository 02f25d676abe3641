"""What each stage of a night leaves behind: frozen records that survive a round trip as JSON.

A stage's record is written to the journal before the next stage begins; a resumed night reads it
back instead of repeating the work. The report and the command line read nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

SlotState = Literal["same", "moved", "covered", "unknown"]
ViewState = Literal["learning", "same", "moved", "covered", "settled", "unsure"]
Activity = Literal["look", "label", "train", "measure", "read"]
"""What costs: a student looks at images, the teacher labels, a student is trained, candidates are
measured, or frames are read from the source and decoded."""
Purpose = Literal["own", "comparison", "control", "watching"]
"""What it costs for: the night's own student, the comparison with random frames, the control slice,
which training on everything would need as well, or watching a live camera, which goes on whether
there is a night or not."""

TO_DO = {
    "moved": "turn the camera back, or leave it: after three whole days in the same place it is "
    "trained again (masks and ignore zones have to be moved by hand)",
    "covered": "clean or uncover it: it is trained again on the first day that looks as usual",
}
"""What an operator should do about a day that is not fit to train."""


_Model = TypeVar("_Model", bound=BaseModel)


def changed(model: _Model, **values: Any) -> _Model:
    """A copy of a frozen model with these fields; they are validated, and so is what they make with
    the others (pydantic's own copy believes anything)."""
    given = {name: value for name, value in model if name in model.model_fields_set}
    return type(model).model_validate({**given, **values})


STORED = {"stored": True}
"""The context in which plain values that were JSON are read back."""


class Record(BaseModel):
    """Base of all records: frozen, and unknown fields are an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("*", mode="before")
    @classmethod
    def _not_finite(cls, value: Any, info: ValidationInfo) -> Any:
        """A figure that is not finite is null in JSON; it is read as "not a number"."""
        stored = info.mode == "json" or info.context == STORED
        if stored and value is None and cls.model_fields[str(info.field_name)].annotation is float:
            return math.nan
        return value

    def changed(self, **values: Any) -> Self:
        """A copy with these fields, as valid as the original."""
        return changed(self, **values)


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


class StoredFrame(Record):
    """A frame on disk. `id` counts the frames sampled this day, from 0; `path` is relative to the
    night's frame folder. `part` is the equal part of the day (stratum) it fell into."""

    id: int
    path: str
    time_s: float
    wall_time: datetime
    part: int
    confidence_loss: float


class LossPoint(Record):
    """The day's course of the confidence loss: one point per slice of time."""

    wall_time: datetime
    frames: int
    mean: float
    p90: float


class GateRecord(Record):
    """What the student was not asked: frames scored, frames passed over (between two that it may be
    asked about) and frames skipped because nothing had changed; of the scored, those only to see
    what skipping them would have lost (audits), and how many of these it would have (misses);
    `recall` of object frames as the audits estimate it, 0…1; the threshold at the end of the day
    (−1: everything was scored). With sparse looks `blind` is how many of the scored frames were
    drawn at random; the others lie where something changed."""

    scored: int
    passed_over: int = 0
    skipped: int
    audited: int
    misses: int
    recall: float
    threshold: float
    blind: int | None = None


class FeedRecord(Record):
    """How a live camera's day went: seconds it was down (not there, stalled or lost), seconds
    nobody watched (`culling ingest` was not running), frames dropped because this machine was
    behind, and frames not kept because its disk was full."""

    down_s: float
    unwatched_s: float
    dropped: int
    paused: int


class SlotFigures(Record):
    """What a student found in the control frames of two hours, as sums over `frames` frames: `busy`
    frames with a detection, `loss` (L_conf), `detections`, and `objects`, for each class the sum of
    its detections' scores, so that a doubtful one counts for less. `slot` 0 begins at midnight by
    the local clock, slot 11 at 22:00."""

    slot: int
    frames: int
    busy: int
    loss: float
    detections: int
    objects: tuple[float, ...]


class DayFigures(Record):
    """A day's control frames in a few figures, by one version of the student, for `drift.py`.
    Slots in which no control frame was taken are not among `slots`."""

    date: date
    student: str
    slots: tuple[SlotFigures, ...]


class FigureDrift(Record):
    """One figure: its mean since the day `since`, what was usual, and the CUSUM against its
    threshold, negative for a fall. `since` is None where nothing adds up; the value then is the
    last day's."""

    name: str
    value: float
    usual: float
    statistic: float
    since: date | None


class DriftPoint(Record):
    """For a chart: the largest of a day's CUSUMs (None while learning), and whether it raised an
    alarm."""

    date: date
    statistic: float | None
    alarm: bool


class DriftRecord(Record):
    """The verdict on a camera's latest day. `figures` are all (none while learning), the most
    conspicuous first; `reason` is for the operator."""

    date: date
    state: Literal["learning", "quiet", "drift"]
    reason: str
    threshold: float
    figures: tuple[FigureDrift, ...]
    course: tuple[DriftPoint, ...]


class SlotView(Record):
    """One slot: `agreement` of its edges with the reference where they are (−1…1), the share of the
    picture that is `lost`, and for a move that could be measured its pixels in the camera's
    own picture (right and down positive), degrees (anticlockwise positive) and magnification."""

    slot: int
    state: SlotState
    agreement: float = 0.0
    lost: float = 0.0
    x_px: float | None = None
    y_px: float | None = None
    turn_deg: float = 0.0
    zoom: float = 1.0
    why: str = ""


class ViewRecord(Record):
    """The verdict on a day's view. `since_hour` is the hour of the clock at which the camera was
    first seen moved or covered, where that was on this day and lasted to its end."""

    date: date
    state: ViewState
    reason: str
    since_hour: int | None = None
    slots: tuple[SlotView, ...] = ()

    @property
    def fit_to_train(self) -> bool:
        """Whether a student may learn from this day."""
        return self.state not in ("moved", "covered")

    @property
    def in_words(self) -> str:
        """What is wrong and since when, for the operator; only of a day not fit to train."""
        since = "the whole day" if self.since_hour is None else f"since {self.since_hour:02d}:00"
        return f"the lens was {self.state}, {since}: {self.reason}"


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


class StartRecord(Record):
    """The version of the student that the night begins with."""

    incumbent: str


class IngestRecord(Record):
    """What went by, and which frames were kept on disk. `frames_seen` counts those passed over too,
    read or not.

    `survivors` (by confidence loss, hardest first), `control` and `random` hold frame ids; a
    frame may be survivor and random at once, never control and anything else. `control_is` says in
    words how the control slice was set aside, `control_blocks` which stretch of time each of its
    frames comes from. `gate` is None where every frame was scored, `feed` where a
    recording was watched and not a live camera. `left_out` counts pictures that were of no use, by
    the reason. `figures` are the incumbent's (None in nights older
    than them).
    """

    frames_seen: int
    left_out: dict[str, int] = {}
    width_px: int
    height_px: int
    frames: tuple[StoredFrame, ...]
    survivors: tuple[int, ...]
    control: tuple[int, ...]
    random: tuple[int, ...]
    control_is: str = ""
    control_blocks: tuple[int, ...] = ()
    histogram_edges: tuple[float, ...]
    histogram_counts: tuple[int, ...]
    course: tuple[LossPoint, ...]
    costs: tuple[Cost, ...]
    gate: GateRecord | None = None
    feed: FeedRecord | None = None
    figures: DayFigures | None = None

    def frames_of(self, ids: Iterable[int]) -> list[StoredFrame]:
        """The stored frames of these ids, in their order."""
        by_id = {frame.id: frame for frame in self.frames}
        return [by_id[i] for i in ids]


class Disagreement(Record):
    """Where student and teacher differ on one frame (greedy matching, IoU ≥ 0.5).

    `found_labels`, `missed_labels` and `invented_labels` are the classes of the boxes in question,
    one entry a box.
    """

    frame_id: int
    teacher_objects: int
    missed: int
    invented: int
    average_precision: float
    found_labels: tuple[int, ...] = ()
    missed_labels: tuple[int, ...] = ()
    invented_labels: tuple[int, ...] = ()


class CorrectedFrame(Record):
    """A frame whose labels a person has corrected: the night it is from, when it was taken, its
    JPEG, its boxes and their classes.
    `class_names` are all that were looked for, found or not."""

    run_id: str
    frame_id: int
    wall_time: datetime
    image: str
    height_px: int
    width_px: int
    class_names: tuple[str, ...]
    boxes_xyxy: tuple[tuple[float, float, float, float], ...]
    classes: tuple[str, ...]
    corrected_at: datetime


class CheckedFrame(Record):
    """How the teacher did on a frame that a person has checked: the night it is from, who the
    teacher was, whether the frame was drawn at random or shown because student and teacher differ
    there, the teacher's `boxes`, how many of them are `right`, and the objects it `missed`."""

    run_id: str
    frame_id: int
    teacher: str
    drawn: Literal["random", "differs"]
    boxes: int = Field(ge=0)
    right: int = Field(ge=0)
    missed: int = Field(ge=0)
    checked_at: datetime


class Agreement(Record):
    """How often a person found the teacher right: of the `boxes` in `frames` drawn at random,
    `right` were, in `missed` places it had none. The share of right boxes lies between `low` and
    `high` at 95 %."""

    frames: int
    boxes: int
    right: int
    missed: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """Right boxes of all, 0…1."""
        return self.right / self.boxes

    @property
    def in_words(self) -> str:
        """One sentence, for the report and the pages."""
        low, high = (f"{100 * bound:.0f}" for bound in (self.low, self.high))
        frames = "1 frame" if self.frames == 1 else f"{self.frames:,} frames"
        objects = "1 object" if self.missed == 1 else f"{self.missed:,} objects"
        return (
            f"The teacher was right in {100 * self.share:.0f} % of {self.boxes:,} boxes that were "
            f"checked by hand in {frames} drawn at random (95 % interval {low} to {high} %), and "
            f"missed {objects} there."
        )


class CullRecord(Record):
    """The kept set: frame ids, hardest first, and why each survivor was kept or not.

    `shown` are frames of the kept set that the student answered for the report alone, since nobody
    had looked at them before, and `costs` what that cost (none in older nights).
    """

    strategy: str
    kept: tuple[int, ...]
    survivors: tuple[Disagreement, ...]
    teacher_calls: int
    shown: tuple[Disagreement, ...] = ()
    costs: tuple[Cost, ...] = ()


class ScalePoint(Record):
    """One tried scale: mean squared change of L_conf relative to full size (Dataset Culling,
    sec. 2.2), and the computation per image relative to full size."""

    scale: float
    relative_mse: float
    computation: float


class ResolutionRecord(Record):
    """The resolution curve, full size first, and the scale chosen from it. `height_px`,
    `width_px` is full size: what the student works at on this camera at scale 1. At less than
    `objects_allow` the objects would be too small (`smallest_scale_for`); None: not looked at.
    Without a `threshold` L_conf has no say, and there are no points."""

    scale: float
    height_px: int
    width_px: int
    threshold: float | None
    points: tuple[ScalePoint, ...]
    student_passes: int
    costs: tuple[Cost, ...]
    objects_allow: float | None = None


class EpochPoint(Record):
    """One epoch of training: images trained on, mean loss, learning rate at its end."""

    epoch: int
    images: int
    loss: float
    learning_rate: float


class TrainRecord(Record):
    """One training run. `computation` is images trained on, as a share of standard training's; of
    the `images`, `corrected` are earlier frames whose labels people have corrected and `replayed`
    others of earlier nights' kept sets. `givers` are further labelled frames, not trained on, whose
    objects were pasted into those."""

    arm: Literal["culled", "random", "first"]
    schedule: str
    images: int
    corrected: int = 0
    replayed: int = 0
    givers: int = 0
    epochs: tuple[EpochPoint, ...]
    computation: float
    seed: int
    costs: tuple[Cost, ...]


class ArmsRecord(Record):
    """The training runs of a night: the candidate's, and the one on random frames."""

    culled: TrainRecord
    random: TrainRecord | None


class Score(Record):
    """One figure of a student: the metric's name, its value, and the interval that it lies in at
    95 % (None where it was not asked for or nothing is known)."""

    metric: str
    value: float
    interval: tuple[float, float] | None = None
    higher_is_better: bool = True

    def is_better_than(self, other: Score) -> bool:
        """Whether this figure is better than another one of the same metric."""
        return self.value > other.value if self.higher_is_better else self.value < other.value

    def gain_over(self, other: Score) -> float:
        """How much better this figure is than another one of the same metric; negative if worse."""
        return self.value - other.value if self.higher_is_better else other.value - self.value

    def reaches(self, least: float) -> bool:
        """Whether this figure is as good as this one, or better."""
        return self.value >= least if self.higher_is_better else self.value <= least


class TrustRecord(Record):
    """Whether frames are chosen by the student's unsureness tonight: its `score` on the control
    slice, the `rank` correlation there between L_conf and the number of errors (None where it says
    nothing), on how many `frames`, and the reason in words."""

    score: Score
    rank: float | None
    frames: int
    trusted: bool
    reason: str


class BlindSpot(Record):
    """Objects that the teacher found in the control slice and how many of these the student missed,
    with the 95 % interval of the share: of a class (`label`, empty for all) or between two `hours`
    of the local clock."""

    label: str
    hours: tuple[int, int] | None
    objects: int
    missed: int
    low: float
    high: float


class LabelRecord(Record):
    """The teacher's work. The boxes themselves lie in the night's folder as `teacher.npz`.
    `corrected` counts the frames whose labels people had corrected before, which stand. `trust` is
    the word on the student's unsureness and `blind` what the student did not see, both from the
    control slice; with them came `asked`, the frames labelled to train on (before, the day's
    survivors). `agreement` is what people have found of this teacher's earlier labels."""

    labelled: int
    objects: int
    corrected: int = 0
    costs: tuple[Cost, ...]
    trust: TrustRecord | None = None
    blind: tuple[BlindSpot, ...] = ()
    asked: tuple[int, ...] | None = None
    agreement: Agreement | None = None


class Accuracy(Record):
    """A student's figures on F frames: `score` is what it is judged by, `further` are others;
    `per_class` is the score's value by class name (None where the truth holds none of it). With no
    `objects` in the truth nothing was measured."""

    score: Score
    further: tuple[Score, ...] = ()
    per_class: dict[str, float | None]
    frames: int
    objects: int

    @model_validator(mode="before")
    @classmethod
    def _of_0_1(cls, stored: Any) -> Any:
        """Before 0.2 an accuracy was of boxes: `map50` and `map`."""
        if not isinstance(stored, dict) or "map50" not in stored:
            return stored
        rest = {key: value for key, value in stored.items() if key not in ("map50", "map")}
        score = {"metric": "mAP50", "value": stored["map50"]}
        further = [{"metric": "mAP", "value": stored["map"]}] if "map" in stored else []
        return {**rest, "score": score, "further": further}


class EarlierDays(Record):
    """Both students on control frames of earlier `days`, and the 95 % interval of the difference:
    whether the new one has forgotten something. The verdict does not go by it."""

    days: int
    before: Accuracy
    after: Accuracy
    difference_low: float
    difference_high: float


class CountPoint(Record):
    """One control frame of a camera that counts: what the teacher, the old and the new student
    count there."""

    wall_time: datetime
    teacher: float
    before: float
    after: float


class JudgeRecord(Record):
    """What the night was worth, measured on the control slice. `figures` are the candidate's, of
    the same frames as the incumbent's in the `IngestRecord`: they link the two students. `earlier`
    is what both are worth on control frames of earlier days (None where there are none). `counts`
    are of cameras that count, in the order of time."""

    before: Accuracy
    after: Accuracy
    random: Accuracy | None
    difference_low: float
    difference_high: float
    promoted: bool
    reason: str
    costs: tuple[Cost, ...]
    figures: DayFigures | None = None
    earlier: EarlierDays | None = None
    counts: tuple[CountPoint, ...] = ()


class PromotionRecord(Record):
    """That the candidate is kept as a version, and whether it was put to work."""

    version: str
    promoted: bool


class NightHead(Record):
    """What is known of every night: whose and when it was, the day, and whether the camera still
    looked where it did (None in nights older than that question)."""

    camera: str
    date: date
    run_id: str
    source: str
    classes: tuple[str, ...]
    student: str
    teacher: str
    code_version: str
    started_at: datetime
    finished_at: datetime
    ingest: IngestRecord
    view: ViewRecord | None = None
    notes: tuple[str, ...] = ()


class UnusableNight(NightHead):
    """A night that ended after its day was looked at, since the lens was moved or covered: nothing
    was labelled or trained, and the incumbent stays."""

    view: ViewRecord

    @property
    def why(self) -> str:
        """Why nothing was trained, and what to do about it."""
        return f"{self.view.in_words}; {TO_DO[self.view.state]}"


class NightRecord(NightHead):
    """One whole night of one camera: everything the report shows. `drift` is the test's verdict on
    the day (None where it could not be asked)."""

    label: LabelRecord
    cull: CullRecord
    resolution: ResolutionRecord
    train: TrainRecord
    random_train: TrainRecord | None
    judge: JudgeRecord
    version: str | None
    cost_ratio: float
    full_training_s: float
    night_s: float
    drift: DriftRecord | None = None
    budget: BudgetRecord | None = None

    @property
    def asked(self) -> tuple[int, ...]:
        """The frames that the teacher labelled for training."""
        return self.ingest.survivors if self.label.asked is None else self.label.asked

    @property
    def day_figures(self) -> tuple[DayFigures, ...]:
        """What the camera's history gains by this night: the day as the old student saw it and, if
        there is a new one in use, as that did."""
        new = self.judge.figures if self.version is not None else None
        return tuple(figures for figures in (self.ingest.figures, new) if figures is not None)

    @property
    def ledger(self) -> tuple[Cost, ...]:
        """All costs of the night in the order they were paid."""
        stages = (self.ingest, self.label, self.cull, self.resolution, self.train)
        costs = [cost for stage in stages for cost in stage.costs]
        if self.random_train is not None:
            costs += self.random_train.costs
        return (*costs, *self.judge.costs)


AnyNight = NightRecord | UnusableNight
