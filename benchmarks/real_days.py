"""Nights that follow each other on real days: trained on the day that ended, measured on the next.

    python -m benchmarks.real_days DATA building_site checkpoint_2701 --seeds 0 1

DATA is a folder with `days/` and `weights/` (people are visible in it, so it is not part of the
project). Resumable: every finished night of an arm and seed is a row of
benchmarks/results/real_days.json, and is not run again; real_days.md and real_days.svg beside it
are made from the rows. `--pages` only makes them. Run it with `nice`: hours on two cores.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book, Row
from benchmarks.real_days_arms import ARMS, Arm, Budget, Seconds
from benchmarks.real_days_figures import chosen_figures, figures, ranks, teacher_ranks
from benchmarks.real_days_pages import write_pages
from benchmarks.real_days_places import CACHE, PLACES, Scene, label_s, open_scene
from benchmarks.real_days_students import Students
from models.boxes.detections import Detections
from models.boxes.detector import TorchDetector

RESULTS = Path(__file__).parent / "results"
BOOK = RESULTS / "real_days.json"
KEYS = ("camera", "course", "day", "arm", "seed")
FIRST_TEST = 3
"""Days on which a first night is measured."""
MAIN = ("nightly", "lottery", "memory", "nightly and memory")
FIRST_ARMS = ("lottery", "nightly", "confident", "half", "diverse", "disagreeing", "everything")
FROM_BEFORE = ("memory", "nightly and memory", "novel")
"""Choices that depend on what was chosen on earlier days."""
FULL_SHOWN = 9
"""How often full training shows each picture: what the recipe's twelve epochs come to."""


@dataclass
class Days:
    """The courses of one place and seed: each finished night of an arm is a row of the book."""

    scene: Scene
    students: Students
    seconds: Seconds
    book: Book

    # -- the courses -------------------------------------------------------------------------------

    def nights(self, arms: Sequence[str]) -> None:
        """Day after day, each arm's night: trained on the day, measured on the next."""
        begin = self.scene.place.start_days
        for number in range(begin, len(self.scene.days)):
            day = self.scene.days[number]
            self._once_a_day("today", day, self.students.start)
            self._once_a_day("once", day, self.students.once)
            self._teacher(day)
            for arm in arms:
                if arm in ARMS and number > begin:
                    self._night(arm, number)
            if number in self.scene.place.full_before and "full" in arms:
                self._once_a_day("full", day, partial(self._full, number))

    def first(self, arms: Sequence[str]) -> None:
        """A first night of the untrained student, with some days to choose from."""
        days, place = self.scene.days, self.scene.place
        if place.first is None:
            return
        pool = self.scene.rows_of(days[: place.first_days])
        test = self.scene.rows_of(days[place.first_days : place.first_days + FIRST_TEST])
        for name in arms:
            named = self._named("first", days[place.first_days], name)
            if not self.book.has(**named):
                student = self.students.start()
                spent = self._train(student, ARMS[name], pool, place.first, ())
                self._note(named, self.students.answers(student, test), test, spent)

    def choices(self, name: str, student: Callable[[], TorchDetector], days: Sequence[str]) -> None:
        """What each strategy would choose on these days for this student, without any training."""
        course, first = f"choices, {name}", days[0]
        if self.book.has(**self._named(course, first, "everything")):
            return
        chosen: dict[str, list[int]] = {arm: [] for arm in ARMS if arm not in FROM_BEFORE}
        opened, said = student(), []
        for day in days:
            pool = self.scene.rows_of([day])
            said += (answers := self.students.answers(opened, pool))
            for arm, rows in chosen.items():
                budget = self.scene.place.night
                rows += self.students.choose(ARMS[arm], pool, said=answers, share=budget)
        ranks_of = teacher_ranks(self.scene, said, self.scene.rows_of(days))
        for arm, rows in chosen.items():
            figures_of = chosen_figures(self.scene, rows)
            self.book.add({**self._named(course, first, arm), **figures_of, **ranks_of})

    def _night(self, name: str, number: int) -> None:
        day = self.scene.days[number]
        named = self._named("nights", day, name)
        if not self.book.has(**named):
            student, spent = self._trained(name, number)
            test = self.scene.rows_of([day])
            self._note(named, self.students.answers(student, test), test, spent)

    def _once_a_day(self, name: str, day: str, student: Callable[[], TorchDetector]) -> None:
        """A student that no night has changed, measured on a day."""
        named = self._named("nights", day, name)
        if not self.book.has(**named):
            test = self.scene.rows_of([day])
            self._note(named, self.students.answers(student(), test), test, {})

    def _teacher(self, day: str) -> None:
        named = self._named("nights", day, "teacher")
        if self.scene.place.windows and not self.book.has(**named):
            test = self.scene.rows_of([day])
            self._note(named, self.scene.teacher(test.tolist()), test, {})

    def _named(self, course: str, day: str, arm: str) -> Row:
        values = (self.scene.place.name, course, day, arm, self.students.seed)
        return dict(zip(KEYS, values, strict=True))

    # -- one training ------------------------------------------------------------------------------

    def _train(
        self,
        student: TorchDetector,
        arm: Arm,
        pool: NDArray[np.int64],
        budget: Budget,
        known: Sequence[int],
    ) -> Row:
        """Choose from the pool, label, train in place; what was chosen and what it cost."""
        share = budget.of_arm(arm, len(pool), self.seconds)
        said = self.students.answers(student, pool) if arm.looks else []
        chosen = self.students.choose(arm, pool, said=said, share=share, known=known)
        rng = np.random.default_rng([self.students.seed, 67, int(pool[0])])
        again = rng.permutation(list(known))[: len(chosen)].tolist() if arm.replay else []
        images = self.students.fit(student, chosen + again, share.images)
        counts = {
            "looks": len(pool) if arm.looks else 0,
            "labels": len(pool) if arm.labels_all else len(chosen),
            "images": images,
        }
        return {
            **counts,
            "cost_s": self.seconds.cost(**counts),
            **chosen_figures(self.scene, chosen),
            "chosen": " ".join(map(str, chosen)),
        }

    def _full(self, number: int) -> TorchDetector:
        """Trained from the start on everything before day `number`."""
        rows = self.scene.rows_of(self.scene.days[:number]).tolist()
        student = self.students.start()
        self.students.fit(student, rows, FULL_SHOWN * len(rows))
        return student

    def _known(self, name: str, number: int) -> list[int]:
        """What the arm's student has been trained on before this night."""
        days = self.scene.days
        begin = self.scene.place.start_days
        rows: list[int] = self.scene.rows_of(days[:begin]).tolist()
        mine = [self._named("nights", day, name) for day in days[begin + 1 : number]]
        for row in self.book.rows:
            if {key: row[key] for key in KEYS} in mine:
                rows += [int(i) for i in str(row["chosen"]).split()]
        return rows

    def _student(self, name: str, number: int) -> TorchDetector:
        """The arm's student after the night before day `number`; the one set up before the first
        night. Where the cache was cleaned, the nights are run again."""
        if number <= self.scene.place.start_days:
            return self.students.once()
        stored = self.students.stored(name, number)
        return stored or self._trained(name, number)[0]

    def _trained(self, name: str, number: int) -> tuple[TorchDetector, Row]:
        before = self._student(name, number - 1)
        pool = self.scene.rows_of([self.scene.days[number - 1]])
        budget = self.scene.place.night
        spent = self._train(before, ARMS[name], pool, budget, self._known(name, number))
        self.students.keep(name, number, before)
        return before, spent

    def _note(
        self, named: Row, said: Sequence[Detections], test: NDArray[np.int64], spent: Row
    ) -> None:
        row = {**named, **figures(self.scene, said, test), **ranks(self.scene, said, test), **spent}
        self.book.add(row)
        shown = " ".join(str(named[key]) for key in KEYS)
        print(f"{time.strftime('%H:%M')} {shown}: {row['map50']:.3f}", flush=True)


