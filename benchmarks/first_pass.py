"""The first pass of a day: what batches, the change gate and a smaller picture save, and what they
lose; and the cost of a night against full training, as in Dataset Culling, Table 1.

    python -m benchmarks.first_pass --cameras street-21 --seconds 450 --data ../shared/data

A camera's stretches (one frame a second, at night, morning, noon and evening) are rendered once
and kept in the cache with the student's detections of every frame; the gate is then replayed over
them. Seconds are CPU seconds of one thread, measured in turns, so that other work on the machine
weighs on all alike. Writes benchmarks/results/first_pass.json and first_pass.md.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from benchmarks.book import markdown
from benchmarks.culling import TRAIN_FRAMES, for_kept
from benchmarks.fleet import (
    CACHE,
    FLEET,
    HEIGHT_PX,
    LOSS,
    STUDENT,
    TASK,
    TEACHER,
    WIDTH_PX,
    Camera,
    images,
    seen_day,
)
from benchmarks.wide import widened
from culling_pipeline.gate.gate import Gate
from culling_pipeline.tasks.boxes.answer_files import load_detections, save_detections
from culling_pipeline.tasks.boxes.disagreement import differ
from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import fine_tune
from culling_pipeline.training.options import show
from jobs.config.night import (
    ControlSettings,
    CullingSettings,
    GateSettings,
    TrainingSettings,
)
from models.boxes.backend import at_work
from models.boxes.detections import Detections, match
from models.boxes.detector import TorchDetector, build_model
from models.boxes.foreign import ForeignDetector
from models.boxes.recognition import PRESETS
from models.boxes.student import load_detector
from models.images import scaled
from streams.open import open_source
from streams.sampler import Sampler
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene

RESULTS = Path(__file__).parent / "results"
HOURS = (3, 8, 13, 20)
FIXED = (5.0, 6.0, 8.0)
"""Thresholds on the change at which a gate that need not learn first is replayed."""
FRAMES, KEPT = 86_400, 256
EVERY = FRAMES // TRAIN_FRAMES
"""`culling.gate.every` of the cost table: the student is asked about one frame in so many, as on
the days whose accuracies benchmarks/culling.py measures."""
QUIET = {
    "night_ir_driveway": ("night_ir_driveway_960x1088.mp4", 0.5),
    "one-by-one-person": ("intel_one-by-one-person_768x432.mp4", 0.5),
}


@dataclass(frozen=True)
class Stretch:
    """Consecutive frames with what the full-time detector says of each, and the truth, if known."""

    pictures: Sequence[NDArray[np.uint8]]
    found: list[Detections]
    truth: list[Detections] | None = None


def street(camera: Camera, seconds: int, cache: Path) -> Stretch:
    """Four stretches of `seconds` of a camera's day."""
    path = cache / f"{camera.name}-{seconds}.npz"
    if not path.exists():
        _render_street(camera, seconds, path)
    with np.load(path) as stored:
        cuts = np.cumsum(stored["C"])[:-1]
        boxes, labels = np.split(stored["B"], cuts), np.split(stored["L"], cuts)
        pictures = stored["P"]
    found = load_detections(path.with_name(f"{path.stem}-dets.npz"))
    sure = [np.ones(len(b), np.float32) for b in boxes]
    truth = [Detections(b, s, n) for b, s, n in zip(boxes, sure, labels, strict=True)]
    return Stretch(pictures, [found[i] for i in range(len(pictures))], truth)


