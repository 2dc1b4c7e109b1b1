"""Points systems and their triggers."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables. Boards have had a place for the id of a points system from the start."""
    op.create_table(
        "points_systems",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("badge_url", sa.Text()),
        sa.Column("max_points", sa.BigInteger()),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_points_systems"),
        sa.UniqueConstraint("id", name="uq_points_systems_id"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_points_systems_scope"),
    )
    op.create_index(
        "ix_points_systems_scope_key",
        "points_systems",
        ["scope", "key"],
        unique=True,
        sqlite_where=sa.text("NOT deleted"),
        postgresql_where=sa.text("NOT deleted"),
    )
    op.create_table(
        "points_triggers",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("system_number", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("metric_number", sa.Integer(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("user_filters", sa.JSON(), nullable=False),
        sa.Column("event_filters", sa.JSON(), nullable=False),
        sa.Column("block_if_out_of_points", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_points_triggers"),
        sa.UniqueConstraint("id", name="uq_points_triggers_id"),
        sa.ForeignKeyConstraint(["system_number"], ["points_systems.number"], name="fk_points_triggers_system_number"),
        sa.ForeignKeyConstraint(["metric_number"], ["metrics.number"], name="fk_points_triggers_metric_number"),
    )
