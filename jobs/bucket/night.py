"""One night in the store, so that it can be taken up on another machine.

    nights/CAMERA/RUN/attempt-NNNN.json   frames and work as one attempt has left them
    nights/CAMERA/RUN/done.json           the frames of a night that is done

Frames and work go up before a stage's record is saved: what the records speak of is always there.
Attempts share their files and none of them touches another's manifest, so that a process which was
taken for dead does no harm when it wakes up.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from culling_pipeline.day.daybook import DayClock
from culling_pipeline.labels.checks import CHECKS_FILE, add_checks, checks_from, load_checks
from culling_pipeline.labels.corrections import (
    LABELS_FILE,
    add_corrections,
    corrected_frames,
    load_corrections,
)
from culling_pipeline.records.labels import CheckedFrame
from culling_pipeline.records.night import AnyNight, UnusableNight
from jobs.bucket.bucket import Bucket, StorageError
from jobs.bucket.days import StoredDays
from jobs.bucket.shelf import Manifest, Shelf, files_below
from jobs.bucket.unshared import NightSharing
from jobs.cameras.reports import report_key, report_path
from jobs.config.settings import Config
from jobs.database.nights import Night
from jobs.database.store import NightJournal
from jobs.errors import describe

logger = logging.getLogger(__name__)

DONE = "done.json"
_ATTEMPT = re.compile(r"attempt-(\d+)\.json")


class SharedJournal:
    """The night's journal; its files are in the store before a record is saved."""

    def __init__(self, journal: NightJournal, shared: SharedNight) -> None:
        self._journal, self._shared = journal, shared

    def load(self, stage: str) -> dict[str, Any] | None:
        """A stage's result, or None if it has not been finished."""
        return self._journal.load(stage)

    def save(self, stage: str, result: dict[str, Any]) -> None:
        """Send what the stage left on disk, then keep its result."""
        self._shared.send(stage)
        self._journal.save(stage, result)


class SharedNight(NightSharing):
    """What one camera's night sends and brings."""

    def __init__(self, config: Config, bucket: Bucket, journal: NightJournal) -> None:
        super().__init__(journal)
        self.journal = SharedJournal(journal, self)
        self._config, self._bucket = config, bucket
        self._night: Night = journal.night
        self._camera, self._run = journal.night.camera, journal.night.run_id
        self._days = StoredDays(config, bucket)
        self._shelf = Shelf(bucket, f"{self._place}/{self._run}")
        self._views = Shelf(bucket, f"views/{self._camera}")
        self._replay = Shelf(bucket, f"replay/{self._camera}")

    def begin(self) -> None:
        """Bring the day, how the camera looked before, corrected labels, frames of earlier nights
        and, of a night that was cut off, what its stages have left."""
        self._days.bring(self._camera, self._night.night_date)
        bring_views(self._config, self._views, self._camera)
        agree_on_corrections(self._config, self._bucket, self._camera)
        bring_replay(self._config, self._replay, self._camera)
        if self._night.attempt > 1:
            self._take_up()

    def send(self, stage: str) -> None:
        """What the night has on disk now."""
        frames = self._config.frames_dir(self._camera, self._run)
        work = self._config.work_dir(self._camera, self._run)
        files = files_below(frames, "frames/") | files_below(work, "work/")
        if files:
            name = f"attempt-{self._night.attempt:04d}.json"
            self._shelf.send(files, name=name, about={"stage": stage})
        if stage == "view":
            folder = self._config.views_dir(self._camera)
            self._views.tidy(self._views.send(files_below(folder)))

    def publish(self, record: AnyNight) -> None:
        """The night is about to be done: its report and its frames stay, and those for later."""
        report = report_path(self._config, self._camera, self._run)
        key = report_key(self._camera, self._run)
        self._bucket.write({key: report.read_bytes()})
        frames = self._config.frames_dir(self._camera, self._run)
        about = {"trained": not isinstance(record, UnusableNight)}
        self._shelf.send(files_below(frames), name=DONE, about=about)
        again = files_below(self._config.replay_dir(self._camera))
        if again:
            self._replay.tidy(self._replay.send(again))

    def over(self, record: AnyNight) -> None:
        """The night is done, whatever comes of it: its work goes, and earlier nights' frames; but
        where it has not trained, those of the last one that has stay."""
        try:
            self._clear(keep_trained=isinstance(record, UnusableNight))
            clock = DayClock.on(self._night.night_date)
            if self._night.started_at >= clock.end:
                self._days.let_go(self._camera, self._night.night_date)
        except StorageError as error:
            logger.warning("camera %s: left for the next night: %s", self._camera, describe(error))

    # -- inside --------------------------------------------------------------------------------

    @property
    def _place(self) -> str:
        return f"nights/{self._camera}"

    def _take_up(self) -> None:
        """What the latest attempt that got so far has sent; nothing where none did."""
        names = (key.rpartition("/")[2] for key in self._bucket.keys(self._shelf.place))
        attempts = [int(found[1]) for name in names if (found := _ATTEMPT.fullmatch(name))]
        earlier = [number for number in attempts if number < self._night.attempt]
        if not earlier:
            return
        manifest = self._shelf.manifest(f"attempt-{max(earlier):04d}.json")
        if manifest is not None:
            folders = {
                "frames": self._config.frames_dir(self._camera, self._run),
                "work": self._config.work_dir(self._camera, self._run),
            }
            self._shelf.bring(manifest, folders, exactly=True)

    def _clear(self, *, keep_trained: bool) -> None:
        keys = list(self._bucket.keys(self._place))
        done = [key for key in keys if key.endswith(f"/{DONE}")]
        wanted = set()
        for key in done:
            place = key.rpartition("/")[0]
            manifest = Shelf(self._bucket, place).manifest(DONE)
            if manifest is None:
                continue
            trained = bool(manifest.about.get("trained"))
            if place == self._shelf.place or (keep_trained and trained):
                wanted |= {key, *(f"{place}/{file}" for file in manifest.keys)}
        old = [key for key in keys if key not in wanted]
        self._bucket.delete([key for key in old if key.endswith(".json")])
        self._bucket.delete(old)


