"""A version's origin is plain JSON, whatever the night measured."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any, cast

from benchmarks.testbed.example_night import example_judge, example_night
from culling_pipeline.night.inputs import NightPlan, Results
from culling_pipeline.night.lineage import lineage
from culling_pipeline.records.scores import Accuracy, Score

PLAN = cast(
    "NightPlan",
    SimpleNamespace(
        run_id="2026-11-27T030000Z", settings="", student_name="s", teacher_name="t",
        full_size=(96, 160), code_version="",
    ),
)  # fmt: skip


def test_a_night_that_could_measure_nothing_has_an_origin_all_the_same() -> None:
    """The teacher of a counting camera saw nobody all day: no interval, and no error to speak of.
    The night failed at its very end."""
    score = Score(metric="MAE", value=math.nan, higher_is_better=False)
    nothing = Accuracy(score=score, further=(), per_class={}, frames=10, objects=0)
    judged = example_judge(
        before=nothing, after=nothing, random=None, promoted=False,
        difference_low=-math.inf, difference_high=math.inf,
    )  # fmt: skip
    night: Any = example_night()
    arms: Any = SimpleNamespace(culled=night.train)
    cull = night.cull.changed(kept=())  # the example's day lists other frames
    results = Results(night.ingest, night.label, cull, night.resolution, arms, judged)
    found = lineage(PLAN, "v1", results)
    json.dumps(found, allow_nan=False)
    assert found["metrics"]["difference_95"] == [None, None]
    assert found["score"]["value"] is None
