"""The database under the archive: SQLite now, PostgreSQL by the same statements.

Readers see what was last committed and never wait for a writer; writers wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import SQLAlchemyError

from palmares.domain.errors import Unavailable

# For how long a process waits while another one writes.
_BUSY_SECONDS = 10


class Database:
    """Connections for reading and for writing, each lent for one transaction."""

    def __init__(self, url: str) -> None:
        self._reading_engine, self._writing_engine = _engines(url)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One state of all tables. Raises `Unavailable` when the database cannot be used."""
        with _told_plainly(), self._reading_engine.connect() as reader:
            yield reader

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """All that happens inside, or nothing; durable at the end. Raises `Unavailable` like `reading`."""
        with _told_plainly(), self._writing_engine.begin() as writer:
            yield writer

    def close(self) -> None:
        """Let go of all connections."""
        with _told_plainly():
            self._reading_engine.dispose()


def migrate(writer: Connection) -> None:
    """Bring the tables up to date, all steps and the note of them in the present transaction."""
    config = Config()
    config.set_main_option("script_location", "palmares.archive:migrations")
    config.attributes["connection"] = writer
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable("the archive was made by a newer version of Palmares") from error


@contextmanager
def _told_plainly() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise Unavailable("the archive's database does not work at present") from error


def _engines(url: str) -> tuple[Engine, Engine]:
    if make_url(url).get_backend_name() == "sqlite":
        engine = _sqlite_engine(url)
        return engine, engine.execution_options(palmares_writes=True)
    engine = create_engine(url, pool_pre_ping=True)
    return engine.execution_options(isolation_level="REPEATABLE READ"), engine


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # Python's driver would begin transactions by itself, but not around the statements of a migration.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # Some builds overwrite with zeros whatever is deleted, which would write every day that is let go once more.
        connection.execute("PRAGMA secure_delete = OFF")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        # A writer takes its turn at once: one that had read before could not wait for another, only fail.
        writes = connection.get_execution_options().get("palmares_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
