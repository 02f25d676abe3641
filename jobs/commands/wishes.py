"""What `culling add` and `culling quickstart` are told of a new camera's models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from jobs.commands.common import names_in

if TYPE_CHECKING:
    from jobs.setup.camera_block import Wish

TaskOption = Annotated[
    Literal["boxes", "count"] | None,
    typer.Option(help="Boxes, or a count where things stand too close.", show_default="boxes"),
]
TeacherOption = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="What labels: an .onnx, .xml, .pth or .safetensors, builtin:… or pretrained:….",
        show_default="pretrained:r101-mmdet-3x for a real camera",
    ),
]
TeacherClassesOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="The teacher's own classes, in its order, where its file does not say them.",
        show_default=False,
    ),
]


def wish_of(
    classes: str | None,
    task: Literal["boxes", "count"] | None,
    teacher: str | None,
    teacher_classes: str | None,
) -> Wish:
    """The options as one."""
    from jobs.setup.camera_block import Wish

    return Wish(
        task=task,
        classes=names_in(classes),
        teacher=teacher,
        teacher_classes=names_in(teacher_classes, option="--teacher-classes") or (),
    )
