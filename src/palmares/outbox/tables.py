"""The tables of the outbox, as they are after the newest migration; a test holds the two together.

Only types that SQLite and PostgreSQL share: instants are microseconds, days ordinals, groups lists of text. Numbers of
a batch stand in columns of many, little-endian, of 32 bits (users, groups, ranks) or 64 (values in micros).
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

# In a database that the outbox shares, it notes its migrations apart.
VERSION_TABLE = "outbox_version"

# Names by rule, so that both databases, and migrations to come, call a constraint the same.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)
_PENDING = text("status = 'pending'")
# SQLite counts up by itself only what it calls INTEGER.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

messages = Table(
    "messages",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("created", BigInteger, nullable=False, index=True),
    Column("body", LargeBinary, nullable=False),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("message", _NUMBER, ForeignKey("messages.number"), nullable=False, index=True),
    Column("scope", Integer, nullable=False),
    Column("webhook", String(36), nullable=False),
    Column("url", Text, nullable=False),
    Column("event", String(64), nullable=False),
    Column("created", BigInteger, nullable=False, index=True),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", BigInteger),
    Column("last_attempt", BigInteger),
    Column("code", Integer),
    Column("problem", Text),
    Index(None, "webhook", "due", sqlite_where=_PENDING, postgresql_where=_PENDING),
)

board_notes = Table(
    "board_notes",
    metadata,
    Column("board", Integer, primary_key=True, autoincrement=False),
    Column("calendar", String(64), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("started", Integer),
    Column("finished", Integer),
)

ranking_notes = Table(
    "ranking_notes",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("board", Integer, nullable=False),
    Column("run_start", Integer, nullable=False),
    Column("group", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("until", BigInteger, nullable=False),
    Index(None, "board", "run_start", "group", unique=True),
)

batches = Table(
    "batches",
    metadata,
    Column("number", _NUMBER, primary_key=True),
    Column("board", Integer, nullable=False),
    Column("run_start", Integer, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("names", JSON, nullable=False),
    Column("users", LargeBinary, nullable=False),
    Column("groups", LargeBinary, nullable=False),
    Column("ranks", LargeBinary, nullable=False),
    Column("values", LargeBinary, nullable=False),
    Index(None, "board", "run_start", "until"),
)

# One row.
watch = Table(
    "watch",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("changed", JSON, nullable=False),
    Column("ranked", JSON, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
