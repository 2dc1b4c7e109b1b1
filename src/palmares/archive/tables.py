"""The tables of the archive, as they are after the newest migration; a test holds the two together.

An *edition* is all that is kept of a board. A *shelf* of it holds what was kept of one run: its days, and how it ended.
Nearly always a run has one shelf; what is kept anew lies on a shelf of its own, and an edition takes it over, or lets
go of it, by a single row. What lies on a shelf about the end of a run never changes, and the number of a shelf is never
given again, so it may be remembered for as long as one likes.

Numbers stand in columns of many: a row has the users from `chunk × 1024` on, or the rows of a ranking. Within a blob
they are little-endian, of 32 bits (users, participants, ranks, rows) or 64 (values in micros, instants); groups take
16 bits or 32, and NULL says that all are the first group. Only types that SQLite and PostgreSQL share.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

# In a database that the archive shares, it notes its migrations apart.
VERSION_TABLE = "archive_version"

# Names by rule, so that both databases, and migrations to come, call a constraint the same.
metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _of_shelf() -> Column[int]:
    """What lies on a shelf goes with it."""
    return Column("shelf", Integer, ForeignKey("shelves.number", ondelete="CASCADE"), primary_key=True)


def _counted(name: str) -> Column[int]:
    """A part of a key that says which group, chunk or day."""
    return Column(name, Integer, primary_key=True, autoincrement=False)


editions = Table(
    "editions",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("board", Integer, nullable=False),
    Column("current", Boolean, nullable=False),
    Index(None, "board", unique=True, sqlite_where=text("current"), postgresql_where=text("current")),
    sqlite_autoincrement=True,
)

shelves = Table(
    "shelves",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("edition", Integer, ForeignKey("editions.number", ondelete="CASCADE"), nullable=False),
    Column("run_start", Integer, nullable=False),
    Index(None, "edition", "run_start"),
    sqlite_autoincrement=True,
)

# The groups that anybody on the shelf stood in; a name is the group as a JSON list.
shelf_groups = Table(
    "shelf_groups",
    metadata,
    _of_shelf(),
    _counted("number"),
    Column("name", Text, nullable=False),
)

# Which days are kept, also those on which nobody was ranked.
days = Table("days", metadata, _of_shelf(), _counted("day"))

# One user's days are neighbours in the key; the blobs lie in the order in which they were written, day by day.
day_places = Table(
    "day_places",
    metadata,
    _of_shelf(),
    _counted("chunk"),
    _counted("day"),
    Column("users", LargeBinary, nullable=False),
    Column("ranks", LargeBinary, nullable=False),
    Column("micros", LargeBinary, nullable=False),
    Column("groups", LargeBinary),
)

final_runs = Table(
    "final_runs",
    metadata,
    _of_shelf(),
    Column("end", Integer),
    Column("revision", Integer, nullable=False),
)

# With the first entry of every chunk of rows, and how many different values are better than it.
final_groups = Table(
    "final_groups",
    metadata,
    _of_shelf(),
    _counted("group_number"),
    Column("size", BigInteger, nullable=False),
    Column("participants", LargeBinary, nullable=False),
    Column("micros", LargeBinary, nullable=False),
    Column("reached", LargeBinary, nullable=False),
    Column("better", LargeBinary, nullable=False),
)

final_rows = Table(
    "final_rows",
    metadata,
    _of_shelf(),
    _counted("group_number"),
    _counted("chunk"),
    Column("participants", LargeBinary, nullable=False),
    Column("micros", LargeBinary, nullable=False),
    Column("reached", LargeBinary, nullable=False),
)

final_places = Table(
    "final_places",
    metadata,
    _of_shelf(),
    _counted("chunk"),
    Column("users", LargeBinary, nullable=False),
    Column("rows", LargeBinary, nullable=False),
    Column("ranks", LargeBinary, nullable=False),
    Column("micros", LargeBinary, nullable=False),
    Column("groups", LargeBinary),
)

# Where a board was finished by hand, by its position in the log: only the ledger can read the content. It stays though
# the board is let go.
cuts = Table(
    "cuts",
    metadata,
    _counted("board"),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("content", LargeBinary, nullable=False),
)
