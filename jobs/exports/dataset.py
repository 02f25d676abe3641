"""`culling dataset`: exports a kept set in COCO format, and imports corrected labels."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from culling_pipeline.labels.corrections import (
    LABELS_FILE,
    Corrections,
    add_corrections,
    load_corrections,
)
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.labels import CorrectedFrame
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.boxes.coco_files import DatasetError, LabelledImage, coco_of, read_coco
from jobs.bucket.sharing import open_sharing
from jobs.cameras.task import task_of
from jobs.config.lock import locked
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.nights.last_night import last_night, require_frames
from jobs.program import code_version
from models.boxes.classes import ClassMap
from models.files import replace_file

ANNOTATIONS, IMAGES = "annotations.json", "images"
_UPLOAD = r"(?:^|[/\\=]|[0-9a-f]{8}-)"
"""What tools put before a file's name: a folder (CVAT, FiftyOne), eight digits and a hyphen, or an
address with `?d=` (both Label Studio)."""
_NIGHT = r"(\d{4}-\d\d-\d\d)(?:[.-](\d+))?_(\d{6,})"
"""Night and frame; Roboflow makes a hyphen of the dot."""
_ENDING = r"(?:_\w{2,4}\.rf\.[0-9A-Za-z_-]+)?(?:\.\w{2,4})?$"
"""What tools make of `.jpg`: nothing, or Roboflow's `_jpg.rf.HASH.jpg`."""


def image_name(camera: str, run_id: str, frame_id: int) -> str:
    """The file name of a frame in a data set, from which an import finds the frame again."""
    return f"{camera}_{run_id}_{frame_id:06d}.jpg"


# -- out ------------------------------------------------------------------------------------------


def export_dataset(config: Config, name: str, output: Path, *, store: Store) -> dict[str, object]:
    """Write the last night's kept set to `output`: images, and their current labels in COCO format;
    completely or not at all. What was written, as JSON."""
    _check_folder(output)
    night = last_night(config, name, store)
    record, frames = night.record, sorted(night.kept, key=lambda frame: frame.id)
    require_frames(night, frames, "to export")
    if night.labels is None:
        message = (
            f"camera {name!r}: the teacher's labels of night {record.run_id} were not kept by the "
            f"release that ran it: run `culling retrain {name}`"
        )
        raise UsageError(message)
    open_sharing(config).corrections(name)
    corrections = load_corrections(config.corrections_dir(name))
    task = task_of(config.cameras[name], ClassMap.from_config(record.classes))
    corrected = corrections.truths_of(frames, task.without_zones())
    images = [
        LabelledImage(
            id=frame.id + 1,
            name=image_name(name, record.run_id, frame.id),
            height_px=record.ingest.height_px,
            width_px=record.ingest.width_px,
            labels=task.labelled(corrected.get(frame.id, night.labels[frame.id])),
            taken_at=frame.wall_time,
        )
        for frame in frames
    ]
    about = {
        "description": f"camera {name}, night {record.run_id}: kept set",
        "teacher": record.teacher,
        "code_version": code_version(),
    }
    pictures = {
        image.name: night.folder / frame.path for image, frame in zip(images, frames, strict=True)
    }
    _write(output, pictures, coco_of(images, record.classes, about))
    return {
        "camera": name,
        "night": record.run_id,
        "folder": str(output),
        "images": len(images),
        "annotations": sum(len(image.labels) for image in images),
        "corrected": len(corrected),
        "categories": list(record.classes),
    }


def _write(output: Path, pictures: Mapping[str, Path], annotations: object) -> None:
    """Write beside `output` first, then rename: a data set is complete or absent."""
    with TemporaryDirectory(
        dir=output.absolute().parent, prefix=".dataset-", suffix=".tmp"
    ) as folder:
        whole = Path(folder) / "whole"
        (whole / IMAGES).mkdir(parents=True)
        for name, picture in pictures.items():
            copyfile(picture, whole / IMAGES / name)
        text = json.dumps(annotations, ensure_ascii=False, indent=1)
        replace_file(whole / ANNOTATIONS, text.encode())
        whole.replace(output)


def _check_folder(output: Path) -> None:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        message = f"--output {output}: is there already and not empty: name a new folder"
        raise UsageError(message)
    if not output.absolute().parent.is_dir():
        message = f"--output {output}: there is no folder {output.parent}: make it first"
        raise UsageError(message)


# -- back -----------------------------------------------------------------------------------------


def import_dataset(config: Config, name: str, file: Path, *, store: Store) -> dict[str, object]:
    """Keep the labels of a COCO file as corrections of the frames it names. All its images count as
    looked at, those without a box as empty. What was taken, as JSON."""
    camera, sharing = config.cameras[name], open_sharing(config)
    sharing.corrections(name)
    images = read_coco(file, camera.class_names)
    if not images:
        message = f"{file}: no image in it: nothing was imported"
        raise DatasetError(message)
    known: dict[str, NightRecord] = {}
    named = {camera.class_names[label] for image in images for label in image.labels.labels}
    frames = {}
    for (run_id, frame_id), image in _one_each(camera, images, file).items():
        if run_id not in known:
            known[run_id] = _record_of(camera, run_id, image, file, store)
        frame = _frame_of(known[run_id], frame_id, image, file)
        path = _image_file(config, name, run_id, frame, file)
        corrected = _corrected(camera, image, known[run_id], frame, named=named, file=file)
        frames[corrected] = path.read_bytes()
    folder = config.corrections_dir(name)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with locked(folder / LABELS_FILE):
        before = load_corrections(folder)
        after = add_corrections(folder, frames)
    sharing.corrections(name)
    return {
        "camera": name,
        "images": len(frames),
        "annotations": sum(len(frame.classes) for frame in frames),
        "new": _count_new(before, list(frames)),
        "corrections": len(after.frames),
        "folder": str(after.folder),
    }


