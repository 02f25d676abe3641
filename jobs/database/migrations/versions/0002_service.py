"""The service: what is due, leases, notices; records compressed and in a table of their own."""

from __future__ import annotations

import json
import zlib
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the new tables and move the records."""
    # Not as a batch: it would make the table anew, and dropping the old one takes all stages along.
    op.add_column("nights", sa.Column("lease_until", sa.DateTime, nullable=True))
    op.add_column("nights", sa.Column("figures", sa.JSON, nullable=True))
    op.create_index("ix_nights_camera_state", "nights", ["camera", "state", "id"])
    op.create_table(
        "records",
        sa.Column("night_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
        sa.ForeignKeyConstraint(
            ["night_id"], ["nights.id"], name="fk_records_night_id", ondelete="CASCADE"
        ),
    )
    _move_records()
    op.drop_column("nights", "record")
    op.create_table(
        "dues",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("due_at", sa.DateTime, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("not_before", sa.DateTime, nullable=False),
        sa.Column("error", sa.String, nullable=True),
        sa.Column("night_id", sa.Integer, nullable=True),
        sa.Column("started_at", sa.DateTime, nullable=True),
        sa.Column("finished_at", sa.DateTime, nullable=True),
        sa.Column("pid", sa.Integer, nullable=True),
        sa.Column("process", sa.String, nullable=True),
        sa.Column("host", sa.String, nullable=True),
        sa.Column("lease_until", sa.DateTime, nullable=True),
        sa.UniqueConstraint("camera", "due_at", name="uq_dues_camera_due_at"),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'dropped')", name="ck_dues_state"
        ),
    )
    op.create_index("ix_dues_state", "dues", ["state"])
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False, unique=True),
        sa.Column("told_at", sa.DateTime, nullable=False),
    )


def _move_records() -> None:
    """A done night's record, compressed; its figures for the lists; its stages' results go."""
    connection = op.get_bind()
    nights = sa.table(
        "nights", sa.column("id"), sa.column("record", sa.JSON), sa.column("figures", sa.JSON)
    )
    records = sa.table("records", sa.column("night_id"), sa.column("record", sa.LargeBinary))
    stages = sa.table("stages", sa.column("night_id"), sa.column("result", sa.JSON))
    ids = connection.execute(sa.select(nights.c.id).where(nights.c.record.is_not(None)))
    for night_id in ids.scalars().all():
        query = sa.select(nights.c.record).where(nights.c.id == night_id)
        record = connection.execute(query).scalar_one()
        if record is None:
            continue
        packed = zlib.compress(json.dumps(record).encode())
        connection.execute(sa.insert(records).values(night_id=night_id, record=packed))
        connection.execute(
            sa.update(nights).where(nights.c.id == night_id).values(figures=_figures(record))
        )
        connection.execute(sa.update(stages).where(stages.c.night_id == night_id).values(result={}))


def _figures(record: dict[str, Any]) -> dict[str, Any] | None:
    """As `jobs.database.figures` made them at this version; None of a record that lacks what they
    need."""
    try:
        judge, course, random = record["judge"], record["ingest"]["course"], record["random_train"]
        seconds: dict[str, float] = {}
        parts = [record["ingest"], record["label"], record["resolution"], record["train"]]
        for part in [*parts, *([] if random is None else [random]), judge]:
            for cost in part["costs"]:
                seconds[cost["stage"]] = seconds.get(cost["stage"], 0.0) + cost["seconds"]
        frames = sum(point["frames"] for point in course)
        losses = sum(point["mean"] * point["frames"] for point in course)
        return {
            "frames_seen": record["ingest"]["frames_seen"],
            "kept": len(record["cull"]["kept"]),
            "scale": record["resolution"]["scale"],
            "map50_before": judge["before"]["map50"],
            "map50_after": judge["after"]["map50"],
            "map50_random": None if judge["random"] is None else judge["random"]["map50"],
            "promoted": judge["promoted"],
            "mean_loss": losses / frames if frames else None,
            "device_s": sum(seconds.values()),
            "seconds": seconds,
        }
    except (KeyError, TypeError):
        return None


def downgrade() -> None:
    """There is no way back: the records have moved."""
    message = "a database of this release cannot be made one of the release before"
    raise NotImplementedError(message)
