"""Each camera's daily figures, by which drift is judged."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from culling_pipeline.records.day import DayFigures
from culling_pipeline.records.night import AnyNight, NightRecord
from jobs.database.connection import Database
from jobs.database.tables import history_table

REACH = timedelta(days=180)
"""Days further back than this from the camera's last one are deleted."""


class History:
    """The table of daily figures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of(self, camera: str) -> tuple[DayFigures, ...]:
        """A camera's days, the oldest first; a day with a promotion has two rows (`DayFigures`)."""
        query = sa.select(history_table.c.figures).where(history_table.c.camera == camera)
        query = query.order_by(history_table.c.day, history_table.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).scalars()
            return tuple(DayFigures.model_validate(row) for row in rows)


def add_to_history(connection: sa.Connection, record: AnyNight) -> None:
    """Add a done night's day, within the transaction that ends the night. A day that was unfit to
    train is not added, nor one made up after a later one. A view that has settled begins a new
    history."""
    if not isinstance(record, NightRecord):
        return
    own = history_table.c.camera == record.camera
    if record.view is not None and record.view.state == "settled":
        connection.execute(sa.delete(history_table).where(own))
    last = connection.execute(sa.select(sa.func.max(history_table.c.day)).where(own)).scalar()
    if last is not None and last > record.date:
        return
    old = history_table.c.day < record.date - REACH
    connection.execute(sa.delete(history_table).where(own, old))
    for figures in record.day_figures:
        values = {"day": figures.date, "figures": figures.model_dump(mode="json")}
        connection.execute(sa.insert(history_table).values(camera=record.camera, **values))
