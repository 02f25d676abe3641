"""Which family a foreign detector belongs to, and its options: what the configuration gives, what
the file tells, and what is usual in the family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.boxes.classes import COCO_80, COCO_IDS
from models.boxes.families.base import (
    Arrays,
    Family,
    ForeignOptions,
    Look,
    Settings,
    Size,
    with_usual,
)
from models.boxes.families.registry import FAMILIES
from models.boxes.families.ultralytics import described_names
from models.boxes.feeding import Inputs, input_size, inputs_of
from models.boxes.foreign_layouts import shown, trial_picture
from models.errors import ModelError
from models.runtimes import OnnxNet, OpenVinoNet

_PERSON_VEHICLE_BIKE = with_usual(class_names=("vehicle", "person", "bike"), outputs="boxes-labels")
PRESETS = {
    "person-vehicle-bike": _PERSON_VEHICLE_BIKE,
    "yolox-coco": with_usual(class_names=COCO_80, outputs="yolox", keep_aspect=True),
    "torchvision-coco": with_usual(
        class_names=COCO_IDS[1:],
        outputs="boxes-scores-labels",
        channel_order="rgb",
        scale=(255.0, 255.0, 255.0),
        keep_aspect=True,
        pad_value=0,
        label_offset=-1,
    ),
}
"""Options of detectors that are known by measurement: Open Model Zoo's
person-vehicle-bike-detection-2003 and -2004 (stretched, BGR 0…255), Megvii's YOLOX on COCO (BGR
0…255, padded with 114 at the right and bottom), torchvision's own weights on COCO."""

PUBLISHED_AS = {
    "person-vehicle-bike-detection-2003": PRESETS["person-vehicle-bike"],
    "person-vehicle-bike-detection-2004": PRESETS["person-vehicle-bike"],
}
"""Files that do not say what their classes are, by the names that their publisher gives them."""

_TASKS_WITHOUT_BOXES = ("obb", "classify", "semantic", "depth")


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """What the configuration says of a foreign detector before its file is opened; the file and
    its family say the rest."""

    options: tuple[tuple[str, Any], ...] = ()
    """Fields of `ForeignOptions`, with their values."""


def recognised(
    net: OpenVinoNet | OnnxNet, given: GivenOptions | ForeignOptions, path: Path
) -> ForeignOptions:
    """All options of the detector in the file; `ModelError` if no family fits, or several do."""
    if isinstance(given, ForeignOptions):
        return given
    known = dict(given.options)
    published = PUBLISHED_AS.get(path.stem)
    if published is not None and not known.keys() & {"outputs", "class_names"}:
        return replace(published, **known)
    inputs = inputs_of(net.inputs, path)
    _refuse_other_tasks(net.about, path)
    if "outputs" in known:
        family = FAMILIES[known["outputs"]]
        if not known.get("class_names"):
            told = family.recognise(_look(net, inputs, known, path)) or {}
            names = told.get("class_names") or described_names(net.about)
            known = {"class_names": names} | {k: v for k, v in known.items() if v}
        return _settled(family, {}, known, inputs, net.about, path)
    family, told = _family_of(_look(net, inputs, known, path), path)
    return _settled(family, told, known, inputs, net.about, path)


def described(options: ForeignOptions, size: Size) -> str:
    """The detector's family and how it is fed, for `culling check`."""
    fit = "stretched"
    if options.keep_aspect:
        fit = f"padded with {options.pad_value} ({options.pad_position})"
    span = "0…255" if options.scale == (1.0, 1.0, 1.0) else "scaled"
    span = "0…1" if (options.mean, options.scale) == ((0.0,) * 3, (255.0,) * 3) else span
    return (
        f"{FAMILIES[options.outputs].title}, {size[1]}×{size[0]}, {fit}, "
        f"{options.channel_order.upper()} {span}"
    )


def _refuse_other_tasks(about: Mapping[str, str], path: Path) -> None:
    task = about.get("task", "").strip("\"'")
    if task in _TASKS_WITHOUT_BOXES and "names" in about:
        message = (
            f"{path}: made for the task {task!r}, which gives no upright boxes: export a model of "
            "the task 'detect', 'segment' or 'pose'"
        )
        raise ModelError(message)


def _look(net: OpenVinoNet | OnnxNet, inputs: Inputs, known: Settings, path: Path) -> Look:
    """The file's outputs for the trial's picture, fed as most detectors are: RGB 0…1."""
    scale = (1.0,) * 3 if inputs.takes_bytes else (255.0,) * 3
    size = _size(inputs, known, net.about, (640, 640))
    probe = with_usual(
        class_names=("any",),
        outputs="boxes-labels",
        channel_order=known.get("channel_order", "rgb"),
        mean=known.get("mean", (0.0,) * 3),
        scale=known.get("scale", scale),
        height_px=size[0],
        width_px=size[1],
    )
    size = input_size(inputs, probe, path)
    outputs = net.run(inputs.feed(trial_picture(size), probe))
    return Look(
        size=size,
        outputs={k: _as_float32(array) for k, array in outputs.items()},
        inputs=tuple(port.name for port in net.inputs),
        about=net.about,
        class_names=tuple(known.get("class_names", ())),
    )


def _as_float32(array: Any) -> Any:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _size(inputs: Inputs, known: Settings, about: Mapping[str, str], usual: Size) -> Size:
    """Height and width: as given, as fixed, as the file's words say, as usual."""
    said = [int(word) for word in about.get("imgsz", "").strip("[]()").split(",") if _is_int(word)]
    words = (said[0], said[-1]) if said else usual
    given = (known.get("height_px"), known.get("width_px"))
    high, wide = (g or f or w for g, f, w in zip(given, inputs.fixed, words, strict=True))
    return high, wide


def _is_int(word: str) -> bool:
    return word.strip().isdecimal()


def _family_of(look: Look, path: Path) -> tuple[Family, Settings]:
    found = [(f, told) for f in FAMILIES.values() if (told := f.recognise(look)) is not None]
    if len(found) == 1:
        return found[0]
    have = _shapes(look.outputs)
    if found:
        which = " or ".join(family.name for family, _ in found)
        message = f"{path}: its outputs ({have}) fit {which}: set teacher.io.outputs to one of them"
    else:
        message = (
            f"{path}: its outputs ({have}) are of no known family of detectors: set "
            f"teacher.io.outputs ({', '.join(FAMILIES)}), or export it in one of these layouts"
        )
    raise ModelError(message)


def _shapes(outputs: Arrays) -> str:
    return ", ".join(f"{n} {shown(a.shape)} {a.dtype}" for n, a in outputs.items())


def _settled(
    family: Family,
    told: Settings,
    known: Settings,
    inputs: Inputs,
    about: Mapping[str, str],
    path: Path,
) -> ForeignOptions:
    values: dict[str, Any] = {"outputs": family.name, **family.usual, **told}
    if inputs.takes_bytes:  # it scales by itself
        values |= {"mean": (0.0,) * 3, "scale": (1.0,) * 3}
    values |= known
    if told or "imgsz" in about:
        values["height_px"], values["width_px"] = _size(inputs, known, about, family.usual_size)
    if not values.get("class_names"):
        message = (
            f"{path}: recognised as {family.title}, but the file does not say what its classes "
            "are: name them in its order (teacher.io.class_names)"
        )
        raise ModelError(message)
    return with_usual(**values)
