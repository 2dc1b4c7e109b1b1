"""The outbox's database: opened, and brought up to date."""

from __future__ import annotations

from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, make_url

from palmares.domain.errors import Unavailable

# For how long a process waits while another one writes.
_BUSY_SECONDS = 10


def make_engines(url: str) -> tuple[Engine, Engine]:
    """The database at a URL, for reading and for writing. Nothing is opened yet."""
    if make_url(url).get_backend_name() == "sqlite":
        engine = _sqlite_engine(url)
        return engine, engine.execution_options(palmares_writes=True)
    engine = create_engine(url, pool_pre_ping=True)
    return engine, engine


def migrate(writer: Connection) -> None:
    """Bring the tables up to date, all steps and the note of them in the present transaction."""
    config = Config()
    config.set_main_option("script_location", "palmares.outbox:migrations")
    config.attributes["connection"] = writer
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable("the outbox was made by a newer version of Palmares") from error


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def connected(connection: Any, _record: object) -> None:
        # Python's driver would begin transactions by itself, but not around the statements of a migration.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def began(connection: Connection) -> None:
        # A writer takes its turn at once: one that had read before could not wait for another, only fail.
        writes = connection.get_execution_options().get("palmares_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
