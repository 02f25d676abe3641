"""The report of one night: what the page says, worked out from the records, and the page itself.

Everything here is pure: the same records and pictures give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from culling_pipeline.culling.strategies import STRATEGIES, StrategyWords
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.night import NightRecord
from culling_pipeline.records.scores import Score
from culling_pipeline.report import charts, control_chart, money, words
from culling_pipeline.report.charts import NOTHING_DRAWN
from culling_pipeline.report.clock import UTC_CLOCK, Clock
from culling_pipeline.report.control import control_view
from culling_pipeline.report.pictures import Exhibit, draw_pictures
from culling_pipeline.report.sentences import (
    earlier_words,
    feed_words,
    gate_words,
    headline,
    is_measured,
    source_shown,
    usual_number_words,
    worse_classes,
)
from culling_pipeline.report.worse import Side
from streams.left_out import in_words

SMALL_CONTROL_FRAMES = 100
SMALL_CONTROL_OBJECTS = 200
"""A control slice with less than either is called small: chance moves its figures a lot."""

_TOO_LONG_FOR_A_SUMMARY = {
    "ingest": {"frames", "survivors", "control", "random", "histogram_edges", "histogram_counts"}
    | {"course"},
    "label": {"asked"},
    "cull": {"kept", "survivors"},
    "resolution": {"points"},
    "train": {"epochs"},
    "random_train": {"epochs"},
    "view": {"slots"},
    "judge": {"counts", "frames"},
    "drift": {"figures", "course"},
}

LOADER = FileSystemLoader(Path(__file__).parent)
PAGES = Environment(
    loader=LOADER,
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
PAGES.globals["words"] = words


_MEANS = {"mAP": ", tight boxes", "GAME(3)": ", in 8×8 parts of the picture"}
"""What a further figure is about, in a few words."""


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the funnel: a square whose area is `frames`, and what happened there."""

    name: str
    frames: int
    meaning: str
    square: Markup


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """One line of the accuracy table; `random` is a dash where there was no such training."""

    name: str
    old: str
    new: str
    change: str
    random: str


def render_report(
    night: NightRecord,
    exhibits: Sequence[Exhibit],
    *,
    worse: Sequence[Side] = (),
    clock: Clock = UTC_CLOCK,
) -> str:
    """One self-contained HTML page about `night`, with `exhibits` as pictures, and frames on which
    the new student is worse (`worse.embedded`)."""
    return PAGES.get_template("night.html").render(
        **report_values(night, clock),
        pictures=draw_pictures(exhibits, clock),
        worse_sides=worse,
    )


def report_values(night: NightRecord, clock: Clock = UTC_CLOCK) -> dict[str, Any]:
    """What `night.html` says of a night, its pictures aside. Times are by `clock`."""
    judge = night.judge
    control = control_view(night, clock)
    return dict(
        clock=clock,
        control=control,
        control_chart=NOTHING_DRAWN if control is None else control_chart.by_hour(control, clock),
        worse_classes=worse_classes(judge),
        night=night,
        judge=judge,
        source=source_shown(night.source),
        headline=headline(judge),
        digits=_decimals(judge),
        cautions=cautions(judge),
        measured=is_measured(judge.before) and is_measured(judge.after),
        accuracy_rows=_accuracy_rows(night),
        funnel=_funnel(night),
        strategy=strategy_words(night.cull.strategy),
        charts=_charts(night, clock),
        ledger=night.ledger,
        total=_total(night.ledger),
        cost_words=_cost_words(night),
        gate_words=gate_words(night.ingest.gate),
        feed_words=feed_words(night.ingest.feed),
        budget_rows=money.budget_rows(night),
        budget_words=money.budget_words(night.budget),
        trust_words=money.trust_words(night),
        blind_rows=money.blind_rows(night),
        teacher_words=money.teacher_words(night),
        agreement=night.label.agreement,
        beside_words=beside_words(night),
        earlier_words=earlier_words(judge),
        usual_number=usual_number_words(judge),
        key_figures=_key_figures(night),
    )


def cautions(judge: JudgeRecord) -> list[str]:
    """What an honest reader should know before trusting the figures."""
    control, digits, said = judge.after, _decimals(judge), []
    if control.objects == 0:
        return [
            "The teacher found no object at all in the control slice, so nothing could be "
            "measured. Was the camera dark or covered, or was there nothing to find?"
        ]
    if control.frames < SMALL_CONTROL_FRAMES or control.objects < SMALL_CONTROL_OBJECTS:
        said.append(
            f"The control slice is small ({words.count(control.frames, 'frame')}, "
            f"{words.count(control.objects, 'object')}): a few objects more or less would move "
            "these figures noticeably."
        )
    low, high = judge.difference_low, judge.difference_high
    if math.isfinite(low) and math.isfinite(high) and low <= 0 <= high:
        said.append(
            f"The difference between old and new could be chance: the 95 % interval from "
            f"{words.signed(low, digits)} to {words.signed(high, digits)} includes zero."
        )
    if judge.random is not None and judge.random.score.is_better_than(judge.after.score):
        random, new = words.pair(judge.random.score.value, judge.after.score.value)
        said.append(
            f"Random frames did better: the same money spent on frames drawn at random reached "
            f"{random}, on the kept set {new}. One night says little. If this happens night after "
            "night, the default strategy draws frames at random from then on; in place of another "
            "one, set `culling.strategy: random`."
        )
    return said


def _decimals(judge: JudgeRecord) -> int:
    return words.decimals(judge.before.score.value, judge.after.score.value)


