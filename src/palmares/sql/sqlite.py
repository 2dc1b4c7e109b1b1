"""SQLite: one file for each part, in WAL mode; a writer locks it from its first step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event

# For how long a process waits while another one writes.
_BUSY_SECONDS: Final = 10
_PRAGMAS: Final = {"journal_mode": "WAL", "synchronous": "FULL", "foreign_keys": "ON"}


def engines(url: URL, pragmas: Mapping[str, str]) -> tuple[Engine, Engine]:
    """For reading and for writing, with some pragmas besides those that are always set."""
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # Python's driver would begin transactions by itself, but not around the statements of a migration.
        connection.isolation_level = None
        for name, value in {**_PRAGMAS, **pragmas}.items():
            connection.execute(f"PRAGMA {name} = {value}")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        # A writer takes its turn at once: one that had read before could not wait for another, only fail.
        writes = connection.get_execution_options().get("palmares_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine, engine.execution_options(palmares_writes=True)


def load(writer: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add many rows."""
    statement = str(table.insert().compile(dialect=writer.dialect))
    found = list(rows)
    if found:
        writer.exec_driver_sql(statement, found)


def compact(engine: Engine) -> bool:
    """Write a file anew, without what was deleted; False when somebody still reads what it was before."""
    # Not as a transaction of the engine's: VACUUM is one by itself.
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("VACUUM")
        busy: int = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        connection.close()
    return not busy