def _render_street(camera: Camera, seconds: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    renderer = StreetRenderer(make_scene(camera.seed, width_px=WIDTH_PX, height_px=HEIGHT_PX))
    student = load_detector(STUDENT)
    times_s = [h * 3600.0 + k for h in HOURS for k in range(seconds)]
    pictures, truths = zip(*(renderer.render(t) for t in times_s), strict=True)
    found = [d for k in range(0, len(pictures), 8) for d in student.predict(pictures[k : k + 8])]
    save_detections(path.with_name(f"{path.stem}-dets.npz"), dict(enumerate(found)))
    np.savez(
        path,
        P=np.array(pictures),
        B=np.concatenate([t.boxes_xyxy for t in truths]),
        L=np.concatenate([t.labels for t in truths]),
        C=[len(t.labels) for t in truths],
    )


def footage(data: Path, name: str, count: int) -> Stretch:
    """The beginning of a real clip, as the foreign teacher sees it."""
    file, interval_s = QUIET[name]
    model = data / "weights" / "person-vehicle-bike-detection-2004.xml"
    teacher = ForeignDetector(model, PRESETS["person-vehicle-bike"])
    with open_source(str(data / "videos" / file), camera=name) as source:
        pictures = [f.image for f in islice(source.frames(Sampler(interval_s)), count)]
    return Stretch(pictures, [teacher.predict([p])[0] for p in pictures])


# -- the gate --------------------------------------------------------------------------------------


def replay(stretch: Stretch, *, min_score: float, threshold: float | None = None) -> dict[str, Any]:
    """The gate over a stretch: learning as in a night or, with `threshold`, held at it."""
    plan = GateSettings(enabled=True).to_plan()
    gate = Gate(plan, replace(TASK, student_min_score=min_score), np.random.default_rng(0))
    if threshold is not None:
        gate._calibration.threshold = threshold
    last, seen, seconds = Detections.empty(), [], 0.0
    for number, (picture, found) in enumerate(zip(stretch.pictures, stretch.found, strict=True)):
        began = time.process_time()
        decision = gate.decide(picture)
        seconds += time.process_time() - began
        gate.count(decision)
        if decision.score:
            gate.learn(decision, found, last)
            last = found
        if threshold is None and number % 8 == 7:
            gate.update()
        seen.append(last)
    return {
        "threshold": gate.threshold,
        "frames": len(seen),
        "skipped": gate.tally.skipped / len(seen),
        "audited": gate.tally.audited,
        "misses": gate.tally.misses,
        "estimated_recall": gate.tally.recall,
        **recalls(stretch, seen, min_score),
        "gate_ms": 1e3 * seconds / len(seen),
    }


def recalls(stretch: Stretch, seen: list[Detections], min_score: float) -> dict[str, Any]:
    """Recall of object frames: by the gate's own rule, with both boxes at the working threshold,
    and of true objects that the full-time student finds."""
    frames = range(len(seen))
    full = [d.above(min_score) for d in stretch.found]
    held = [i for i in frames if len(full[i])]
    either = [i for i in frames if len(full[i]) or len(seen[i].above(min_score))]
    figures: dict[str, Any] = {
        "object_frames": len(held) / len(seen),
        "recall": _share([not differ(full[i], seen[i], min_score=min_score) for i in either]),
        "recall_strict": _share([_all_in(full[i], seen[i].above(min_score)) for i in held]),
    }
    if stretch.truth is not None:
        kept = []
        for i in frames:
            truth = stretch.truth[i]
            known = truth.where(np.isin(np.arange(len(truth)), match(full[i], truth)))
            if len(known):
                kept.append(_all_in(known, seen[i].above(min_score / 2)))
        figures["recall_of_truth"] = _share(kept)
    return figures


def _all_in(objects: Detections, among: Detections) -> bool:
    return bool((match(objects, among) >= 0).all())


def _share(hits: list[bool]) -> float | None:
    return float(np.mean(hits)) if hits else None


# -- a smaller picture -----------------------------------------------------------------------------


def scales(camera: Camera, tried: Sequence[float], every: int, cache: Path) -> dict[str, Any]:
    """L_conf at smaller scales against full scale: Spearman's rank correlation within the twelve
    parts of the day, and how many of the hardest sixth of each part are the same."""
    day = seen_day(camera, day=0, count=TRAIN_FRAMES, cache=cache)
    rows = np.arange(every // 2, TRAIN_FRAMES, every)
    pictures = list(images(camera, day.times_s[rows]))
    full, figures = day.losses[rows], {}
    for scale in tried:
        student = load_detector(STUDENT).at_size(*scaled(HEIGHT_PX, WIDTH_PX, scale))
        small = np.array([LOSS.loss_of(student.predict([p])[0]) for p in pictures])
        figures[f"{scale:g}"] = agreement(full, small, parts=12)
    return figures


def agreement(full: NDArray[np.float64], small: NDArray[np.float64], *, parts: int) -> Any:
    """Mean over equal parts of both figures above (both N float64, in order of time)."""
    ranks, same = [], []
    for a, b in zip(np.array_split(full, parts), np.array_split(small, parts), strict=True):
        count = max(1, len(a) // 6)
        same.append(len({*np.argsort(-a)[:count]} & {*np.argsort(-b)[:count]}) / count)
        if a.std() and b.std():
            ranks.append(spearmanr(a, b).statistic)
    return {"spearman": float(np.mean(ranks)), "same_hardest": float(np.mean(same))}


# -- what everything costs -------------------------------------------------------------------------


def slim() -> tuple[TorchDetector, TorchDetector]:
    """The built-in student and teacher."""
    return load_detector(STUDENT), load_detector(TEACHER)


def real_size() -> tuple[TorchDetector, TorchDetector]:
    """The paper's nets, ResNet-18 and ResNet-101 of full width, on 640×360."""
    student, teacher = (widened(net, height_px=360, width_px=640, proposals=1000) for net in slim())
    return student, teacher


def seconds_per_image(
    nets: tuple[TorchDetector, TorchDetector], count: int, rounds: int
) -> dict[str, float]:
    """CPU seconds an image of each kind of work, the median of `rounds` rounds in turns."""
    student, teacher = nets
    height, width = student.spec.height_px, student.spec.width_px
    renderer = StreetRenderer(make_scene(21, width_px=width, height_px=height))
    shown = [renderer.render(8 * 3600.0 + 40 * k) for k in range(count)]
    pictures = [picture for picture, _ in shown]
    samples = [
        Sample(p, Detections(t.boxes_xyxy, np.ones(len(t.labels), np.float32), t.labels))
        for p, t in shown
    ]
    sizes = {s: student.at_size(*scaled(height, width, s)) for s in (0.8, 0.6)}
    arranged, teaching = at_work(student, "auto"), at_work(teacher, "auto")
    small = {s: arranged.at_size(*scaled(height, width, s)) for s in (0.8, 0.6)}
    plan = replace(TrainingSettings().to_plan(), schedule="standard", epochs=1)
    longer = replace(plan, epochs=2)
    work: dict[str, Callable[[], object]] = {
        "student": lambda: [student.predict([p]) for p in pictures],
        "student, batch 4": lambda: in_batches(student, pictures, 4),
        "student, batch 8": lambda: in_batches(student, pictures, 8),
        "student, batch 8, scale 0.8": lambda: in_batches(sizes[0.8], pictures, 8),
        "student, batch 8, scale 0.6": lambda: in_batches(sizes[0.6], pictures, 8),
        "student, arranged": lambda: arranged.predict(pictures),
        "student, arranged, scale 0.8": lambda: small[0.8].predict(pictures),
        "student, arranged, scale 0.6": lambda: small[0.6].predict(pictures),
        "teacher": lambda: in_batches(teacher, pictures, 4),
        "teacher, arranged": lambda: teaching.predict(pictures),
        "training, 1 epoch": lambda: fine_tune(fresh(student), TASK, samples, plan),
        "training, 2 epochs": lambda: fine_tune(fresh(student), TASK, samples, longer),
    }
    fine_tune(
        fresh(student), TASK, samples[:1], plan
    )  # the first of a process loads what the others have
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, do in work.items():
            began = time.process_time()
            do()
            taken[name].append((time.process_time() - began) / count)
    found = {name: float(np.median(seconds)) for name, seconds in taken.items()}
    found["training"] = found.pop("training, 2 epochs") - found.pop("training, 1 epoch")
    return found


def in_batches(detector: TorchDetector, pictures: list[NDArray[np.uint8]], size: int) -> None:
    for start in range(0, len(pictures), size):
        detector.predict(pictures[start : start + size])


def fresh(detector: TorchDetector) -> TorchDetector:
    """The same net in other weights, to be trained."""
    return TorchDetector(build_model(detector.spec), detector.spec)


def trained_on(frames: int, settings: TrainingSettings | None = None) -> int:
    """Images that the training of so many frames goes through, by default as a night does it."""
    plan = for_kept(settings or TrainingSettings(), frames).to_plan()
    return sum(show(plan.schedule, frames, plan.epochs, plan.options).per_epoch)


def table_one(
    seconds: dict[str, float], *, skipped: float, gate_s: float, scale: float
) -> list[dict[str, float | str]]:
    """The night's seconds and full training's over them, each saving on top of those before."""
    survivors = round(KEPT * CullingSettings().survivors_ratio)
    stored = survivors + KEPT + ControlSettings().frames
    training = seconds["training"]
    student = seconds["student, arranged"]
    small = seconds[f"student, arranged, scale {scale:g}"]
    late, looked = stored * student, (1 - skipped) / EVERY
    plain, arranged = seconds["teacher"], seconds["teacher, arranged"]
    scoring = {
        "none": (FRAMES * seconds["student"], plain),
        "+ batch": (FRAMES * seconds["student, batch 8"], plain),
        "+ arranged nets": (FRAMES * student, arranged),
        "+ gate": (FRAMES * (gate_s + (1 - skipped) * student) + skipped * late, arranged),
        f"+ every {EVERY}th": (FRAMES * (gate_s / EVERY + looked * student) + late, arranged),
        f"+ scale {scale:g}": (FRAMES * (gate_s / EVERY + looked * small) + late, arranged),
    }
    rows: list[dict[str, float | str]] = []
    for name, (looking, teacher) in scoring.items():
        fixed = {"teacher": survivors * teacher, "training": trained_on(KEPT) * training}
        full = FRAMES * teacher + trained_on(FRAMES) * training
        control = ControlSettings().frames * (teacher + student)
        night = looking + sum(fixed.values())
        rows.append(
            {
                "first pass": name,
                "student_h": looking / 3600,
                "teacher_h": fixed["teacher"] / 3600,
                "training_h": fixed["training"] / 3600,
                "night_h": night / 3600,
                "full_h": full / 3600,
                "ratio": full / night,
                "control_and_judging_h": control / 3600,
                "ratio_with_control": (full + control) / (night + control),
            }
        )
    return rows


# -- the tables ------------------------------------------------------------------------------------


def gate_rows(name: str, stretch: Stretch, min_score: float) -> list[dict[str, Any]]:
    learned = {"camera": name, "gate": "learning", **replay(stretch, min_score=min_score)}
    held = [
        {"camera": name, "gate": "held", **replay(stretch, min_score=min_score, threshold=t)}
        for t in FIXED
    ]
    return [learned, *held]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [c.name for c in FLEET if c.tuning]
    parser.add_argument("--cameras", nargs="*", default=names, choices=names)
    parser.add_argument("--seconds", type=int, default=900, help="length of each stretch")
    parser.add_argument("--every", type=int, default=16, help="of 2,880 frames, for the scales")
    parser.add_argument("--scales", type=float, nargs="*", default=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    parser.add_argument("--scale", type=float, default=0.8, choices=[0.8, 0.6])
    parser.add_argument("--data", type=Path, help="folder with real footage and its teacher")
    parser.add_argument("--footage-frames", type=int, default=400)
    parser.add_argument("--images", type=int, default=16, help="for the seconds of the slim nets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--real-images", type=int, default=0, help="of the full-size nets; 0: none")
    parser.add_argument("--cache", type=Path, default=Path("build/first-pass"))
    parser.add_argument("--days", type=Path, default=CACHE)
    parser.add_argument("--seconds-only", action="store_true", help="the rest as it was measured")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.seconds_only:
        write(costs_anew(args))
        return
    cameras = [c for c in FLEET if c.name in args.cameras]
    gates = [
        r for c in cameras for r in gate_rows(c.name, street(c, args.seconds, args.cache), 0.5)
    ]
    skipped = float(np.mean([r["skipped"] for r in gates if r.get("threshold") == FIXED[1]]))
    gate_s = float(np.median([r["gate_ms"] for r in gates])) / 1e3
    if args.data:
        for name in QUIET:
            gates += gate_rows(name, footage(args.data, name, args.footage_frames), 0.3)
    result: dict[str, Any] = {"gate": gates}
    result["scales"] = {c.name: scales(c, args.scales, args.every, args.days) for c in cameras}
    write(result | costs(args, skipped=skipped, gate_s=gate_s))


def costs(args: argparse.Namespace, *, skipped: float, gate_s: float) -> dict[str, Any]:
    """Seconds an image, and what follows from them."""
    seconds = {"slim": seconds_per_image(slim(), args.images, args.rounds)}
    if args.real_images:
        seconds["real size"] = seconds_per_image(real_size(), args.real_images, 1)
    tables = {
        kind: table_one(each, skipped=skipped, gate_s=gate_s, scale=args.scale)
        for kind, each in seconds.items()
    }
    return {"seconds": seconds, "table_1": tables}


def costs_anew(args: argparse.Namespace) -> dict[str, Any]:
    """The last result with its costs measured again; what the gate skips is as it was."""
    result: dict[str, Any] = json.loads((RESULTS / "first_pass.json").read_text())
    gates = [row for row in result["gate"] if row["camera"] in {c.name for c in FLEET}]
    skipped = float(np.mean([r["skipped"] for r in gates if r.get("threshold") == FIXED[1]]))
    gate_s = float(np.median([r["gate_ms"] for r in gates])) / 1e3
    return result | costs(args, skipped=skipped, gate_s=gate_s)


def write(result: dict[str, Any]) -> None:
    """Both files, and the tables on the terminal."""
    parts = ["## The gate", markdown(result["gate"], number=".4g")]
    smaller = [
        {"camera": camera, "scale": float(scale), **figures}
        for camera, by_scale in result["scales"].items()
        for scale, figures in by_scale.items()
    ]
    if smaller:
        parts += ["## Smaller pictures", markdown(smaller, number=".4g")]
    parts += ["## CPU seconds an image", markdown(_across(result["seconds"]), number=".4g")]
    for kind, rows in result["table_1"].items():
        parts += [
            f"## Cost of full training over the night's, {kind}",
            markdown(rows, number=".4g"),
        ]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "first_pass.json").write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "first_pass.md").write_text("\n".join(parts))
    print("\n".join(parts))


def _across(seconds: dict[str, dict[str, float]]) -> list[dict[str, Any]]:
    return [
        {"work": work, **{kind: found[work] for kind, found in seconds.items()}}
        for work in next(iter(seconds.values()))
    ]


if __name__ == "__main__":
    main()
