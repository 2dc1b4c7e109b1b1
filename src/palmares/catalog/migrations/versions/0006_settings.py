"""Environments have settings."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table; an environment without a row has the defaults."""
    op.create_table(
        "settings",
        sa.Column("environment_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("app_name", sa.String(255), nullable=False),
        sa.Column("app_url", sa.Text(), nullable=False),
        sa.Column("brand_color", sa.String(255), nullable=False),
        sa.Column("font", sa.String(16), nullable=False),
        sa.Column("logo", sa.Text()),
        sa.Column("app_icon", sa.Text()),
        sa.Column("control_ratio", sa.Integer(), nullable=False),
        sa.Column("user_activation_window", sa.Integer(), nullable=False),
        sa.Column("aggregation_period", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("environment_id", name="pk_settings"),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="fk_settings_environment_id"),
    )
