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
from culling_pipeline.tasks.answers import Answer
from culling_pipeline.tasks.export import ExportCheck, StudentExport
from jobs.bucket.sharing import open_registry
from jobs.cameras.nets import require_task
from jobs.cameras.task import task_of
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.nights.last_night import LastNight, last_night, require_frames
from jobs.program import code_version
from models.boxes.export import SUFFIXES, ExportError, export_files, require_packages
from models.boxes.export_layouts import Layout
from models.registry import ModelRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file that was written and checked."""

    camera: str
    version: str
    format: str
    files: tuple[Path, ...]
    about: dict[str, Any]
    check: ExportCheck

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
    export = task_of(camera).export(path)
    _check_known(camera, export, layout)
    about = _about(camera, export, version, registry.meta(name, version))
    with TemporaryDirectory(dir=output.parent, prefix=".export-", suffix=".tmp") as folder:
        aside = Path(folder) / output.name
        export.write(aside, format_, about, layout=layout)
        check = _checked(export, aside, night, progress)
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


def _check_known(camera: CameraConfig, export: StudentExport, layout: Layout) -> None:
    if layout not in export.layouts:
        message = (
            f"--layout {layout}: camera {camera.name!r} has `task: {camera.task}`, whose files "
            f"have the layout {' or '.join(export.layouts)}: leave it out"
        )
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
    export: StudentExport,
    version: str,
    meta: dict[str, Any],
) -> dict[str, Any]:
    """The meta data that is written into the file beside the net."""
    height_px, width_px = export.student.size
    return {
        "camera": camera.name,
        "version": version,
        "class_names": list(export.student.class_names),
        "height_px": height_px,
        "width_px": width_px,
        "scale": meta.get("scale"),
        "min_score": camera.student.min_score,
        "ignore_zones": [[list(corner) for corner in zone] for zone in camera.ignore_zones],
        "channel_order": "rgb",
        "pixel_range": [0, 255],
        "architecture": export.architecture,
        "weights_sha256": meta.get("sha256"),
        "code_version": code_version(),
        "exported_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _checked(
    export: StudentExport, file: Path, night: LastNight, progress: Progress
) -> ExportCheck:
    """Ask student and file on the control slice, and compare what they say."""
    frames, ours, theirs = night.control, list[Answer](), list[Answer]()
    student, written = map(export.ignoring, (export.student, export.opened(file)))
    with progress.stage("checking the file", len(frames)) as advance:
        for image in load_images(night.folder, frames):
            ours += student.predict([image])
            theirs += written.predict([image])
            advance(1)
    if night.labels is None or night.record.classes != export.student.class_names:
        return export.check(ours, theirs, None)
    return export.check(ours, theirs, [night.labels[frame.id] for frame in frames])
