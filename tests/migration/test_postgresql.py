"""On PostgreSQL too, the tables as the migrations make them are the tables as the code knows them.

All parts share one database there, so each is tried beside the others.
"""

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, create_engine, make_url

from palmares.archive import tables as archive_tables
from palmares.archive.sql import SqlArchive
from palmares.catalog import tables as catalog_tables
from palmares.catalog.sql import SqlCatalog
from palmares.domain.errors import Unavailable
from palmares.log_archive import tables as log_tables
from palmares.log_archive.sql import SqlLogArchive
from palmares.outbox import tables as outbox_tables
from palmares.outbox.sql import SqlOutbox
from tests.databases import Place, Postgres, migrate_all

PARTS = {"catalog": catalog_tables, "archive": archive_tables, "outbox": outbox_tables, "log": log_tables}
EMPTY = "template1"

COLUMNS = """
    SELECT table_name || '.' || column_name, data_type, character_maximum_length, is_nullable, column_default
    FROM information_schema.columns WHERE table_schema = 'public'
"""
CONSTRAINTS = """
    SELECT conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
"""
INDEXES = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"


@pytest.fixture
def empty(postgres: Postgres) -> Iterator[Place]:
    """A database without any table."""
    with postgres.database(EMPTY) as place:
        yield place


@pytest.fixture
def migrated(empty: Place) -> Place:
    """A database in which the migrations of all parts have run."""
    anyio.run(migrate_all, empty.url)
    return empty


def engine_of(place: Place) -> Engine:
    return create_engine(make_url(place.url).set(drivername="postgresql+psycopg"))


def schema(place: Place) -> dict[str, Any]:
    """All columns, constraints and indexes by their names, but for the notes of what has run."""
    rows = [row for query in (COLUMNS, CONSTRAINTS, INDEXES) for row in place.execute(query)]
    return {name: tuple(rest) for name, *rest in rows if "_version" not in name}


def test_the_migration_chains_make_the_schema_of_the_code(migrated: Place, postgres: Postgres) -> None:
    """Columns, types, defaults, constraints, indexes and their conditions."""
    with postgres.database(EMPTY) as full:
        engine = engine_of(full)
        for tables in PARTS.values():
            tables.metadata.create_all(engine)
        engine.dispose()
        expected = schema(full)

    assert {
        "boards.key",
        "editions.pk_editions",
        "ix_deliveries_webhook_due",
        "log_lines.pk_log_lines",
    } <= expected.keys()
    assert schema(migrated) == expected


@pytest.mark.parametrize("tables", PARTS.values(), ids=PARTS)
def test_alembic_finds_nothing_to_migrate(postgres: Postgres, tables: ModuleType) -> None:
    """What a developer would be told to add, of one part's tables."""

    def is_ours(thing: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:
        return kind != "table" or name in tables.metadata.tables

    options = {"compare_type": True, "version_table": tables.VERSION_TABLE, "include_object": is_ours}
    with postgres.database() as place:
        engine = engine_of(place)
        with engine.connect() as connection:
            found = compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata)
        engine.dispose()

    assert found == []


def test_opening_twice_migrates_once(migrated: Place) -> None:
    """The note that a migration ran is kept with what it did."""
    before = migrated.execute("SELECT xmin, relname FROM pg_class ORDER BY relname")

    anyio.run(migrate_all, migrated.url)

    assert migrated.execute("SELECT xmin, relname FROM pg_class ORDER BY relname") == before


@pytest.mark.parametrize(
    ("last_table", "open_part"),
    [
        ("settings", lambda url: anyio.run(SqlCatalog.open, url, lambda: 0)),
        ("final_places", SqlArchive.open),
        ("watch", lambda url: anyio.run(SqlOutbox.open, url)),
        ("log_lines", lambda url: anyio.run(SqlLogArchive.open, url)),
    ],
    ids=PARTS,
)
def test_a_migration_that_fails_leaves_nothing_behind(
    empty: Place, last_table: str, open_part: Callable[[str], object]
) -> None:
    """Tables and note are one transaction; the table that is in its way is the last one that it makes."""
    empty.execute(f"CREATE TABLE {last_table} (x integer)")

    with pytest.raises(Unavailable, match="does not work"):
        open_part(empty.url)

    assert schema(empty).keys() == {f"{last_table}.x"}


def test_many_processes_may_open_a_new_database_at_once(empty: Place) -> None:
    """One makes the tables, the others wait and find them made."""

    async def open_all() -> None:
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(migrate_all, empty.url)

    anyio.run(open_all)

    assert empty.execute("SELECT id, key FROM environments") == [(1, "production")]
