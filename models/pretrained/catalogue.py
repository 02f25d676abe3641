"""The published weights that a configuration can name: where they lie, what they are, whose terms.

A new one is a new entry here. `culling check` prints what an entry says.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Literal

from models.boxes.classes import COCO_80
from models.errors import WeightsError

if TYPE_CHECKING:
    from models.boxes.detector import DetectorSpec

PREFIX = "pretrained:"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedWeights:
    """One file of weights that somebody has published.

    `digest` is as much of the file's hash by `hash_name` as its publisher tells, which is what
    stands in the file's name; `box_ap` is COCO's box AP on val2017 in percent, as published, None
    for a backbone. `height_px`, `width_px` is the size it was made for; a camera has its own.
    """

    name: str
    url: str
    size_mb: float
    """Million bytes, about; for the operator, not a check."""
    hash_name: Literal["sha256", "md5"] = "sha256"
    digest: str
    licence: str
    architecture: str
    layout: Literal["torchvision", "mmdetection", "detectron2"]
    box_ap: float | None
    height_px: int = 800
    width_px: int = 1333
    class_names: tuple[str, ...] = COCO_80

    @property
    def file_name(self) -> str:
        """The name its publisher gave it; for Detectron2, whose files are all called alike, with
        ours before it."""
        last = self.url.rpartition("/")[2]
        return f"{self.name}-{last}" if last.startswith("model_final") else last

    @property
    def is_backbone(self) -> bool:
        """Whether it knows pictures but no boxes."""
        return self.box_ap is None

    @property
    def counts(self) -> bool:
        """Whether it is the front end of counting nets; no detector of ours begins with it."""
        return self.architecture == "vgg16"

    @property
    def spec(self) -> DetectorSpec:
        """The net of ours that the weights fit into once converted."""
        from models.boxes.detector import (
            DetectorSpec,  # torch, which reading a configuration does without
        )

        return DetectorSpec(
            architecture=self.architecture,
            class_names=self.class_names,
            height_px=self.height_px,
            width_px=self.width_px,
            layout=self.layout,
        )

    def described(self) -> str:
        """One line for the operator: what it is, how good, how large, on whose terms."""
        what = "ImageNet backbone" if self.box_ap is None else f"{self.box_ap:g} box AP on COCO"
        return f"{self.architecture} ({self.layout}), {what}, {self.size_mb:.0f} MB, {self.licence}"


_MMDETECTION = "https://download.openmmlab.com/mmdetection/v2.0/faster_rcnn"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/COCO-Detection"
_TORCH = "https://download.pytorch.org/models"
_APACHE = "Apache-2.0"
_SHARE_ALIKE = "CC BY-SA 3.0"
_BSD = "BSD-3-Clause (torchvision; it gives no other terms for its weights)"

CATALOGUE = (
    PublishedWeights(
        name="r101-mmdet-3x",
        url=f"{_MMDETECTION}/faster_rcnn_r101_fpn_mstrain_3x_coco/"
        "faster_rcnn_r101_fpn_mstrain_3x_coco_20210524_110822-4d4d2ca8.pth",
        size_mb=243,
        digest="4d4d2ca8",
        licence=_APACHE,
        architecture="resnet101",
        layout="mmdetection",
        box_ap=41.8,
    ),
    PublishedWeights(
        name="r101-mmdet-2x",
        url=f"{_MMDETECTION}/faster_rcnn_r101_fpn_2x_coco/"
        "faster_rcnn_r101_fpn_2x_coco_bbox_mAP-0.398_20200504_210455-1d2dac9c.pth",
        size_mb=243,
        digest="1d2dac9c",
        licence=_APACHE,
        architecture="resnet101",
        layout="mmdetection",
        box_ap=39.8,
    ),
    PublishedWeights(
        name="r101-detectron2-3x",
        url=f"{_DETECTRON2}/faster_rcnn_R_101_FPN_3x/137851257/model_final_f6e8b1.pkl",
        size_mb=243,
        hash_name="md5",
        digest="f6e8b1",
        licence=_SHARE_ALIKE,
        architecture="resnet101",
        layout="detectron2",
        box_ap=42.0,
    ),
    PublishedWeights(
        name="r50-v2",
        url=f"{_TORCH}/fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
        size_mb=175,
        digest="dd69338a",
        licence=_BSD,
        architecture="fasterrcnn_resnet50_fpn_v2",
        layout="torchvision",
        box_ap=46.7,
    ),
    PublishedWeights(
        name="mobilenet",
        url=f"{_TORCH}/fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
        size_mb=78,
        digest="fb6a3cc7",
        licence=_BSD,
        architecture="fasterrcnn_mobilenet_v3_large_fpn",
        layout="torchvision",
        box_ap=32.8,
    ),
    PublishedWeights(
        name="mobilenet-320",
        url=f"{_TORCH}/fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
        size_mb=78,
        digest="907ea3f9",
        licence=_BSD,
        architecture="fasterrcnn_mobilenet_v3_large_320_fpn",
        layout="torchvision",
        box_ap=22.8,
        height_px=320,
        width_px=640,
    ),
    PublishedWeights(
        name="resnet18-imagenet",
        url=f"{_TORCH}/resnet18-f37072fd.pth",
        size_mb=47,
        digest="f37072fd",
        licence=_BSD,
        architecture="resnet18",
        layout="torchvision",
        box_ap=None,
    ),
    PublishedWeights(
        name="resnet101-imagenet",
        url=f"{_TORCH}/resnet101-63fe2227.pth",
        size_mb=179,
        digest="63fe2227",
        licence=_BSD,
        architecture="resnet101",
        layout="torchvision",
        box_ap=None,
    ),
    PublishedWeights(
        name="vgg16-imagenet",
        url=f"{_TORCH}/vgg16-397923af.pth",
        size_mb=553,
        digest="397923af",
        licence=_BSD,
        architecture="vgg16",
        layout="torchvision",
        box_ap=None,
    ),
)


def published(weights: str) -> PublishedWeights | None:
    """The entry that `pretrained:NAME` names, or that a path's file name belongs to; None for any
    other weights. An unknown NAME raises `WeightsError` with those there are."""
    if not weights.startswith(PREFIX):
        last = weights.replace("\\", "/").rpartition("/")[2]
        return next((e for e in CATALOGUE if last in (e.file_name, e.url.rpartition("/")[2])), None)
    name = weights.removeprefix(PREFIX)
    names = [entry.name for entry in CATALOGUE]
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean '{PREFIX}{near[0]}'?" if near else ""
        message = f"{weights}: there are no such pretrained weights; known: {', '.join(names)}."
        raise WeightsError(message + hint)
    return CATALOGUE[names.index(name)]
