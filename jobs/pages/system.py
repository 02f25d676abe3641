"""The machine: what runs and waits, disk, alerts, changes; running nights as a stream of events."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from culling_pipeline.stage_names import STAGES
from jobs.logs import last_entries
from jobs.pages.house import House, house_of, visitor_of
from jobs.pages.moments import ago, stamp
from jobs.pages.templating import render

EVERY_S = 2.0
EVENTS = 20
"""Of one stream; then the browser asks for the next. So a stream is no longer than an answer may
take."""
WORDS = {stage.key: stage.words for stage in STAGES}
MOST_WAITING = 100
MOST_CHANGES = 50
MOST_ALERTS = 100
MOST_TOLD = 50
MOST_LINES = 200


def system(request: Request) -> Response:
    """GET /system."""
    house = house_of(request)
    config, store = house.config, house.store
    dues = store.dues.at_hand()
    waiting = [due for due in dues if due.state == "queued"]
    alerts = [g for g in house.overview.glances(config) if g.rank >= 40]
    disk = shutil.disk_usage(config.data_dir)
    return render(
        request,
        "system.html",
        running=_running(house),
        waiting=waiting[:MOST_WAITING],
        more=max(0, len(waiting) - MOST_WAITING),
        counts=store.dues.counts(),
        mistake=house.mistake,
        alerts=alerts[:MOST_ALERTS],
        more_alerts=max(0, len(alerts) - MOST_ALERTS),
        free=disk.free,
        total=disk.total,
        least_free=config.disk.min_free_gb * 1e9,
        told=store.notices.told(MOST_TOLD),
        log=last_entries(config.data_dir, MOST_LINES) if visitor_of(request).may_change else None,
        changes=store.audit.last(MOST_CHANGES),
        failed=store.nights(state="failed", limit=20),
        window=config.service.window,
        stamp=stamp,
        ago=ago,
    )


def events(request: Request) -> Response:
    """GET /system/events: running nights, as server-sent events."""
    house = house_of(request)
    return StreamingResponse(_events(house), media_type="text/event-stream")


async def _events(house: House) -> AsyncIterator[str]:
    for _ in range(EVENTS):
        running = await run_in_threadpool(_running, house)
        yield f"data: {json.dumps(running)}\n\n"
        await asyncio.sleep(EVERY_S)


def _running(house: House) -> list[dict[str, Any]]:
    """Each running night: how many of its stages are done, and which was the last."""
    found = []
    for night in house.store.nights(state="running", limit=50):
        done = house.store.stages_done(night.id)
        found.append(
            {
                "camera": night.camera,
                "run_id": night.run_id,
                "since": ago(night.started_at),
                "done": min(len(done), len(STAGES)),
                "stages": len(STAGES),
                "last": WORDS.get(done[-1], done[-1]) if done else "begun",
            }
        )
    return found
