"""`culling check`: opens every stream and every model; says what is wrong and how to mend it."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from culling_pipeline.run.progress import Advance, NoProgress, Progress
from jobs.bucket.bucket import StorageError
from jobs.bucket.sharing import open_registry, try_storage
from jobs.cameras.detectors import (
    pick_device,
)
from jobs.cameras.nets import nets_of
from jobs.config.settings import CameraConfig, Config
from jobs.errors import (
    EXIT_DONE,
    EXIT_STREAM,
    ConfigError,
    NightError,
    UsageError,
    describe,
    exit_code,
    redact,
)
from jobs.nights.beside import beside
from jobs.nights.cost import NightCost, Speed, night_cost, speed_of
from jobs.setup.places import try_data_dir, try_database
from jobs.setup.probing import (
    WATCHED_SHARE,
    advice,
    found_in_words,
    found_to_dict,
    probe_camera,
    too_late,
)
from jobs.setup.teacher_look import FRAMES, teachers_look, unfit_for
from models.registry import ModelRegistry
from streams.base import DAY_S

if TYPE_CHECKING:
    from streams.probe import Probe

logger = logging.getLogger(__name__)

PARTS = ("stream", "student", "teacher", "first night")
"""What progress counts of each camera, beside the frames that the teacher looks at."""
NOBODY_WATCHES = NoProgress()
STREAM_TIMEOUT_S = 30.0
"""A camera that has given no frame by then counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check and its result; `exit_code` is 0 if all is well, `found` describes a stream
    (`jobs.setup.probing.found_to_dict`)."""

    camera: str
    part: str
    detail: str
    exit_code: int = EXIT_DONE
    found: dict[str, object] | None = None

    def to_dict(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def download_weights(config: Config, progress: Progress) -> None:
    """Fetch the published weights that cameras name and that are not here yet."""
    for camera in config.cameras.values():
        nets_of(camera).bring(progress, student=True)


def check_config(
    config: Config,
    *,
    timeout_s: float = STREAM_TIMEOUT_S,
    progress: Progress = NOBODY_WATCHES,
) -> list[Finding]:
    """Check every camera's stream (all at once) and then its models, one by one."""
    cameras = list(config.cameras.values())
    with progress.stage("checking", len(cameras) * (len(PARTS) + FRAMES)) as advance:
        streams = check_streams(cameras, timeout_s=timeout_s)
        advance(len(streams))
        findings = _check_places(config)
        usable = all(found.part != "storage" or found.exit_code == EXIT_DONE for found in findings)
        registry = (
            open_registry(config, config.cameras) if usable else ModelRegistry(config.models_root)
        )
        at_work = _Models(config, registry, Speeds(config), advance)
        for camera in cameras:
            findings += at_work.check(camera, streams[camera.name])
    return [found for found in findings if found.detail]


@dataclass(frozen=True, slots=True)
class _Models:
    """Checks cameras' models; `advance` is told of each of `PARTS` and of the teacher's frames."""

    config: Config
    registry: ModelRegistry
    speeds: Speeds
    advance: Advance

    def check(self, camera: CameraConfig, stream: Finding) -> list[Finding]:
        """The camera's findings, that of its stream first."""
        findings = [stream]
        findings.append(_look(camera, "student", partial(_check_student, self.registry)))
        self.advance(1)
        findings.append(_look(camera, "teacher", _check_teacher))
        self.advance(1)
        if worst_exit_code(findings) != EXIT_DONE or stream.found is None:
            self.advance(FRAMES + 1)
            return findings
        if not nets_of(camera).missing(student=False):
            device = pick_device(self.config.device)
            look = partial(teachers_look, self.config.data_dir, device=device, advance=self.advance)
            findings.append(_look(camera, "teacher's look", look))
        else:
            self.advance(FRAMES)
        cost = partial(_first_night, self.config, self.registry, self.speeds, stream.found)
        findings.append(_look(camera, "first night", cost))
        self.advance(1)
        return findings


def _check_places(config: Config) -> list[Finding]:
    """Check what all cameras share; what fails is reported as a finding of its own."""
    tries = {"data_dir": try_data_dir, "database": try_database}
    if config.storage.url is not None:
        tries["storage"] = try_storage
    findings = []
    for part, look in tries.items():
        try:
            detail, code = look(config), EXIT_DONE
        except (ConfigError, StorageError, UsageError, NightError, OSError) as error:
            detail, code = describe(error), exit_code(error)
        findings.append(Finding(camera="–", part=part, detail=detail, exit_code=code))
    return findings


def worst_exit_code(findings: Sequence[Finding]) -> int:
    """0 if all is well, else the highest exit code."""
    return max((finding.exit_code for finding in findings), default=EXIT_DONE)


