"""What a night's report says of money: the budget and how it was spent, the lottery beside it, and
what the teacher would cost in the student's place."""

from __future__ import annotations

from dataclasses import dataclass

from culling_pipeline.records.costs import Activity, BudgetRecord, mean_seconds
from culling_pipeline.records.labels import BlindSpot
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import words


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One thing that the budget pays for, in frames or images: as planned, as done, and what random
    frames got for the same total cost."""

    name: str
    planned: str
    done: str
    each: str
    lottery: str


def budget_rows(night: NightRecord) -> list[BudgetRow]:
    """Looks, labels and training images; empty for a night before there were budgets."""
    budget = night.budget
    if budget is None:
        return []
    own, lottery, seconds = budget.own, budget.lottery, budget.seconds
    random = night.random_train
    labelled = None if random is None else random.images
    shown = None if random is None else sum(epoch.images for epoch in random.epochs)
    planned_looks = words.NOTHING if budget.looks_free else words.count(own.looks)
    return [
        BudgetRow(
            "frames the student looks at",
            planned_looks,
            words.count(images_of(night, "look")),
            words.short_seconds(seconds.look),
            words.count(lottery.looks) if lottery else words.NOTHING,
        ),
        BudgetRow(
            "frames the teacher labels",
            words.count(own.labels),
            words.count(len(night.asked)),
            words.short_seconds(seconds.label),
            words.NOTHING if labelled is None else words.count(labelled),
        ),
        BudgetRow(
            "images in training",
            words.count(own.images),
            words.count(sum(epoch.images for epoch in night.train.epochs)),
            words.short_seconds(seconds.train),
            words.NOTHING if shown is None else words.count(shown),
        ),
    ]


def images_of(night: NightRecord, activity: Activity) -> int:
    """Images that were paid for from the budget."""
    return sum(c.images for c in night.ledger if c.activity == activity and c.purpose == "own")


def share_words(budget: BudgetRecord) -> str:
    """What share of full training a budget is; empty where it was given as a time."""
    if budget.share is None:
        return ""
    return f"1/{round(1 / budget.share):,} of full training"


def budget_words(budget: BudgetRecord | None) -> str:
    """The budget in one sentence; empty for a night before there were budgets."""
    if budget is None:
        return ""
    share = f", {said}" if (said := share_words(budget)) else ""
    free = (
        " The camera was watched as the day went by, so looks are not counted."
        if budget.looks_free
        else ""
    )
    return (
        f"This night's budget was {words.duration(budget.total_s)}{share}, divided by what an "
        f"image costs on this machine (known from {budget.known_from}).{free}"
    )


def trust_words(night: NightRecord) -> str:
    """Why frames were chosen as they were; empty where it was not asked."""
    trust = night.label.trust
    if night.budget is not None and night.budget.drawn:
        return f"The frames to train on were drawn at random: {night.budget.drawn}."
    if trust is None:
        return ""
    said = f"{trust.reason[0].upper()}{trust.reason[1:]}"
    if trust.trusted:
        return f"{said}."
    return f"{said}. So the frames to train on were drawn at random."


def blind_rows(night: NightRecord) -> list[tuple[str, BlindSpot]]:
    """What the old student missed, by class and by hours of the day, with names."""
    return [(_named(spot), spot) for spot in night.label.blind]


def _named(spot: BlindSpot) -> str:
    if spot.hours is not None:
        return f"{spot.hours[0]:02d}:00 to {spot.hours[1]:02d}:00"
    return spot.label or "all objects"


def teacher_words(night: NightRecord) -> str:
    """What the teacher would cost on every frame in the student's place; empty where the ledger
    does not say."""
    look, label = (mean_seconds(night.ledger, of) for of in ("look", "label"))
    if not look or not label:
        return ""
    frames = night.ingest.frames_seen
    measured = night.judge.after.score
    finds = (
        f"What the teacher finds is the measure here: the new model agrees with it by "
        f"{measured.metric} {words.figure(measured.value)}."
    )
    each = (
        f"{words.short_seconds(label)} a frame where the student costs {words.short_seconds(look)}"
    )
    if label <= look:
        return f"On this machine the teacher costs {each}: it could run in its place. {finds}"
    pays = night.night_s / (label - look)
    return (
        f"The teacher would cost {each}. On this day's {words.count(frames, 'frame')} that is "
        f"{words.duration(frames * label)} instead of {words.duration(frames * look)} and this "
        f"night's {words.duration(night.night_s)}. A student that is trained every night saves "
        f"time from {words.count(round(pays))} frames a day on. {finds}"
    )
