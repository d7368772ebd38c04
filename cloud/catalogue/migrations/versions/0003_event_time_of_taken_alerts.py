"""When the change of an alarm happened that a number names, so that another one is told from a resend."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make this step."""
    op.add_column("alert_taken", sa.Column("event_time_ns", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Undo it."""
    op.drop_column("alert_taken", "event_time_ns")
