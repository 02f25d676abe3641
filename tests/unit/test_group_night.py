"""A group's night: one word for all cameras, one name in the store, one page, and whose night it
is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import urlopen

import pytest
import time_machine

from benchmarks.testbed.nights import Quick, config_of, service_of
from benchmarks.testbed.small_night import DAY, night_record, unusable_night
from culling_pipeline.judging.together import judge_together
from culling_pipeline.records.judging import JudgeRecord
from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.report.group import GroupPage, write_group_page
from culling_pipeline.tasks.boxes.task import MAP50
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.executors.base import Outcome, Task
from jobs.nights.night_of import night_of
from jobs.pages.house import House
from jobs.pages.pages import Pages
from jobs.service.metrics import CullingCollector, registry


def verdict(gain: float, half: float, *, objects: int = 30) -> JudgeRecord:
    def accuracy(value: float) -> Accuracy:
        score = Score(metric="mAP50", value=value)
        return Accuracy(score=score, per_class={}, frames=9, objects=objects)

    return JudgeRecord(
        before=accuracy(0.5),
        after=accuracy(0.5 + gain),
        random=None,
        difference_low=gain - half,
        difference_high=gain + half,
        promoted=False,
        reason="alone",
        costs=(),
    )


def decided(*verdicts: JudgeRecord, min_gain: float = 0.0) -> tuple[bool, str]:
    names = {f"c{k}": v for k, v in enumerate(verdicts)}
    found = judge_together("entrance", names, MAP50, min_gain=min_gain)
    assert found.keys() == names.keys()
    (promoted,) = {v.promoted for v in found.values()}
    (reason,) = {v.reason for v in found.values()}
    for name, one in found.items():
        assert (one.before, one.after) == (names[name].before, names[name].after)
    return promoted, reason


def test_a_gain_too_small_for_each_camera_is_certain_for_all_together() -> None:
    assert decided(verdict(0.03, 0.035)) == (
        False,
        "group 'entrance': the gain could be luck: +3.0 points of mAP50 on average over 1 camera, "
        "95 % interval −0.5 to +6.5",
    )
    promoted, reason = decided(verdict(0.03, 0.035), verdict(0.03, 0.035))
    assert promoted
    assert "+3.0 points of mAP50 on average over 2 cameras, 95 % interval +0.5 to +5.5" in reason


def test_no_camera_may_be_clearly_worse() -> None:
    promoted, reason = decided(verdict(0.2, 0.02), verdict(-0.03, 0.02))
    assert not promoted
    assert "clearly worse for c1" in reason
    assert decided(verdict(0.2, 0.02), verdict(-0.03, 0.04))[0], "it may be luck"


def test_what_is_no_better_stays_and_what_was_not_measured_has_no_say() -> None:
    assert "no better" in decided(verdict(-0.01, 0.05), verdict(0.0, 0.05))[1]
    assert not decided(verdict(0.05, 0.01), verdict(0.05, 0.01), min_gain=0.06)[0]
    assert decided(verdict(0.05, 0.01), verdict(-0.5, 0.01, objects=0))[0]
    assert "nothing was measured" in decided(verdict(0.05, 0.01, objects=0))[1]


# -- the store -------------------------------------------------------------------------------------


def test_the_nights_of_a_group_have_one_name_that_is_new_to_all(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        alone = store.open_night("south", DAY)
        store.finish_night(alone.id, night_record("south", alone.run_id))
        name = store.common_run_id(["north", "south"], DAY, settings="g")
        assert (alone.run_id, name) == ("2026-11-21", "2026-11-21.2")
        for camera in ("north", "south"):
            night = store.open_night(camera, DAY, settings="g", run_id=name)
            assert (night.run_id, night.attempt) == (name, 1)
            store.fail_night(night.id, "a fault")
        assert store.common_run_id(["north", "south"], DAY, settings="g") == name
        assert store.open_night("north", DAY, settings="g", run_id=name).attempt == 2
        assert store.common_run_id(["south", "north"], DAY, settings="g", fresh=True) != name
        assert store.common_run_id(["north", "south"], DAY, settings="other") != name


def test_an_unfinished_night_alone_is_not_gone_on_with_by_the_group(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        alone = store.open_night("north", DAY, settings="alone")
        store.save_stage(alone.id, "train", {"of": "north alone"})
        store.fail_night(alone.id, "a fault")
        name = store.common_run_id(["north", "south"], DAY, settings="g")
        night = store.open_night("north", DAY, settings="g", run_id=name)
        assert night.run_id == name != alone.run_id
        assert store.stage_result(night.id, "train") is None


def test_the_nights_of_a_group_are_done_at_once_or_not_at_all(tmp_path: Path) -> None:
    with Store(tmp_path) as store, Store(tmp_path) as other:
        nights = [store.open_night(camera, DAY, run_id="one") for camera in ("north", "south")]
        records = {n.id: night_record(n.camera, n.run_id) for n in nights}
        broken = {**records, 999: night_record("gone")}
        with pytest.raises(Exception, match=r"999|FOREIGN|constraint"):
            store.finish_nights(broken)
        assert [other.night(n.id).state for n in nights] == ["running", "running"]
        store.finish_nights(records)
        assert [other.night(n.id).state for n in nights] == ["done", "done"]
        assert other.record(nights[1].id) == records[nights[1].id]


# -- the service -----------------------------------------------------------------------------------


class GroupsAtOnce(Quick):
    """An executor whose nights are those of all cameras of a group, as `run_task`'s are."""

    def __init__(self, store: Store, config: Config) -> None:
        super().__init__(store)
        self._config = config

    def _run(self, task: Task) -> Outcome:
        for camera in night_of(self._config, task.camera).cameras:
            outcome = super()._run(replace(task, camera=camera))
        return outcome


