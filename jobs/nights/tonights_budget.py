"""Tonight's budget of a camera: worked out once, and the same when the night is taken up again."""

from __future__ import annotations

from typing import NamedTuple

from culling_pipeline.night.inputs import Journal
from culling_pipeline.records.costs import BudgetRecord, SecondsPerImage
from culling_pipeline.records.day import DayFigures
from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import Progress
from culling_pipeline.stage_names import BUDGET
from jobs.cameras.detectors import pick_device
from jobs.cameras.nets import nets_of
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.nights.budget import (
    BY_HAND,
    LAST_NIGHT,
    TRIAL,
    budget_of,
    seconds_of_night,
)
from jobs.nights.cost import speed_of
from jobs.nights.experience import why_drawn


class SeenDay(NamedTuple):
    """What is known of a day before a night begins: its source as it may be shown, the size of its
    pictures, how many frames it has (None: a whole day's), whether it was watched as it went by,
    and in words how much of it was recorded."""

    source: str
    height_px: int
    width_px: int
    frames: int | None
    watched: bool
    coverage: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height_px, self.width_px


class Known(NamedTuple):
    """What earlier nights of a camera tell: the figures of its days, its latest done nights, the
    newest first, the latest record, and how many
    earlier frames can be trained on again."""

    history: tuple[DayFigures, ...]
    nights: tuple[Night, ...]
    last: NightRecord | None
    earlier: int = 0


def tonights_budget(
    config: Config,
    camera: CameraConfig,
    day: SeenDay,
    *,
    journal: Journal,
    known: Known,
    progress: Progress,
) -> BudgetRecord:
    """The night's budget: from its journal, or worked out now and written there."""
    stored = journal.load(BUDGET.key)
    if stored is not None:
        return BudgetRecord.model_validate(stored)
    seconds, known_from = _seconds(config, camera, day, known.last, progress)
    budget = budget_of(
        camera,
        seconds,
        known_from,
        frames=day.frames,
        looks_free=day.watched,
        drawn=why_drawn(camera, known.last, known.nights),
        earlier=known.earlier,
    )
    journal.save(BUDGET.key, budget.model_dump(mode="json"))
    return budget


def _seconds(
    config: Config,
    camera: CameraConfig,
    day: SeenDay,
    last: NightRecord | None,
    progress: Progress,
) -> tuple[SecondsPerImage, str]:
    """What an image costs: as configured, as in the last night, or tried now."""
    by_hand = camera.culling.seconds.per_image
    if by_hand is not None:
        return by_hand, BY_HAND
    if last is not None and _is_like(last, config, camera, day):
        known = seconds_of_night(last)
        if known is not None:
            return known, LAST_NIGHT
    with progress.stage(BUDGET.words, None):
        size, device = (day.height_px, day.width_px), pick_device(config.device)
        speed = speed_of(camera, size, device, config.workers)
    return speed.per_image, TRIAL


def _is_like(last: NightRecord, config: Config, camera: CameraConfig, day: SeenDay) -> bool:
    """Whether a night's seconds say what one costs today: same nets, device and pictures."""
    nets = nets_of(camera)
    same_nets = (last.student, last.teacher) == (nets.student, nets.teacher)
    device = pick_device(config.device)
    same_device = all(cost.device in (device, "") for cost in last.ledger)
    same_size = (last.ingest.height_px, last.ingest.width_px) == (day.height_px, day.width_px)
    return same_nets and same_device and same_size
