"""Which session holds a device's stream, and what retention removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make this step."""
    op.add_column("cursor", sa.Column("session", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("cursor", sa.Column("fenced", sa.Integer(), server_default="0", nullable=False))
    op.add_column("cursor", sa.Column("fenced_since_ns", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("cursor", sa.Column("expired", sa.LargeBinary(), nullable=True))
    op.create_index("cursor_session", "cursor", ["enterprise", "session"], unique=False)
    op.add_column("device", sa.Column("cloned_ns", sa.BigInteger(), nullable=True))
    op.add_column("segment", sa.Column("last_received_ns", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Undo it."""
    op.drop_column("segment", "last_received_ns")
    op.drop_column("device", "cloned_ns")
    op.drop_index("cursor_session", table_name="cursor")
    op.drop_column("cursor", "expired")
    op.drop_column("cursor", "fenced_since_ns")
    op.drop_column("cursor", "fenced")
    op.drop_column("cursor", "session")