def test_the_service_runs_a_group_s_night_once(tmp_path: Path) -> None:
    plain = config_of(tmp_path, ("north", "south", "hall"))
    same = {name: camera.changed(schedule="02:00") for name, camera in plain.cameras.items()}
    config = plain.changed(cameras=same, groups={"entrance": ("north", "south")})
    with (
        time_machine.travel(datetime(2026, 11, 20, 0, 59, 50, tzinfo=UTC), tick=False) as clock,
        Store(tmp_path) as store,
    ):
        executor = GroupsAtOnce(store, config)
        nights = service_of(config, store, executor)
        for _ in range(60):
            clock.shift(1)
            nights.tick()
        nights.stop()
        assert sorted(n.camera for n in store.nights()) == ["hall", "north", "south"]
        assert {due.state for due in store.dues.all()} == {"done"}
        assert len(executor.begun) == 2


def test_the_pages_have_the_group_s_report(tmp_path: Path) -> None:
    config = config_of(tmp_path, ("north", "south"), port=0).changed(
        groups={"entrance": ("north", "south")}
    )
    with Store(tmp_path) as store:
        night = store.open_night("north", DAY)
        store.finish_night(night.id, night_record("north", night.run_id))
        records = [night_record("north"), night_record("south")]
        write_group_page(
            config.report_dir("entrance", night.run_id), GroupPage.of("entrance", records)
        )
        figures = registry(CullingCollector(store, tmp_path, lambda: None))
        pages = Pages(House(config, store, figures))
        pages.start()
        try:
            path = f"reports/entrance/{night.run_id}/index.html"
            with urlopen(pages.address) as answer:
                assert f'href="{path}"' in answer.read().decode()
            with urlopen(pages.address + path) as answer:
                assert "Camera by camera" in answer.read().decode()
        finally:
            pages.close()


# -- the page, and whose night it is ---------------------------------------------------------------


def test_the_page_has_a_line_for_each_camera(tmp_path: Path) -> None:
    records = [night_record("north"), unusable_night("south")]
    page = write_group_page(tmp_path / "entrance", GroupPage.of("entrance", records))
    text = page.read_text(encoding="utf-8")
    assert "New model in use on 1 camera" in text
    assert 'href="../../north/2026-11-21/index.html"' in text
    assert "left out: the lens was covered" in text
    nothing = GroupPage.of("entrance", [unusable_night("south")])
    assert "no camera of the group was fit to train" in nothing.headline


def test_whose_night_it_is() -> None:
    cameras = {
        name: CameraConfig(name=name, source="a.mp4", classes=["person"])  # type: ignore[arg-type]
        for name in ("north", "south", "hall")
    }
    config = Config(cameras=cameras, groups={"entrance": ("north", "south")})
    assert night_of(config, "south").name == night_of(config, "north").name == "entrance"
    assert night_of(config, "south").cameras == ("north", "south")
    assert (night_of(config, "hall").name, night_of(config, "hall").cameras) == ("hall", ("hall",))
