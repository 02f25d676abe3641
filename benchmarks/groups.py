"""Whether `culling plan --groups` is right: cameras alone against cameras that share a student.

    python -m benchmarks.groups streets
    python -m benchmarks.groups checkpoints --data DATA

Each camera has frames to train on, a control slice and, from later, frames to test on. The proposal
sees students and control slices only. Then one student is trained on the frames of each two
cameras, as long as one camera's (`shared`); with --double once more, as long as both together. All
are measured on the test frames. The proposal is right if it shares where no camera is clearly
worse for it, and only there. Writes benchmarks/results/groups.json and a table beside it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.book import Book, markdown
from benchmarks.fleet import FLEET, STREET, STUDENT, TEACHER, images, moments
from culling_pipeline.day.frame_files import frame_name, load_image, write_image
from culling_pipeline.groups.cross import Looks, Member, cross
from culling_pipeline.groups.proposal import propose, trial
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.run.progress import NoProgress
from culling_pipeline.run.workers import Workers
from culling_pipeline.tasks.metric import Comparison
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.job import train_to
from jobs.cameras.task import task_of
from jobs.config.night import TrainingSettings
from jobs.config.settings import CameraDefaults
from jobs.nights.grouping import FRAMES, between_able
from models.boxes.backend import at_work
from models.boxes.classes import ClassMap
from models.boxes.detections import Detections
from models.boxes.student import fit_to_camera, load_detector

RESULTS = Path(__file__).parent / "results"
CACHE = Path("build/groups")
STREETS = ("street-21", "street-22", "street-31")
CHECKPOINTS = ("checkpoint_2701", "checkpoint_4703")
VEHICLES = CameraDefaults(classes={"vehicle": ["car", "bus", "truck"]})
COCO_VEHICLES = (2, 5, 7)
TRUSTED = 0.35
"""The least score of a reference box that counts."""
PARTS = ("train", "control", "test")
Picture = tuple[NDArray[np.uint8], Detections]


@dataclass(frozen=True)
class Cameras:
    """Cameras that are compared: their settings, the size of their pictures, and how many images
    one camera's training shows."""

    names: tuple[str, ...]
    settings: CameraDefaults
    size: tuple[int, int]
    images: int


SETS = {
    "streets": Cameras(STREETS, STREET, (192, 320), 512),
    "checkpoints": Cameras(CHECKPOINTS, VEHICLES, (288, 512), 1024),
}


# -- the cameras' pictures and labels --------------------------------------------------------------


def street(name: str, part: str) -> list[Picture]:
    """A street's frames: every other moment of day 0 trains, the others control; day 1 tests."""
    camera = next(c for c in FLEET if c.name == name)
    day = 1 if part == "test" else 0
    times_s = moments(camera, day, 128)[PARTS.index(part) % 2 :: 2]
    teacher, task = at_work(load_detector(TEACHER), "auto"), task_of(STREET)
    found = []
    for image in images(camera, times_s):
        said = teacher.predict([image])[0]
        shape = {"height_px": image.shape[0], "width_px": image.shape[1]}
        found.append((image, task.truth(said, teacher.class_names, **shape)))
    return found


def checkpoint(name: str, part: str, data: Path, size: tuple[int, int]) -> list[Picture]:
    """A checkpoint's pictures: the first half trains, a quarter controls, the last one tests. The
    labels are the reference boxes of a stronger detector."""
    reference = json.loads((data / "days" / "checkpoints_reference.json").read_text())
    names = sorted(key for key in reference if key.startswith(name))
    half, rest = len(names) // 2, len(names) * 3 // 4
    wanted = {"train": names[:half], "control": names[half:rest], "test": names[rest:]}[part]
    return [_real(data / "days" / key, reference[key], size) for key in wanted]


def _real(path: Path, boxes: list[list[float]], size: tuple[int, int]) -> Picture:
    whole = cv2.imread(str(path))
    assert whole is not None
    height, width = whole.shape[:2]
    small = cv2.resize(whole, (size[1], size[0]), interpolation=cv2.INTER_AREA)
    kept = [b for b in boxes if b[4] >= TRUSTED and int(b[5]) in COCO_VEHICLES]
    scale = np.array([size[1] / width, size[0] / height] * 2, np.float32)
    corners = np.array([b[:4] for b in kept], np.float32).reshape(-1, 4) * scale
    scores = np.array([b[4] for b in kept], np.float32)
    rgb: NDArray[np.uint8] = np.ascontiguousarray(small[..., ::-1], np.uint8)
    return rgb, Detections(corners, scores, np.zeros(len(kept), np.int64))


