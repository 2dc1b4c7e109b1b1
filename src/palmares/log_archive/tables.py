"""The tables of the kept log, as they are after the newest migration; a test holds the two together.

Only types that SQLite and PostgreSQL share: amounts are micros, instants microseconds.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table, Text

# In a database that the log shares, it notes its migrations apart.
VERSION_TABLE = "log_archive_version"

# Names by rule, so that both databases, and migrations to come, call a constraint the same.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

# Up to which line each shard is kept: whoever adds lines moves it on from where they begin, or adds nothing.
log_shards = Table(
    "log_shards",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("shards", Integer, nullable=False),
    Column("position", BigInteger, nullable=False),
)

# In the order of `LogLine`, behind the shard. The content is the line; the other columns are for finding it, and for
# people who look into the database.
log_lines = Table(
    "log_lines",
    metadata,
    Column("shard", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("user", BigInteger, nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("scope", Integer, nullable=False),
    Column("metric", Integer),
    Column("amount", BigInteger),
    Column("occurred_at", BigInteger),
    Column("local_at", BigInteger),
    Column("total", BigInteger),
    Column("idempotency_key", Text),
    Column("target", BigInteger),
    Column("body", Text),
    Column("content", LargeBinary, nullable=False),
    # The events of a user in the order of their times, and those of everybody.
    Index(None, "user", "recorded_at"),
    Index(None, "scope", "recorded_at"),
)
