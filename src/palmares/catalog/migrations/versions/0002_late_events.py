"""Boards choose what late events do, and may still be in the making."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; what was there ignores late events and is complete."""
    op.add_column("boards", sa.Column("late_events", sa.String(16), nullable=False, server_default="ignore"))
    op.add_column("boards", sa.Column("ready", sa.Boolean(), nullable=False, server_default=sa.text("true")))
