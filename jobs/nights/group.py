"""A group's night, put together: one night for each of its cameras, and one training for all."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date

import torch

from culling_pipeline.day.day import EmptyDayError
from culling_pipeline.night.group_night import GroupPlan, run_group_night
from culling_pipeline.night.inputs import NightParts, NightPlan
from culling_pipeline.records.night import AnyNight
from culling_pipeline.report.group import GroupPage, write_group_page
from culling_pipeline.run.progress import Progress
from culling_pipeline.training.loop import TrainingError
from jobs.bucket.bucket import NIGHT_PATIENCE_S
from jobs.bucket.sharing import Sharing, open_sharing
from jobs.bucket.unshared import NightSharing
from jobs.cameras.watched_days import date_of_night
from jobs.config.settings import CameraConfig, Config
from jobs.database.nights import Night
from jobs.database.store import Store
from jobs.disk.cleanup import tidy_up
from jobs.errors import NightError
from jobs.nights.experience import LAST
from jobs.nights.nightly import clear_other_nights, night_inputs
from jobs.nights.tonights_budget import Known
from models.registry import ModelRegistry


@dataclass(frozen=True, slots=True)
class _Running:
    """One camera's night, begun in the store."""

    camera: CameraConfig
    night: Night
    shared: NightSharing


def retrain_group(
    config: Config,
    group: str,
    *,
    store: Store,
    progress: Progress,
    fresh: bool = False,
    today: Callable[[], date] | None = None,
) -> list[AnyNight]:
    """One night for a group, begun or taken up again where it was cut off: each camera's night up
    to its kept set, one training on all of them, and each camera's night to its end.

    If it fails for one camera it fails for all; what is done stays, and is not done again.
    """
    torch.set_num_threads(1)
    sharing = open_sharing(config, NIGHT_PATIENCE_S)
    registry = sharing.registry(config)
    with ExitStack() as stack:
        running = _begin(config, group, store, sharing, stack, fresh=fresh, today=today)
        try:
            inputs = [_inputs(config, one, store, registry, progress) for one in running]
            plan = group_plan(config, group, [plan for plan, _ in inputs])
            records = run_group_night(plan, inputs)
            for one, record in zip(running, records, strict=True):
                one.shared.publish(record)
        except (EmptyDayError, TrainingError) as error:
            message = f"group {group!r}: {error}"
            raise NightError(message) from error
        page = config.report_dir(group, running[0].night.run_id)
        write_group_page(page, GroupPage.of(group, records))
        store.finish_nights(
            {one.night.id: record for one, record in zip(running, records, strict=True)}
        )
    for one, record in zip(running, records, strict=True):
        shutil.rmtree(config.work_dir(one.camera.name, one.night.run_id))
        one.shared.over(record)
        tidy_up(config, one.camera, store, registry)
    return records


def group_plan(config: Config, group: str, plans: Sequence[NightPlan]) -> GroupPlan:
    """How the group's student is trained: on the frames of all its cameras, but only as long as one
    camera's would be (where `training.epochs` is set, as long as that says)."""
    first = config.cameras[config.groups[group][0]]
    training = first.training
    if training.epochs is None:
        epochs = sum(plan.budget.own.epochs for plan in plans) / len(plans)
        training = training.changed(epochs=max(1, round(epochs / len(plans))))
    return GroupPlan(
        name=group,
        training=training.to_plan(),
        min_gain=first.judging.min_gain,
    )


def _begin(
    config: Config,
    group: str,
    store: Store,
    sharing: Sharing,
    stack: ExitStack,
    *,
    fresh: bool,
    today: Callable[[], date] | None,
) -> list[_Running]:
    """Begin or resume the nights of all cameras, under one name."""
    names = config.groups[group]
    settings = _fingerprint(config, group)
    dates = {
        name: today()
        if today
        else date_of_night(config, name, store, elsewhere=sharing.days_elsewhere(name))
        for name in names
    }
    run_id = store.common_run_id(names, dates[names[0]], settings=settings, fresh=fresh)
    running = []
    for name in names:
        journal = stack.enter_context(
            store.running_night(name, dates[name], settings=settings, fresh=fresh, run_id=run_id)
        )
        clear_other_nights(config.work_dir(name, run_id))
        shared = sharing.night(journal)
        shared.begin()
        running.append(_Running(config.cameras[name], journal.night, shared))
    return running


def _inputs(
    config: Config, one: _Running, store: Store, registry: ModelRegistry, progress: Progress
) -> tuple[NightPlan, NightParts]:
    """A camera's night without the student on random frames: there is none for a group."""
    name = one.camera.name
    done = store.nights(name, state="done", limit=LAST)
    known = Known(store.history.of(name), tuple(done), store.last_record(name))
    plan, parts = night_inputs(config, one.night, registry, one.shared.journal, progress, known)
    return replace(plan, budget=plan.budget.changed(lottery=None)), parts


def _fingerprint(config: Config, group: str) -> str:
    """Changes whenever the group or a setting of one of its cameras does."""
    parts = [group, *(config.cameras[name].fingerprint for name in config.groups[group])]
    return hashlib.sha256(json.dumps([*parts, *config.groups[group]]).encode()).hexdigest()[:16]