def _accuracy_rows(night: NightRecord) -> list[AccuracyRow]:
    judge, digits = night.judge, _decimals(night.judge)
    arms = (judge.before, judge.after, judge.random)
    rows = [_figure_row([arm.score if arm else None for arm in arms], digits=digits)]
    for number in range(len(judge.after.further)):
        further = [arm.further[number] if arm else None for arm in arms]
        rows.append(_figure_row(further, digits=digits))
    known = [*judge.before.per_class, *judge.after.per_class]
    known = [*night.classes, *known] if known else []  # a count has no figure by class
    for name in dict.fromkeys(known):
        figures = [arm.per_class.get(name) if arm else None for arm in arms]
        rows.append(_row(name, figures, digits=digits))
    return rows


def _figure_row(scores: Sequence[Score | None], *, digits: int) -> AccuracyRow:
    """One figure of all classes together."""
    metric = next(score.metric for score in scores if score is not None)
    name = f"All classes{_MEANS.get(metric, '')} ({metric})"
    return _row(name, [None if score is None else score.value for score in scores], digits=digits)


def _row(name: str, figures: Sequence[float | None], *, digits: int) -> AccuracyRow:
    old, new, random = figures
    change = None if old is None or new is None else new - old
    return AccuracyRow(
        name=name,
        old=words.figure(old, digits),
        new=words.figure(new, digits),
        change=words.signed(change, digits),
        random=words.figure(random, digits),
    )


def _funnel(night: NightRecord) -> list[Step]:
    ingest, cull = night.ingest, night.cull
    seen, survivors, kept = ingest.frames_seen, len(night.asked), len(cull.kept)
    survived, stayed, _ = strategy_words(cull.strategy)
    stages = (
        ("seen", seen, "sampled from the camera" + _left_out(ingest.left_out)),
        ("survivors", survivors, f"{survived}{_one_in(seen, survivors)}"),
        ("kept set", kept, f"{stayed}{_one_in(survivors, kept)}"),
        ("control slice", len(ingest.control), "set aside, only to measure"),
    )
    return [
        Step(name, frames, meaning, charts.square(frames / seen if seen else 0.0))
        for name, frames, meaning in stages
    ]


def strategy_words(name: str) -> StrategyWords:
    """What is said of a strategy, also of one that this version does not know."""
    if name in STRATEGIES:
        return STRATEGIES[name].words
    return StrategyWords(f"chosen by {name}", f"chosen by {name}", "in its order")


def by_loss(name: str) -> bool:
    """Whether a strategy takes all its frames by L_conf, so that there is a loss to begin from."""
    strategy = STRATEGIES.get(name)
    if strategy is None:
        return True
    return strategy.needs_trust and not getattr(strategy, "random_share", 0.0)


def _left_out(counts: dict[str, int]) -> str:
    return f"; left out: {in_words(counts)}" if counts else ""


def _one_in(before: int, after: int) -> str:
    return f": 1 in {words.times(before / after)}" if 0 < after < before else ""


def _charts(night: NightRecord, clock: Clock) -> dict[str, Markup]:
    judge, ingest = night.judge, night.ingest
    bars = [("old", "Old model", judge.before), ("new", "New model", judge.after)]
    if judge.random is not None:
        bars.append(("random", "Random frames", judge.random))
    losses = {frame.id: frame.confidence_loss for frame in ingest.frames}
    survivors = [losses[i] for i in night.asked if i in losses and by_loss(night.cull.strategy)]
    return {
        "accuracy": charts.accuracy_bars(bars, digits=_decimals(judge)),
        "difference": charts.difference(judge),
        "histogram": charts.histogram(
            ingest.histogram_edges,
            ingest.histogram_counts,
            survivors_from=min(survivors, default=None),
        ),
        "course": charts.course(ingest.course, clock),
        "counts": charts.counts(judge.counts, clock),
        "resolution": charts.resolution(night.resolution),
        "training": charts.training(night.train.epochs),
        "drift": charts.drift(night.drift),
        "cost": charts.cost_bars(
            [
                ("new", "This night", night.night_s),
                ("old", "Training on everything", night.full_training_s),
            ]
        ),
    }


def _total(ledger: Sequence[Cost]) -> float:
    return math.fsum(cost.seconds for cost in ledger)


def _cost_words(night: NightRecord) -> str:
    ratio = night.cost_ratio
    if not math.isfinite(ratio) or ratio <= 0:
        return "There is nothing to compare this night's cost with."
    if ratio >= 1.05:
        return f"Training on everything would have cost {words.times(ratio)} times as much."
    if ratio > 0.95:
        return "Training on everything would have cost about the same."
    return (
        f"Training on everything would have been cheaper: {words.percent(ratio)} of this night's "
        "cost. Choosing frames pays off on longer days."
    )


def beside_words(night: NightRecord) -> str:
    """What else the training made use of, in one line: labels corrected by hand, frames of
    earlier nights, objects of frames that were not kept. Empty where there was nothing."""
    said = []
    if night.train.corrected:
        said.append(
            f"{words.count(night.train.corrected)} of these images come from earlier nights, "
            "with labels corrected by hand"
        )
    if night.train.replayed:
        said.append(
            f"{words.count(night.train.replayed, 'frame')} of earlier nights are among these "
            "images, with the labels of then, so that the student does not forget them"
        )
    if night.label.corrected:
        said.append(
            f"{words.count(night.label.corrected)} of this night's own frames had been corrected "
            "by hand before, and those labels are used"
        )
    if night.train.givers:
        said.append(
            f"objects from {words.count(night.train.givers, 'further frame')} that the teacher had "
            "labelled were pasted into these images, each at its own place"
        )
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _key_figures(night: NightRecord) -> str:
    """The records without their long lists, as JSON; a figure that is not finite becomes null."""
    public = night.changed(source=source_shown(night.source))
    return public.model_dump_json(exclude=_TOO_LONG_FOR_A_SUMMARY, indent=2)
