"""The tables of the kept log as the migrations make them are the tables as the code knows them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from palmares.log_archive.sql import SqlLogArchive
from palmares.log_archive.tables import VERSION_TABLE, metadata
from tests.migration.test_catalog import without_order


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """The file of a kept log that was opened, and so migrated."""
    file = tmp_path / "log.sqlite3"
    anyio.run(_open, file)
    return file


async def _open(file: Path) -> None:
    await (await SqlLogArchive.open(f"sqlite:///{file}")).close()


def schema(file: Path) -> dict[str, str]:
    """The statement behind each table and index, by name."""
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: without_order(sql) for name, sql in rows if name != VERSION_TABLE}


def test_the_migration_chain_makes_the_schema_of_the_code(migrated: Path, tmp_path: Path) -> None:
    """Statement by statement: columns, types, constraints, indexes and their conditions."""
    engine = create_engine(f"sqlite:///{tmp_path / 'full.db'}")
    metadata.create_all(engine)
    engine.dispose()

    full = schema(tmp_path / "full.db")

    assert {"log_lines", "log_shards", "ix_log_lines_user_recorded_at"} <= full.keys()
    assert schema(migrated) == full


def test_alembic_finds_nothing_to_migrate(migrated: Path) -> None:
    """What a developer would be told to add."""
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        options = {"compare_type": True, "version_table": VERSION_TABLE}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), metadata)
    engine.dispose()

    assert found == []


def test_opening_twice_migrates_once(migrated: Path) -> None:
    """The note that a migration ran is kept with what it did."""
    before = migrated.read_bytes()
    anyio.run(_open, migrated)

    assert migrated.read_bytes() == before
