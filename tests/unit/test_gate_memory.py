"""What a change gate knows from before: how much it counts, and how it is kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from culling_pipeline.gate.gate import BREAK_S, Decision, Gate
from culling_pipeline.gate.memory import MEMORY_FILE, GateTally, key_of, load_memory, save_memory
from culling_pipeline.gate.threshold import GateThreshold
from models.boxes.detections import Detections
from streams.base import DAY_S
from tests.unit.plans import box_task, gate_plan

NOON = 1e9
"""When the break ended, seconds."""


def calibrated(*evidence: tuple[int, float, bool, float], now_s: float = NOON) -> float:
    """The threshold from evidence given as (how many, change, lost, age in seconds)."""
    calibration = GateThreshold(min_recall=0.995)
    for count, change, lost, age_s in evidence:
        for _ in range(count):
            calibration.learn(change, lost=lost, weight=1.0, at_s=NOON - age_s)
    calibration.update(now_s=now_s, since_s=NOON)
    return calibration.threshold


def unbroken(*evidence: tuple[int, float, bool, float]) -> float:
    calibration = GateThreshold(min_recall=0.995)
    for count, change, lost, age_s in evidence:
        for _ in range(count):
            calibration.learn(change, lost=lost, weight=1.0, at_s=NOON - age_s)
    calibration.update(now_s=NOON)
    return calibration.threshold


# -- what older evidence counts for ----------------------------------------------------------------


def test_evidence_counts_half_as_much_with_each_day() -> None:
    assert unbroken((600, 5.0, False, 0.9 * DAY_S)) == 5
    assert unbroken((600, 5.0, False, 1.1 * DAY_S)) == -1
    assert unbroken((1100, 5.0, False, 1.1 * DAY_S)) == 5
    assert unbroken((1100, 5.0, False, 2.1 * DAY_S)) == -1
    assert unbroken((2200, 5.0, False, 2.1 * DAY_S)) == 5
    assert unbroken((4000, 5.0, False, 7.1 * DAY_S)) == -1


def test_losses_grow_old_as_well() -> None:
    clean = (1000, 5.0, False, 0.0)
    assert unbroken(clean, (10, 5.0, True, 0.0)) == -1
    assert unbroken(clean, (10, 5.0, True, 6.5 * DAY_S)) == 5


def test_after_a_break_half_of_the_evidence_confirms_the_rest() -> None:
    before = (4000, 5.0, False, DAY_S / 2)
    assert calibrated(before) == -1
    assert calibrated(before, (269, 5.0, False, 0.0)) == -1
    assert calibrated(before, (270, 5.0, False, 0.0)) == 5
    assert calibrated((270, 5.0, False, 0.0)) == -1  # which alone are not enough


def test_what_was_lent_does_not_outvote_a_few_losses() -> None:
    before = (4000, 5.0, False, DAY_S / 2)
    assert calibrated(before, (300, 5.0, False, 0.0), (1, 5.0, True, 0.0)) == -1
    assert calibrated(before, (2000, 5.0, False, 0.0), (12, 5.0, True, 0.0)) == -1


def test_only_changes_as_small_as_those_seen_since_are_confirmed() -> None:
    before = (4000, 5.0, False, DAY_S / 2)
    assert calibrated(before, (200, 20.0, True, 0.0)) == -1
    assert calibrated(before, (280, 5.0, False, 0.0), (200, 20.0, True, 0.0)) == 5


def test_how_many_frames_have_a_small_change_is_known_from_those_since() -> None:
    # before: hardly any object frame with a change up to 5, so that it would not matter if some of
    # them were lost; since: all of them
    before = [
        (100, 5.0, False, DAY_S / 2),
        (3, 5.0, True, DAY_S / 2),
        (3900, 50.0, True, DAY_S / 2),
    ]
    assert unbroken(*before) == 5
    assert calibrated(*before, (60, 5.0, False, 0.0)) == -1


def test_another_scene_is_rarely_taken_for_the_one_before() -> None:
    rng, fooled = np.random.default_rng(4), 0
    before = [(5.0, 0.0, 1.0, NOON - DAY_S / 2)] * 2000
    for _ in range(200):  # one in fifty object frames would be lost, at any change
        calibration = GateThreshold(min_recall=0.995)
        since = [(5.0, float(lost), 1.0, NOON) for lost in rng.random(280) < 0.02]
        calibration.replace(np.array([*before, *since]))
        calibration.update(now_s=NOON, since_s=NOON)
        fooled += calibration.threshold >= 0
    assert fooled <= 3


def test_the_oldest_evidence_gives_way() -> None:
    calibration = GateThreshold(min_recall=0.995)
    for number in range(5000):
        calibration.learn(float(number), lost=False, weight=1.0, at_s=NOON)
    kept = calibration.evidence[:, 0].tolist()
    assert kept == [float(number) for number in range(5000 - 4096, 5000)]
    other = GateThreshold(min_recall=0.995)
    other.replace(calibration.evidence)
    other.learn(7.0, lost=False, weight=1.0, at_s=NOON)
    assert other.evidence[[0, -1], 0].tolist() == [kept[1], 7.0]


# -- a gate that goes on ---------------------------------------------------------------------------


def box(score: float) -> Detections:
    one = np.array([[10, 10, 30, 40]], np.float32)
    return Detections(one, np.full(1, score, np.float32), np.zeros(1, np.int64))


def pictures(count: int, seed: int = 0) -> Iterable[np.ndarray]:
    """An empty street with sensor noise."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        yield np.clip(rng.normal(100, 4, (48, 64, 3)), 0, 255).astype(np.uint8)


