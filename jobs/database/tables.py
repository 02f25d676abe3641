"""The store's tables. `migrations/` upgrades older databases to them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

nights_table = sa.Table(
    "nights",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera", sa.String, nullable=False),
    # The date, then ".2", ".3", …: names this night's folders.
    sa.Column("run_id", sa.String, nullable=False),
    sa.Column("night_date", sa.Date, nullable=False),
    # Fingerprint of the camera's settings: a night is resumed only under the same ones.
    sa.Column("settings", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    # From 1; counts the processes that worked on this night.
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    # Tells a process from a later one with the same pid: boot id and start time, "" if unknown.
    sa.Column("process", sa.String, nullable=False),
    sa.Column("host", sa.String, nullable=False),
    # UTC, as all moments here. The first attempt's beginning and the last one's end.
    sa.Column("started_at", sa.DateTime, nullable=False),
    sa.Column("finished_at", sa.DateTime, nullable=True),
    sa.Column("error", sa.String, nullable=True),
    # Until then other machines assume that the process lives; renewed while it works.
    sa.Column("lease_until", sa.DateTime, nullable=True),
    # The few figures that lists and plans need; the whole record is in `records`.
    sa.Column("figures", sa.JSON(none_as_null=True), nullable=True),
    # Why a done night trained nothing, and what to do about it; it has no figures then.
    sa.Column("unusable", sa.String, nullable=True),
    sa.UniqueConstraint("camera", "run_id", name="uq_nights_camera_run_id"),
    sa.CheckConstraint(
        "state IN ('running', 'done', 'failed', 'interrupted')", name="ck_nights_state"
    ),
    sa.CheckConstraint("attempt >= 1", name="ck_nights_attempt"),
    sa.Index("ix_nights_camera_state", "camera", "state", "id"),
    # The running and the failed nights of all cameras, without reading all nights.
    sa.Index("ix_nights_state", "state", "id"),
)

records_table = sa.Table(
    "records",
    metadata,
    sa.Column("night_id", sa.Integer, primary_key=True, autoincrement=False),
    # A `NightRecord` as JSON, compressed by zlib.
    sa.Column("record", sa.LargeBinary, nullable=False),
    sa.ForeignKeyConstraint(
        ["night_id"], ["nights.id"], name="fk_records_night_id", ondelete="CASCADE"
    ),
)

stages_table = sa.Table(
    "stages",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("night_id", sa.Integer, nullable=False),
    sa.Column("name", sa.String, nullable=False),
    # Emptied once the night is done: its record has it all.
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("finished_at", sa.DateTime, nullable=False),
    sa.ForeignKeyConstraint(
        ["night_id"], ["nights.id"], name="fk_stages_night_id", ondelete="CASCADE"
    ),
    sa.UniqueConstraint("night_id", "name", name="uq_stages_night_id_name"),
)

dues_table = sa.Table(
    "dues",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera", sa.String, nullable=False),
    # When the schedule asked for this night. If two services ask for it, it is one night.
    sa.Column("due_at", sa.DateTime, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("state", sa.String, nullable=False),
    # Tries so far; those that a crash, a kill or a restart ended count as well.
    sa.Column("attempt", sa.Integer, nullable=False),
    # Not tried again before this.
    sa.Column("not_before", sa.DateTime, nullable=False),
    sa.Column("error", sa.String, nullable=True),
    sa.Column("night_id", sa.Integer, nullable=True),
    sa.Column("started_at", sa.DateTime, nullable=True),
    sa.Column("finished_at", sa.DateTime, nullable=True),
    # The service that has it, as in `nights`.
    sa.Column("pid", sa.Integer, nullable=True),
    sa.Column("process", sa.String, nullable=True),
    sa.Column("host", sa.String, nullable=True),
    sa.Column("lease_until", sa.DateTime, nullable=True),
    sa.UniqueConstraint("camera", "due_at", name="uq_dues_camera_due_at"),
    sa.CheckConstraint(
        "state IN ('queued', 'running', 'done', 'failed', 'dropped')", name="ck_dues_state"
    ),
    sa.Index("ix_dues_state", "state"),
)

notices_table = sa.Table(
    "notices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    # What it is about; one that was sent lately is not sent again.
    sa.Column("key", sa.String, nullable=False, unique=True),
    sa.Column("told_at", sa.DateTime, nullable=False),
)

history_table = sa.Table(
    "history",
    metadata,
    # A day on which a new student was put to work has two rows: first the old one's.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("camera", sa.String, nullable=False),
    sa.Column("day", sa.Date, nullable=False),
    # `DayFigures` as JSON.
    sa.Column("figures", sa.JSON, nullable=False),
    sa.Index("ix_history_camera_day", "camera", "day", "id"),
)

audit_table = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", sa.DateTime, nullable=False),
    # The role and the address from which it was used.
    sa.Column("who", sa.String, nullable=False),
    # Always the same words for the same kind of change.
    sa.Column("what", sa.String, nullable=False),
    sa.Column("camera", sa.String, nullable=True),
    sa.Column("detail", sa.String, nullable=False),
    sa.Index("ix_audit_camera", "camera", "id"),
)
