"""The change gate: what is a change, how its threshold is learned, and what ingest makes of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from culling_pipeline.culling.strategies import STRATEGIES
from culling_pipeline.day.day import IngestPlan
from culling_pipeline.day.recording import GROUP, LAG, watch_recording
from culling_pipeline.gate.gate import (
    MAX_SKIPS,
    ChangeMeter,
    Decision,
    Gate,
)
from culling_pipeline.gate.memory import GateTally
from culling_pipeline.gate.threshold import GateThreshold, upper_bound
from culling_pipeline.records.day import IngestRecord
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.run.workers import Images, Workers
from culling_pipeline.tasks.boxes.disagreement import differ
from models.boxes.detections import Detections
from models.boxes.zones import OpenIgnoring
from models.zones import Zones
from streams.base import Frame, FrameSource, SourceInfo
from streams.sampler import Sampler
from tests.unit.plans import box_task, control_plan, gate_plan

HEIGHT_PX, WIDTH_PX = 96, 160
NOISE = 4.0
COUNT = 1500
"""Frames of the street: some 900 show an object, more than the gate needs to close."""
Picture = NDArray[np.uint8]


def picture(
    seed: int, *, box: tuple[int, int, int, int] | None = None, more: float = 0.0
) -> Picture:
    """A street of two grey tones with sensor noise; `box` (x1, y1, x2, y2) is a bright object."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 90.0)
    image[HEIGHT_PX // 2 :] = 120.0
    if box is not None:
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] = 220.0
    noise = np.random.default_rng(seed).normal(0, NOISE, image.shape)
    return np.clip(image + more + noise, 0, 255).astype(np.uint8)


def bright_box(image: Picture) -> Detections:
    """A detector of bright objects: one box around all pixels above 190."""
    ys, xs = np.nonzero(image[..., 0] > 190)
    if len(xs) < 4:
        return Detections.empty()
    box = np.array([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], np.float32)
    return Detections(box, np.full(1, 0.9, np.float32), np.zeros(1, np.int64))


def one(x: float, score: float, *, label: int = 0) -> Detections:
    box = np.array([[x, 10, x + 20, 40]], np.float32)
    return Detections(box, np.full(1, score, np.float32), np.full(1, label, np.int64))


def settled_meter() -> ChangeMeter:
    """A meter that knows the camera's noise; its reference is the empty street."""
    meter = ChangeMeter()
    for seed in range(80):
        meter.measure(picture(seed))
        meter.renew()
    return meter


# -- what is a change ------------------------------------------------------------------------------


def test_without_a_reference_everything_has_changed() -> None:
    meter = ChangeMeter()
    assert meter.measure(picture(1)) == float("inf")
    meter.renew()
    assert meter.measure(picture(2)) < float("inf")
    assert meter.measure(picture(3)[:48]) == float("inf")  # the camera changed its size


def test_noise_alone_is_small_and_a_small_object_is_large() -> None:
    meter = settled_meter()
    noise = [meter.measure(picture(seed)) for seed in range(100, 140)]
    far_off = [
        meter.measure(picture(seed, box=(80 + seed % 7, 52, 84 + seed % 7, 61)))
        for seed in range(200, 240)
    ]
    assert max(noise) < 8
    assert min(far_off) > 2 * max(noise)


def test_a_change_of_exposure_is_none() -> None:
    meter = settled_meter()
    assert meter.measure(picture(100, more=12.0)) < 8


def test_slow_change_adds_up_against_the_reference() -> None:
    meter = settled_meter()
    steps = []
    for seed in range(40):  # an object that fades in, each frame like the one before
        image = picture(300 + seed).astype(np.float64)
        image[50:70, 60:80] += seed
        steps.append(meter.measure(np.clip(image, 0, 255).astype(np.uint8)))
    assert steps[1] < 8
    assert steps[-1] > 30


# -- what is lost ----------------------------------------------------------------------------------


def test_an_object_without_a_counterpart_is_a_difference() -> None:
    assert not differ(one(10, 0.9), one(12, 0.8), min_score=0.5)
    assert differ(one(10, 0.9), one(40, 0.9), min_score=0.5)  # elsewhere
    assert differ(one(10, 0.9), one(10, 0.9, label=1), min_score=0.5)  # another class
    assert differ(one(10, 0.9), Detections.empty(), min_score=0.5)
    assert differ(Detections.empty(), one(10, 0.9), min_score=0.5)  # gone
    assert not differ(Detections.empty(), Detections.empty(), min_score=0.5)