def gate_of(seed: int = 0) -> Gate:
    return Gate(gate_plan(enabled=True), box_task(), np.random.default_rng(seed))


def watch(gate: Gate, began_s: float, count: int, inherited: Detections) -> int:
    """Frames with one parked object at one a second, of which a skipped frame would have
    `inherited`; the number of those that were skipped."""
    before = gate.tally.skipped
    for k, picture in enumerate(pictures(count, seed=round(began_s) % 1000)):
        decision = gate.decide(picture, began_s + k)
        gate.count(decision)
        if decision.score:
            gate.learn(decision, box(0.9), inherited, began_s + k)
        if k % 16 == 15:
            gate.update()
    return gate.tally.skipped - before


@pytest.fixture(scope="module")
def taught() -> Gate:
    """A gate that has seen 650 frames of the parked object."""
    gate = gate_of()
    assert watch(gate, NOON, 650, box(0.9)) > 50
    return gate


def test_the_next_day_begins_with_half_of_the_frames(taught: Gate) -> None:
    tomorrow = NOON + DAY_S
    assert watch(gate_of(1), tomorrow, 400, box(0.9)) == 0
    gate = gate_of(1)
    gate.take_up(taught.memory, same_day=False)
    assert watch(gate, tomorrow, 400, box(0.9)) > 50
    assert gate.tally.recall == 1
    assert gate.tally.scored < 350  # of today only


def test_where_objects_would_be_lost_today_the_lessons_do_not_help(taught: Gate) -> None:
    gate = gate_of(1)
    gate.take_up(taught.memory, same_day=False)
    assert watch(gate, NOON + DAY_S, 400, Detections.empty()) == 0


def test_a_restart_within_the_hour_changes_nothing(taught: Gate) -> None:
    gate = gate_of()
    gate.take_up(taught.memory, same_day=True)
    gate.update()
    soon = NOON + 650 + BREAK_S / 2
    assert gate.threshold == taught.threshold
    assert gate.tally == taught.tally
    assert gate.tally is not taught.tally
    assert watch(gate, soon, 40, box(0.9)) > 20


def test_a_break_in_mid_watching_counts_as_one(taught: Gate) -> None:
    gate = gate_of()
    gate.take_up(taught.memory, same_day=True)
    gate.update()
    late = NOON + 650 + BREAK_S + 1
    decision = gate.decide(next(iter(pictures(1))), late)
    assert decision.score
    assert gate.threshold == -1
    assert gate.memory.since_s == gate.memory.last_s == late
    assert gate.memory.noise is None


def test_a_clock_that_was_set_back_ends_all_that_was_known(taught: Gate) -> None:
    gate = gate_of()
    gate.take_up(taught.memory, same_day=True)
    gate.update()
    assert watch(gate, NOON - DAY_S, 150, box(0.9)) == 0
    assert gate.memory.since_s == NOON - DAY_S


def test_with_another_student_everything_is_scored_again(taught: Gate) -> None:
    gate = gate_of()
    gate.take_up(taught.memory, same_day=True)
    gate.forget()
    gate.update()
    assert (gate.threshold, len(gate.memory.evidence)) == (-1, 0)
    assert gate.tally == taught.tally


# -- on disk ---------------------------------------------------------------------------------------


def test_lessons_come_back_as_they_were(tmp_path: Path, taught: Gate) -> None:
    save_memory(tmp_path, taught.memory, key_of({"student": "v1"}))
    assert [path.name for path in tmp_path.iterdir()] == [MEMORY_FILE]
    assert (tmp_path / MEMORY_FILE).stat().st_mode & 0o777 == 0o600
    back = load_memory(tmp_path, key_of({"student": "v1"}))
    assert back is not None
    assert np.array_equal(back.evidence, taught.memory.evidence)
    assert np.array_equal(back.noise, taught.memory.noise)
    assert (back.since_s, back.last_s) == (NOON, NOON + 649)
    assert back.tally == taught.tally
    assert type(back.tally.scored) is int


def test_a_gate_that_knows_nothing_can_be_saved(tmp_path: Path) -> None:
    save_memory(tmp_path, gate_of().memory, "key")
    back = load_memory(tmp_path, "key")
    assert back is not None
    assert (back.noise, back.evidence.shape, back.tally) == (None, (0, 4), GateTally())


def test_lessons_of_something_else_are_not_taken_up(tmp_path: Path, taught: Gate) -> None:
    assert load_memory(tmp_path, "key") is None
    save_memory(tmp_path, taught.memory, key_of({"student": "v1", "shape": [48, 64]}))
    assert load_memory(tmp_path, key_of({"student": "v2", "shape": [48, 64]})) is None
    assert load_memory(tmp_path, key_of({"shape": (48, 64), "student": "v1"})) is not None


@pytest.mark.parametrize("keep", [0, 50, -10])
def test_damaged_lessons_are_left_and_named(
    tmp_path: Path, taught: Gate, keep: int, caplog: pytest.LogCaptureFixture
) -> None:
    save_memory(tmp_path, taught.memory, "key")
    whole = (tmp_path / MEMORY_FILE).read_bytes()
    (tmp_path / MEMORY_FILE).write_bytes(whole[:keep])
    with caplog.at_level(logging.WARNING):
        assert load_memory(tmp_path, "key") is None
    assert f"{tmp_path / MEMORY_FILE} cannot be read" in caplog.text
    assert "learns from the start" in caplog.text


def test_a_frame_skipped_is_no_evidence() -> None:
    gate = gate_of()
    gate.learn(Decision(float("inf"), score=True), box(0.9), box(0.9), NOON)
    assert len(gate.memory.evidence) == 0