def bring_frames(config: Config, bucket: Bucket, camera: str, run_id: str) -> None:
    """The frames of a night that is done, if the store has them."""
    shelf = Shelf(bucket, f"nights/{camera}/{run_id}")
    manifest = shelf.manifest(DONE)
    if manifest is not None:
        shelf.bring(manifest, {"": config.frames_dir(camera, run_id)})


def bring_views(config: Config, shelf: Shelf, camera: str) -> None:
    """How a camera has looked on earlier days, as the last night anywhere has left it."""
    manifest = shelf.manifest()
    if manifest is not None:
        shelf.bring(manifest, {"": config.views_dir(camera)}, exactly=True)


def bring_replay(config: Config, shelf: Shelf, camera: str) -> None:
    """The earlier nights' frames to train on again, as the last night anywhere has left them."""
    manifest = shelf.manifest()
    if manifest is not None:
        shelf.bring(manifest, {"": config.replay_dir(camera)}, exactly=True)


def agree_on_corrections(config: Config, bucket: Bucket, camera: str) -> None:
    """Here and in the store the same corrected frames and checks; of one frame the later counts.
    Nothing is removed, so it does not matter who comes first."""
    folder, shelf = config.corrections_dir(camera), Shelf(bucket, f"corrections/{camera}")
    here = {frame.image: frame for frame in load_corrections(folder).frames}
    manifest = shelf.manifest()
    there = {}
    if manifest is not None:
        labels = shelf.read({LABELS_FILE: manifest.files[LABELS_FILE]})[LABELS_FILE]
        there = {frame.image: frame for frame in corrected_frames(labels)}
    news = [
        frame
        for name, frame in there.items()
        if name not in here or here[name].corrected_at < frame.corrected_at
    ]
    if manifest is not None and news:
        pictures = shelf.read({frame.image: manifest.files[frame.image] for frame in news})
        add_corrections(folder, {frame: pictures[frame.image] for frame in news})
    checked = _agree_on_checks(folder, shelf, manifest)
    if checked or {f.image: f for f in load_corrections(folder).frames} != there:
        shelf.tidy(shelf.send(files_below(folder)))


def _agree_on_checks(folder: Path, shelf: Shelf, manifest: Manifest | None) -> bool:
    """Take over the store's checks that are later than ours; whether some of ours are later."""
    there: dict[tuple[str, int], CheckedFrame] = {}
    if manifest is not None and CHECKS_FILE in manifest.files:
        content = shelf.read({CHECKS_FILE: manifest.files[CHECKS_FILE]})[CHECKS_FILE]
        remedy = f"{CHECKS_FILE}: damaged: it is none that a machine of this release has written"
        there = {(c.run_id, c.frame_id): c for c in checks_from(content, remedy)}
    here = {(c.run_id, c.frame_id): c for c in load_checks(folder)}
    news = [
        check
        for which, check in there.items()
        if which not in here or here[which].checked_at < check.checked_at
    ]
    if news:
        add_checks(folder, news)
    return any(
        which not in there or there[which].checked_at < check.checked_at
        for which, check in here.items()
    )
