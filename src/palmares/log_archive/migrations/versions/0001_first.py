"""The first tables: the lines of the log, and how far each shard is kept."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_shards()
    _make_lines()


def _make_shards() -> None:
    op.create_table(
        "log_shards",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("shards", sa.Integer(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("shard", name="pk_log_shards"),
    )


def _make_lines() -> None:
    op.create_table(
        "log_lines",
        sa.Column("shard", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("user", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("metric", sa.Integer()),
        sa.Column("amount", sa.BigInteger()),
        sa.Column("occurred_at", sa.BigInteger()),
        sa.Column("local_at", sa.BigInteger()),
        sa.Column("total", sa.BigInteger()),
        sa.Column("idempotency_key", sa.Text()),
        sa.Column("target", sa.BigInteger()),
        sa.Column("body", sa.Text()),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("shard", "position", name="pk_log_lines"),
    )
    op.create_index("ix_log_lines_user_recorded_at", "log_lines", ["user", "recorded_at"])
    op.create_index("ix_log_lines_scope_recorded_at", "log_lines", ["scope", "recorded_at"])
