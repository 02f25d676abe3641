"""A report about a figure where less is better, such as a counting camera's MAE."""

from __future__ import annotations

import re

from benchmarks.testbed.example_night import example_judge, example_night
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.report import charts, words
from culling_pipeline.report.page import render_report


def error(value: float) -> Accuracy:
    score = Score(metric="MAE", value=value, higher_is_better=False)
    return Accuracy(score=score, further=(), per_class={}, frames=60, objects=6859)


def judged() -> JudgeRecord:
    return example_judge(
        before=error(1250.5), after=error(625.25), random=None,
        difference_low=500.0, difference_high=750.0,
    )  # fmt: skip


def test_bars_keep_their_proportion_beyond_one() -> None:
    drawn = str(charts.accuracy_bars([("old", "a", error(100.0)), ("new", "b", error(25.0))]))
    old, new = (float(w) for w in re.findall(r'<rect[^>]*width="([\d.]+)"[^>]*class="bar', drawn))
    assert round(old / new, 2) == 4.0
    assert "error (MAE)" in drawn


def test_the_gain_lies_within_its_interval() -> None:
    drawn = str(charts.difference(judged()))
    (at,) = (float(x) for x in re.findall(r'<circle[^>]*cx="([\d.]+)"', drawn))
    ends = [float(x) for x in re.findall(r'<line x1="([\d.]+)"[^>]*class="interval"', drawn)]
    assert min(ends) < at < max(ends)
    assert "old − new" in drawn


def test_its_words_are_of_an_error_and_have_no_rows_by_class() -> None:
    night = example_night().model_copy(update={"judge": judged()})
    page = render_report(night, [])
    assert "less is better" in page
    assert "1 means that it finds" not in page
    assert "<th>Error</th>" in page
    assert '<th scope="row">car</th>' not in page


def test_a_large_gain_has_its_sign() -> None:
    assert words.signed(1234.5) == "+1,234.50"
    assert words.signed(0.0004) == "0.00"
