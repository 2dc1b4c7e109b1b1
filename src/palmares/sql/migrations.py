"""Migrations: the chain of each part runs on a connection that is handed over, inside its transaction."""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import Final

from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData

from palmares.domain.errors import Unavailable

# Alembic keeps what it is at in global variables.
_ONE_AT_A_TIME: Final = Lock()


def upgrade(writer: Connection, migrations: str, version_table: str, part: str) -> None:
    """Run what has not run yet of the migrations in a package (`palmares.archive:migrations`).

    Raises `Unavailable` when a newer version has run some that this one does not know.
    """
    at = MigrationContext.configure(writer, opts={"version_table": version_table})
    # Nearly always nothing is to be done, and to find that out takes Alembic longer than a server's whole start.
    if at.get_current_heads() == (_newest(migrations),):
        return
    config = _config(migrations)
    config.attributes |= {"connection": writer, "version_table": version_table}
    try:
        with _ONE_AT_A_TIME:
            command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable(f"the {part} was made by a newer version of Palmares") from error


def run(metadata: MetaData) -> None:
    """All that the `env.py` of a part does. Parts may share a database, so each notes its migrations apart."""
    given = context.config.attributes
    context.configure(connection=given["connection"], target_metadata=metadata, version_table=given["version_table"])
    context.run_migrations()


@cache
def _newest(migrations: str) -> str | None:
    return ScriptDirectory.from_config(_config(migrations)).get_current_head()


def _config(migrations: str) -> Config:
    config = Config()
    config.set_main_option("script_location", migrations)
    return config
