"""A camera's last night, as far as it is still on disk: its frames and the teacher's labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from culling_pipeline.night.files import TEACHER_FILE
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.night import NightRecord
from culling_pipeline.tasks.answers import Truth
from jobs.bucket.sharing import open_sharing
from jobs.cameras.task import task_of
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import UsageError


@dataclass(frozen=True, slots=True)
class LastNight:
    """What is left of a night. `folder` holds its frames; `labels`, by frame id, are None if the
    release that ran the night did not keep them."""

    record: NightRecord
    folder: Path
    labels: Mapping[int, Truth] | None

    @property
    def control(self) -> list[StoredFrame]:
        """The control slice, without frames whose files are gone."""
        return self._there(self.record.ingest.control)

    @property
    def kept(self) -> list[StoredFrame]:
        """The kept set, hardest first, without frames whose files are gone."""
        return self._there(self.record.cull.kept)

    def _there(self, ids: Sequence[int]) -> list[StoredFrame]:
        frames = self.record.ingest.frames_of(ids)
        return [frame for frame in frames if (self.folder / frame.path).is_file()]


def last_night(config: Config, camera: str, store: Store) -> LastNight:
    """The camera's last night that trained a model; `UsageError` if there is none."""
    trained = (n for n in store.nights(camera, state="done") if n.figures is not None)
    night = next(trained, None)
    record = None if night is None else store.record(night.id)
    if not isinstance(record, NightRecord):
        message = f"camera {camera!r} has no night yet: run `culling retrain {camera}`"
        raise UsageError(message)
    task = task_of(config.cameras[camera])
    if record.judge.after.score.metric != task.metric.name:
        message = (
            f"camera {camera!r}: its last night, {record.run_id}, had another task (it was judged "
            f"by {record.judge.after.score.metric}): run `culling retrain {camera}`"
        )
        raise UsageError(message)
    open_sharing(config).bring_frames(camera, record.run_id)
    folder = config.frames_dir(camera, record.run_id)
    path = folder / TEACHER_FILE
    return LastNight(record, folder, task.load(path) if path.is_file() else None)


def require_frames(night: LastNight, frames: Sequence[StoredFrame], what_for: str) -> None:
    """Raise `UsageError` if none of the frames is left on disk."""
    if not frames:
        message = (
            f"camera {night.record.camera!r}: of night {night.record.run_id} no frame is left in "
            f"{night.folder} {what_for}: run `culling retrain {night.record.camera}`"
        )
        raise UsageError(message)
