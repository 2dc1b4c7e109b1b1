"""Scopes say what counts for streaks."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; a scope without a row has the defaults."""
    op.create_table(
        "streak_settings",
        sa.Column("scope", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("frequency", sa.String(16), nullable=False),
        sa.Column("evaluation_mode", sa.String(16), nullable=False),
        sa.Column("metrics", sa.JSON(), nullable=False),
        sa.Column("days_off", sa.JSON(), nullable=False),
        sa.Column("customization_enabled", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", name="pk_streak_settings"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_streak_settings_scope"),
    )
