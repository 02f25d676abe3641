"""The settings of student and teacher, with all defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from culling_pipeline.ranges import Count, Flag, Positive, Real, Share, Whole
from jobs.config.fields import NO_UNIT, Section, Text, setting
from models.errors import WeightsError

if TYPE_CHECKING:
    from models.boxes.foreign import ForeignOptions
    from models.pretrained.catalogue import PublishedWeights
    from models.trial import Limits

UNTRAINED = "none"
"""The student's `weights` to start from random weights."""
FOREIGN_SUFFIXES = (".xml", ".onnx")
PTH_SUFFIXES = (".pth", ".pt")
OWN_SUFFIXES = (".safetensors", "")


def _or(suffixes: tuple[str, ...]) -> str:
    return ", ".join(suffix or "a folder" for suffix in suffixes)


Side = Annotated[Whole, Field(ge=64)]

_WEIGHTS = (
    "`builtin:…`: a model that comes with the package. `pretrained:…`: [published "
    "weights](../design/pretrained.md) by name; they are downloaded on first use into "
    "`$CULLING_CACHE`, else `~/.cache/culling-pipeline`, and `architecture` and `width` are not "
    "used. A path: to `.safetensors` (with its `.json`), to a version's folder, or to a PyTorch "
    "state dict (`.pth`, `.pt`)."
)


def _architecture(default: str) -> Any:
    return setting(
        default,
        "resnet18, resnet34, resnet50, resnet101, or a torchvision builder",
        more="The first four are Faster R-CNN with FPN; a builder is one of torchvision's "
        "detection models, by its name.",
    )


def _max_side_px(default: int) -> Any:
    return setting(
        default,
        "larger frames are shrunk to this longer side",
        unit="pixels",
        more="`.xml` and `.onnx` have a size of their own.",
    )


class WeightsSettings(Section):
    """The settings common to student and teacher: the weights and their architecture."""

    weights: Text
    architecture: Text
    width: Annotated[Positive, Field(le=4)] = setting(
        0.25, "channels, as a share of the full net's", unit=NO_UNIT, more="Only for our own nets."
    )
    class_names: tuple[Text, ...] = setting(
        (),
        "what the labels mean, in order; only for .pth, others know it",
        more="A `.pth` needs it, unless it is a published file under its publisher's name.",
    )
    min_score: Share = setting(0.5, "detections below this score are dropped", unit=NO_UNIT)
    backend: Literal["auto", "torch", "lean"] = setting(
        "auto",
        "lean: torchvision's net arranged for a CPU; torch: the net as it is; auto: lean where it "
        "gives the same boxes",
        more="For scoring and labelling, not for training. `lean` gives the same boxes up to "
        "three times as fast (a net of full width; a slim one 1.3). `auto` takes `lean` where the "
        "net can be arranged and gives the same result on a trial picture, and always `torch` on "
        "a GPU. Where you ask for `lean` and the net cannot be arranged, the log warns and "
        "`torch` runs. `.xml` and `.onnx` have their own runtime. See "
        "[scoring](../design/scoring.md).",
    )

    load_limit_s: Annotated[Positive, Field(le=3600)] = setting(
        120.0,
        "a .pth, .xml or .onnx that does not open within this is refused",
        unit="seconds",
        more="Such a file is opened in a process of its own first, which is ended when it takes "
        "longer.",
    )
    load_limit_gb: Annotated[Positive, Field(le=1024)] = setting(
        4.0,
        "one that takes more memory than this and six times its own size is refused",
        unit="GiB",
        more="Never more than three quarters of the machine's memory. On Linux only.",
    )

    @property
    def load_limits(self) -> Limits:
        """What a file of weights may take while it is opened."""
        from models.trial import GIB, Limits

        memory_bytes = round(self.load_limit_gb * GIB)
        return Limits(deadline_s=self.load_limit_s, memory_bytes=memory_bytes)

    @property
    def suffix(self) -> str:
        """The weights' file suffix, lower case; empty for a folder, `builtin:`, `pretrained:`."""
        named = self.weights.startswith(("builtin:", "pretrained:"))
        return "" if named else Path(self.weights).suffix.lower()

    @property
    def published(self) -> PublishedWeights | None:
        """What the catalogue knows of `pretrained:NAME`, or of a file that has its publisher's name
        (and no `class_names`, which make it the operator's own)."""
        from models.pretrained.catalogue import published

        return None if self.class_names else published(self.weights)

    def _check_weights(self, suffixes: tuple[str, ...]) -> None:
        try:
            entry = self.published
        except WeightsError as exc:
            message = f"weights: {exc}"
            raise ValueError(message) from exc
        if entry is not None:
            self._check_published(entry)
            return
        if self.suffix not in suffixes:
            message = (
                f"weights: got {self.weights!r}, must be builtin:…, pretrained:… or a path to "
                f"{_or(suffixes)}"
            )
            raise ValueError(message)
        if self.suffix in PTH_SUFFIXES and not self.class_names:
            message = f"class_names: missing, a {self.suffix} does not say what its labels mean"
            raise ValueError(message)

    def _check_published(self, entry: PublishedWeights) -> None:
        if entry.is_backbone:
            message = f"weights: {entry.name} is a backbone, which finds no boxes: name a detector"
            raise ValueError(message)


