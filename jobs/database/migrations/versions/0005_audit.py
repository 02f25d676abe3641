"""Audit: who changed what through the pages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more table, and an index for the nights in one state."""
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("what", sa.String, nullable=False),
        sa.Column("camera", sa.String, nullable=True),
        sa.Column("detail", sa.String, nullable=False),
    )
    op.create_index("ix_audit_camera", "audit", ["camera", "id"])
    op.create_index("ix_nights_state", "nights", ["state", "id"])


def downgrade() -> None:
    """There is no way back beyond the revision before."""
    message = "a database of this release cannot be made one of the release before"
    raise NotImplementedError(message)