def seconds_of(students: Students) -> Seconds:
    """CPU seconds of a look, a label and a training image here, measured once."""
    scene = students.scene
    path = CACHE / f"{scene.place.name}-seconds.json"
    if not path.exists():
        rows = scene.rows_of(scene.days[:1])[:16]
        student = students.start()
        students.answers(student, rows[:2])
        began = time.process_time()
        students.answers(student, rows)
        look = (time.process_time() - began) / len(rows)
        began = time.process_time()
        images = students.fit(student, rows.tolist(), 96)
        image = (time.process_time() - began) / images
        path.write_text(json.dumps([look, label_s(scene), image]))
    return Seconds(*json.loads(path.read_text()))


def run(scene: Scene, seed: int, book: Book, pages: Path, *, main_only: bool = False) -> None:
    """All nights of a place and seed that the book does not have yet, the most wanted first."""
    students = Students(scene, seed)
    days = Days(scene, students, seconds_of(students), book)
    first = scene.place.start_days
    days.choices("untrained", students.start, scene.days[: first + 1])
    days.choices("set up", students.once, scene.days[first : first + 3])
    days.nights(MAIN)
    write_pages(book.rows, pages)
    if main_only:
        return
    days.first(FIRST_ARMS)
    write_pages(book.rows, pages)
    days.nights([*(name for name in ARMS if name not in MAIN), "full"])
    write_pages(book.rows, pages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("places", nargs="+", choices=list(PLACES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--main", action="store_true", help=f"only the nights of {', '.join(MAIN)}")
    parser.add_argument("--pages", action="store_true", help="only the table and the picture")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    RESULTS.mkdir(exist_ok=True)
    book = Book(BOOK, KEYS)
    if not args.pages:
        scenes = [open_scene(args.data, PLACES[name]) for name in args.places]
        for seed in args.seeds:
            for scene in scenes:
                run(scene, seed, book, RESULTS, main_only=args.main)
    write_pages(book.rows, RESULTS)


if __name__ == "__main__":
    main()
