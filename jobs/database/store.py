"""The store: which nights ran, and what each of their stages left behind.

SQLite in `data_dir`, or PostgreSQL for several machines (`connection.py`). Who may work on a night
is in `claims.py`, what the schedule has asked for in `dues.py`.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa

from culling_pipeline.records.night import AnyNight, UnusableNight
from jobs.config.settings import Config
from jobs.database.audit import Audit
from jobs.database.claims import NightClaims, require_own
from jobs.database.connection import Database, StoreError, plain
from jobs.database.dues import Dues
from jobs.database.figures import Figures
from jobs.database.history import History, add_to_history
from jobs.database.nights import Night, NightQueries, State
from jobs.database.notices import Notices
from jobs.database.patience import patiently
from jobs.database.processes import holds
from jobs.database.tables import nights_table, records_table, stages_table
from jobs.errors import describe
from jobs.private import close_to_others


class NightJournal:
    """Where one night's stages load and save their results. If the database is away, they wait."""

    def __init__(self, store: Store, night: Night) -> None:
        self._store = store
        self.night = night

    def load(self, stage: str) -> dict[str, Any] | None:
        """A stage's result, or None if it has not been finished."""
        return patiently(partial(self._store.stage_result, self.night.id, stage))

    def save(self, stage: str, result: dict[str, Any]) -> None:
        """Keep a stage's result; on disk when this returns."""
        patiently(partial(self._store.save_stage, self.night.id, stage, result))

    def finish(self, record: AnyNight) -> None:
        """The night is done, as `Store.finish_night`."""
        patiently(partial(self._store.finish_night, self.night.id, record))


class Store(NightQueries):
    """All that is kept between two runs of the program; created or upgraded when it is opened.
    `url` is PostgreSQL's address; None keeps everything in `data_dir`. If its server
    `may_be_away`, `database.make_ready` has to be called later."""

    def __init__(
        self,
        data_dir: Path,
        url: str | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        may_be_away: bool = False,
    ) -> None:
        self.data_dir = data_dir
        self.database = Database(data_dir, url, now=now, may_be_away=may_be_away)
        self._claims = NightClaims(self.database)
        self.dues = Dues(self.database)
        self.notices = Notices(self.database)
        self.history = History(self.database)
        self.audit = Audit(self.database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection; closing twice is harmless."""
        self.database.close()

    # -- nights --------------------------------------------------------------------------------

    def open_night(
        self,
        camera: str,
        night_date: date,
        *,
        settings: str = "",
        fresh: bool = False,
        run_id: str | None = None,
    ) -> Night:
        """The camera's unfinished night, taken over by this process, or else a new one.

        A night is unfinished if it was killed, interrupted or failed under the same `settings` (a
        fingerprint) less than a day ago; `fresh` gives it up instead, and so does another
        `run_id`, which is a new night's name. Raises `NightError` while a living process runs a
        night of this camera.
        """
        return self._claims.open(camera, night_date, settings=settings, fresh=fresh, run_id=run_id)

    def common_run_id(
        self, cameras: Sequence[str], night_date: date, *, settings: str, fresh: bool = False
    ) -> str:
        """The name under which these cameras have one night together: their unfinished one's, or
        one that is new to them all."""
        return self._claims.common_run_id(cameras, night_date, settings=settings, fresh=fresh)

    @contextmanager
    def running_night(
        self,
        camera: str,
        night_date: date,
        *,
        settings: str = "",
        fresh: bool = False,
        run_id: str | None = None,
    ) -> Iterator[NightJournal]:
        """`open_night` as a block; if an error leaves it, the store notes how the night ended.

        Call its `finish` inside the block.
        """
        night = self.open_night(camera, night_date, settings=settings, fresh=fresh, run_id=run_id)
        try:
            with self._claims.lease(night.id):
                yield NightJournal(self, night)
        except Exception as error:
            with suppress(StoreError):  # a full disk: the night is found dead, and resumed
                self.fail_night(night.id, describe(error, data_dir=self.data_dir))
            raise
        except BaseException:
            with suppress(StoreError):
                self.interrupt_night(night.id)
            raise

    def finish_night(self, night_id: int, record: AnyNight) -> None:
        """The night is done: keep its record, drop its stages' results."""
        self.finish_nights({night_id: record})

    def finish_nights(self, records: Mapping[int, AnyNight]) -> None:
        """These nights are done, all of them at once."""
        with self.database.transaction(nights_table) as connection:
            for night_id, record in records.items():
                self._finish(connection, night_id, record)

    def _finish(self, connection: sa.Connection, night_id: int, record: AnyNight) -> None:
        packed = zlib.compress(record.model_dump_json().encode())
        if isinstance(record, UnusableNight):
            came_to: dict[str, Any] = {"unusable": record.why}
        else:
            came_to = {"figures": Figures.of(record).model_dump(mode="json")}
        if require_own(connection, night_id) == "done":
            return  # the answer to the first try was lost
        query = sa.delete(records_table).where(records_table.c.night_id == night_id)
        connection.execute(query)
        connection.execute(sa.insert(records_table).values(night_id=night_id, record=packed))
        connection.execute(
            sa.update(stages_table).where(stages_table.c.night_id == night_id).values(result={})
        )
        add_to_history(connection, record)
        _close_night(connection, night_id, self.database.now(), state="done", **came_to)

    def fail_night(self, night_id: int, error: str) -> None:
        """The night failed, for this reason."""
        with self.database.transaction(nights_table) as connection:
            _close_night(
                connection, night_id, self.database.now(), state="failed", error=plain(error)
            )

    def interrupt_night(self, night_id: int) -> None:
        """Somebody stopped the night; it can be resumed."""
        with self.database.transaction(nights_table) as connection:
            _close_night(
                connection, night_id, self.database.now(), state="interrupted", error="interrupted"
            )

    # -- stages --------------------------------------------------------------------------------

    def save_stage(self, night_id: int, name: str, result: dict[str, Any]) -> None:
        """Keep a stage's result in place of an earlier one. Raises `NightError` if another process
        has taken the night over."""
        with self.database.transaction(nights_table) as connection:
            require_own(connection, night_id)
            connection.execute(
                sa.delete(stages_table).where(
                    stages_table.c.night_id == night_id, stages_table.c.name == name
                )
            )
            connection.execute(
                sa.insert(stages_table).values(
                    night_id=night_id, name=name, result=result, finished_at=self.database.now()
                )
            )


def open_store(config: Config, *, may_be_away: bool = False) -> Store:
    """The store that the configuration names; `data_dir` is closed to other users before."""
    close_to_others(config.data_dir)
    return Store(config.data_dir, config.database, may_be_away=may_be_away)


def _close_night(
    connection: sa.Connection,
    night_id: int,
    now: datetime,
    *,
    state: State,
    error: str | None = None,
    **came_to: Any,
) -> None:
    row = connection.execute(
        sa.select(nights_table).where(nights_table.c.id == night_id)
    ).one_or_none()
    if row is None or not holds(row):
        return  # it is another process's by now
    connection.execute(
        sa.update(nights_table)
        .where(nights_table.c.id == night_id)
        .values(state=state, error=error, finished_at=now, **came_to)
    )
