"""benchmarks/real_days.py without footage: choices, budgets, the pages, and four days of noise."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from benchmarks.book import Book
from benchmarks.real_days import KEYS, run
from benchmarks.real_days_arms import ARMS, Budget, Seconds, View, confident, diverse, novel
from benchmarks.real_days_pages import against, write_pages
from benchmarks.real_days_places import Place, open_scene
from models.boxes.detections import Detections

SECONDS = Seconds(look=0.05, label=0.3, image=0.1)


def boxes(*scores: float) -> Detections:
    corners = [[10.0 * i, 0, 10.0 * i + 8, 8] for i in range(len(scores))]
    return Detections(
        np.array(corners, np.float32).reshape(-1, 4),
        np.array(scores, np.float32),
        np.zeros(len(scores), np.int64),
    )


def view(looks: list[float], scores: list[float]) -> View:
    """Frames an hour apart that look like one number and hold one object of a score."""
    return View(
        times_s=3600.0 * np.arange(len(looks)),
        student=[boxes(score) for score in scores],
        looks=np.array(looks, np.float32)[:, None],
        known=np.zeros((0, 1), np.float32),
        labels=[boxes(1.0, 1.0) for _ in looks],
        n_classes=1,
    )


@pytest.mark.parametrize("name", ARMS)
def test_each_arm_chooses_different_frames_within_its_budget(name: str) -> None:
    rng = np.random.default_rng(5)
    day = view(rng.random(20).tolist(), rng.random(20).tolist())
    chosen = ARMS[name].choose(day, 6, np.random.default_rng(1))
    assert len(set(chosen)) == 6
    assert set(chosen) <= set(range(20))
    assert len(ARMS[name].choose(day, 40, np.random.default_rng(1))) == 20


def test_diverse_takes_one_of_each_kind_and_novel_what_is_not_known() -> None:
    day = view([0.0, 0.1, 5.0, 5.1, 9.0, 9.1], [0.5] * 6)
    rng = np.random.default_rng(0)
    assert [round(i / 2 - 0.1) for i in diverse(day, 3, rng)] == [0, 1, 2]
    knowing = replace(day, known=np.array([[0.0], [9.0]], np.float32))
    assert set(novel(knowing, 1, rng)) <= {2, 3}


def test_confident_takes_from_the_surest() -> None:
    day = view([0.0, 1.0, 2.0, 3.0], [0.9, 0.3, 0.95, 0.4])
    assert confident(day, 1, np.random.default_rng(0)) in [(0,), (2,)]


def test_who_does_not_look_gets_the_looks_back_and_no_more() -> None:
    budget, frames = Budget(16, 256), 86_400
    looking = SECONDS.cost(looks=frames, labels=budget.labels, images=budget.images)
    share = budget.of_arm(ARMS["lottery"], frames, SECONDS)
    spent = SECONDS.cost(looks=0, labels=share.labels, images=share.images)
    assert spent == pytest.approx(looking, rel=0.01)
    assert budget.of_arm(ARMS["nightly"], frames, SECONDS) == budget
    assert budget.of_arm(ARMS["lottery"], 20, SECONDS).labels <= 20


def row(day: str, arm: str, figure: float) -> dict[str, Any]:
    keys = ("map50_day", "map50_night", "map", "map50_teacher")
    return {
        "camera": "yard", "course": "nights", "day": day, "arm": arm, "seed": 0,
        "map50": figure, **dict.fromkeys(keys, figure), "errors": 1.0,
    }  # fmt: skip


def test_differences_are_paired_by_day() -> None:
    rows = [row("1", "lottery", 0.1), row("2", "lottery", 0.5), row("2", "nightly", 0.6)]
    assert against(rows, "nightly", "lottery") == "+10.0"
    rows.append(row("1", "nightly", 0.3))
    assert str(against(rows, "nightly", "lottery")).startswith("+15.0 ± ")
    assert against(rows, "lottery", "lottery") is None


def test_the_pages_have_each_day_and_arm(tmp_path: Path) -> None:
    rows = [row(day, arm, 0.25) for day in ("1", "2") for arm in ("once", "lottery", "full")]
    write_pages(rows, tmp_path)
    table = (tmp_path / "real_days.md").read_text()
    assert "| 1 | 0.250 | 0.250 | 0.250 |" in table
    assert (tmp_path / "real_days.svg").read_text().count("<circle") == 2 + 1


DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")


def four_days(data: Path) -> Place:
    """A place of four days with six noisy pictures each, a box in every one."""
    rng = np.random.default_rng(3)
    folder = data / "days" / "shed"
    folder.mkdir(parents=True)
    lines = ["file,class,x1_px,y1_px,x2_px,y2_px"]
    for day in DAYS:
        for hour in range(0, 24, 4):
            name = f"{day}T{hour:02d}-00-00.jpg"
            picture = rng.integers(0, 255, (64, 96, 3)).astype(np.uint8)
            cv2.imwrite(str(folder / name), picture)
            lines.append(f"{name},crate,10,10,{40 + hour},40")
    (data / "days" / "shed.csv").write_text("\n".join(lines) + "\n")
    return Place(
        name="shed",
        reference="shed.csv",
        width_px=96,
        size=(64, 96),
        dark_h=frozenset({0, 4, 20}),
        classes={"crate": ["crate"]},
        night=Budget(3, 6),
        start_days=1,
        start_images=6,
        first=Budget(3, 6),
        first_days=1,
        full_before=(2,),
    )


@pytest.mark.slow  # some twenty trainings of a few pictures
def test_nights_go_on_where_they_were_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = four_days(tmp_path)
    scene = open_scene(tmp_path, place)
    assert scene.dark.sum() == 12
    book = Book(tmp_path / "rows.json", KEYS)
    run(scene, 0, book, tmp_path)
    whole = {tuple(row[key] for key in KEYS): row for row in book.rows}
    nights = [row for row in book.rows if row["course"] == "nights"]
    assert {row["day"] for row in nights if row["arm"] == "once"} == set(DAYS[1:])
    assert {row["day"] for row in nights if row["arm"] == "nightly"} == set(DAYS[2:])
    assert {row["day"] for row in nights if row["arm"] == "full"} == {DAYS[2]}
    lottery = next(row for row in nights if row["arm"] == "lottery")
    nightly = next(row for row in nights if row["arm"] == "nightly")
    assert (lottery["looks"], nightly["looks"]) == (0, 6)
    assert all(row["labels"] <= 6 for row in nights if "labels" in row)

    cut = [row for row in book.rows if (row["day"], row["arm"]) != (DAYS[3], "nightly")]
    (tmp_path / "rows.json").write_text(json.dumps(cut))
    for path in (tmp_path / "build" / "real-days" / "shed").iterdir():
        path.unlink()
    again = Book(tmp_path / "rows.json", KEYS)
    run(scene, 0, again, tmp_path)
    assert {tuple(row[key] for key in KEYS): row for row in again.rows} == whole
