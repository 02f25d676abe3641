"""Opens the detectors that the configuration names under `student` and `teacher`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import models
from culling_pipeline.run.progress import Progress
from jobs.config.weights import PTH_SUFFIXES, UNTRAINED, StudentSettings, TeacherSettings
from jobs.errors import UsageError
from models.base import Backend, backend_of
from models.boxes.backend import at_work
from models.boxes.detections import Detector
from models.boxes.detector import DetectorSpec, TorchDetector, build_model, with_weights
from models.boxes.families.base import ForeignOptions
from models.boxes.foreign import ForeignDetector, open_foreign
from models.boxes.recognition import GivenOptions
from models.boxes.student import fresh_spec, load_detector, spec_from_meta
from models.checkpoint import load_pth
from models.errors import WeightsError
from models.files import load_meta
from models.pretrained.catalogue import PREFIX, PublishedWeights, published
from models.pretrained.download import cached, fetch
from models.pretrained.open import open_published, published_state, with_backbone
from models.trial import DEFAULT_LIMITS, Limits, try_first
from models.versions import untrained_in

logger = logging.getLogger(__name__)

BUILTIN_FOLDER = Path(models.__path__[0]) / "weights"


def weights_path(weights: str) -> Path:
    """Where weights lie: those of `builtin:NAME` in the package, of `pretrained:NAME` in the
    download cache (perhaps not yet), others at the path given."""
    if weights.startswith(PREFIX):
        entry = published(weights)
        assert entry is not None
        return cached(entry)
    kind, colon, name = weights.partition("builtin:")
    if kind or not colon:
        return Path(weights)
    path = BUILTIN_FOLDER / f"{name}.safetensors"
    if not path.is_file():
        known = sorted(f"builtin:{file.stem}" for file in BUILTIN_FOLDER.glob("*.safetensors"))
        message = f"{weights}: there is no such built-in model; known: {', '.join(known) or 'none'}"
        raise WeightsError(message)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDetector:
    """Opens one configured detector; can be sent to another process, which then opens its own."""

    path: Path
    device: str
    size: tuple[int, int] | None
    """Height and width to work at, in pixels; None: as the weights were saved for."""
    spec: DetectorSpec | None = None
    """For a `.pth`, which does not describe its net."""
    options: ForeignOptions | GivenOptions | None = None
    """For an OpenVINO IR or an ONNX file."""
    published: PublishedWeights | None = None
    """For published weights, which are downloaded if missing."""
    fresh: DetectorSpec | None = None
    """For an untrained student: random weights, behind the backbone of `published` if it is
    given."""
    seed: int = 0
    backend: Backend = "auto"
    limits: Limits = DEFAULT_LIMITS
    """Of time and memory, for a `.pth`, an OpenVINO IR or an ONNX file."""

    def __call__(self) -> Detector:
        if self.options is not None:
            return open_foreign(self.path, self.options, limits=self.limits)
        return at_work(self.torch_detector(), self.backend)

    def torch_detector(self) -> TorchDetector:
        """The same detector as a torch model."""
        if self.fresh is not None:
            return self._untrained(self.fresh)
        if self.published is not None:
            detector = open_published(self.published, self._fetched(), device=self.device)
            return detector if self.size is None else detector.at_size(*self.size)
        if self.spec is None:
            detector = load_detector(self.path, device=self.device)
            return detector if self.size is None else detector.at_size(*self.size)
        spec = self.spec
        if self.size is not None:
            spec = replace(spec, height_px=self.size[0], width_px=self.size[1])
        try_first(load_pth, self.path, files=[self.path], limits=self.limits)
        state = load_pth(self.path)
        return with_weights(spec, state, source=self.path, device=self.device)

    def _untrained(self, spec: DetectorSpec) -> TorchDetector:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            if self.published is None:
                return TorchDetector(build_model(spec), spec, device=self.device)
            trunk = published_state(self.published, self._fetched())
            return with_backbone(spec, trunk, source=self.published.name)

    def _fetched(self) -> Path:
        if self.published is None or self.path.is_file() or self.path != cached(self.published):
            return self.path
        logger.info("downloading pretrained:%s from %s", self.published.name, self.published.url)
        return fetch(self.published)


def configured_detector(
    settings: StudentSettings | TeacherSettings, *, device: str, size: tuple[int, int] | None = None
) -> OpenDetector:
    """How to open the configured student or teacher."""
    path = weights_path(settings.weights)
    if isinstance(settings, StudentSettings) and settings.untrained is not None:
        return OpenDetector(
            path=path,
            device=device,
            size=size,
            published=settings.published,
            fresh=_untrained_spec(settings),
            backend=settings.backend,
        )
    if settings.published is not None:
        return OpenDetector(
            path=path,
            device=device,
            size=size,
            published=settings.published,
            backend=settings.backend,
        )
    options: ForeignOptions | GivenOptions | None = None
    if isinstance(settings, TeacherSettings) and settings.is_foreign:
        options = GivenOptions() if settings.io is None else settings.io.to_options()
    spec = None
    if settings.suffix in PTH_SUFFIXES:
        spec = DetectorSpec(
            architecture=settings.architecture,
            class_names=settings.class_names,
            height_px=800,
            width_px=1333,
            width=settings.width,
        )
    return OpenDetector(
        path=path,
        device=device,
        size=size,
        spec=spec,
        options=options,
        backend=settings.backend,
        limits=settings.load_limits,
    )


def _untrained_spec(settings: StudentSettings) -> DetectorSpec:
    """The net of an untrained student. It has one nameless class: each camera replaces it by its
    own (`fit_to_camera`)."""
    entry = settings.published
    return fresh_spec(
        settings.architecture if entry is None else entry.architecture,
        ("object",),
        max_side_px=settings.max_side_px,
        width=settings.width if entry is None else 1.0,
    )


def described(settings: StudentSettings | TeacherSettings) -> str:
    """The configured detector in a few words: its weights and its net."""
    if settings.published is not None:
        return f"pretrained:{settings.published.name} ({settings.published.described()})"
    if settings.weights == UNTRAINED:
        return f"random weights ({settings.architecture}, width {settings.width:g})"
    path = weights_path(settings.weights)
    shown = settings.weights if settings.weights.startswith("builtin:") else path.name
    if isinstance(settings, TeacherSettings) and settings.is_foreign:
        return shown
    architecture, width = settings.architecture, settings.width
    if settings.suffix not in PTH_SUFFIXES:
        spec = spec_from_meta(load_meta(path), source=path)
        architecture, width = spec.architecture, spec.width
    return f"{shown} ({architecture}, width {width:g})"


def bring_weights(settings: StudentSettings | TeacherSettings, progress: Progress) -> None:
    """Download published weights if they are missing, and say what they are."""
    entry = settings.published
    if entry is not None and settings.weights.startswith(PREFIX):
        bring_published(entry, progress)


def bring_published(entry: PublishedWeights, progress: Progress) -> Path:
    """The file of published weights, downloaded if it is missing."""
    if cached(entry).is_file():
        return cached(entry)
    progress.note(f"{PREFIX}{entry.name}: {entry.described()}; from {entry.url}")
    with progress.stage(f"downloading {entry.name} (MB)", round(entry.size_mb)) as advance:
        shown = 0

        def show(here: int, total: int | None) -> None:
            nonlocal shown
            advance(here // 10**6 - shown)
            shown = here // 10**6

        return fetch(entry, advance=show)


def weights_in_words(settings: StudentSettings | TeacherSettings) -> str:
    """What a configuration's weights are, for `culling check`. Published ones are not downloaded
    for that."""
    entry = settings.published
    if entry is None:
        return settings.weights
    path = weights_path(settings.weights)
    here = f"here: {path}" if path.is_file() else "not downloaded yet, which the first night does"
    return f"{settings.weights}: {entry.described()}, {here}"


def are_here(settings: StudentSettings | TeacherSettings) -> bool:
    """Whether the weights need no download any more."""
    return settings.published is None or weights_path(settings.weights).is_file()


def opened_in_words(settings: StudentSettings | TeacherSettings) -> tuple[Sequence[str], str]:
    """The detector's classes, and the backend that runs it on a CPU, as words to append. Weights
    that would have to be downloaded are not opened."""
    opener = configured_detector(settings, device="cpu")
    entry = opener.published
    if entry is not None and not opener.path.is_file():
        return entry.class_names, ""
    detector = opener()
    recognised = f", {detector.described}" if isinstance(detector, ForeignDetector) else ""
    return detector.class_names, f"{recognised}, run by {backend_of(detector)} on a CPU"


def pick_device(wanted: str) -> str:
    """`auto` takes a GPU where there is one; asking for one that is not there is an error."""
    has_cuda = torch.cuda.is_available()
    if wanted == "cuda" and not has_cuda:
        message = "device: cuda is asked for, but torch finds no GPU: use auto or cpu"
        raise UsageError(message)
    return "cuda" if has_cuda and wanted != "cpu" else "cpu"


def full_size(height_px: int, width_px: int, *, max_side_px: int) -> tuple[int, int]:
    """Height and width the student works at on this camera before optResolution: the frame's own,
    or smaller if its longer side is above `max_side_px`."""
    shrink = min(1.0, max_side_px / max(height_px, width_px))
    return round(height_px * shrink), round(width_px * shrink)


def why_untrained(settings: StudentSettings) -> str | None:
    """Why the configured student is untrained, in words; None if it is trained. A checkpoint of
    ours says so itself."""
    if settings.untrained is not None:
        return settings.untrained
    if settings.published is not None or settings.suffix in PTH_SUFFIXES:
        return None
    return untrained_in(load_meta(weights_path(settings.weights)))
