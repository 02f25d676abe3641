"""Drift and the view: the cameras' daily figures, and why a night trained nothing."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of daily figures; the nights' new column begins empty."""
    op.add_column("nights", sa.Column("unusable", sa.String, nullable=True))
    op.create_table(
        "history",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("figures", sa.JSON, nullable=False),
    )
    op.create_index("ix_history_camera_day", "history", ["camera", "day", "id"])


def downgrade() -> None:
    """There is no way back beyond the revision before."""
    message = "a database of this release cannot be made one of the release before"
    raise NotImplementedError(message)
