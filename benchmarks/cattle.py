"""Cattle in a barn, counted: trained on days to 5 March 2021, measured on 8 and 9 March.

    python -m benchmarks.cattle --data ../shared/data/days --out benchmarks/results/cattle.json

Three fixed cameras, one of them infra-red evenings; the truth is one point an animal, set by people
(cattle_points.csv). A student of random weights has two nights. The first takes half of its frames
evenly in time, as nights of an untrained student do. The second adds as many that it is most unsure
of, and trains on all of them. Beside it: the same number of images on random frames, the untrained
student, and the median of the training frames as the guess for every frame. A finished run is a row
at once; the same command goes on. About a CPU minute a run.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book, Row, markdown
from culling_pipeline.tasks.bootstrap import interval_of_gain
from culling_pipeline.tasks.density.counted import Counted
from culling_pipeline.tasks.density.task import CountTask
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import fine_tune
from jobs.cameras.task import task_of
from jobs.config.night import TrainingSettings
from jobs.config.settings import CameraConfig
from models.density.student import DensityStudent, new_density_student
from streams.pictures import read_picture

PLACES = ("cattle_barna", "cattle_barnb", "cattle_barn_ir")
FIRST_TEST_DAY = "2021-03-08"
ARMS = ("night", "random")
SIZE_PX, WIDTH, SHARE = (180, 240), 0.25, 0.5
"""What the student sees, its channels, and how many of the training frames a night may label."""
CAMERA = CameraConfig.model_validate(
    {"name": "barn", "source": "-", "task": "count", "count": {"what": "cow", "sigma_share": 0.02}}
)
KEYS = ("place", "arm", "seed")


@dataclass(frozen=True, slots=True)
class Place:
    """A camera's frames with their truths, those to train on and those to measure on, and the hour
    (as YYYY-MM-DDTHH) of each of the latter: frames of one hour show the same animals."""

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    hours: tuple[str, ...]

    @property
    def wanted(self) -> NDArray[np.float64]:
        """The true counts of the frames to measure on."""
        return np.array([sample.truth.count for sample in self.test])

    @property
    def guess(self) -> float:
        """The median count of the training frames."""
        return float(np.median([sample.truth.count for sample in self.train]))


def place_of(data: Path, name: str) -> Place:
    """Read a camera's frames."""
    points: dict[str, list[tuple[float, float]]] = defaultdict(list)
    with (data / "cattle_points.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            points[row["file"]].append((float(row["x_px"]), float(row["y_px"])))
    train, test, hours = [], [], []
    for path in sorted((data / name).glob("*.jpg")):
        image = read_picture(path, thorough=False)
        here = np.array(points[f"{name}/{path.name}"], np.float32).reshape(-1, 2)
        truth = Counted.of_points(here, *image.shape[:2], sigma_share=CAMERA.count.sigma_share)
        small = np.asarray(image[::2, ::2])  # the nets see a quarter of the width
        scaled = truth.stretched(across=0.5, down=0.5, sigma_share=CAMERA.count.sigma_share)
        if path.name < FIRST_TEST_DAY:
            train.append(Sample(small, scaled))
        else:
            test.append(Sample(small, scaled))
            hours.append(path.name[:13])
    return Place(tuple(train), tuple(test), tuple(hours))


def trained(samples: Sequence[Sample], images: int, seed: int) -> DensityStudent:
    """A student of random weights after so many images of these samples."""
    student = new_density_student("csrnet_lite", "cow", SIZE_PX, width=WIDTH, seed=seed)
    epochs = max(1, round(images / len(samples)))
    settings = TrainingSettings(epochs=epochs, learning_rate=1e-3, batch_size=4, seed=seed)
    fine_tune(student, task(), samples, settings.to_plan())
    return student


def task() -> CountTask:
    """The barn's task."""
    made = task_of(CAMERA)
    assert isinstance(made, CountTask)
    return made


def counts(student: DensityStudent, samples: Sequence[Sample]) -> list[Counted]:
    """What the student says of each frame, as a night would hear it."""
    model = task().at_work(student)
    return [model.predict([sample.image])[0] for sample in samples]


def chosen(place: Place, images: int, seed: int) -> list[Sample]:
    """The frames of two nights: half of them evenly in time, the others those of which the student
    of the first night is most unsure."""
    keep = max(2, round(SHARE * len(place.train)))
    even = np.unique(np.linspace(0, len(place.train) - 1, keep // 2).round().astype(int))
    first = trained([place.train[i] for i in even], images // 2, seed)
    rest = [i for i in range(len(place.train)) if i not in set(even.tolist())]
    doubts = [said.doubt for said in counts(first, [place.train[i] for i in rest])]
    hardest = [rest[k] for k in np.argsort(doubts)[::-1][: keep - len(even)]]
    return [place.train[i] for i in [*even.tolist(), *hardest]]


def run(place: Place, arm: str, images: int, seed: int) -> Row:
    """One arm, measured."""
    began = time.process_time()
    if arm == "night":
        samples = chosen(place, images, seed)
    else:
        keep = max(2, round(SHARE * len(place.train)))
        rng = np.random.default_rng([seed, 7])
        samples = [place.train[i] for i in rng.choice(len(place.train), keep, replace=False)]
        images += images // 2  # what the first of the two nights had
    student = trained(samples, images, seed)
    fresh = new_density_student("csrnet_lite", "cow", SIZE_PX, width=WIDTH, seed=seed)
    after, before = ([s.count for s in counts(m, place.test)] for m in (student, fresh))
    return {
        "frames": len(samples),
        "mae_before": error(before, place),
        "mae": error(after, place),
        "mae_guess": error([place.guess] * len(place.test), place),
        "gain_over_guess": over_guess(after, place),
        "counts": [round(count, 2) for count in after],
        "cpu_s": round(time.process_time() - began, 1),
    }


def error(found: Sequence[float], place: Place) -> float:
    """The mean absolute error of counts."""
    return float(np.abs(np.array(found) - place.wanted).mean())


def over_guess(found: Sequence[float], place: Place) -> list[float | None]:
    """How much lower the error is than the guess's, and its 95 % interval, by hours; no interval
    where all frames are of one hour, as the infra-red ones are."""
    guess = np.abs(place.guess - place.wanted)
    gain = guess - np.abs(np.array(found) - place.wanted)
    names = {hour: number for number, hour in enumerate(dict.fromkeys(place.hours))}
    blocks = [names[hour] for hour in place.hours]
    if len(names) < 2:
        return [float(gain.mean()), None, None]
    low, high = interval_of_gain(
        lambda frames: float(gain[frames].mean()), blocks, rng=np.random.default_rng(0)
    )
    return [float(gain.mean()), low, high]


def todo(book: Book, places: Sequence[str], seeds: Sequence[int]) -> Iterator[Row]:
    """Whole seeds one after the other, so that a cut-off benchmark has pairs to compare."""
    for seed in seeds:
        for place in places:
            for arm in ARMS:
                named: Row = {"place": place, "arm": arm, "seed": seed}
                if not book.has(**named):
                    yield named


def table(rows: Sequence[Row]) -> str:
    """Means over the seeds, a line a camera."""
    lines = []
    for place in PLACES:
        found = {arm: [r for r in rows if (r["place"], r["arm"]) == (place, arm)] for arm in ARMS}
        night, random = found["night"], found["random"]
        if night and random:
            lines.append(
                {
                    "camera": place.removeprefix("cattle_"),
                    "seeds": len(night),
                    "frames": night[0]["frames"],
                    "before": float(np.mean([row["mae_before"] for row in night])),
                    "night": float(np.mean([row["mae"] for row in night])),
                    "random": float(np.mean([row["mae"] for row in random])),
                    "constant guess": float(night[0]["mae_guess"]),
                    "better than the guess by": shown([row["gain_over_guess"] for row in night]),
                }
            )
    return markdown(lines, number=".2f")


def shown(gains: Sequence[Sequence[float | None]]) -> str:
    """The mean over the seeds of a gain and, where there is one, of its interval."""
    gain, *interval = [
        None if None in column else float(np.mean(column)) for column in zip(*gains, strict=True)
    ]
    if None in interval:
        return f"{gain:.2f} (one hour: no interval)"
    return f"{gain:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cattle.json"))
    parser.add_argument("--places", nargs="+", default=list(PLACES), choices=PLACES)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=800, help="that the last training sees")
    args = parser.parse_args()
    torch.set_num_threads(1)
    book, open_places = Book(args.out, KEYS), dict[str, Place]()
    for named in todo(book, args.places, args.seeds):
        name = named["place"]
        if name not in open_places:
            open_places[name] = place_of(args.data, name)
        row = named | run(open_places[name], named["arm"], args.images, named["seed"])
        book.add(row)
        print(
            {key: row[key] for key in (*KEYS, "frames", "mae_before", "mae", "mae_guess", "cpu_s")}
        )
    args.out.with_suffix(".md").write_text(table(book.rows))
    print(table(book.rows))


if __name__ == "__main__":
    main()
