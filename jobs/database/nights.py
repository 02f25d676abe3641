"""Nights in the store, read: one, all, each camera's latest, a done night's record."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, cast

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from culling_pipeline.records.night import AnyNight, NightRecord
from jobs.database.connection import Database, StoreError, aware
from jobs.database.figures import Figures, Past
from jobs.database.tables import nights_table, records_table, stages_table

State = Literal["running", "done", "failed", "interrupted"]
RECORDS: TypeAdapter[AnyNight] = TypeAdapter(AnyNight)

_FIGURES = nights_table.c.figures
PAST: dict[str, sa.ColumnElement[Any]] = {
    "score_before": _FIGURES["score_before"].as_float(),
    "score_after": _FIGURES["score_after"].as_float(),
    "promoted": _FIGURES["promoted"].as_boolean(),
    "mean_loss": _FIGURES["mean_loss"].as_float(),
    "device_s": _FIGURES["device_s"].as_float(),
}
"""The fields of `Past`, extracted by the database: four times as fast as reading whole
`Figures`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night in the store. Once done, it has `figures`, or `unusable` says why there are none
    and what to do."""

    id: int
    camera: str
    run_id: str
    night_date: date
    state: State
    attempt: int
    pid: int
    host: str
    started_at: datetime
    finished_at: datetime | None
    error: str | None
    figures: Figures | None
    unusable: str | None


class NightQueries:
    """What can be looked up about nights; no method writes or waits for a writer."""

    database: Database

    def night(self, night_id: int) -> Night:
        """One night by its id."""
        with self.database.reading() as connection:
            query = sa.select(nights_table).where(nights_table.c.id == night_id)
            row = connection.execute(query).one_or_none()
        if row is None:
            message = f"{self.database.shown}: there is no night {night_id}"
            raise StoreError(message)
        return night_of(row)

    def night_named(self, camera: str, run_id: str) -> Night | None:
        """The camera's night of this name, or None."""
        query = sa.select(nights_table).where(
            nights_table.c.camera == camera, nights_table.c.run_id == run_id
        )
        with self.database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else night_of(row)

    def nights(
        self, camera: str | None = None, *, state: State | None = None, limit: int | None = None
    ) -> list[Night]:
        """All nights, one camera's, or those in one state, at most `limit`; the latest first."""
        query = sa.select(nights_table).order_by(nights_table.c.id.desc()).limit(limit)
        if camera is not None:
            query = query.where(nights_table.c.camera == camera)
        if state is not None:
            query = query.where(nights_table.c.state == state)
        with self.database.reading() as connection:
            return [night_of(row) for row in connection.execute(query)]

    def latest_night(self, camera: str, *, state: State | None = None) -> Night | None:
        """The camera's latest night (in this state), or None."""
        return next(iter(self.nights(camera, state=state, limit=1)), None)

    def latest_nights(self, cameras: Iterable[str] | None = None) -> dict[str, Night]:
        """Each camera's latest night, in one query."""
        names = sa.select(nights_table.c.camera).distinct().subquery()
        other = nights_table.alias()
        last = sa.select(sa.func.max(other.c.id)).where(other.c.camera == names.c.camera)
        query = sa.select(nights_table).join(names, nights_table.c.id == last.scalar_subquery())
        with self.database.reading() as connection:
            found = {row.camera: night_of(row) for row in connection.execute(query)}
        return found if cameras is None else {c: found[c] for c in cameras if c in found}

    def histories(self, *, nights: int) -> dict[str, list[Past]]:
        """What plans need of each camera's last done nights, the latest first, in one query."""
        cameras = sa.select(nights_table.c.camera).distinct().subquery()
        done = nights_table.alias()
        first = (  # of the last `nights`; the index takes as many steps
            sa.select(done.c.id)
            .where(done.c.camera == cameras.c.camera, done.c.state == "done")
            .where(done.c.figures.is_not(None))
            .order_by(done.c.id.desc())
            .offset(nights - 1)
            .limit(1)
            .scalar_subquery()
        )
        figures = [column.label(name) for name, column in PAST.items()]
        query = (
            sa.select(nights_table.c.camera, *figures)
            .join(cameras, cameras.c.camera == nights_table.c.camera)
            .where(nights_table.c.state == "done", nights_table.c.figures.is_not(None))
            .where(nights_table.c.id >= sa.func.coalesce(first, 0))
            .order_by(nights_table.c.camera, nights_table.c.id.desc())
        )
        found: dict[str, list[Past]] = {}
        with self.database.reading() as connection:
            for camera, *values in connection.execute(query):
                found.setdefault(camera, []).append(Past(*values))
        return found

    def record(self, night_id: int) -> AnyNight | None:
        """The whole record of a done night; None for any other."""
        query = sa.select(records_table.c.record).where(records_table.c.night_id == night_id)
        with self.database.reading() as connection:
            packed = connection.execute(query).scalar_one_or_none()
        if packed is None:
            return None
        try:
            return _unpacked(packed)
        except (ValidationError, zlib.error) as error:
            night = self.night(night_id)
            message = (
                f"camera {night.camera!r}: night {night.run_id} was recorded by another release"
            )
            raise StoreError(message) from error

    def last_record(self, camera: str) -> NightRecord | None:
        """The whole record of the camera's latest night that trained; None if there is none, or
        another release recorded it."""
        query = (
            sa.select(records_table.c.record)
            .join(nights_table, nights_table.c.id == records_table.c.night_id)
            .where(nights_table.c.camera == camera, nights_table.c.figures.is_not(sa.null()))
            .order_by(nights_table.c.id.desc())
            .limit(1)
        )
        with self.database.reading() as connection:
            packed = connection.execute(query).scalar_one_or_none()
        try:
            record = None if packed is None else _unpacked(packed)
        except (ValidationError, zlib.error):
            return None
        return record if isinstance(record, NightRecord) else None

    def stages_done(self, night_id: int) -> list[str]:
        """The stages of this night that are done, in their order."""
        query = (
            sa.select(stages_table.c.name)
            .where(stages_table.c.night_id == night_id)
            .order_by(stages_table.c.id)
        )
        with self.database.reading() as connection:
            return list(connection.execute(query).scalars())

    def stage_result(self, night_id: int, name: str) -> dict[str, Any] | None:
        """A stage's result in this night, or None."""
        with self.database.reading() as connection:
            result = connection.execute(
                sa.select(stages_table.c.result).where(
                    stages_table.c.night_id == night_id, stages_table.c.name == name
                )
            ).scalar_one_or_none()
        return cast("dict[str, Any] | None", result)


def _unpacked(packed: bytes) -> AnyNight:
    return RECORDS.validate_json(zlib.decompress(packed))


def night_of(row: sa.Row[Any]) -> Night:
    return Night(
        id=row.id,
        camera=row.camera,
        run_id=row.run_id,
        night_date=row.night_date,
        state=row.state,
        attempt=row.attempt,
        pid=row.pid,
        host=row.host,
        started_at=row.started_at.replace(tzinfo=UTC),
        finished_at=aware(row.finished_at),
        error=row.error,
        figures=None if row.figures is None else Figures.model_validate(row.figures),
        unusable=row.unusable,
    )
