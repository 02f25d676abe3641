"""Which of a camera's watched days a night is about, and where they lie.

`culling ingest` writes one folder a day. A night takes the latest day that is over and has had no
night since, else today as far as it goes. Days missed before stay until their space is needed.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime

from culling_pipeline.day.daybook import DAYBOOK, DayClock
from culling_pipeline.day.watched_day import WatchedDay
from jobs.config.settings import Config
from jobs.database.store import Store


def watched_days(config: Config, camera: str) -> list[date]:
    """The days of this camera that have a daybook, the oldest first."""
    found = []
    for folder in (config.data_dir / "days" / camera).glob("*"):
        if (folder / DAYBOOK).is_file():
            try:
                found.append(date.fromisoformat(folder.name))
            except ValueError:
                continue
    return sorted(found)


def watched_day(config: Config, camera: str, day: date) -> WatchedDay | None:
    """This day, if it was watched; else None."""
    folder = config.day_dir(camera, day)
    return WatchedDay(folder, DayClock.on(day)) if (folder / DAYBOOK).is_file() else None


def days_done(store: Store, camera: str) -> set[date]:
    """The days that have had their night: one that began when they were over. An early night, begun
    while the day went on, does not count."""
    nights = store.nights(camera, state="done")
    return {n.night_date for n in nights if n.started_at >= DayClock.on(n.night_date).end}


def _day_of_pictures(config: Config, camera: str) -> date | None:
    settings = config.cameras.get(camera)
    if settings is None:
        return None
    scheme, colon, _ = settings.source.partition("://")
    if colon and scheme.lower() != "file":
        return None
    from jobs.cameras.sources import picture_options  # decoders, of no use to other cameras
    from streams.open import last_day_of

    return last_day_of(settings.source, camera=camera, pictures=picture_options(settings))


def date_of_night(
    config: Config,
    camera: str,
    store: Store,
    *,
    now: datetime | None = None,
    elsewhere: Collection[date] = (),
) -> date:
    """The day that a night begun now is about: the last of a folder of pictures with times, a
    watched day, else today. `elsewhere` are days that other machines have."""
    now = now or datetime.now(UTC)
    days = sorted({*watched_days(config, camera), *elsewhere})
    if not days:
        return _day_of_pictures(config, camera) or now.astimezone(UTC).date()
    today = now.astimezone().date()
    done = days_done(store, camera)
    waiting = [day for day in days if day < today and day not in done]
    return waiting[-1] if waiting else days[-1]
