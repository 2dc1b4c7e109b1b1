"""The first tables: environments and scopes, admin keys, metrics, attributes, boards."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    _make_scopes()
    _make_keys()
    _make_metrics()
    _make_attributes()
    _make_boards()


def _make_scopes() -> None:
    op.create_table(
        "revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revision"),
    )
    op.create_table(
        "environments",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_environments"),
        sa.UniqueConstraint("key", name="uq_environments_key"),
    )
    op.create_table(
        "scopes",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.String(36)),
        sa.PrimaryKeyConstraint("id", name="pk_scopes"),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="fk_scopes_environment_id"),
    )


def _make_keys() -> None:
    op.create_table(
        "api_keys",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("prefix", sa.String(32), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("last_used", sa.BigInteger()),
        sa.PrimaryKeyConstraint("number", name="pk_api_keys"),
        sa.UniqueConstraint("id", name="uq_api_keys_id"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_api_keys_scope"),
        sa.UniqueConstraint("prefix", name="uq_api_keys_prefix"),
    )


def _make_metrics() -> None:
    op.create_table(
        "metrics",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("unit_type", sa.String(16), nullable=False),
        sa.Column("units", sa.String(255), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_metrics"),
        sa.UniqueConstraint("id", name="uq_metrics_id"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_metrics_scope"),
    )
    _unique_while_not_deleted("metrics", "scope", "key")


def _make_attributes() -> None:
    op.create_table(
        "attributes",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_attributes"),
        sa.UniqueConstraint("id", name="uq_attributes_id"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_attributes_scope"),
    )
    _unique_while_not_deleted("attributes", "scope", "kind", "key")


def _make_boards() -> None:
    op.create_table(
        "boards",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("scope", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.Text()),
        sa.Column("asked_status", sa.String(16), nullable=False),
        sa.Column("rank_by", sa.String(16), nullable=False),
        sa.Column("metric_number", sa.Integer()),
        sa.Column("points_system_id", sa.String(36)),
        sa.Column("max_participants", sa.BigInteger()),
        sa.Column("start", sa.BigInteger(), nullable=False),
        sa.Column("end", sa.BigInteger()),
        sa.Column("start_time", sa.String(8)),
        sa.Column("end_time", sa.String(8)),
        sa.Column("breakdown", sa.JSON(), nullable=False),
        sa.Column("filters", sa.JSON(), nullable=False),
        sa.Column("run_unit", sa.String(16)),
        sa.Column("run_interval", sa.BigInteger()),
        sa.Column("aggregation", sa.String(16), nullable=False),
        sa.Column("order", sa.String(16), nullable=False),
        sa.Column("ties", sa.String(16), nullable=False),
        sa.Column("numbering", sa.String(16), nullable=False),
        sa.Column("finished_position", sa.BigInteger()),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_boards"),
        sa.UniqueConstraint("id", name="uq_boards_id"),
        sa.ForeignKeyConstraint(["scope"], ["scopes.id"], name="fk_boards_scope"),
        sa.ForeignKeyConstraint(["metric_number"], ["metrics.number"], name="fk_boards_metric_number"),
    )
    _unique_while_not_deleted("boards", "scope", "key")


def _unique_while_not_deleted(table: str, *columns: str) -> None:
    live = sa.text("NOT deleted")
    name = f"ix_{table}_{'_'.join(columns)}"
    op.create_index(name, table, list(columns), unique=True, sqlite_where=live, postgresql_where=live)
