"""The settings of student and teacher, with all defaults."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from culling_pipeline.ranges import Count, Flag, Positive, Real, Share, Whole
from jobs.config.fields import NO_UNIT, Section, Text, setting
from models.boxes.families.names import FamilyName
from models.errors import WeightsError

if TYPE_CHECKING:
    from models.boxes.families.base import ForeignOptions
    from models.boxes.recognition import GivenOptions
    from models.pretrained.catalogue import PublishedWeights
    from models.trial import Limits

SYNTHETIC_TEACHER, SYNTHETIC_WORLD = "builtin:street-teacher", "synthetic://"
"""A teacher that has seen drawn streets only, and the sources that show them."""
BUILT_IN = "builtin:"
"""What the names of models begin with that come with the package. All have seen drawn worlds only.
"""
REAL_TEACHER = "pretrained:r101-mmdet-3x"
"""What `culling add` writes for a real camera: a ResNet-101 trained on COCO, as in the paper."""
UNTRAINED = "none"
"""The student's `weights` to start from random weights."""
FOREIGN_SUFFIXES = (".xml", ".onnx")
PTH_SUFFIXES = (".pth", ".pt")
OWN_SUFFIXES = (".safetensors", "")


def _or(suffixes: tuple[str, ...]) -> str:
    return ", ".join(suffix or "a folder" for suffix in suffixes)


def how_to_export(weights: str) -> str:
    """What to do with a `.pt` of Ultralytics, which is a pickled program."""
    name = Path(weights).stem
    return (
        f"export it where it was trained (`yolo export model={name}.pt format=onnx`) and set "
        f"weights: {name}.onnx"
    )


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
            if self.suffix == ".pt":
                message += f"; if it is a YOLO of Ultralytics, {how_to_export(self.weights)}"
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
        """A detector's backbone is enough: the camera's nights train it to find boxes."""
        if entry.counts:
            message = (
                f"weights: {entry.name} is the front end of counting nets (CSRNet), which no "
                "detector begins with: name a ResNet's backbone"
            )
            raise ValueError(message)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.weights != UNTRAINED:
            self._check_weights((*PTH_SUFFIXES, *OWN_SUFFIXES))
        return self


Triple = tuple[Real, Real, Real]


_BEFORE_FAMILIES = ("boxes-labels", "boxes-scores-labels", "yolox", "yolox-decoded")
"""Kinds of `outputs` whose defaults have always been those of `ForeignOptions`."""


