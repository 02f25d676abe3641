"""What the pages show: cameras by what they need, a camera, a night, the machine; and that they
need little for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import urlopen

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from benchmarks.testbed.nights import config_of
from benchmarks.testbed.small_night import START, night_record, unusable_night
from culling_pipeline.night.files import NEW_FILE, OLD_FILE, TEACHER_FILE
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.judging import ControlFrame, Errors
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import AnyNight, NightRecord
from culling_pipeline.tasks.boxes.answer_files import save_detections
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.pages.cameras import A_PAGE
from jobs.pages.house import House
from jobs.pages.pages import Pages
from jobs.pages.pictures import CACHE_BYTES, Thumbnails
from tests.unit.stores import Where
from tests.unit.test_frame_by_frame import boxes

RUN = "2026-11-21"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Where(tmp_path).open() as store:
        yield store


class Site:
    """Pages at work, asked by their paths."""

    def __init__(self, pages: Pages) -> None:
        self.address = pages.address

    def get(self, path: str) -> str:
        with urlopen(self.address + path, timeout=60) as answer:
            return str(answer.read().decode(errors="replace"))

    def status(self, path: str) -> int:
        try:
            self.get(path)
        except HTTPError as error:
            error.close()
            return error.code
        return 200


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_of(tmp_path, ("yard", "door"), port=0)


@pytest.fixture
def site(config: Config, store: Store) -> Iterator[Site]:
    pages = Pages(House(config, store, CollectorRegistry()))
    pages.start()
    yield Site(pages)
    pages.close()


def kept_frames(camera: str, run_id: str) -> NightRecord:
    """A night with three kept frames, one an hour: one agreed on, one missed, one invented."""
    usual = night_record(camera, run_id)
    frames = tuple(
        StoredFrame(
            id=k, path=f"{k:06d}.jpg", time_s=3600.0 * k, part=0, confidence_loss=1.0 + k,
            wall_time=START + timedelta(hours=k),
        )
        for k in range(3)
    )  # fmt: skip
    differ = (
        Disagreement(
            frame_id=0, teacher_objects=1, missed=0, invented=0, average_precision=1.0,
            found_labels=(0,),
        ),
        Disagreement(
            frame_id=1, teacher_objects=1, missed=1, invented=0, average_precision=0.0,
            missed_labels=(0,),
        ),
        Disagreement(
            frame_id=2, teacher_objects=0, missed=0, invented=1, average_precision=0.0,
            invented_labels=(0,),
        ),
    )  # fmt: skip
    return usual.changed(
        source="rtsp://me:hunter2@192.0.2.1/",
        ingest=usual.ingest.changed(frames=frames),
        cull=usual.cull.changed(kept=(0, 1, 2), survivors=differ),
    )


def done(config: Config, store: Store, record: AnyNight) -> None:
    night = store.open_night(record.camera, date.fromisoformat(RUN), run_id=record.run_id)
    store.finish_night(night.id, record)
    folder = config.frames_dir(record.camera, record.run_id)
    folder.mkdir(parents=True, exist_ok=True)
    for frame in record.ingest.frames:
        cv2.imwrite(str(folder / frame.path), np.full((270, 480, 3), 40 * frame.id, np.uint8))


def test_what_needs_somebody_comes_first(config: Config, store: Store, site: Site) -> None:
    done(config, store, night_record("door"))
    store.fail_night(store.open_night("yard", date.fromisoformat(RUN)).id, "no labels")
    page = site.get("")
    assert page.index('href="camera/yard"') < page.index('href="camera/door"')
    assert "its last night failed: no labels" in page
    assert "<b>1</b> of them needs attention" in page


def test_a_thousand_cameras_are_a_page_at_a_time(tmp_path: Path, store: Store) -> None:
    names = tuple(f"cam-{k:04d}" for k in range(1000))
    pages = Pages(House(config_of(tmp_path, names, port=0), store, CollectorRegistry()))
    pages.start()
    site = Site(pages)
    try:
        first = site.get("")
        assert first.count('<li class="card') == A_PAGE
        assert len(first) < 100_000
        assert "Page 1 of 42" in first
        assert "cam-0024" in site.get("?page=2")
        assert "Page 42 of 42" in site.get("?page=999999")
        assert site.get("?q=M-0777").count('<li class="card') == 1
        assert "No camera fits" in site.get("?q=nobody")
        assert site.get("?show=promoted").count('<li class="card') == 0
    finally:
        pages.close()


def test_what_stands_in_names_runs_nowhere(site: Site) -> None:
    page = site.get("?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert "<script>alert" not in page
    assert site.status("?page=-1&show=%00&q=%ff") == 200


def test_a_camera_without_and_with_nights(config: Config, store: Store, site: Site) -> None:
    assert "No night yet" in site.get("camera/yard")
    done(config, store, kept_frames("yard", RUN))
    page = site.get("camera/yard")
    assert "0.500 → 0.500" in page
    assert "Europe/Berlin" in page
    assert f'href="../camera/yard/night/{RUN}?hour=23#gallery"' in page
    assert "A chart needs two nights" in page
    second = night_record("yard", "2026-11-22")
    done(config, store, second.changed(judge=second.judge.changed(promoted=False)))
    assert "<svg" in site.get("camera/yard")
    assert site.status("camera/nobody") == 404


def test_a_night_shows_its_kept_frames_by_hour_and_difference(
    config: Config, store: Store, site: Site
) -> None:
    done(config, store, kept_frames("yard", RUN))
    where = f"camera/yard/night/{RUN}"
    page = site.get(where)
    assert "hunter2" not in page
    assert "From a day of frames to the few worth learning" in page  # as the report says it
    assert "Europe/Berlin</dd>" in page  # when it was started
    assert "UTC" not in page
    assert page.count("data-large") == 3
    for query, found in (
        ("hour=23", 1), ("hour=05", 0), ("differs=missed", 1), ("differs=invented", 1),
        ("differs=agreed", 1), ("class=person", 3), ("class=person&differs=missed&hour=01", 0),
    ):  # fmt: skip
        assert site.get(f"{where}?{query}").count("data-large") == found, query
    assert site.status("camera/yard/night/2026-11-22") == 404
    assert site.status("camera/yard/night/..") == 404


def test_where_the_new_student_is_worse_is_said(config: Config, store: Store, site: Site) -> None:
    night = kept_frames("yard", RUN)
    after = night.judge.after.changed(per_class={"person": 0.25})
    done(config, store, night.changed(judge=night.judge.changed(after=after)))
    page = site.get(f"camera/yard/night/{RUN}")
    assert "where is it worse?" in page
    assert '0.50 → <span class="worse">0.25</span>' in page


def judged_frames(
    config: Config, store: Store, night: NightRecord | None = None, *, kept: tuple[int, ...] = (0,)
) -> NightRecord:
    """A night whose control slice is the frames 1 and 2, on one of which the new student is worse,
    with the answers beside the frames."""
    night = night or kept_frames("yard", RUN)
    frames = (
        ControlFrame(frame_id=1, before=Errors(found=(0,)), after=Errors(missed=(0,))),
        ControlFrame(frame_id=2, before=Errors(), after=Errors()),
    )
    night = night.changed(
        ingest=night.ingest.changed(control=(1, 2), width_px=480, height_px=270),
        cull=night.cull.changed(kept=kept),
        judge=night.judge.changed(frames=frames),
    )
    done(config, store, night)
    folder = config.frames_dir("yard", RUN)
    save_detections(folder / TEACHER_FILE, {0: boxes(0), 1: boxes(0), 2: boxes()})
    save_detections(folder / OLD_FILE, {1: boxes(0), 2: boxes()})
    save_detections(folder / NEW_FILE, {1: boxes(), 2: boxes()})
    return night


def test_a_night_shows_the_frames_that_the_new_student_lost(
    config: Config, store: Store, site: Site
) -> None:
    judged_frames(config, store)
    page = site.get(f"camera/yard/night/{RUN}")
    assert "On 1 of 2 control frames the new model makes more errors" in page
    assert page.count(f'class="shot" href="../../../camera/yard/night/{RUN}/frame/1"') == 2
    assert "new model: missed 1 person" in page
    (config.frames_dir("yard", RUN) / "000001.jpg").unlink()
    assert "new model: missed" not in site.get(f"camera/yard/night/{RUN}")


def test_a_frame_is_shown_with_all_answers_that_are_there(
    config: Config, store: Store, site: Site
) -> None:
    judged_frames(config, store)
    where = f"camera/yard/night/{RUN}/frame/"
    both = site.get(where + "1")
    assert "both agree: 1 object" in both  # the old model
    assert "missed 1 person" in both  # the new one
    assert (both.count("box teacher odd"), both.count('"box student"')) == (1, 1)
    assert 'rel="prev"' in both
    assert 'rel="next"' in both
    assert "2026-11-22 00:00:00 Europe/Berlin" in both
    alone = site.get(where + "0")  # a kept frame that no student has looked at
    assert "the teacher sees 1 object" in alone
    assert '"box teacher"' in alone
    assert "Neither model has answered this frame" in alone
    for wrong in ("3", "-1", "1x", "01", "..%2f1"):
        assert site.status(where + wrong) == 404, wrong


def test_a_frame_without_answers_is_still_shown(config: Config, store: Store, site: Site) -> None:
    done(config, store, kept_frames("yard", RUN))
    page = site.get(f"camera/yard/night/{RUN}/frame/1")
    assert "000001.jpg?w=960" in page
    assert "said of this frame is no longer here" in page


def test_the_day_of_a_camera_leads_to_its_frames(config: Config, store: Store, site: Site) -> None:
    night = judged_frames(config, store)
    page = site.get("camera/yard")
    for frame in night.ingest.frames:  # one an hour: a kept one, two of the control slice
        assert f'href="../camera/yard/night/{RUN}/frame/{frame.id}"' in page
    assert "1 kept" in page
    assert page.count("1 control") == 2
    assert f'href="../camera/yard/night/{RUN}?hour=23#gallery"' in page


def test_the_charts_of_a_camera_mark_the_days_without_training(
    config: Config, store: Store, site: Site
) -> None:
    for run_id in (RUN, "2026-11-22"):
        done(config, store, night_record("yard", run_id))
    assert "lens moved or covered" not in site.get("camera/yard")
    done(config, store, unusable_night("yard", "2026-11-23"))
    page = site.get("camera/yard")
    assert page.count('class="mark"') == 2  # the mark and its word, in the one chart there is
    assert "lens moved or covered" in page
    assert "not trained: the lens was covered, since 14:00" in page


def test_a_night_s_record_is_json_without_passwords(
    config: Config, store: Store, site: Site
) -> None:
    record = kept_frames("yard", RUN)
    done(config, store, record)
    text = site.get(f"camera/yard/night/{RUN}.json")
    assert "hunter2" not in text
    assert NightRecord.model_validate_json(text).cull == record.cull
    assert json.loads(text)["source"] == "rtsp://***@192.0.2.1/"


def test_a_night_that_is_not_done_says_so(store: Store, site: Site) -> None:
    night = store.open_night("yard", date.fromisoformat(RUN))
    page = site.get(f"camera/yard/night/{RUN}")
    assert "This night is running" in page
    assert "Europe/Berlin, attempt 1" in page
    assert site.status(f"camera/yard/night/{RUN}.json") == 404
    store.fail_night(night.id, "the disk is full")
    assert "the disk is full" in site.get(f"camera/yard/night/{RUN}")


def test_pictures_are_small_and_of_this_camera(config: Config, store: Store, site: Site) -> None:
    done(config, store, kept_frames("yard", RUN))
    (config.data_dir / "frames" / "000009.jpg").write_bytes(b"no picture")
    where = f"camera/yard/picture/{RUN}"
    with urlopen(f"{site.address}{where}/000001.jpg?w=240") as answer:
        image = cv2.imdecode(np.frombuffer(answer.read(), np.uint8), cv2.IMREAD_COLOR)
        assert "immutable" in answer.headers["Cache-Control"]
    assert image.shape == (135, 240, 3)
    for path in (
        f"{where}/000009.jpg", f"{where}/000001.jpg?w=99999", f"{where}/..%2f000009.jpg",
        "camera/yard/picture/../000009.jpg", "camera/yard/picture/day-../000001.jpg",
        f"camera/door/picture/{RUN}/000001.jpg", f"{where}/teacher.npz",
    ):  # fmt: skip
        assert site.status(path) == 404, path


def test_thumbnails_are_made_once_and_do_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def small(data: bytes, width: int) -> bytes:
        made.append(width)
        return bytes(CACHE_BYTES // 3)

    monkeypatch.setattr("jobs.pages.pictures._small", small)
    thumbnails = Thumbnails()
    for name in "1234":
        (tmp_path / name).touch()
    for name in ("1", "1", "2", "3", "4", "1"):
        thumbnails.get(tmp_path / name, 240)
    assert len(made) == 5  # the first one had to go
    assert thumbnails._bytes <= CACHE_BYTES


def test_the_system_shows_what_runs_and_waits(store: Store, site: Site) -> None:
    night = store.open_night("yard", date.fromisoformat(RUN))
    store.save_stage(night.id, "ingest", {})
    store.dues.ask("door", datetime(2026, 11, 21, tzinfo=UTC))
    store.audit.note("change from 127.0.0.1", "mask saved", camera="door")
    page = site.get("system")
    assert "1 of 10 stages, last: scoring" in page
    assert "1 queued" in page
    assert "mask saved, door" in page


def test_running_nights_come_as_events(
    store: Store, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.pages.system.EVERY_S", 0.01)
    store.open_night("yard", date.fromisoformat(RUN))
    events = site.get("system/events").split("\n\n")
    first = json.loads(events[0].removeprefix("data: "))
    assert (first[0]["camera"], first[0]["done"]) == ("yard", 0)


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found |= {given[key] or "" for key in ("href", "src") if key in given}
        if "style" in given or any(key.startswith("on") for key in given):
            self.inline.append(str(attrs))


@pytest.mark.parametrize(
    "path",
    [
        "",
        "camera/yard",
        f"camera/yard/night/{RUN}",
        f"camera/yard/night/{RUN}/frame/1",
        "system",
        "camera/door",
    ],
)
def test_every_link_leads_somewhere_and_nothing_is_inline(
    config: Config, store: Store, site: Site, path: str
) -> None:
    done(config, store, kept_frames("yard", RUN))
    links = _Links()
    links.feed(site.get(path))
    assert links.inline == []
    for link in links.found:
        if link.startswith(("#", "?")) or "metrics" in link:
            continue
        to = urljoin(site.address + path, link).removeprefix(site.address)
        assert site.status(to.partition("#")[0]) == 200, link
