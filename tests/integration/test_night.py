"""A whole tiny night, from frames to promotion: consistent, repeatable, in every strategy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from benchmarks.testbed.tiny import (
    CAMERA,
    DAY,
    SMALL,
    DoneNight,
    debris,
    run_tiny_night,
    tiny_config,
)
from culling_pipeline.culling.budget import cost_s
from culling_pipeline.culling.resolution import relative_mse, scales_down_to
from culling_pipeline.day.frame_files import load_images
from culling_pipeline.night.files import NEW_FILE, OLD_FILE, TEACHER_FILE
from culling_pipeline.records.costs import Portions
from culling_pipeline.records.night import NightRecord
from culling_pipeline.report import PAGE
from culling_pipeline.report.pictures import MAX_PICTURES
from culling_pipeline.run.progress import Advance, NoProgress
from culling_pipeline.stage_names import STAGES
from culling_pipeline.tasks.boxes.answer_files import load_detections
from culling_pipeline.tasks.boxes.smallest_size import smallest_scale_for
from jobs.cameras.task import task_of
from jobs.config.night import ConfidenceSettings, ModelsSettings
from jobs.database.store import Store
from jobs.nights.nightly import retrain_camera
from models.boxes.lean.packed import packing_works
from models.boxes.student import load_detector
from models.images import scaled
from models.registry import ModelRegistry

pytestmark = pytest.mark.timeout(1200)


def test_no_control_frame_is_trained_on(either: DoneNight) -> None:
    day, kept = either.record.ingest, set(either.record.cull.kept)
    culling = either.camera.culling
    assert len(kept) == culling.keep
    assert kept <= set(day.survivors)
    assert len(day.control) == culling.control.frames
    assert not set(day.control) & (kept | set(day.survivors) | set(day.random))
    assert {f.id for f in day.frames} == {*day.control, *day.survivors, *day.random}


def test_random_frames_are_as_many_as_cost_the_same(undisturbed: DoneNight) -> None:
    day = undisturbed.record.ingest
    assert len(day.survivors) == 24
    assert record_of_lottery(undisturbed).keep == len(day.random) == 42


def record_of_lottery(night: DoneNight) -> Portions:
    """What random frames get for the same total cost: no looks, more labels, more images."""
    budget = night.record.budget
    assert budget is not None
    assert budget.lottery is not None
    assert budget.lottery.looks == 0
    cost = [cost_s(p, budget.seconds) for p in (budget.own, budget.lottery)]
    assert cost[1] == pytest.approx(cost[0], rel=0.02)
    return budget.lottery


def test_the_figures_of_a_night_agree(undisturbed: DoneNight) -> None:
    record = undisturbed.record
    day, arm = record.ingest, record.random_train
    assert day.frames_seen == 199
    assert sum(day.histogram_counts) == sum(p.frames for p in day.course) == day.frames_seen
    assert (day.width_px, day.height_px) == (160, 96)
    assert record.label.labelled == len(day.frames)
    assert {d.frame_id for d in record.cull.survivors} == set(day.survivors)
    assert record.cull.teacher_calls == len(day.survivors)
    assert record.train.images == len(record.cull.kept)
    assert record.train.givers == len(day.survivors) - len(record.cull.kept)
    assert arm is not None
    assert arm.givers == 0, "what is not culled has no other labels"
    assert sum(e.images for e in arm.epochs) == record_of_lottery(undisturbed).images
    judge = record.judge
    assert judge.random is not None
    for accuracy in (judge.before, judge.after, judge.random):
        assert accuracy.frames == len(day.control)
        assert accuracy.objects == judge.before.objects > 0


def test_the_ledger_has_every_stage_and_every_image(undisturbed: DoneNight) -> None:
    record = undisturbed.record
    day = record.ingest
    images = {cost.stage: cost.images for cost in record.ledger}
    assert len(images) == len(record.ledger)
    control, survivors = len(day.control), len(day.survivors)
    trained = sum(epoch.images for epoch in record.train.epochs)
    arm = record.random_train
    assert arm is not None
    assert images == {
        "reading and decoding": day.frames_seen,
        "scoring": day.frames_seen,
        "labelling: survivors": survivors,
        "labelling: control slice": control,
        "labelling: random frames": len(set(day.random) - set(day.survivors)),
        "resolution search": record.resolution.student_passes,
        "training": trained,
        "training: random frames": sum(epoch.images for epoch in arm.epochs),
        "judging": control,
        "judging: incumbent": control,
        "judging: random frames": control,
    }
    assert all(cost.seconds > 0 for cost in record.ledger if cost.images)
    by = "lean" if packing_works() else "torch"
    without = ("training", "reading")  # no detector, or none that is arranged
    wanted = {stage: "" if stage.startswith(without) else by for stage in images}
    assert {cost.stage: cost.backend for cost in record.ledger} == wanted
    known = {s.words for s in STAGES} | {"reading and decoding"}
    assert {cost.stage.split(":")[0] for cost in record.ledger} <= known
    compared = {cost.stage for cost in record.ledger if cost.purpose == "comparison"}
    assert compared == {stage for stage in images if stage.endswith("random frames")}
    assert record.night_s > 0
    assert record.cost_ratio > 0


def test_what_a_night_leaves_on_disk(either: DoneNight) -> None:
    config, record, task = either.config, either.record, task_of(either.camera)
    frames = config.frames_dir(CAMERA, record.run_id)
    files = {f.path for f in record.ingest.frames}
    assert {p.name for p in frames.iterdir()} == files | {TEACHER_FILE, OLD_FILE, NEW_FILE}
    labels = task.load(frames / TEACHER_FILE)
    day = record.ingest
    assert {*day.control, *record.cull.kept} <= set(labels) <= {frame.id for frame in day.frames}
    assert len(labels) == record.label.labelled
    assert sum(map(task.objects, labels.values())) == record.label.objects > 0
    control = set(record.ingest.control)
    assert control == set(task.load(frames / NEW_FILE))
    old = task.load(frames / OLD_FILE)
    assert control | set(record.cull.kept[:MAX_PICTURES]) <= set(old)
    assert debris(config.data_dir) == []
    page = (config.report_dir(CAMERA, record.run_id) / "index.html").read_text(encoding="utf-8")
    assert CAMERA in page
    fetched = re.findall(r"""(?:src|href)\s*=\s*["']?([^"'\s>]+)|url\(([^)]+)\)|@import""", page)
    outside = [a or b for a, b in fetched if not (a or b).strip("\"'").startswith(("data:", "#"))]
    assert outside == []


def test_the_verdict_notes_each_control_frame(undisturbed: DoneNight) -> None:
    config, record = undisturbed.config, undisturbed.record
    old = load_detections(config.frames_dir(CAMERA, record.run_id) / OLD_FILE)
    for frame in record.judge.frames:
        assert len(old[frame.frame_id]) == len(frame.before.found) + len(frame.before.invented)
    assert {frame.frame_id for frame in record.judge.frames} == set(record.ingest.control)


def test_the_new_student_is_a_version_in_use_and_the_store_says_done(either: DoneNight) -> None:
    config, record = either.config, either.record
    registry = ModelRegistry(config.models_root)
    assert record.judge.promoted
    assert registry.versions(CAMERA) == [record.run_id, "start"]
    assert registry.incumbent(CAMERA) == record.version == record.run_id
    path = registry.path(CAMERA, record.run_id)
    student = task_of(either.camera).open_student(path, device="cpu")
    assert student.class_names == record.classes
    student.predict([np.zeros((96, 160, 3), np.uint8)])
    meta = registry.meta(CAMERA, record.run_id)
    assert registry.parent(CAMERA, record.run_id) == meta["parent"] == "start"
    assert meta["frames"]["ids"] == list(record.cull.kept)
    assert meta["settings"] == config.cameras[CAMERA].fingerprint
    assert meta["metrics"]["after"] == record.judge.after.model_dump(mode="json")
    later = ("training: random frames", "precision culling: pictures of the report")
    assert set(meta["ledger_s"]) == {c.stage for c in record.ledger if c.stage not in later}
    with Store(config.data_dir) as store:
        (night,) = store.nights()
        found = store.record(night.id)
    assert (night.state, night.attempt, night.error) == ("done", 1, None)
    assert found == record


@pytest.mark.parametrize("either", ["boxes", "count"], indirect=True)
def test_the_same_seed_gives_the_same_night_with_more_workers(
    either: DoneNight, tmp_path: Path
) -> None:
    config = tiny_config(tmp_path, workers=2, task=either.camera.task)
    again, first = run_tiny_night(config), either.record
    assert again.ingest.survivors == first.ingest.survivors
    assert again.ingest.control == first.ingest.control
    assert again.cull.kept == first.cull.kept
    assert again.resolution.scale == first.resolution.scale
    assert _accuracies(again) == _accuracies(first)


@pytest.mark.parametrize("strategy", ["coverage", "paper", "confidence_only", "random", "uniform"])
def test_every_strategy_has_its_night(tmp_path: Path, strategy: str) -> None:
    record = _cheap_night(
        tmp_path,
        culling={"strategy": strategy, "looks": 12 if strategy == "random" else "all"},
        judging={"compare_random": strategy == "random"},  # compared with itself: nothing to do
        resolution={"threshold": None, "min_scale": 0.8, "min_object_px": 8},
    )
    assert record.cull.strategy == strategy
    assert len(set(record.cull.kept)) == 8
    assert set(record.cull.kept) <= set(record.ingest.survivors)
    shown = (tmp_path / "reports" / CAMERA / record.run_id / PAGE).read_text(encoding="utf-8")
    gallery = shown.partition("<h2>Frames of the kept set")[2]
    assert gallery.count('<label class="shot"') == 8, "of a draw, too, that nobody looked at"
    assert record.random_train is None
    assert record.judge.random is None
    assert not [cost.stage for cost in record.ledger if cost.purpose == "comparison"]
    called = 24 if strategy in ("coverage", "paper") else 8  # no teacher call for what is not kept
    assert record.cull.teacher_calls == len(record.ingest.survivors) == called
    size = record.resolution
    assert size.objects_allow is not None
    assert size.scale == scales_down_to(max(0.8, size.objects_allow))[-1] < 1
    assert (size.points, size.student_passes, size.costs) == ((), 0, ()), "L_conf has no say"


def test_opt_resolution_sums_a_frame_as_the_camera_says(tmp_path: Path) -> None:
    """By hand: with `reduce: max` the change of the largest L_conf in each frame counts."""
    record = _cheap_night(
        tmp_path,
        culling={"confidence": {"reduce": "max"}},
        resolution={"enabled": True, "min_scale": 0.9, "threshold": 0.05, "min_object_px": 5},
        judging={"compare_random": False},
    )
    frames = {f.id: f for f in record.ingest.frames}
    folder = tmp_path / "frames" / CAMERA / record.run_id
    images = list(load_images(folder, [frames[i] for i in record.cull.kept]))
    student = load_detector(ModelRegistry(tmp_path / "models").path(CAMERA, "start"))
    largest = ConfidenceSettings(reduce="max").to_plan()
    full, smaller = (
        np.array([largest.loss_of(d) for d in student.at_size(*size).predict(images)])
        for size in ((96, 160), scaled(96, 160, 0.9))
    )
    assert record.resolution.points[-1].scale == 0.9
    assert record.resolution.points[-1].relative_mse == pytest.approx(
        relative_mse(full, smaller), rel=1e-4
    )
    labels = load_detections(folder / TEACHER_FILE)
    assert record.resolution.objects_allow == smallest_scale_for(
        [labels[i] for i in record.cull.kept], shrink=1.0, min_object_px=5
    )
    assert 0 < record.resolution.objects_allow < 0.9  # or 0.9 would not have been tried


def _cheap_night(data_dir: Path, **changes: dict[str, object]) -> NightRecord:
    cheap = {"fps": 0.0008, "resolution": {"enabled": False}, "training": {"epochs": 1}}
    return run_tiny_night(tiny_config(data_dir, **{**cheap, **changes}))


def _accuracies(record: NightRecord) -> list[object]:
    judge = record.judge
    return [judge.before, judge.after, judge.random, judge.difference_low, judge.difference_high]


def test_what_was_put_to_work_by_hand_during_a_night_stays(
    either: DoneNight, tmp_path: Path
) -> None:
    shutil.copytree(either.config.data_dir, tmp_path / "data")
    config = tiny_config(tmp_path / "data", task=either.camera.task)
    registry = ModelRegistry(config.models_root)
    first = either.record
    changed = config.cameras[CAMERA].model_copy(update={"models": ModelsSettings(keep=1)})
    rolled_back = False

    class RollsBack(NoProgress):
        @contextmanager
        def stage(self, name: str, total: int | None = None) -> Iterator[Advance]:
            nonlocal rolled_back
            if name == "judging":
                rolled_back = registry.promote(CAMERA, "start")
            yield lambda _: None

    with Store(config.data_dir) as store:
        again = config.model_copy(update={"cameras": {CAMERA: changed}})
        second = retrain_camera(again, CAMERA, store=store, progress=RollsBack(), today=lambda: DAY)
    assert rolled_back
    assert registry.incumbent(CAMERA) == "start"
    assert second.version is None
    assert not second.judge.promoted
    assert f"culling rollback {CAMERA} {second.run_id}" in second.judge.reason
    # and the night's end has pruned all but the newest and the one in use
    assert registry.versions(CAMERA) == [second.run_id, "start"]
    assert first.run_id not in registry.versions(CAMERA)


def test_an_untrained_student_s_night_is_uniform_and_its_candidate_is_trained(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    student = {"weights": "none", "width": 0.125, "max_side_px": 160}
    changes = {**SMALL, "fps": 0.0006, "student": student, "training": {"epochs": 1}}
    config = tiny_config(tmp_path, **changes | {"judging": {"compare_random": False}})
    record = run_tiny_night(config)
    times = sorted(f.time_s for f in record.ingest.frames if f.id in record.cull.kept)
    assert record.cull.strategy == "uniform"
    assert set(record.cull.kept) == set(record.ingest.survivors)
    assert len(times) == 6
    assert max(np.diff(times)) < 3 * 86_400 / 6
    assert (record.resolution.scale, record.resolution.points) == (1.0, ())
    (note,) = record.notes
    assert note.endswith("its weights are random numbers (student.weights: none).")
    assert f"camera {CAMERA}: {note}" in caplog.messages
    page = (config.report_dir(CAMERA, record.run_id) / "index.html").read_text(encoding="utf-8")
    assert note in page
    assert "evenly spaced in time" in page
    registry = ModelRegistry(config.models_root)
    assert registry.untrained(CAMERA, record.run_id) is None
    assert registry.untrained(CAMERA, "start") is not None
