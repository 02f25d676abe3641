"""The first release: nights and the results of their stages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "nights",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("night_date", sa.Date, nullable=False),
        sa.Column("settings", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process", sa.String, nullable=False),
        sa.Column("host", sa.String, nullable=False),
        sa.Column("started_at", sa.DateTime, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=True),
        sa.Column("error", sa.String, nullable=True),
        sa.Column("record", sa.JSON, nullable=True),
        sa.UniqueConstraint("camera", "run_id", name="uq_nights_camera_run_id"),
        sa.CheckConstraint(
            "state IN ('running', 'done', 'failed', 'interrupted')", name="ck_nights_state"
        ),
        sa.CheckConstraint("attempt >= 1", name="ck_nights_attempt"),
    )
    op.create_table(
        "stages",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("night_id", sa.Integer, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("finished_at", sa.DateTime, nullable=False),
        sa.ForeignKeyConstraint(
            ["night_id"], ["nights.id"], name="fk_stages_night_id", ondelete="CASCADE"
        ),
        sa.UniqueConstraint("night_id", "name", name="uq_stages_night_id_name"),
    )


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("stages")
    op.drop_table("nights")
