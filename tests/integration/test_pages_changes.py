"""What a person changes, in a real browser: labels, a mask, a version, a camera, a night."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect
from prometheus_client import CollectorRegistry

from benchmarks.testbed.done_night import CAMERA, AfterNight, make_night
from culling_pipeline.labels.corrections import load_corrections
from jobs.cameras.task import task_of
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.exports.checking import Box, sitting
from jobs.pages.house import House, Source
from jobs.pages.pages import Pages
from models.registry import ModelRegistry
from tests.integration.browsing import chromium, patient

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@dataclass
class Site:
    """The pages of a camera after its night, and an open browser."""

    night: AfterNight
    store: Store
    address: str
    page: Page

    def open(self, path: str) -> None:
        self.page.goto(self.address + path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> AfterNight:
    night = make_night(tmp_path_factory.mktemp("night"), compared=True)
    models = ModelRegistry(night.config.models_root)
    shutil.copytree(models.path(CAMERA, "start"), models.path(CAMERA, "newer"))
    return night


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(made: AfterNight, browser: Browser) -> Iterator[Site]:
    with served(made, browser) as site:
        yield site


@pytest.fixture
def counting(tmp_path: Path, browser: Browser) -> Iterator[Site]:
    """The pages of a camera that counts."""
    with served(make_night(tmp_path, task="count", compared=True), browser) as site:
        yield site


@contextmanager
def served(made: AfterNight, browser: Browser) -> Iterator[Site]:
    config = load_config(made.path)
    config = config.changed(service=config.service.changed(port=0))
    with Store(config.data_dir) as store:
        pages = Pages(House(config, store, CollectorRegistry(), source=Source(made.path)))
        pages.start()
        page = patient(browser.new_page())
        wrong: list[str] = []
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        yield Site(made, store, pages.address, page)
        page.close()
        pages.close()
    assert wrong == [], "the scripts fail, or the browser refuses what they do"


def test_three_labels_are_corrected_by_keyboard(site: Site) -> None:
    page = site.page
    site.open(f"camera/{CAMERA}/labels")
    for keys in (["Space", "x"], ["Space", "Space", "3"], ["1", "a", "Shift+ArrowRight"]):
        before = page.locator(".place b").inner_text()
        for key in keys:
            page.keyboard.press(key)
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.locator("main")).not_to_contain_text(before)
    expect(page.locator("main")).to_contain_text("All 3 frames of night")
    frames = load_corrections(site.night.config.corrections_dir(CAMERA)).frames
    assert len(frames) == 3
    assert "bicycle" in {name for frame in frames for name in frame.classes}
    expect(page.locator(".lead")).to_contain_text("The teacher was right in")


def test_a_box_is_drawn_and_moved_by_mouse(site: Site) -> None:
    page, folder = site.page, site.night.config.corrections_dir(CAMERA)
    before = {frame.frame_id: frame for frame in load_corrections(folder).frames}
    with page.expect_navigation():
        page.get_by_text("Look at them again").click()
    frame = int(page.locator("input[name=frame]").input_value())
    area = page.locator(".canvas").bounding_box()
    assert area is not None
    at = [(area["x"] + x * area["width"], area["y"] + y * area["height"])
          for x, y in ((0.02, 0.02), (0.12, 0.22), (0.07, 0.12), (0.17, 0.12))]  # fmt: skip
    for start, end in ((at[0], at[1]), (at[2], at[3])):
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(*end, steps=3)
        page.mouse.up()
    with page.expect_navigation():
        page.get_by_role("button", name="Save, next frame").click()
    after = {frame.frame_id: frame for frame in load_corrections(folder).frames}[frame]
    assert len(after.classes) == len(before[frame].classes) + 1
    shares = [edge / 160 for edge in after.boxes_xyxy[-1][::2]]
    assert shares == pytest.approx([0.12, 0.22], abs=0.02)


def test_a_point_is_marked_wrong_one_moved_and_one_drawn_and_a_night_reads_them(
    counting: Site,
) -> None:
    page, config = counting.page, counting.night.config
    counting.open(f"camera/{CAMERA}/labels")
    frame = int(page.locator("input[name=frame]").input_value())
    with Store(config.data_dir) as store:
        seen = sitting(config, CAMERA, store)
    teacher = middles(label.box_xyxy for label in seen.at(seen.run_id, frame).labels)
    assert len(teacher) > 3
    expect(page.locator(".canvas circle.box")).to_have_count(len(teacher))
    for key in ("Space", "x", "Space", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(".status")).to_contain_text(f"point 2 of {len(teacher)}: person")
    moved = teacher[1][0] + 2, teacher[1][1] + 1
    at = free_place([*teacher, moved])
    area = page.locator(".canvas").bounding_box()
    assert area is not None
    page.mouse.click(
        area["x"] + at[0] / 160 * area["width"], area["y"] + at[1] / 96 * area["height"]
    )
    expect(page.locator(".canvas circle.box")).to_have_count(len(teacher) + 1)
    with page.expect_navigation():
        page.get_by_role("button", name="Save, next frame").click()
    corrections = load_corrections(config.corrections_dir(CAMERA))
    (stored,) = [f for f in seen.frames if f.frame.id == frame]
    truths = corrections.truths_of([stored.frame], task_of(config.cameras[CAMERA]))
    found = sorted(map(tuple, truths[frame].points.tolist()))
    assert np.array(found) == pytest.approx(np.array(sorted([moved, *teacher[2:], at])), abs=0.6)
    trained = corrections.to_train_on(("person",), beside=[], control=[], gap_s=0, most=9)
    assert [f.frame_id for f in trained] == [frame]


def test_a_point_at_the_edge_stays_where_it_is_set(counting: Site) -> None:
    page, config = counting.page, counting.night.config
    counting.open(f"camera/{CAMERA}/labels")
    frame = int(page.locator("input[name=frame]").input_value())
    area = page.locator(".canvas").bounding_box()
    assert area is not None
    for x, keys in ((0.6, ()), (6.0, ["ArrowRight", *["ArrowLeft"] * 6])):
        with Store(config.data_dir) as store:
            seen = sitting(config, CAMERA, store)
        teacher = middles(label.box_xyxy for label in seen.at(seen.run_id, frame).labels)
        y = max(range(40, 90, 2), key=lambda y: min(np.hypot(x - a, y - b) for a, b in teacher))
        page.mouse.click(area["x"] + x / 160 * area["width"], area["y"] + y / 96 * area["height"])
        for key in keys:
            page.keyboard.press(key)
    with page.expect_navigation():
        page.get_by_role("button", name="Save, next frame").click()
    corrections = load_corrections(config.corrections_dir(CAMERA))
    (corrected,) = [f for f in corrections.frames if f.frame_id == frame]
    drawn, moved = middles(corrected.boxes_xyxy)[-2:]
    assert (drawn[0], moved[0]) == pytest.approx((0.6, 1.0), abs=0.3)


def middles(boxes: Iterable[Box]) -> list[tuple[float, float]]:
    return [((x1 + x2) / 2, (y1 + y2) / 2) for x1, y1, x2, y2 in boxes]


def free_place(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The place of a picture of 160×96 pixels, on a grid, that is the furthest from all points."""
    grid = [(x, y) for x in range(12, 150, 6) for y in range(12, 86, 6)]
    return max(grid, key=lambda at: min(np.hypot(at[0] - x, at[1] - y) for x, y in points))