def check_streams(
    cameras: Sequence[CameraConfig],
    *,
    timeout_s: float,
    look: Callable[[CameraConfig], Probe | str] | None = None,
) -> dict[str, Finding]:
    """Each camera's stream, by name. A camera that hangs is left behind in its thread."""
    look = look or partial(probe_camera, watched_s=timeout_s / WATCHED_SHARE)
    results: queue.Queue[Finding] = queue.Queue()
    for camera in cameras:
        threading.Thread(
            target=lambda camera=camera: results.put(_look(camera, "stream", look)), daemon=True
        ).start()
    deadline_s = time.monotonic() + timeout_s
    found: dict[str, Finding] = {}
    while len(found) < len(cameras):
        try:
            finding = results.get(timeout=max(0.0, deadline_s - time.monotonic()))
        except queue.Empty:
            break
        found[finding.camera] = finding
    for camera in cameras:
        if camera.name not in found:
            found[camera.name] = _too_late(camera, timeout_s)
    return found


def _too_late(camera: CameraConfig, timeout_s: float) -> Finding:
    detail = too_late(camera, timeout_s)
    return Finding(camera=camera.name, part="stream", detail=detail, exit_code=EXIT_STREAM)


def _look(camera: CameraConfig, part: str, look: Callable[[CameraConfig], Probe | str]) -> Finding:
    try:
        seen = look(camera)
    except Exception as error:  # the boundary: an error of one must not hide the others
        logger.debug("camera %s: %s", camera.name, part, exc_info=error)
        detail = "; ".join([describe(error), *(advice(camera, None) if part == "stream" else ())])
        return Finding(camera=camera.name, part=part, detail=detail, exit_code=exit_code(error))
    if isinstance(seen, str):
        return Finding(camera=camera.name, part=part, detail=seen)
    words = f"{found_in_words(seen)}, {redact(seen.info.location)}"
    detail = "; ".join([words, *advice(camera, seen)])
    return Finding(camera=camera.name, part=part, detail=detail, found=found_to_dict(seen))


def _check_student(registry: ModelRegistry, camera: CameraConfig) -> str:
    return nets_of(camera).student_seen(registry)


class Speeds:
    """Seconds that detectors take on this machine, measured once for cameras that are alike."""

    def __init__(self, config: Config) -> None:
        self._device, self._processes = pick_device(config.device), config.workers
        self._known: dict[str, Speed] = {}

    def of(self, camera: CameraConfig, shape: tuple[int, int]) -> Speed:
        """The speed on pictures of this height and width."""
        keys = {"task", "count", "student", "teacher"}
        key = f"{camera.model_dump_json(include=keys)} {shape} {camera.wanted}"
        if key not in self._known:
            self._known[key] = speed_of(camera, shape, self._device, self._processes)
        return self._known[key]


def _first_night(
    config: Config,
    registry: ModelRegistry,
    speeds: Speeds,
    stream: Mapping[str, object],
    camera: CameraConfig,
) -> str:
    """What the first night will cost; nothing once there have been nights."""
    versions = [registry.meta(camera.name, v) for v in registry.all_versions(camera.name)]
    if any(meta.get("run_id") for meta in versions):
        return ""
    if missing := nets_of(camera).missing(student=True):
        return f"its cost is not known before {' and '.join(missing)} is downloaded"
    height_px, width_px = stream["height_px"], stream["width_px"]
    if not (isinstance(height_px, int) and isinstance(width_px, int) and height_px and width_px):
        return "its cost is not known: the stream does not tell its size"
    return cost_of_first_night(config, camera, speeds, stream).in_words()


def cost_of_first_night(
    config: Config, camera: CameraConfig, speeds: Speeds, stream: Mapping[str, object]
) -> NightCost:
    """What a first night costs on a stream of known size (`found_to_dict`). Raises what opening
    the detectors raises."""
    height_px, width_px, frames = stream["height_px"], stream["width_px"], stream["frames"]
    assert isinstance(height_px, int)
    assert isinstance(width_px, int)
    cost = night_cost(
        config,
        camera,
        speeds.of(camera, (height_px, width_px)),
        frames=frames if isinstance(frames, int) else None,
        watched=frames is None,
    )
    own = cost.budget.own
    looks = max(own.looks, own.labels) + cost.control
    there = frames if isinstance(frames, int) else None
    cost = replace(cost, beside=beside(camera, there, looks=looks))
    duration_s = stream["duration_s"]
    if isinstance(frames, int) and isinstance(duration_s, float) and duration_s:
        cost = replace(cost, a_day=max(1, round(frames * DAY_S / duration_s)))
    return cost


def _check_teacher(camera: CameraConfig) -> str:
    nets = nets_of(camera)
    words = nets.teacher_seen()
    if nets.missing(student=False):
        words += "; `culling check --download` fetches it now and shows what it finds"
    return "; ".join(filter(None, [words, unfit_for(camera)]))