def test_a_score_that_wavers_around_the_threshold_is_no_difference() -> None:
    assert not differ(one(10, 0.51), one(10, 0.3), min_score=0.5)
    assert not differ(one(10, 0.3), Detections.empty(), min_score=0.5)
    assert differ(one(10, 0.51), one(10, 0.2), min_score=0.5)


# -- how the threshold is learned ------------------------------------------------------------------


def test_the_bound_is_wilsons() -> None:
    share, count = np.array([0.0, 0.0, 0.1]), np.array([0.0, 100.0, 100.0])
    z2 = 1.645**2
    tenth = (0.1 + z2 / 200 + 1.645 * np.sqrt(0.09 / 100 + z2 / 40_000)) / (1 + z2 / 100)
    np.testing.assert_allclose(upper_bound(share, count), [1.0, z2 / (100 + z2), tenth])


def calibrated(evidence: Sequence[tuple[float, bool, float]]) -> float:
    calibration = GateThreshold(min_recall=0.995)
    for change, lost, weight in evidence:
        calibration.learn(change, lost=lost, weight=weight)
    calibration.update()
    return calibration.threshold


def test_without_enough_evidence_everything_is_scored() -> None:
    assert calibrated([]) == -1
    assert calibrated([(5.0, False, 1.0)] * 500) == -1
    assert calibrated([(5.0, False, 1.0)] * 600) == 5.0


def test_the_threshold_stays_below_the_changes_that_lose_objects() -> None:
    calm = [(float(k % 10), False, 1.0) for k in range(2000)]
    busy = [(10.0 + k % 10, True, 1.0) for k in range(200)]
    assert calibrated([*calm, *busy]) == 9.0


def test_few_object_frames_below_the_threshold_need_little_evidence_each() -> None:
    # 30 of 3,000 object frames with a small change: at most 1.4 % of them all, of which at most
    # 8.3 % would be lost: 0.12 %
    small = [(1.0, False, 1.0)] * 30
    large = [(50.0, True, 1.0)] * 2970
    assert calibrated([*small, *large]) == 1.0


def test_audits_that_lose_objects_open_the_gate() -> None:
    before = [(5.0, False, 1.0)] * 1000
    assert calibrated(before) == 5.0
    assert calibrated([*before, *[(5.0, True, 20.0)] * 10]) == -1


def test_of_equal_changes_all_count_or_none() -> None:
    assert calibrated([*[(5.0, False, 1.0)] * 2000, *[(5.0, True, 1.0)] * 100]) == -1


# -- the gate --------------------------------------------------------------------------------------


def closed_gate(**changes: Any) -> Gate:
    """A gate that has seen the empty street and holds any change up to 12 for none."""
    gate = Gate(gate_plan(enabled=True, **changes), box_task(), np.random.default_rng(0))
    for seed in range(80):
        gate.decide(picture(seed))
    for _ in range(700):
        gate.learn(Decision(12.0, score=True), one(10, 0.9), one(10, 0.9))
    gate.update()
    assert gate.threshold == 12.0
    return gate


def decided(gate: Gate, image: Picture) -> Decision:
    decision = gate.decide(image)
    gate.count(decision)
    return decision


def test_a_gate_that_is_off_scores_everything() -> None:
    gate = Gate(gate_plan(), box_task(), np.random.default_rng(0))
    assert all(decided(gate, picture(1)).score for _ in range(50))
    gate.learn(Decision(float("inf"), score=True), one(10, 0.9), Detections.empty())
    tally = gate.tally
    assert (tally.scored, tally.skipped, tally.audited, tally.recall) == (50, 0, 0, 1.0)


def test_only_every_so_many_th_frame_is_looked_at() -> None:
    gate = Gate(gate_plan(every=3), box_task(), np.random.default_rng(0))
    assert [decided(gate, picture(k)).score for k in range(7)] == [
        True, False, False, True, False, False, True,
    ]  # fmt: skip
    assert gate.tally == GateTally(scored=3, passed_over=4)