def test_a_mask_is_drawn_by_mouse_and_a_zone_by_keyboard(site: Site) -> None:
    page = site.page
    site.open(f"camera/{CAMERA}/masks")
    area = page.locator(".canvas").bounding_box()
    assert area is not None
    for x, y in ((0.1, 0.1), (0.4, 0.1), (0.4, 0.5)):
        page.mouse.click(area["x"] + x * area["width"], area["y"] + y * area["height"])
    page.keyboard.press("Enter")
    page.get_by_label("Ignore zones").first.check()
    page.locator(".canvas").focus()
    for key in ("Space", *["ArrowRight"] * 5, "Space", *["ArrowDown"] * 5, "Space", "Enter"):
        page.keyboard.press(key)
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main")).to_contain_text("Saved into config.yaml")
    camera = yaml.safe_load(site.night.path.read_text(encoding="utf-8"))["cameras"][CAMERA]
    (corners,) = camera["mask"]
    assert [v for corner in corners for v in corner] == pytest.approx(
        [0.1, 0.1, 0.4, 0.1, 0.4, 0.5], abs=0.01
    )
    assert len(camera["ignore_zones"][0]) == 3


def test_back_a_version_and_undone(site: Site) -> None:
    page, models = site.page, ModelRegistry(site.night.config.models_root)
    site.open(f"camera/{CAMERA}/versions")
    page.get_by_role("link", name="Use newer").click()
    page.get_by_role("button", name="Yes, use newer").click()
    expect(page.locator(".done")).to_contain_text("newer is in use now")
    assert models.incumbent(CAMERA) == "newer"
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile("undone"))
    assert models.incumbent(CAMERA) == "start"


COLOURED = """image => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const drawn = canvas.getContext("2d");
  drawn.drawImage(image, 0, 0);
  const {data} = drawn.getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let k = 0; k < data.length; k += 4) {
    const rgb = data.slice(k, k + 3);
    if (Math.max(...rgb) - Math.min(...rgb) > 80) count += 1;
  }
  return count;
}"""
"""How many pixels of a picture are coloured: the street is grey at night, the boxes are not."""


def test_a_camera_is_added_with_its_teachers_boxes_in_sight(site: Site) -> None:
    page = site.page

    def look_at(address: str) -> None:
        site.open("add")
        page.get_by_label("Name").fill("gate")
        page.get_by_label("Address").fill(address)
        page.get_by_role("button", name="Look at it").click()

    look_at("synthetic://street?seed=5&hours=24&width=640&height=384")
    expect(page.locator("h1")).to_have_text("Is this what it should see?")
    expect(page.locator("figcaption")).to_contain_text("The teacher finds 1 car.")
    picture = page.locator(".tried img")
    expect(picture).to_have_js_property("naturalWidth", 640)
    assert picture.evaluate(COLOURED) > 300
    page.get_by_label("bicycle").uncheck()
    page.get_by_label("person").check()
    page.get_by_role("button", name="Add gate").click()
    expect(page.locator("h1")).to_have_text("gate is added")
    assert set(load_config(site.night.path).cameras["gate"].class_names) == {"person", "car"}


def test_a_night_is_asked_for(site: Site) -> None:
    page = site.page
    site.open(f"camera/{CAMERA}")
    page.get_by_role("button", name="Retrain now").click()
    expect(page.locator("h1")).to_have_text("Its night waits")
    assert [due.camera for due in site.store.dues.waiting()] == [CAMERA]
