"""A night's outcome in sentences, for its page and the terminal; needs no template, no picture."""

from __future__ import annotations

import math
import re
from statistics import fmean, median

from culling_pipeline.records.day import FeedRecord, GateRecord
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.report import words
from streams.base import redact_url

_FOLDERS = re.compile(
    r"(?P<kind>(?:file|recordings):)?(?://)?(?:/|~|[A-Za-z]:\\)(?:.*[/\\])?(?P<name>[^/\\]+)"
)


def source_shown(source: str) -> str:
    """Where the frames are from, for somebody elsewhere: without a password, and without the
    folders that a file or folder of this machine lies in."""
    shown = redact_url(source)
    found = _FOLDERS.fullmatch(shown.rstrip("/"))
    return shown if found is None else f"{found['kind'] or ''}{found['name']}"


def headline(judge: JudgeRecord) -> str:
    """What was decided, in one sentence."""
    if not (is_measured(judge.before) and is_measured(judge.after)):
        decision = "New model in use" if judge.promoted else "Kept the old model"
        return f"{decision}: its accuracy could not be measured"
    old, new = words.pair(judge.before.score.value, judge.after.score.value)
    if judge.promoted:
        return f"New model in use: {old} → {new} on frames it never trained on"
    return f"Kept the old model: it scores {old}, the new one {new} on frames neither trained on"


def earlier_words(judge: JudgeRecord) -> str:
    """What the new model is worth on earlier days, in one line; empty where it is not known."""
    earlier = judge.earlier
    if earlier is None or not (is_measured(earlier.before) and is_measured(earlier.after)):
        return ""
    old, new = words.pair(earlier.before.score.value, earlier.after.score.value)
    digits = words.decimals(earlier.before.score.value, earlier.after.score.value)
    low, high = earlier.difference_low, earlier.difference_high
    within = (
        f"; the difference lies between {words.signed(low, digits)} and "
        f"{words.signed(high, digits)} (95 %)"
        if math.isfinite(low) and math.isfinite(high)
        else ""
    )
    frames = words.count(earlier.after.frames, "control frame")
    return f"{old} → {new} on {frames} of {words.count(earlier.days, 'earlier day')}{within}"


def usual_number_words(judge: JudgeRecord) -> str:
    """How a counting camera's student compares with who always says the usual number (the median
    of the teacher's counts of these very frames, so the best such guess); empty without counts."""
    if not judge.counts:
        return ""
    usual = median(point.teacher for point in judge.counts)
    guess = fmean(abs(usual - point.teacher) for point in judge.counts)
    student = fmean(abs(point.after - point.teacher) for point in judge.counts)
    off, said = words.pair(guess, student)
    always = f"Who says {usual:.0f} on each of these frames is {off} off on average, the new model"
    if student < guess:
        return f"{always} {said}."
    return f"{always} {said}: do not rely on its count yet."


def feed_words(feed: FeedRecord | None) -> str:
    """Which part of a live camera's day was not seen, in one line; empty for a recording."""
    if feed is None:
        return ""
    said = [
        f"{words.duration(seconds)} {what}"
        for seconds, what in (
            (feed.down_s, "without a picture from the camera"),
            (feed.unwatched_s, "in which `culling ingest` was not running"),
        )
        if seconds >= 1
    ]
    said += [
        f"{words.count(frames, 'frame')} {why}"
        for frames, why in (
            (feed.dropped, "dropped because this machine could not keep up"),
            (feed.paused, "not stored because the disk was full"),
        )
        if frames
    ]
    return f"Missing from this day: {', '.join(said)}." if said else "The whole day was watched."


def gate_words(gate: GateRecord | None) -> str:
    """Which frames were not scored and what that may have lost, in one line; empty if every frame
    was scored."""
    if gate is None:
        return ""
    seen = gate.scored + gate.skipped
    between = ""
    if gate.passed_over:
        total = seen + gate.passed_over
        between = f"The student was to score {words.count(seen)} of {words.count(total, 'frame')}."
    if gate.blind == gate.scored:
        return f"{between} All of these were drawn at random over the day."
    if gate.blind is not None:
        return (
            f"{between} {words.count(gate.blind)} of these were drawn at random over the day, the "
            "others lie where the picture had changed."
        )
    if not (gate.skipped or gate.audited):
        return between
    return f"{between} {_skipped_words(gate)}".strip()


def _skipped_words(gate: GateRecord) -> str:
    seen = gate.scored + gate.skipped
    recall = words.figure(100 * gate.recall, 1)
    return (
        f"{words.count(gate.skipped)} of {words.count(seen, 'frame')} were not scored, because "
        f"nothing had changed. As a check, {words.count(gate.audited)} such frames were scored all "
        f"the same, and {words.count(gate.misses)} of them showed an object that skipping would "
        f"have lost. Estimated recall of frames with an object: {recall} %."
    )


def worse_classes(judge: JudgeRecord) -> list[tuple[str, str, str]]:
    """Classes that the new student finds less well than the old one, the worst first: name, old
    and new figure."""
    worse = []
    for name, new in judge.after.per_class.items():
        old = judge.before.per_class.get(name)
        if old is not None and new is not None and new < old:
            worse.append((new - old, name, *words.pair(old, new)))
    return [(name, old, new) for _, name, old, new in sorted(worse)]


def is_measured(accuracy: Accuracy) -> bool:
    """Whether there was anything to find."""
    return accuracy.objects > 0 and math.isfinite(accuracy.score.value)
