"""`culling quickstart` once more, for a camera that config.yaml has already: what the command says
and the file does not."""

from __future__ import annotations

from pathlib import Path

from jobs.cameras.nets import nets_of
from jobs.config.edit import update_file
from jobs.config.edit_key import set_key
from jobs.config.load import parse_config
from jobs.config.settings import CameraConfig
from jobs.errors import ConfigError, UsageError
from jobs.setup.add import teacher_in_config
from jobs.setup.camera_block import Wish


def adopt(wish: Wish, budget: str | None, camera: CameraConfig, config: Path) -> list[str]:
    """Make another teacher the camera's, in config.yaml, and say so. Whoever has no network names
    one at the second try, and need not open the file for it. Whatever else differs is refused."""
    asked = (
        ("--task", wish.task, camera.task),
        ("--classes", wish.classes, camera.class_names),
        ("--budget", budget, str(camera.culling.budget)),
    )
    for option, value, there in asked:
        if value not in (None, there):
            shown = there if isinstance(there, str) else ",".join(there)
            message = (
                f"{option}: camera {camera.name!r} is in {config} with {shown}: change it there, "
                f"or leave out {option}"
            )
            raise UsageError(message)
    teacher = teacher_in_config(wish.teacher, config)
    before = nets_of(camera).teacher_weights
    if teacher is None or before in (teacher, str(config.absolute().parent / teacher)):
        return []
    if wish.teacher_classes or camera.teacher.io is not None or camera.task == "count":
        message = (
            f"--teacher: camera {camera.name!r} is in {config} with {before}, and more belongs to "
            "it than its name: change it there"
        )
        raise UsageError(message)
    update_file(config, lambda text: _with_teacher(text, camera.name, teacher, config))
    return [f"{camera.name}: its teacher in {config} is now {teacher}; it was {before}"]


def _with_teacher(text: str | None, name: str, teacher: str, config: Path) -> str:
    try:
        written = set_key(text or "", name, "teacher.weights", teacher)
    except ConfigError as error:
        message = f"{config}: {error}"
        raise ConfigError(message) from None
    parse_config(written, config, as_written=True)
    return written
