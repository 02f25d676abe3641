"""`culling export`: writes a camera's student as a file and checks it on the last night's control
slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from culling_pipeline.day.frame_files import load_images
from culling_pipeline.run.progress import Progress
from culling_pipeline.tasks.boxes.average_precision import coco_map
from jobs.bucket.sharing import open_registry
from jobs.cameras.nets import require_task
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.exports.counts import CountCheck, checked_counts
from jobs.nights.last_night import LastNight, last_night, require_frames
from jobs.program import code_version
from models.boxes.detections import Detections, Detector
from models.boxes.detector import TorchDetector
from models.boxes.export import (
    SUFFIXES,
    ExportError,
    export_detector,
    export_files,
    require_packages,
)
from models.boxes.export_layouts import Layout
from models.boxes.exported import CLOSE_PX, CLOSE_SCORE, Agreement, ExportedDetector, agreement
from models.boxes.student import load_detector
from models.boxes.zones import IgnoringDetector
from models.density.export import ExportedCounter, export_counter
from models.density.student import DensityStudent, load_density_student
from models.registry import ModelRegistry
from models.zones import Zones

MAX_MAP50_CHANGE = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """How the student and its file compare on the control slice; mAP50 (0…1) is None if the
    teacher's labels are gone, or empty."""

    agreement: Agreement
    map50_student: float | None = None
    map50_file: float | None = None

    @property
    def trouble(self) -> str | None:
        """How the file differs from the student, or None."""
        if self.map50_student is not None and self.map50_file is not None:
            change = self.map50_file - self.map50_student
            if abs(change) <= MAX_MAP50_CHANGE:
                return None
            return (
                f"its mAP50 is {100 * change:+.2f} points off the student's "
                f"({100 * MAX_MAP50_CHANGE:.1f} are allowed)"
            )
        seen = self.agreement
        if not seen.unmatched and seen.is_close:
            return None
        return (
            f"of {seen.boxes} boxes {seen.unmatched} have no partner, the others are up to "
            f"{seen.max_box_px:.2f} px and {seen.max_score:.3f} of score off the student's "
            f"({CLOSE_PX} px and {CLOSE_SCORE} are allowed)"
        )

    @property
    def in_words(self) -> str:
        """How far the file is from the student."""
        seen = self.agreement
        said = f"{seen.boxes} boxes at most {seen.max_box_px:.3f} px and {seen.max_score:.4f} off"
        if self.map50_student is not None and self.map50_file is not None:
            said = f"mAP50 {self.map50_student:.4f} → {self.map50_file:.4f}, {said}"
        return f"on {seen.frames} control frames: {said}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file that was written and checked."""

    camera: str
    version: str
    format: str
    files: tuple[Path, ...]
    about: dict[str, Any]
    check: Check | CountCheck

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "files": [str(file) for file in self.files]}

    @property
    def in_words(self) -> str:
        """What was written and how it was checked, in one line."""
        height, width = self.about["height_px"], self.about["width_px"]
        return (
            f"camera {self.camera!r}: {self.version} at {width}×{height} is in "
            f"{' and '.join(map(str, self.files))} ({self.check.in_words})"
        )


def export_camera(
    config: Config,
    name: str,
    *,
    store: Store,
    progress: Progress,
    format_: str,
    layout: Layout = "ours",
    output: Path | None = None,
    version: str | None = None,
    force: bool = False,
) -> Exported:
    """Write the incumbent, or `version`, to `output`, complete and checked or not at all.

    If the file's answers differ from the student's, it is removed and `ExportError` is raised.
    """
    camera = config.cameras[name]
    _check_layout(format_, layout)
    require_packages(format_)
    registry = open_registry(config, [name])
    version = version_to_use(registry, name, version)
    output = output or Path(f"{name}-{version}{SUFFIXES[format_]}")
    files = export_files(output, format_, layout)
    _check_output(files, format_, force=force)
    night = last_night(config, name, store)
    require_frames(night, night.control, "to check the file with")
    path = registry.path(name, version)
    require_task(camera, version, path)
    student = _opened(camera, path, layout)
    about = _about(camera, student, version, registry.meta(name, version))
    with TemporaryDirectory(dir=output.parent, prefix=".export-", suffix=".tmp") as folder:
        aside = Path(folder) / output.name
        check: Check | CountCheck
        if isinstance(student, DensityStudent):
            export_counter(student, aside, format_, about)
            check = checked_counts(student, ExportedCounter(aside), night, progress)
        else:
            export_detector(student, aside, format_, about, layout=layout)
            check = _checked(camera, student, ExportedDetector(aside), night, progress)
        if check.trouble:
            message = (
                f"camera {name!r}: {version} as {format_} is not the same model: {check.trouble}; "
                "nothing was written"
            )
            raise ExportError(message)
        for file in reversed(files):  # the .xml, which is opened, comes after its .bin
            (Path(folder) / file.name).replace(file)
    return Exported(
        camera=name, version=version, format=format_, files=files, about=about, check=check
    )