def test_only_what_has_not_changed_is_skipped_and_never_too_many_in_a_row() -> None:
    gate = closed_gate(audit_share=1e-9)
    scored = [gate.decide(picture(1000 + k)).score for k in range(2 * (MAX_SKIPS + 1))]
    assert [k for k, s in enumerate(scored) if s] == [MAX_SKIPS, 2 * MAX_SKIPS + 1]
    assert gate.decide(picture(5, box=(40, 50, 50, 80))).score
    assert not gate.decide(picture(6, box=(40, 50, 50, 80))).score  # it stays: the new reference
    assert gate.decide(picture(7)).score  # it is gone


def test_a_share_of_the_skipped_frames_is_audited() -> None:
    gate = closed_gate(audit_share=0.2)
    decisions = [decided(gate, picture(k)) for k in range(1000)]
    audits = sum(d.audit for d in decisions)
    assert all(d.score for d in decisions if d.audit)
    assert gate.tally.audited == audits
    assert audits / (audits + gate.tally.skipped) == pytest.approx(0.2, abs=0.04)


def test_audits_stand_for_the_frames_that_were_skipped() -> None:
    gate = Gate(gate_plan(enabled=True, audit_share=0.1), box_task(), np.random.default_rng(0))
    there, gone = one(10, 0.9), Detections.empty()
    for _ in range(60):
        gate.learn(Decision(50.0, score=True), there, gone)  # changed, and scored: not lost
    for _ in range(3):
        gate.learn(Decision(1.0, score=True, audit=True), there, there)
    gate.learn(Decision(1.0, score=True, audit=True), there, gone)
    gate.learn(Decision(1.0, score=True, audit=True), gone, gone)  # no object: cannot be lost
    assert gate.tally.misses == 1
    assert gate.tally.recall == pytest.approx(1 - 10 / (60 + 40))


# -- ingest ----------------------------------------------------------------------------------------


class Street(FrameSource):
    """`count` frames at one a second: an object comes for 5 s of each 25, and every 50 s another
    one stands there for 20 s."""

    def __init__(self, count: int) -> None:
        self.count = count

    @property
    def info(self) -> SourceInfo:
        return SourceInfo(
            kind="test", location="street", width_px=WIDTH_PX, height_px=HEIGHT_PX,
            started_at=datetime(2026, 1, 1, tzinfo=UTC), duration_s=float(self.count),
        )  # fmt: skip

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        for k in range(self.count):
            at = self.info.started_at + timedelta(seconds=k)
            yield Frame(street_at(k), float(k), at, "street")

    def close(self) -> None:
        pass


@cache
def street_at(k: int) -> Picture:
    box = None
    if k % 25 < 5:
        box = (20 + 15 * (k % 25), 50, 32 + 15 * (k % 25), 80)
    elif k % 50 < 25:
        box = (100, 40, 130, 70)
    return picture(k, box=box)


class BrightBoxes:
    """The student: counts what it is shown."""

    class_names = ("thing",)

    def __init__(self) -> None:
        self.images = 0

    def predict(self, images: Images) -> list[Detections]:
        self.images += len(images)
        return [bright_box(image) for image in images]


class LatePool:
    """A pool whose results come as late as they may, as with many processes."""

    def __init__(self) -> None:
        self.images, self.seconds = 0, 0.0
        self.device, self.backend = "cpu", "torch"

    def predict(
        self, batches: Iterable[Images], *, ahead: int | None = None
    ) -> Iterator[list[Detections]]:
        waiting: deque[Images] = deque()
        for batch in batches:
            waiting.append(batch)
            while len(waiting) >= (ahead or 1):
                yield self._found(waiting.popleft())
        while waiting:
            yield self._found(waiting.popleft())

    def _found(self, images: Images) -> list[Detections]:
        self.images += len(images)
        return [bright_box(image) for image in images]


