"""Frozen records are changed in one way, which validates."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from benchmarks.testbed.example_night import cost, example_night
from culling_pipeline.records.base import STORED, changed
from culling_pipeline.records.costs import Cost
from culling_pipeline.records.labels import TrustRecord
from culling_pipeline.records.monitoring import SlotView
from culling_pipeline.records.training import ScalePoint
from jobs.config.night import CullingSettings

ROOT = Path(__file__).parents[2]


def test_a_changed_record_is_a_copy() -> None:
    line = cost("training", "train", 100, 8.0)
    longer = line.changed(seconds=9.5)
    assert (line.seconds, longer.seconds) == (8.0, 9.5)
    assert longer.changed(seconds=8.0) == line
    night = example_night()
    assert night.changed(version=None).ingest is night.ingest


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images": "many"}, "images"),
        ({"seconds": None}, "seconds"),
        ({"activity": "sleep"}, "'look', 'label', 'train', 'measure' or 'read'"),
        ({"minutes": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_a_record_does_not_allow_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        cost("training", "train", 100, 8.0).changed(**values)


def test_what_was_not_given_stays_a_default() -> None:
    view = SlotView(slot=3, state="same").changed(state="moved")
    assert view.model_fields_set == {"slot", "state"}
    settings = changed(CullingSettings(keep=64), keep=32)
    assert settings == CullingSettings(keep=32)
    assert settings.model_fields_set == {"keep"}
    with pytest.raises(ValidationError, match="keep"):
        changed(settings, keep=-1)


def test_the_old_lines_of_a_ledger_are_changed_as_well() -> None:
    stored = {"stage": "training", "images": 1, "seconds": 1.0, "device": "cpu", "backend": ""}
    assert Cost.model_validate(stored).changed(images=2).activity == "train"


def test_nothing_is_patched_unvalidated() -> None:
    sources = [p for top in ("culling_pipeline", "jobs") for p in (ROOT / top).rglob("*.py")]
    assert len(sources) > 100
    found = [
        path.relative_to(ROOT).as_posix()
        for path in sources
        if re.search(r"\bmodel_copy\(|\bmodel_construct\(", path.read_text(encoding="utf-8"))
    ]
    assert [path for path in found if not path.startswith("jobs/config/")] == []


def test_a_figure_that_is_not_finite_comes_back_as_none_of_the_numbers() -> None:
    """JSON has no infinity: the relative change of a loss of 0 is null there."""
    for value in (math.inf, math.nan):
        point = ScalePoint(scale=0.9, relative_mse=value, computation=0.8)
        again = ScalePoint.model_validate_json(point.model_dump_json())
        assert math.isnan(again.relative_mse)
        stored = json.loads(point.model_dump_json())
        assert math.isnan(ScalePoint.model_validate(stored, context=STORED).relative_mse)
        with pytest.raises(ValidationError):
            ScalePoint.model_validate(stored)
    with pytest.raises(ValidationError):
        TrustRecord.model_validate_json('{"score": null, "rank": null}')