def _count_new(before: Corrections, frames: Sequence[CorrectedFrame]) -> int:
    return len({frame.image for frame in frames} - {frame.image for frame in before.frames})


def _one_each(
    camera: CameraConfig, images: Sequence[LabelledImage], file: Path
) -> dict[tuple[str, int], LabelledImage]:
    """The images by night and frame. One that is there twice must have the same labels twice."""
    found: dict[tuple[str, int], LabelledImage] = {}
    for image in images:
        which = _which(camera, image, file)
        other = found.setdefault(which, image)
        if _label_set(other) != _label_set(image):
            message = (
                f"{file}: image {image.name!r} is there twice (ids {other.id} and {image.id}), "
                f"with {len(other.labels)} and {len(image.labels)} boxes that are not the same: "
                "whose labels count? Keep one row, with its boxes"
            )
            raise DatasetError(message)
    return found


def _label_set(image: LabelledImage) -> set[tuple[float, ...]]:
    labels = image.labels
    return {(*b, n) for b, n in zip(labels.boxes_xyxy.tolist(), labels.labels, strict=True)}


def _which(camera: CameraConfig, image: LabelledImage, file: Path) -> tuple[str, int]:
    """Night and frame that an image's name refers to."""
    pattern = rf"{_UPLOAD}{re.escape(camera.name)}_{_NIGHT}{_ENDING}"
    found = re.search(pattern, unquote(image.name), re.ASCII)
    if found is None:
        message = (
            f"{file}: image {image.name!r} is none of camera {camera.name!r}'s: images keep the "
            f"names that `culling dataset export` gives them, such as "
            f"{image_name(camera.name, '2026-01-31', 17)}"
        )
        raise DatasetError(message)
    night, again, frame = found.groups()
    return night if again is None else f"{night}.{again}", int(frame)


def _record_of(
    camera: CameraConfig, run_id: str, image: LabelledImage, file: Path, store: Store
) -> NightRecord:
    night = next((n for n in store.nights(camera.name, state="done") if n.run_id == run_id), None)
    record = None if night is None else store.record(night.id)
    if not isinstance(record, NightRecord):
        message = f"{file}: image {image.name!r}: camera {camera.name!r} has had no night {run_id}"
        raise DatasetError(message)
    return record


def _frame_of(record: NightRecord, frame_id: int, image: LabelledImage, file: Path) -> StoredFrame:
    if frame_id in record.ingest.control:
        message = (
            f"{file}: image {image.name!r} is of night {record.run_id}'s control slice, which only "
            "measures: take it out"
        )
        raise DatasetError(message)
    if frame_id not in {frame.id for frame in record.ingest.frames}:
        message = f"{file}: image {image.name!r}: night {record.run_id} has no frame {frame_id}"
        raise DatasetError(message)
    return record.ingest.frames_of([frame_id])[0]


def _image_file(config: Config, name: str, run_id: str, frame: StoredFrame, file: Path) -> Path:
    """The frame's picture: the night's own, or one from an earlier import, or the exported one."""
    called = image_name(name, run_id, frame.id)
    places = (
        config.frames_dir(name, run_id) / frame.path,
        config.corrections_dir(name) / called,
        file.parent / IMAGES / called,
        file.parent / called,
    )
    for path in places:
        if path.is_file():
            return path
    message = (
        f"{file}: the picture {called} is gone from {config.frames_dir(name, run_id)}: put the "
        f"exported one beside the file, in {IMAGES}/"
    )
    raise DatasetError(message)


def _corrected(
    camera: CameraConfig,
    image: LabelledImage,
    record: NightRecord,
    frame: StoredFrame,
    *,
    named: set[str],
    file: Path,
) -> CorrectedFrame:
    """`named` are the classes that the file has boxes of. They count as looked for, like the
    classes of the night that the frame is from."""
    day = record.ingest
    if (image.width_px, image.height_px) != (day.width_px, day.height_px):
        message = (
            f"{file}: image {image.name!r} is {image.width_px}×{image.height_px} there, but the "
            f"frame is {day.width_px}×{day.height_px}: do not resize before labelling"
        )
        raise DatasetError(message)
    return CorrectedFrame(
        run_id=record.run_id,
        frame_id=frame.id,
        wall_time=frame.wall_time,
        image=image_name(camera.name, record.run_id, frame.id),
        height_px=image.height_px,
        width_px=image.width_px,
        class_names=tuple(sorted({*record.classes, *named})),
        boxes_xyxy=tuple(tuple(box) for box in image.labels.boxes_xyxy.tolist()),
        classes=tuple(camera.class_names[label] for label in image.labels.labels),
        corrected_at=datetime.now(UTC),
    )
