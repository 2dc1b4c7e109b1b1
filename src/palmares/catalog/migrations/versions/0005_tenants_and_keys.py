"""Tenants, environments with many of them, and application keys."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables; the environments there are go on without tenants."""
    op.add_column("revision", sa.Column("key_deletions", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.add_column(
        "environments", sa.Column("multi_tenancy", sa.Boolean(), nullable=False, server_default=sa.text("false"))
    )
    _make_tenants()
    _make_application_keys()


def _make_tenants() -> None:
    op.create_table(
        "tenants",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_tenants"),
        sa.UniqueConstraint("id", name="uq_tenants_id"),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="fk_tenants_environment_id"),
    )
    live = sa.text("NOT deleted")
    columns = ["environment_id", "customer_id"]
    op.create_index(
        "ix_tenants_environment_id_customer_id",
        "tenants",
        columns,
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )


def _make_application_keys() -> None:
    op.create_table(
        "application_keys",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.String(255), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("last_used", sa.BigInteger()),
        sa.PrimaryKeyConstraint("number", name="pk_application_keys"),
        sa.UniqueConstraint("id", name="uq_application_keys_id"),
        sa.UniqueConstraint("prefix", name="uq_application_keys_prefix"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_application_keys_scope"),
    )
