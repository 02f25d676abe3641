"""What a night takes beside the detectors' work, and that an estimate has it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.testbed.servers.web import WebServer
from jobs.config.settings import CameraConfig, Config
from jobs.nights.beside import NOTHING_BESIDE, READ, Beside, beside, reading_of
from jobs.nights.cost import NightCost, Speed, joined, night_cost
from jobs.nights.span import Span
from jobs.setup.probing import found_in_words, probe_camera
from tests.unit.served import Counting, noisy

SPEED = Speed(student_s=Span(0.1, 0.2), teacher_s=Span(1.0, 1.0), training_s=Span(0.5, 0.5))


def camera(**settings: Any) -> CameraConfig:
    source = {"source": "synthetic://street?seed=7&hours=0.1", "classes": ["person"]}
    return CameraConfig.model_validate({"name": "yard", **source, **settings})


def cost_of(speed: Speed = SPEED, workers: int = 2) -> NightCost:
    config = Config(device="cpu", workers=workers)
    return night_cost(config, camera(), speed, frames=500, watched=False)


def test_reading_hides_behind_looking_as_far_as_there_are_cores() -> None:
    found = Beside(reading_s=30.0, starting_s=1.0)
    assert found.reading(Span(1.0, 5.0), processes=2) == (30.0, 30.0), "reading is the longest"
    assert found.reading(Span(20.0, 40.0), processes=2) == (35.0, 55.0)
    assert found.reading(Span(20.0, 40.0), processes=1) == (50.0, 70.0), "one after the other"
    assert NOTHING_BESIDE.reading(Span(1.0, 2.0), processes=2) == (1.0, 2.0)


def test_the_estimate_has_the_trial_the_start_and_the_reading() -> None:
    plain = cost_of()
    slower = replace(plain, beside=Beside(reading_s=1000.0, starting_s=7.0))
    looks_s = SPEED.student_s.times(plain.budget.own.looks / 2)
    for end in (0, 1):
        expected = plain.total_s[end] - looks_s[end] + 1000.0 + 7.0
        if looks_s[end] < 500.0:
            assert slower.total_s[end] == pytest.approx(expected)
    tried = cost_of(replace(SPEED, trial_s=11.0))
    assert tried.total_s.fastest == pytest.approx(plain.total_s.fastest + 11.0)


def test_the_estimate_says_what_it_has_beside_the_budget() -> None:
    said = replace(cost_of(), beside=Beside(reading_s=90.0, starting_s=6.0)).in_words()
    assert "takes about 1 min 30 s, starting takes about 6.0 s. On all" in said
    far = Beside(reading_s=90.0, starting_s=6.0, fetched=420_000_000)
    said = replace(cost_of(), beside=far).in_words()
    assert "takes about 1 min 30 s and fetches about 420 MB, starting takes" in said
    watched = replace(cost_of(), beside=Beside(reading_s=0.0, starting_s=6.0)).in_words()
    assert ". Starting takes about 6.0 s. On all" in watched
    assert "tarting" not in cost_of().in_words()


def test_reading_is_measured_on_the_first_frames() -> None:
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 0.01
        return now_s[0]

    each_s = reading_of(camera(), looks=9, clock=clock).each_s
    assert each_s == pytest.approx(0.01 * (READ + 1) / READ), "a look at the clock a frame"


def test_a_slow_source_s_trial_ends_soon() -> None:
    now_s = [0.0]

    def clock() -> float:
        now_s[0] += 2.0
        return now_s[0]

    assert reading_of(camera(), looks=9, clock=clock).each_s == pytest.approx(3.0), (
        "two frames in six seconds"
    )


def test_a_source_of_one_frame_says_nothing_of_reading() -> None:
    one = camera(source="synthetic://street?seed=7&hours=0.001", fps=0.2)
    assert reading_of(one, looks=9) == (0.0, False, None)


@pytest.mark.slow  # processes
def test_a_watched_day_is_not_read_but_processes_start() -> None:
    found = beside(camera(), None, looks=10)
    assert found.reading_s == 0.0
    assert found.starting_s > 0.0


def test_trials_at_the_same_time_are_one_span() -> None:
    assert joined([Span(2.0, 3.0), Span(1.0, 2.5)]) == (1.0, 3.0)


def test_of_a_recording_on_the_web_a_night_fetches_what_it_looks_at(tmp_path: Path) -> None:
    data = noisy(tmp_path / "noise.mp4")
    server, serve = WebServer(), Counting(data)
    server.paths["/long.mp4"] = serve
    try:
        far = camera(source=server.url("/long.mp4"), fps=1.0)
        few, all_of_it = reading_of(far, looks=60), reading_of(far, looks=3000)
        found = probe_camera(far)
    finally:
        server.kill()
    assert found.look_bytes is not None
    assert few[1:] == (True, 60 * found.look_bytes)
    assert all_of_it[1:] == (False, len(data))
    assert "a night fetches about 64 kB for each look, never more than" in found_in_words(
        replace(found, look_bytes=64_000)
    )
