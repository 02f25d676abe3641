"""What earlier nights say of choosing frames: believed, paying, or better left to chance."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from benchmarks.testbed.small_night import night_record
from culling_pipeline.records.night import NightRecord
from jobs.config.settings import CameraConfig
from jobs.database.figures import Figures
from jobs.database.nights import Night
from jobs.nights.experience import AGAIN, LAST, why_drawn

NIGHT = Night(
    id=1, camera="yard", run_id="r", night_date=date(2026, 3, 1), state="done", attempt=1, pid=1,
    host="h", started_at=datetime(2026, 3, 1, tzinfo=UTC), finished_at=None, error=None,
    figures=None, unusable=None,
)  # fmt: skip


def camera(**culling: object) -> CameraConfig:
    return CameraConfig.model_validate(
        {"name": "yard", "source": "yard.mp4", "classes": ["person"], "culling": culling}
    )


def record(score: float) -> NightRecord:
    """A night whose student in use reached this score."""
    night = night_record("yard", "2026-11-20")
    assert night.judge.promoted
    after = night.judge.after
    better = after.changed(score=after.score.changed(value=score))
    return night.changed(judge=night.judge.changed(after=better))


def nights(*gains: float | None) -> list[Night]:
    """Done nights, the newest first; a gain is that of chosen over random frames."""
    plain = Figures.of(night_record())
    return [
        replace(
            NIGHT,
            figures=plain.model_copy(
                update={
                    "score_after": 0.8,
                    "score_random": None if gain is None else 0.8 - gain,
                }
            ),
        )
        for gain in gains
    ]


def test_a_first_night_chooses() -> None:
    assert why_drawn(camera(), None, []) == ""


@pytest.mark.parametrize(("score", "drawn"), [(0.31, False), (0.29, True)])
def test_a_student_that_does_not_know_the_scene_is_not_asked(score: float, drawn: bool) -> None:
    assert bool(why_drawn(camera(), record(score), nights(0.01, 0.01))) == drawn
    assert why_drawn(camera(trusted_from=None), record(score), []) == ""
    assert why_drawn(camera(strategy="random"), record(score), []) == ""


@pytest.mark.parametrize(
    ("gains", "drawn"),
    [
        ((-0.02, -0.03), False),  # too few
        ((-0.02, -0.03, -0.02), True),
        ((-0.02, -0.03, 0.04), False),  # could be luck
        ((-0.001, -0.001, -0.002, -0.001), True),
        ((0.01, 0.02, 0.01), False),
        ((None, None, -0.02, -0.03, -0.02), True),  # drawn for two nights
    ],
)
def test_chance_is_left_its_turn_where_it_was_better(
    gains: tuple[float | None, ...], drawn: bool
) -> None:
    said = why_drawn(camera(), record(0.8), nights(*gains))
    assert bool(said) == drawn
    if drawn:
        assert "random frames at the same total cost did better, by " in said


def test_after_a_week_it_is_compared_again() -> None:
    lost = (-0.02, -0.03, -0.02)
    assert why_drawn(camera(), record(0.8), nights(*[None] * (AGAIN - 1), *lost))
    assert why_drawn(camera(), record(0.8), nights(*[None] * AGAIN, *lost)) == ""
    old = nights(0.05, *[0.05] * LAST, *lost)
    assert why_drawn(camera(), record(0.8), old) == ""


def test_the_loss_is_said_in_points() -> None:
    said = why_drawn(camera(), record(0.8), nights(-0.02, -0.03, -0.02, -0.03))
    assert "on the last 4 nights that compared" in said
    assert "by 2.5 points" in said
