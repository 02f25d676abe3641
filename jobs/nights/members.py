"""From cameras to members of a group: the student in use, and the last night's control slice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from culling_pipeline.groups.cross import Member
from jobs.cameras.task import task_of
from jobs.config.alike import difference, for_a_group
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import Store
from jobs.errors import UsageError
from jobs.nights.alike import require_poolable
from jobs.nights.last_night import LastNight, last_night, require_frames
from models.boxes.detector import DetectorSpec
from models.boxes.student import spec_from_meta
from models.files import load_meta
from models.registry import ModelRegistry


@dataclass(frozen=True, slots=True)
class Candidate:
    """A camera that could be in a group: its settings, the fingerprint of the weights in use and
    their net, its member, and the seconds that its last night trained for."""

    camera: CameraConfig
    weights: str
    net: DetectorSpec
    member: Member
    training_s: float

    def with_frames(self, most: int) -> Candidate:
        """The same with at most so many control frames."""
        return replace(self, member=self.member.at_most(most))

    def why_not_with(self, other: Candidate) -> str | None:
        """Why these two cannot share a student, in words; None if they can."""
        unlike = difference([self.camera, other.camera], for_a_group(self.camera))
        if unlike is not None:
            return str(unlike)
        one, another = (replace(c.net, height_px=1, width_px=1) for c in (self, other))
        if one != another:
            return (
                f"{self.camera.name!r} has another net in use ({_shown(one)}) "
                f"than {other.camera.name!r} ({_shown(another)})"
            )
        return None


def candidate(config: Config, name: str, store: Store, registry: ModelRegistry) -> Candidate:
    """The camera as its last night left it; `UsageError` says why it cannot be compared yet."""
    camera = config.cameras[name]
    require_poolable(camera, "a proposal of groups")
    night = last_night(config, name, store)
    latest = store.latest_night(name, state="done")
    if latest is not None and latest.unusable is not None:
        message = f"camera {name!r}: nothing to compare after its last night: {latest.unusable}"
        raise UsageError(message)
    version = registry.incumbent(name)
    if version is None:
        message = f"camera {name!r} has no model in use: run `culling retrain {name}`"
        raise UsageError(message)
    registry.bring(name, version)
    untrained = registry.untrained(name, version)
    if untrained is not None:
        message = f"camera {name!r}: its student is untrained: {untrained}"
        raise UsageError(message)
    path = registry.path(name, version)
    meta = load_meta(path)
    net = spec_from_meta(meta, source=path)
    _require_classes(camera, night.record.classes, "last night")
    _require_classes(camera, net.class_names, "student")
    training_s = sum(cost.seconds for cost in night.record.train.costs)
    member = _member(camera, night, net, path)
    return Candidate(camera, str(meta["sha256"]), net, member, training_s)


def _member(camera: CameraConfig, night: LastNight, net: DetectorSpec, path: Path) -> Member:
    """The control slice as far as it is still on disk."""
    day, frames, labels = night.record.ingest, night.control, night.labels
    require_frames(night, frames, "to measure on")
    if labels is None:
        message = (
            f"camera {camera.name!r}: the labels of night {night.record.run_id} were not kept: "
            f"run `culling retrain {camera.name}`"
        )
        raise UsageError(message)
    truths = tuple(labels[frame.id] for frame in frames)
    if not any(map(len, truths)):
        message = (
            f"camera {camera.name!r}: the teacher found nothing on the control slice of its last "
            "night, so no student can be measured there"
        )
        raise UsageError(message)
    block_of = dict(zip(day.control, day.control_blocks, strict=False))
    return Member(
        camera=camera.name,
        task=task_of(camera),
        student=path,
        size=(net.height_px, net.width_px),
        folder=night.folder,
        shape=(day.height_px, day.width_px),
        frames=tuple(frames),
        truths=truths,
        blocks=tuple(block_of.get(frame.id, frame.id) for frame in frames),
    )


def _require_classes(camera: CameraConfig, names: tuple[str, ...], whose: str) -> None:
    if tuple(names) != camera.class_names:
        message = (
            f"camera {camera.name!r}: its classes are now {', '.join(camera.class_names)}, those "
            f"of its {whose} were {', '.join(names)}: run `culling retrain {camera.name}`"
        )
        raise UsageError(message)


def _shown(net: DetectorSpec) -> str:
    return f"{net.architecture}, width {net.width:g}, anchors from {net.anchor_px[0]} px"