class StudentSettings(WeightsSettings):
    """The small detector a camera starts from. With `none` or a backbone it finds no boxes yet."""

    weights: Text = setting(
        "builtin:street-student",
        "builtin:…, pretrained:…, none, or a path to .safetensors, .pth or a version's folder",
        more=f"{_WEIGHTS} Also `none` (random numbers, with `architecture` and `width`) or a "
        "backbone (`pretrained:resnet18-imagenet`, at full width). Such a student knows no box "
        "before [its first night](../design/night.md#detailed), which then takes frames evenly "
        "in time.",
    )
    architecture: Text = _architecture("resnet18")
    max_side_px: Side = _max_side_px(640)

    @property
    def untrained(self) -> str | None:
        """Why this student finds no boxes yet, in words; None if it does."""
        if self.weights == UNTRAINED:
            return "its weights are random numbers (student.weights: none)"
        if self.published is not None and self.published.is_backbone:
            return f"{self.published.name} is a backbone, which has never seen a box"
        return None

    def _check_published(self, entry: PublishedWeights) -> None:
        """A backbone is enough: the camera's nights train it to find boxes."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights != UNTRAINED:
            self._check_weights((*PTH_SUFFIXES, *OWN_SUFFIXES))
        return self


Triple = tuple[Real, Real, Real]


class DetectorIo(Section):
    """How a teacher from elsewhere (.xml, .onnx) wants its image and what its outputs mean: a
    preset, and what differs from it. Mirrors `models.boxes.foreign.ForeignOptions`."""

    preset: Literal["person-vehicle-bike", "yolox-coco"] | None = setting(
        None,
        "null: no preset, then class_names and outputs are needed",
        more="`person-vehicle-bike` is Open Model Zoo's 2003 and 2004, `yolox-coco` Megvii's "
        "YOLOX. Other keys override those of the preset.",
        example="person-vehicle-bike",
    )
    class_names: tuple[Text, ...] = setting(
        (), "the detector's classes, in its order", example=["vehicle", "person", "bike"]
    )
    outputs: Literal["boxes-labels", "boxes-scores-labels", "yolox", "yolox-decoded"] | None = (
        setting(
            None,
            "what the net returns",
            more="`boxes-labels`: boxes N×5 (x1 y1 x2 y2 score) and labels N; "
            "`boxes-scores-labels`: three outputs, as torchvision exports; `yolox`: not decoded; "
            "`yolox-decoded`: exported with `--decode_in_inference`.",
            example="boxes-labels",
        )
    )
    box_units: Literal["pixels", "shares"] = setting(
        "pixels", "what the net's boxes are in: pixels of its input, or shares (0…1) of it"
    )
    height_px: Count | None = setting(
        None, "height of the input; null: the model says", unit="pixels"
    )
    width_px: Count | None = setting(
        None, "width of the input; null: the model says", unit="pixels"
    )
    channel_order: Literal["bgr", "rgb"] = setting("bgr", "order of the input's colours")
    mean: Triple = setting(
        (0.0, 0.0, 0.0),
        "the net sees (pixel - mean) / scale, in the channel order",
        unit="grey levels",
    )
    scale: tuple[Positive, Positive, Positive] = setting(
        (1.0, 1.0, 1.0), "the same, for the division", unit="grey levels"
    )
    keep_aspect: Flag = setting(False, "true: pad to the input size; false: stretch")
    pad_value: Annotated[Whole, Field(ge=0, le=255)] = setting(
        114, "grey of the padding", unit="grey levels"
    )
    pad_position: Literal["top-left", "centre"] = setting(
        "top-left", "where the image lies in the padding"
    )
    boxes_output: str | None = setting(
        None, "name of the output, where shape and type do not tell outputs apart"
    )
    scores_output: str | None = setting(None, "the same for scores")
    labels_output: str | None = setting(None, "the same for labels")
    label_offset: Whole = setting(
        0, "added to the net's labels; -1 if it counts from 1", unit=NO_UNIT
    )
    min_score: Share = setting(0.05, "the net returns nothing below this score", unit=NO_UNIT)
    nms_iou: Share = setting(
        0.45,
        "yolox: of two boxes of one class that overlap more, the better stays",
        unit=NO_UNIT,
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.preset is None and not (self.class_names and self.outputs):
            message = "give a preset, or class_names and outputs"
            raise ValueError(message)
        return self

    def to_options(self) -> ForeignOptions:
        """The options as `models.boxes.foreign` takes them."""
        from models.boxes.foreign import PRESETS, ForeignOptions

        if self.preset is None:
            return ForeignOptions(**self.model_dump(exclude={"preset"}))
        given = {k: getattr(self, k) for k in self.model_fields_set if k != "preset"}
        return replace(PRESETS[self.preset], **given)


class TeacherSettings(WeightsSettings):
    """The large detector that labels."""

    weights: Text = setting(
        "builtin:street-teacher",
        "builtin:…, pretrained:…, or a path to .safetensors, .pth, .xml or .onnx",
        more=f"{_WEIGHTS} Also a path to an OpenVINO IR (`.xml` with its `.bin`) or to an `.onnx`.",
    )
    architecture: Text = _architecture("resnet101")
    max_side_px: Side = _max_side_px(1280)
    min_side_share: Share = setting(
        0.02,
        "labels with a smaller side are dropped; a share of the frame's shorter side",
        unit=NO_UNIT,
    )
    io: DetectorIo | None = setting(None, "only for .xml and .onnx, which need it")

    @property
    def is_foreign(self) -> bool:
        """Whether OpenVINO or ONNX Runtime is needed to run it."""
        return self.suffix in FOREIGN_SUFFIXES

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights == UNTRAINED:
            message = (
                "weights: got 'none', but a teacher has to know what it labels: name a detector"
            )
            raise ValueError(message)
        self._check_weights((*FOREIGN_SUFFIXES, *PTH_SUFFIXES, *OWN_SUFFIXES))
        if self.is_foreign and self.io is None:
            message = f"io: missing, {Path(self.weights).name} needs it to be read"
            raise ValueError(message)
        return self