def watch(
    folder: Path, pool: Any, *, enabled: bool, count: int = COUNT, every: int = 1
) -> tuple[IngestRecord, dict[int, Detections]]:
    plan = IngestPlan(
        interval_s=1.0, survivors=40, random=20, held=40, looks=None, parts=4, seed=3,
        control=control_plan(frames=20, share=0.2, block_s=60.0),
        task=box_task("thing"), gate=gate_plan(enabled=enabled, every=every),
    )  # fmt: skip
    return watch_recording(
        Street(count), pool, STRATEGIES["strata"], plan=plan, folder=folder,
        progress=NoProgress(),
    )  # fmt: skip


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> tuple[IngestRecord, dict[int, Detections]]:
    folder = tmp_path_factory.mktemp("gated") / "frames"
    return watch(folder, Workers().model(BrightBoxes), enabled=True)


def test_a_gated_day_skips_frames_and_loses_nothing(
    gated: tuple[IngestRecord, dict[int, Detections]],
) -> None:
    record, _ = gated
    gate = record.gate
    assert gate is not None
    assert gate.scored + gate.skipped == record.frames_seen == COUNT
    assert gate.skipped > 100
    assert gate.audited > 3
    assert (gate.misses, gate.recall) == (0, 1.0)
    assert sum(record.histogram_counts) == sum(p.frames for p in record.course) == COUNT
    stages = [
        "scoring", "reading and decoding", "scoring: control slice", "scoring: stored frames",
    ]  # fmt: skip
    assert [c.stage for c in record.costs] == stages[: len(record.costs)]
    assert record.costs[0].images == gate.scored


def test_a_day_scored_on_a_gpu_says_so_in_every_line(tmp_path: Path) -> None:
    class OnGpu(BrightBoxes):
        backend = "torch"
        device = torch.device("cuda")

    opener = OpenIgnoring(OnGpu, Zones((((0, 0), (0.01, 0), (0.01, 0.01)),)))
    with Workers(1) as workers:
        record, _ = watch(tmp_path / "frames", workers.model(opener), enabled=True)
    by = [(cost.device, cost.backend) for cost in record.costs if cost.activity == "look"]
    assert by == [("cuda", "torch"), ("cuda", "torch")]


def test_a_gated_day_has_the_losses_of_a_day_without_a_gate(
    gated: tuple[IngestRecord, dict[int, Detections]], tmp_path: Path
) -> None:
    plain, _ = watch(tmp_path / "frames", Workers().model(BrightBoxes), enabled=False)
    assert plain.gate is None
    assert [(c.stage, c.images) for c in plain.costs] == [
        ("scoring", COUNT),
        ("reading and decoding", COUNT),
    ]
    assert gated[0].histogram_counts == plain.histogram_counts
    assert gated[0].control == plain.control  # the draws do not depend on the gate
    assert gated[0].random == plain.random


def test_stored_frames_have_their_own_detections(
    gated: tuple[IngestRecord, dict[int, Detections]],
) -> None:
    record, found = gated
    assert record.costs[1].images > 0
    assert set(found) >= {*record.survivors, *record.control}
    assert set(found) <= {f.id for f in record.frames}  # what was only drawn needs none
    assert len({id(d) for d in found.values()}) == len(found)  # none is another frame's
    for i, detections in found.items():
        assert not differ(detections, bright_box(street_at(i)), min_score=0.5)


def test_the_number_of_processes_does_not_change_a_gated_day(
    gated: tuple[IngestRecord, dict[int, Detections]], tmp_path: Path
) -> None:
    late, _ = watch(tmp_path / "frames", LatePool(), enabled=True)
    assert late.gate == gated[0].gate
    assert late.frames == gated[0].frames


def test_a_day_of_which_the_student_sees_a_fifth(tmp_path: Path) -> None:
    record, found = watch(tmp_path / "frames", Workers().model(BrightBoxes), enabled=False, every=5)
    assert record.gate is not None
    assert (record.gate.scored, record.gate.passed_over) == (COUNT / 5, COUNT * 4 / 5)
    assert record.frames_seen == sum(record.histogram_counts) == COUNT
    assert record.costs[0].images == COUNT / 5
    assert {i % 5 for i in record.survivors} == {0}  # a loss of its own, or it is not hard
    assert {i % 5 for i in (*record.control, *record.random)} == {0, 1, 2, 3, 4}
    for i, detections in found.items():
        assert not differ(detections, bright_box(street_at(i)), min_score=0.5)


def test_what_waits_in_memory_is_bounded() -> None:
    assert GROUP * LAG <= 256
