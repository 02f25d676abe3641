"""The ledger goes by what a cost is and what it is for; names are only shown, the same ones
everywhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from culling_pipeline import stage_names
from culling_pipeline.judging.cost_ratio import price, seconds_by_stage
from culling_pipeline.records.costs import Activity, Cost, Purpose
from culling_pipeline.stage_names import STAGES

ROOT = Path(__file__).parents[2]

OLD: list[tuple[str, int, float, Activity, Purpose]] = [
    ("student scoring", 1000, 20.0, "look", "own"),
    ("student scoring: stored frames", 10, 0.2, "look", "own"),
    ("teacher: survivors", 60, 3.0, "label", "own"),
    ("teacher: control slice", 40, 2.0, "label", "control"),
    ("teacher: random frames", 10, 0.5, "label", "comparison"),
    ("resolution", 30, 0.6, "look", "own"),
    ("training", 100, 8.0, "train", "own"),
    ("training: random frames", 100, 8.0, "train", "comparison"),
    ("judging", 40, 1.0, "measure", "control"),
    ("judging: random frames", 40, 1.0, "measure", "comparison"),
    ("training: first student", 5, 0.1, "train", "own"),
]


def stored(stage: str, images: int, seconds: float, **more: str) -> dict[str, object]:
    """A line as 0.1.0 wrote it."""
    return {"stage": stage, "images": images, "seconds": seconds, "device": "cpu", **more}


@pytest.mark.parametrize(("stage", "images", "seconds", "activity", "purpose"), OLD)
def test_a_line_of_0_1_0_is_what_its_name_said(
    stage: str, images: int, seconds: float, activity: Activity, purpose: Purpose
) -> None:
    cost = Cost.model_validate(stored(stage, images, seconds, backend="lean"))
    assert (cost.activity, cost.purpose) == (activity, purpose)
    assert (cost.stage, cost.images, cost.seconds) == (stage, images, seconds)
    assert (cost.device, cost.backend) == ("cpu", "lean")
    assert Cost.model_validate_json(cost.model_dump_json()) == cost


def test_a_line_from_before_backends_has_none() -> None:
    assert Cost.model_validate(stored("training", 1, 1.0)).backend == ""


def test_a_night_of_0_1_0_has_the_price_it_had() -> None:
    costs = [Cost.model_validate(stored(*line[:3])) for line in OLD[:-1]]
    found = price(costs, frames_seen=1000, shown=10.0)
    assert found.night_s == pytest.approx(20 + 0.2 + 3 + 2 + 0.6 + 8 + 1)
    assert found.full_s == pytest.approx(1000 * (5 / 100) + 1000 * 10 * (8 / 100) + 2 + 1)


@pytest.mark.parametrize("stage", ["teacher", "random", "labelling: survivors", "training: rand"])
def test_of_a_name_that_0_1_0_did_not_have_nothing_is_guessed(stage: str) -> None:
    with pytest.raises(ValidationError, match="activity"):
        Cost.model_validate(stored(stage, 1, 1.0, backend=""))


@pytest.mark.parametrize("missing", ["activity", "purpose", "device", "backend"])
def test_a_line_says_what_it_is_and_where_it_ran(missing: str) -> None:
    whole = stored("training", 1, 1.0, backend="", activity="train", purpose="own")
    Cost.model_validate(whole)
    del whole[missing]
    with pytest.raises(ValidationError, match=missing):
        Cost.model_validate(whole)


def test_lines_of_one_stage_add_up() -> None:
    lines = [stored("training", 1, 1.5), stored("judging", 1, 1.0), stored("training", 1, 2.0)]
    found = seconds_by_stage(map(Cost.model_validate, lines))
    assert found == {"training": 3.5, "judging": 1.0}


def test_the_documents_call_the_stages_what_the_program_calls_them() -> None:
    night = (ROOT / "docs/design/night.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", night, flags=re.MULTILINE)
    assert rows == [tuple(stage) for stage in STAGES]
    glossary = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    (entry,) = re.findall(r"^- \*\*stage\*\* – .*$", glossary, flags=re.MULTILINE)
    assert ", ".join(stage.words for stage in STAGES[2:-1]) in entry


def stage_calls(source: str) -> list[ast.expr]:
    """What each progress bar in it is called."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [c for c in calls if isinstance(c.func, ast.Attribute) and c.func.attr == "stage"]
    return [call.args[0] for call in named]


@pytest.mark.parametrize(
    ("module", "bars"),
    [
        ("culling_pipeline.night.stages.watch", 1),
        ("culling_pipeline.night.stages.view", 1),
        ("culling_pipeline.night.stages.label", 1),
        ("culling_pipeline.night.stages.resolution", 1),
        ("culling_pipeline.night.stages.train", 2),
        ("culling_pipeline.night.stages.judge", 1),
        ("culling_pipeline.day.recording", 1),
        ("jobs.nights.bootstrap", 1),
        ("jobs.nights.bootstrap_shares", 1),
        ("jobs.nights.bootstrap_rollout", 1),
    ],
)
def test_progress_bars_have_no_names_of_their_own(module: str, bars: int) -> None:
    path = ROOT / f"{module.replace('.', '/')}.py"
    names = stage_calls(path.read_text(encoding="utf-8"))
    assert len(names) == bars
    for name in names:
        while isinstance(name, ast.Call | ast.Attribute):
            name = name.func if isinstance(name, ast.Call) else name.value
        assert isinstance(name, ast.Name), ast.dump(name)
        assert isinstance(getattr(stage_names, name.id), stage_names.StageName)
