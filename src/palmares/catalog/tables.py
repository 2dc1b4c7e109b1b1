"""The tables of the catalog, as they are after the newest migration; a test holds the two together.

Only types that SQLite and PostgreSQL share: UUIDs are text of 36 characters, days are ordinals, instants microseconds.
A definition is never removed, only marked deleted, so that its number is never given again and a board that refers to
it can still be read; its key is free for another.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

# In a database that the catalog shares, it notes its migrations apart.
VERSION_TABLE = "alembic_version"

# Names by rule, so that both databases, and migrations to come, call a constraint the same.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _unique_while_not_deleted(*columns: str) -> Index:
    live = text("NOT deleted")
    return Index(None, *columns, unique=True, sqlite_where=live, postgresql_where=live)


# One row. Every transaction that changes something raises the number, first of all: so writers wait for each other,
# and other processes see that there is something new. Application keys have a number of their own, of deletions: they
# are no part of what is held in memory as a whole, but those in use are remembered.
revision = Table(
    "revision",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    Column("key_deletions", BigInteger, nullable=False, server_default=text("0")),
)

environments = Table(
    "environments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("key", String(255), nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("multi_tenancy", Boolean, nullable=False, server_default=text("false")),
)

# Deleted is what the wire calls archived. Their scopes stay too, so that no number of a scope is ever given again.
tenants = Table(
    "tenants",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("environment_id", Integer, ForeignKey("environments.id"), nullable=False),
    Column("customer_id", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    _unique_while_not_deleted("environment_id", "customer_id"),
)

# One for each environment, without a tenant, and one for each tenant.

scopes = Table(
    "scopes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("environment_id", Integer, ForeignKey("environments.id"), nullable=False),
    Column("tenant_id", String(36)),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("active", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("last_used", BigInteger),
)

# There may be as many as end users, so they are read one at a time.
application_keys = Table(
    "application_keys",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("prefix", String(32), nullable=False, unique=True),
    Column("secret_hash", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("last_used", BigInteger),
)

metrics = Table(
    "metrics",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("key", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("unit_type", String(16), nullable=False),
    Column("units", String(255), nullable=False),
    Column("deleted", Boolean, nullable=False),
    _unique_while_not_deleted("scope", "key"),
)

attributes = Table(
    "attributes",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("key", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("deleted", Boolean, nullable=False),
    _unique_while_not_deleted("scope", "kind", "key"),
)

# Breakdown is a list of attribute ids, filters one of [attribute id, value]; start and end are days.
boards = Table(
    "boards",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("key", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("asked_status", String(16), nullable=False),
    Column("rank_by", String(16), nullable=False),
    Column("metric_number", Integer, ForeignKey("metrics.number")),
    Column("points_system_id", String(36)),
    Column("max_participants", BigInteger),
    Column("start", BigInteger, nullable=False),
    Column("end", BigInteger),
    Column("start_time", String(8)),
    Column("end_time", String(8)),
    Column("breakdown", JSON, nullable=False),
    Column("filters", JSON, nullable=False),
    Column("run_unit", String(16)),
    Column("run_interval", BigInteger),
    Column("aggregation", String(16), nullable=False),
    Column("order", String(16), nullable=False),
    Column("ties", String(16), nullable=False),
    Column("numbering", String(16), nullable=False),
    Column("late_events", String(16), nullable=False, server_default="ignore"),
    Column("ready", Boolean, nullable=False, server_default=text("true")),
    Column("finished_position", BigInteger),
    Column("deleted", Boolean, nullable=False),
    _unique_while_not_deleted("scope", "key"),
)

points_systems = Table(
    "points_systems",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("key", String(255), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("badge_url", Text),
    Column("max_points", BigInteger),
    Column("deleted", Boolean, nullable=False),
    _unique_while_not_deleted("scope", "key"),
)

# Filters are lists of [attribute id, value]. A deleted trigger is archived: what it has paid refers to it.
points_triggers = Table(
    "points_triggers",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("system_number", Integer, ForeignKey("points_systems.number"), nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("metric_number", Integer, ForeignKey("metrics.number"), nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("user_filters", JSON, nullable=False),
    Column("event_filters", JSON, nullable=False),
    Column("block_if_out_of_points", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

# One row for each scope that has set anything; metrics is a list of [metric number, threshold in micros].
streak_settings = Table(
    "streak_settings",
    metadata,
    Column("scope", Integer, ForeignKey("scopes.id"), primary_key=True, autoincrement=False),
    Column("frequency", String(16), nullable=False),
    Column("evaluation_mode", String(16), nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("days_off", JSON, nullable=False),
    Column("customization_enabled", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
)

# Events is a list of their types. The secret signs, so it is kept as it is; with a deleted webhook it is removed.
webhooks = Table(
    "webhooks",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("scope", Integer, ForeignKey("scopes.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("secret", String(255), nullable=False),
    Column("created", BigInteger, nullable=False),
)

# One row for each environment that has set anything.
settings = Table(
    "settings",
    metadata,
    Column("environment_id", Integer, ForeignKey("environments.id"), primary_key=True, autoincrement=False),
    Column("app_name", String(255), nullable=False),
    Column("app_url", Text, nullable=False),
    Column("brand_color", String(255), nullable=False),
    Column("font", String(16), nullable=False),
    Column("logo", Text),
    Column("app_icon", Text),
    Column("control_ratio", Integer, nullable=False),
    Column("user_activation_window", Integer, nullable=False),
    Column("aggregation_period", String(16), nullable=False),
)