class DetectorIo(Section):
    """How a teacher from elsewhere (.xml, .onnx) wants its image and what its outputs mean, where
    its file is not recognised, or wrongly. Mirrors `models.boxes.families.base.ForeignOptions`."""

    preset: Literal["person-vehicle-bike", "yolox-coco", "torchvision-coco"] | None = setting(
        None,
        "options of a known detector",
        more="`person-vehicle-bike` is Open Model Zoo's 2003 and 2004, `yolox-coco` Megvii's "
        "YOLOX, `torchvision-coco` torchvision's exports with its own weights. Other keys "
        "override those of the preset.",
        example="person-vehicle-bike",
    )
    class_names: tuple[Text, ...] = setting(
        (),
        "the detector's classes, in its order; empty: as the file says",
        more="Not every file says it. 80 classes without names are taken for those of COCO.",
        example=["vehicle", "person", "bike"],
    )
    outputs: FamilyName | None = setting(
        None,
        "the family of detectors, which says what the net returns; null: recognised",
        more="`yolo`: Ultralytics v8 and later; `yolo-v5`: v5, v6, v7; `yolo-end2end`: 1×N×6; "
        "`yolo-nas-flat`, `yolo-nas-batch`: SuperGradients; `yolox`: not decoded; "
        "`yolox-decoded`: exported with `--decode_in_inference`; `detr`: RT-DETR and D-FINE, "
        "logits and boxes; `detr-decoded`: the same with the picture's size as an input; "
        "`detr-rows`: RT-DETR of Ultralytics; `rf-detr`; `ssd`: 1×1×N×7, also OpenVINO's "
        "DetectionOutput; `tf-ssd`: TensorFlow's; `boxes-labels`: boxes N×5 (x1 y1 x2 y2 score) "
        "and labels N; `boxes-scores-labels`: three outputs, as torchvision exports.",
        example="boxes-labels",
    )
    box_units: Literal["pixels", "shares"] | None = setting(
        None,
        "what the net's boxes are in: pixels of its input, or shares (0…1) of it; null: as usual "
        "in its family",
    )
    height_px: Count | None = setting(
        None, "height of the input; null: the model says", unit="pixels"
    )
    width_px: Count | None = setting(
        None, "width of the input; null: the model says", unit="pixels"
    )
    channel_order: Literal["bgr", "rgb"] | None = setting(
        None, "order of the input's colours; null: as usual in its family"
    )
    mean: Triple | None = setting(
        None,
        "the net sees (pixel - mean) / scale, in the channel order; null: as usual",
        unit="grey levels",
    )
    scale: tuple[Positive, Positive, Positive] | None = setting(
        None, "the same, for the division", unit="grey levels"
    )
    keep_aspect: Flag | None = setting(
        None, "true: pad to the input size; false: stretch; null: as usual"
    )
    pad_value: Annotated[Whole, Field(ge=0, le=255)] | None = setting(
        None, "grey of the padding; null: as usual", unit="grey levels"
    )
    pad_position: Literal["top-left", "centre"] | None = setting(
        None, "where the image lies in the padding; null: as usual"
    )
    boxes_output: str | None = setting(
        None, "name of the output, where shape and type do not tell outputs apart"
    )
    scores_output: str | None = setting(None, "the same for scores")
    labels_output: str | None = setting(None, "the same for labels")
    label_offset: Whole | None = setting(
        None, "added to the net's labels; -1 if it counts from 1; null: as usual", unit=NO_UNIT
    )
    min_score: Share = setting(0.05, "the net returns nothing below this score", unit=NO_UNIT)
    nms_iou: Share | None = setting(
        None,
        "grids: of two boxes of one class that overlap more, the better stays; null: as usual",
        more="0.45, for Ultralytics YOLO from v8 on 0.7.",
        unit=NO_UNIT,
    )

    @property
    def given(self) -> dict[str, Any]:
        """What the configuration says, by the names of `ForeignOptions`."""
        said = {key: getattr(self, key) for key in self.model_fields_set - {"preset"}}
        return {key: value for key, value in said.items() if value not in (None, ())}

    def to_options(self) -> ForeignOptions | GivenOptions:
        """The options as `models.boxes.foreign` takes them: all of them, or what the file is to
        complete."""
        from models.boxes.recognition import PRESETS, GivenOptions

        if self.preset is not None:
            return replace(PRESETS[self.preset], **self.given)
        if self.outputs in _BEFORE_FAMILIES and self.class_names:
            return replace(PRESETS["person-vehicle-bike"], **self.given)
        return GivenOptions(tuple(sorted(self.given.items())))

    @property
    def as_before(self) -> dict[str, object]:
        """What configurations of 0.1 and 0.2 said where they said nothing."""
        if self.preset is None and self.outputs not in _BEFORE_FAMILIES:
            return {}
        said: dict[str, object] = {"channel_order": "bgr", "mean": (0.0,) * 3, "scale": (1.0,) * 3}
        said |= {"keep_aspect": False, "pad_value": 114, "pad_position": "top-left"}
        said |= {"label_offset": 0, "nms_iou": 0.45, "box_units": "pixels"}
        return {key: value for key, value in said.items() if getattr(self, key) is None}


class TeacherSettings(WeightsSettings):
    """The large detector that labels."""

    weights: Text = setting(
        SYNTHETIC_TEACHER,
        "builtin:…, pretrained:…, or a path to .safetensors, .pth, .xml or .onnx",
        more=f"{_WEIGHTS} The default knows drawn streets only; for a real camera `culling add` "
        f"writes `{REAL_TEACHER}`. Also a path to an OpenVINO IR (`.xml` with its `.bin`) or to an "
        "`.onnx`.",
    )
    architecture: Text = _architecture("resnet101")
    max_side_px: Side = _max_side_px(1280)
    min_side_share: Share = setting(
        0.02,
        "labels with a smaller side are dropped; a share of the frame's shorter side",
        unit=NO_UNIT,
    )
    io: DetectorIo | None = setting(
        None,
        "only for .xml and .onnx; null: its family is recognised",
        more="`culling check` shows what was recognised.",
    )

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
        return self
