"""The archive's tables as the migrations make them are the tables as the code knows them."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from palmares.archive.sql import SqlArchive
from palmares.archive.tables import VERSION_TABLE, metadata
from palmares.domain.errors import Unavailable
from tests.migration.test_catalog import without_order


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """The file of an archive that was opened, and so migrated."""
    file = tmp_path / "archive.sqlite3"
    SqlArchive.open(f"sqlite:///{file}").close()
    return file


def schema(file: Path) -> dict[str, str]:
    """The statement behind each table and index, by name."""
    with closing(sqlite3.connect(file)) as database:
        rows = database.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: without_order(sql) for name, sql in rows if name not in (VERSION_TABLE, "sqlite_sequence")}


def test_the_migration_chain_makes_the_schema_of_the_code(migrated: Path, tmp_path: Path) -> None:
    """Statement by statement: columns, types, constraints, indexes and their conditions."""
    engine = create_engine(f"sqlite:///{tmp_path / 'full.db'}")
    metadata.create_all(engine)
    engine.dispose()

    full = schema(tmp_path / "full.db")

    assert {"editions", "day_places", "ix_editions_board"} <= full.keys()
    assert schema(migrated) == full


def test_alembic_finds_nothing_to_migrate(migrated: Path) -> None:
    """What a developer would be told to add."""
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_opening_twice_migrates_once(migrated: Path) -> None:
    """The note that a migration ran is kept with what it did."""
    before = migrated.read_bytes()

    SqlArchive.open(f"sqlite:///{migrated}").close()

    assert migrated.read_bytes() == before


def test_a_migration_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    """Tables and note are one transaction; the table that is in its way is the last one that it makes."""
    file = tmp_path / "archive.sqlite3"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE final_places (x)")

    with pytest.raises(Unavailable, match="does not work"):
        SqlArchive.open(f"sqlite:///{file}")

    assert schema(file).keys() == {"final_places"}
