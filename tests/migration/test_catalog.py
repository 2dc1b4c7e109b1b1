"""The tables as the migrations make them are the tables as the code knows them."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine

from palmares.catalog.sql import SqlCatalog
from palmares.catalog.tables import metadata
from tests.definitions import Clock, url


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """The file of a catalog that was opened, and so migrated."""

    async def make() -> None:
        await (await SqlCatalog.open(url(tmp_path), Clock("2026-03-04 10:00"))).close()

    anyio.run(make)
    return tmp_path / "catalog.db"


@pytest.fixture
def connection(migrated: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def schema(file: Path) -> dict[str, str]:
    """The statement behind each table and index, by name."""
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: without_order(sql) for name, sql in rows if name != "alembic_version"}


def without_order(sql: str) -> str:
    """The order of columns and constraints means nothing, nor where lines break: a column added later stands last."""
    head, body = sql.split("(", 1)
    parts = re.split(r",(?![^(]*\))", body.rstrip().removesuffix(")"))
    return "\n".join([head.strip(), *sorted(" ".join(part.split()) for part in parts)])


def test_the_migration_chain_makes_the_schema_of_the_code(migrated: Path, tmp_path: Path) -> None:
    """Statement by statement: columns, types, constraints, indexes and their conditions."""
    engine = create_engine(f"sqlite:///{tmp_path / 'full.db'}")
    metadata.create_all(engine)
    engine.dispose()

    full = schema(tmp_path / "full.db")

    assert {"boards", "metrics", "ix_metrics_scope_key"} <= full.keys()
    assert schema(migrated) == full


def test_alembic_finds_nothing_to_migrate(connection: Connection) -> None:
    """What a developer would be told to add."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})

    assert compare_metadata(context, metadata) == []


def test_opening_twice_migrates_once(migrated: Path, tmp_path: Path) -> None:
    """The note that a migration ran is kept with what it did."""
    before = migrated.read_bytes()

    async def open_again() -> None:
        await (await SqlCatalog.open(url(tmp_path), Clock("2026-03-05 10:00"))).close()

    anyio.run(open_again)

    assert migrated.read_bytes() == before


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Tables and note are one transaction; the table that is in its way is the last one that it makes."""
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as database:
        database.execute("CREATE TABLE boards (x)")

    async def fail() -> None:
        await SqlCatalog.open(url(tmp_path), Clock("2026-03-04 10:00"))

    with pytest.raises(Exception, match="does not work"):
        anyio.run(fail)
    assert schema(tmp_path / "catalog.db").keys() == {"boards"}
