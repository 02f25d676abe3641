"""How long tasks on the pages take: a keystroke-level model of a person, plus the measured waiting
for the pages in a real browser. It is no person.

    python -m benchmarks.pages_tasks               one minute; needs Debian's chromium
    python -m benchmarks.pages_tasks --repeats 1   a try

The model (Card, Moran and Newell): a key 0.28 s, pointing 1.1 s, pressing and releasing the mouse
0.2 s, a hand between mouse and keyboard 0.4 s, and 1.35 s to think before each step that is a
decision of its own. Reading is in it only as that thinking. The hand begins at the mouse. Waiting
is from the key or click until the next page is there with its scripts; nobody looks ahead
meanwhile.

Checking 60 frames: one glance (1.35 s) and `Enter` a frame, and in every fifth one box is struck
out. How long looking at a frame takes depends on the frame, so `left_s` says how long it may take
on average within five minutes. Writes benchmarks/results/pages_tasks.json and pages_tasks.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Locator, Page, sync_playwright
from prometheus_client import CollectorRegistry

from benchmarks.book import Row, markdown
from benchmarks.testbed.done_night import CAMERA, AfterNight, make_night
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.pages.house import House, Source
from jobs.pages.pages import Pages
from models.registry import ModelRegistry

RESULTS = Path(__file__).parent / "results"
KEY_S, POINT_S, PRESS_S, HOME_S, THINK_S = 0.28, 1.1, 0.2, 0.4, 1.35
FIVE_MINUTES_S = 300.0
EVERY = 5
"""In one frame of so many a box is struck out."""


@dataclass
class Person:
    """Acts on a page; adds up what the model says and what was waited."""

    page: Page
    model_s: float = 0.0
    waits_s: list[float] = field(default_factory=list)
    clicks: int = 0
    keys: int = 0
    _at_keyboard: bool = False

    def think(self) -> None:
        """Before a step that is a decision."""
        self.model_s += THINK_S

    def open(self, address: str) -> None:
        """The first page, from a bookmark: only the waiting counts."""
        began_s = time.perf_counter()
        self.page.goto(address)
        self.waits_s.append(time.perf_counter() - began_s)

    def click(self, what: Locator, *, leads_on: bool = True) -> None:
        """Point at it and click."""
        self._home(keyboard=False)
        self.model_s += POINT_S + PRESS_S
        self.clicks += 1
        self._act(what.click, leads_on=leads_on)

    def click_at(self, x: float, y: float) -> None:
        """Point at a place of the page and click."""
        self._home(keyboard=False)
        self.model_s += POINT_S + PRESS_S
        self.clicks += 1
        self.page.mouse.click(x, y)

    def press(self, key: str, *, leads_on: bool = False) -> None:
        """Press a key."""
        self._home(keyboard=True)
        self.model_s += KEY_S
        self.keys += 1
        self._act(lambda: self.page.keyboard.press(key), leads_on=leads_on)

    def row(self, task: str) -> Row:
        """What it took."""
        waited_s = sum(self.waits_s)
        return {
            "task": task,
            "clicks": self.clicks,
            "keys": self.keys,
            "model_s": round(self.model_s, 2),
            "waited_s": round(waited_s, 2),
            "longest_wait_s": round(max(self.waits_s), 2),
            "seconds": round(self.model_s + waited_s, 1),
        }

    def _home(self, *, keyboard: bool) -> None:
        if self._at_keyboard != keyboard:
            self.model_s += HOME_S
            self._at_keyboard = keyboard

    def _act(self, act: Callable[[], object], *, leads_on: bool) -> None:
        if not leads_on:
            act()
            return
        began_s = time.perf_counter()
        with self.page.expect_navigation():
            act()
        self.waits_s.append(time.perf_counter() - began_s)


def worst_camera(person: Person) -> None:
    """It is the first card."""
    person.think()


def why_rejected(person: Person) -> None:
    """The night on the camera's card says it in its first sentence."""
    person.think()
    person.click(person.page.locator(".card.camera").first.get_by_role("link", name="night"))
    person.think()


def of_the_camera(person: Person, link: str) -> None:
    """The camera's page, and there this link."""
    for name in (CAMERA, link):
        person.think()
        person.click(person.page.get_by_role("link", name=name, exact=True))