class Stored:
    """The frames of one set of cameras on disk, made once."""

    def __init__(self, kind: str, data: Path | None) -> None:
        self.cameras, self._kind, self._data = SETS[kind], kind, data
        self.task = task_of(self.cameras.settings)

    def member(self, name: str, part: str, student: Path) -> Member:
        """A camera with this student and the frames of one part."""
        folder = CACHE / name / part
        if not (folder / "labels.npz").is_file():
            self._make(name, part, folder)
        truths = self.task.load(folder / "labels.npz")
        return Member(
            camera=name,
            task=self.task,
            student=student,
            size=self.cameras.size,
            folder=folder,
            shape=self.cameras.size,
            frames=tuple(_stored(i) for i in truths),
            truths=tuple(truths.values()),
            blocks=tuple(truths),
        )

    def samples(self, names: Sequence[str]) -> list[Sample]:
        """The frames to train on."""
        members = [self.member(name, "train", Path()) for name in names]
        return [
            Sample(load_image(m.folder, frame), truth, scene=m.camera)
            for m in members
            for frame, truth in zip(m.frames, m.truths, strict=True)
        ]

    def _make(self, name: str, part: str, folder: Path) -> None:
        if self._kind == "streets":
            found = street(name, part)
        else:
            assert self._data is not None, "--data is needed"
            found = checkpoint(name, part, self._data, self.cameras.size)
        folder.mkdir(parents=True, exist_ok=True)
        for i, (image, _) in enumerate(found):
            write_image(folder, frame_name(i), image)
        self.task.save(folder / "labels.npz", {i: truth for i, (_, truth) in enumerate(found)})


def _stored(number: int) -> StoredFrame:
    return StoredFrame(
        id=number,
        path=frame_name(number),
        time_s=0.0,
        wall_time=datetime(2026, 11, 26, tzinfo=UTC),
        part=0,
        confidence_loss=0.0,
    )


# -- students --------------------------------------------------------------------------------------


def trained(stored: Stored, names: Sequence[str], *, shown: int, tag: str) -> Path:
    """A student trained on the frames of these cameras until `shown` images were shown."""
    path = CACHE / f"{'+'.join(names)}-{tag}.safetensors"
    if not path.is_file():
        samples, (height_px, width_px) = stored.samples(names), stored.cameras.size
        classes = ClassMap.from_config(stored.cameras.settings.classes)
        start = fit_to_camera(
            load_detector(STUDENT), classes, height_px=height_px, width_px=width_px
        )
        epochs = max(1, round(shown / len(samples)))
        plan = TrainingSettings(epochs=epochs).to_plan()
        train_to(path, start, stored.task, samples, plan, arm="culled")
        print(f"{path.stem}: {len(samples)} frames, {epochs} epochs", flush=True)
    return path


# -- the proposal and the truth --------------------------------------------------------------------


def rows_of(kind: str, data: Path | None, *, double: bool) -> Iterator[dict[str, Any]]:
    """One row a camera and pair."""
    stored = Stored(kind, data)
    names, shown = stored.cameras.names, stored.cameras.images
    alone = {name: trained(stored, [name], shown=shown, tag="alone") for name in names}
    looks = Looks(Workers(1), device="cpu", progress=NoProgress())
    for pair in combinations(names, 2):
        members = [stored.member(n, "control", alone[n]).at_most(FRAMES) for n in pair]
        crossed = cross(members, looks)
        apart = between_able(crossed)
        together = trial(crossed, looks)
        proposal, tried = propose(apart, together), together((0, 1))
        tests = [stored.member(n, "test", alone[n]) for n in pair]
        shared = trained(stored, pair, shown=shown, tag="shared")
        measured = [_against(looks, m, alone[m.camera], shared) for m in tests]
        doubled = list[Comparison]()
        if double:
            longer = trained(stored, pair, shown=2 * shown, tag="double")
            doubled = [_against(looks, m, alone[m.camera], longer) for m in tests]
        for k, name in enumerate(pair):
            yield {
                "kind": "synthetic" if kind == "streets" else "real",
                "pair": "+".join(pair),
                "camera": name,
                "images": shown,
                "own_control": float(crossed.scores[k, k]),
                "other_control": float(crossed.scores[1 - k, k]),
                "distance": float(crossed.distances[0, 1]),
                "tried_gain": tried[k].gain,
                "tried_95": [tried[k].low, tried[k].high],
                "own": measured[k].before,
                "shared": measured[k].after,
                "shared_95": [measured[k].low, measured[k].high],
                "double": doubled[k].after if doubled else None,
                "double_95": [doubled[k].low, doubled[k].high] if doubled else None,
                **_verdict(proposed=bool(proposal.groups), measured=measured),
            }


def _verdict(*, proposed: bool, measured: Sequence[Comparison]) -> dict[str, bool]:
    should = not any(comparison.high < 0 for comparison in measured)
    return {"proposed": proposed, "should_share": should, "right": proposed == should}


def _against(looks: Looks, member: Member, own: Path, shared: Path) -> Comparison:
    before, after = (looks.of(path, [member], name="test")[0] for path in (own, shared))
    return member.compare(before, after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(SETS))
    parser.add_argument("--data", type=Path, help="the folder with `days/`")
    parser.add_argument("--double", action="store_true", help="also train twice as long")
    args = parser.parse_args()
    torch.set_num_threads(1)
    CACHE.mkdir(parents=True, exist_ok=True)
    book = Book(RESULTS / "groups.json", ("kind", "pair", "camera"))
    for row in rows_of(args.kind, args.data, double=args.double):
        print(json.dumps(row), flush=True)
        book.add(row)
    (RESULTS / "groups.md").write_text(markdown([_in_table(row) for row in book.rows]))


def _in_table(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: " to ".join(f"{v:+.3f}" for v in value) if isinstance(value, list) else value
        for key, value in row.items()
    }


if __name__ == "__main__":
    main()
