"""Migrations: the chain of each part runs on a connection that is handed over, inside its transaction."""

from __future__ import annotations

from threading import Lock
from typing import Final

from alembic import command, context
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData

from palmares.domain.errors import Unavailable

# Alembic keeps what it is at in global variables.
_ONE_AT_A_TIME: Final = Lock()


def upgrade(writer: Connection, migrations: str, part: str) -> None:
    """Run what has not run yet of the migrations in a package (`palmares.archive:migrations`).

    Raises `Unavailable` when a newer version has run some that this one does not know.
    """
    config = Config()
    config.set_main_option("script_location", migrations)
    config.attributes["connection"] = writer
    try:
        with _ONE_AT_A_TIME:
            command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable(f"the {part} was made by a newer version of Palmares") from error


def run(metadata: MetaData, version_table: str) -> None:
    """All that the `env.py` of a part does. Parts may share a database, so each notes its migrations apart."""
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, version_table=version_table)
    context.run_migrations()