def fix_a_label(person: Person) -> None:
    """The second box of the first frame is wrong."""
    of_the_camera(person, "Check labels")
    person.think()
    person.press("Space")
    person.press("x")
    person.press("Enter", leads_on=True)


def mask_a_window(person: Person) -> None:
    """Four corners by mouse."""
    page = person.page
    of_the_camera(person, "Masks and zones")
    area = page.locator(".canvas").bounding_box()
    assert area is not None
    person.think()
    for x, y in ((0.1, 0.1), (0.3, 0.1), (0.3, 0.3), (0.1, 0.3)):
        person.click_at(area["x"] + x * area["width"], area["y"] + y * area["height"])
    person.press("Enter")
    person.think()
    person.click(page.get_by_role("button", name="Save"))


def back_a_version(person: Person) -> None:
    """The version before; asked once more."""
    page = person.page
    of_the_camera(person, "Versions")
    person.think()
    person.click(page.get_by_role("link", name="Use newer"))
    person.think()
    person.click(page.get_by_role("button", name="Yes, use newer"))


TASKS: dict[str, Callable[[Person], None]] = {
    "find the worst camera": worst_camera,
    "why was last night rejected": why_rejected,
    "fix a label": fix_a_label,
    "mask a window": mask_a_window,
    "go back a version": back_a_version,
}


@contextmanager
def site(folder: Path) -> Iterator[str]:
    """The pages of a camera after a night of sixty frames, with a version beside the one in use."""
    night: AfterNight = make_night(folder, compared=True, many=True)
    models = ModelRegistry(night.config.models_root)
    shutil.copytree(models.path(CAMERA, "start"), models.path(CAMERA, "newer"))
    config = load_config(night.path)
    config = config.changed(service=config.service.changed(port=0))
    with Store(config.data_dir) as store:
        pages = Pages(House(config, store, CollectorRegistry(), source=Source(night.path)))
        pages.start()
        yield pages.address
        pages.close()


def check_frames(page: Page, address: str) -> Row:
    """All frames of a sitting, from its page on; every fifth has a box that is wrong."""
    person = Person(page)
    person.open(f"{address}camera/{CAMERA}/labels")
    frames = struck = 0
    while page.locator(".editor").count():
        person.think()
        if frames % EVERY == 0 and page.locator("rect.teacher").count():
            person.think()
            person.press("Space")
            person.press("x")
            struck += 1
        person.press("Enter", leads_on=True)
        frames += 1
    row = person.row(f"check {frames} frames")
    acting_s = row["model_s"] - frames * THINK_S
    left_s = (FIVE_MINUTES_S - acting_s - row["waited_s"]) / frames
    return {**row, "struck": struck, "left_s": round(left_s, 2)}


def run_all(browser: Browser, repeats: int) -> list[Row]:
    """Each task from the first page, on a site of its own for each repeat; medians."""
    rows: dict[str, list[Row]] = {}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as address:
            for task, do in TASKS.items():
                context = browser.new_context(viewport={"width": 1280, "height": 900})
                person = Person(context.new_page())
                person.open(address)
                do(person)
                rows.setdefault(task, []).append(person.row(task))
                context.close()
    with tempfile.TemporaryDirectory() as folder, site(Path(folder)) as address:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        rows["frames"] = [check_frames(page, address)]
    return [_median(of) for of in rows.values()]


def _median(rows: list[Row]) -> Row:
    waited = ("waited_s", "longest_wait_s", "seconds")
    return {**rows[0], **{key: round(median(row[key] for row in rows), 2) for key in waited}}


def main() -> None:
    """Do all tasks, write what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    args.results.mkdir(exist_ok=True)
    with sync_playwright() as play:
        path = shutil.which("chromium")
        browser = play.chromium.launch(executable_path=path, args=["--no-sandbox"])
        rows = run_all(browser, args.repeats)
        browser.close()
    model = {
        "key_s": KEY_S, "point_s": POINT_S, "press_s": PRESS_S, "home_s": HOME_S,
        "think_s": THINK_S,
    }  # fmt: skip
    result = {"model": model, "repeats": args.repeats, "tasks": rows}
    (args.results / "pages_tasks.json").write_text(json.dumps(result, indent=1) + "\n")
    text = markdown(rows, number=".2f")
    (args.results / "pages_tasks.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