def _opened(camera: CameraConfig, path: Path, layout: Layout) -> TorchDetector | DensityStudent:
    """The student in a version's folder; a layout for boxes is refused for a camera that counts."""
    if camera.task != "count":
        return load_detector(path)
    if layout != "ours":
        message = f"--layout {layout}: is for boxes, and this camera counts: leave it out"
        raise UsageError(message)
    return load_density_student(path)


def version_to_use(registry: ModelRegistry, camera: str, version: str | None) -> str:
    """The requested version, or the one in use, on this disk; `UsageError` if there is none."""
    if version is None:
        version = registry.incumbent(camera)
        if version is None:
            message = f"camera {camera!r} has no model in use yet: run `culling retrain {camera}`"
            raise UsageError(message)
        return version
    known = registry.all_versions(camera)
    if version not in known:
        message = f"camera {camera!r} has no version {version!r}; there are: {', '.join(known)}"
        raise UsageError(message)
    registry.bring(camera, version)
    return version


def _check_layout(format_: str, layout: Layout) -> None:
    if layout != "ours" and format_ == "torchscript":
        message = f"--layout {layout}: is for --format onnx or openvino, not for torchscript"
        raise UsageError(message)


def _check_output(files: Sequence[Path], format_: str, *, force: bool) -> None:
    output = files[0]
    if output.suffix != SUFFIXES[format_]:
        message = f"--output {output}: a file of format {format_} must end in {SUFFIXES[format_]}"
        raise UsageError(message)
    if not output.parent.is_dir():
        message = f"--output {output}: there is no folder {output.parent}: make it first"
        raise UsageError(message)
    for file in files:
        if file.exists() and not force:
            message = f"{file}: exists already: --force replaces it, --output names another"
            raise UsageError(message)


def _about(
    camera: CameraConfig,
    student: TorchDetector | DensityStudent,
    version: str,
    meta: dict[str, Any],
) -> dict[str, Any]:
    """The meta data that is written into the file beside the net."""
    spec = student.spec
    return {
        "camera": camera.name,
        "version": version,
        "class_names": list(student.class_names),
        "height_px": spec.height_px,
        "width_px": spec.width_px,
        "scale": meta.get("scale"),
        "min_score": camera.student.min_score,
        "ignore_zones": [[list(corner) for corner in zone] for zone in camera.ignore_zones],
        "channel_order": "rgb",
        "pixel_range": [0, 255],
        "architecture": getattr(spec, "net", None) or getattr(spec, "architecture", None),
        "weights_sha256": meta.get("sha256"),
        "code_version": code_version(),
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _checked(
    camera: CameraConfig,
    student: Detector,
    file: Detector,
    night: LastNight,
    progress: Progress,
) -> Check:
    """Compare both on the control slice: mAP50 if the teacher's labels are there, and box by
    box."""
    frames, zones = night.control, Zones(camera.ignore_zones)
    images = load_images(night.folder, frames)
    ours: list[Detections] = []
    theirs: list[Detections] = []
    both = (IgnoringDetector(student, zones), ours), (IgnoringDetector(file, zones), theirs)
    with progress.stage("checking the file", len(frames)) as advance:
        for image in images:
            for detector, found in both:
                found += detector.predict([image])
            advance(1)
    seen = agreement(ours, theirs, min_score=camera.student.min_score)
    if night.labels is None or night.record.classes != student.class_names:
        return Check(agreement=seen)
    truths = [night.labels[frame.id] for frame in frames]
    if not sum(map(len, truths)):
        return Check(agreement=seen)
    before, after = (coco_map(f, truths, student.class_names) for f in (ours, theirs))
    return Check(agreement=seen, map50_student=before.score.value, map50_file=after.score.value)
