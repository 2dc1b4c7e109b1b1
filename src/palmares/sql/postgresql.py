"""PostgreSQL: all parts in one database, or in one schema of it; a writer takes the lock of its part first of all.

The lock is an advisory one, held by the transaction. So a writer has what SQLite's lock on the file gives: what it
reads stays as it is until it has committed. Readers see one snapshot.

How long a server may keep us waiting is limited, because some reads are waited for on the event loop: a server that
is away must not stop what can do without it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select

from palmares.domain.errors import Unavailable

_OLDEST: Final = 15
# For how long a process waits while another one writes, and for what it reads.
_LOCK_SECONDS: Final = 10
_READING_SECONDS: Final = 10
# Where the URL does not say it: when to give up on a server that does not answer, or is not there any more.
_CONNECTION: Final = {
    "connect_timeout": "2",
    "tcp_user_timeout": "10000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "application_name": "palmares",
}


def engines(url: URL, part: str) -> tuple[Engine, Engine]:
    """For reading and for writing."""
    reading = _engine(url, f"-c statement_timeout={_READING_SECONDS}s")
    writing = _engine(url, f"-c lock_timeout={_LOCK_SECONDS}s")

    @event.listens_for(writing, "begin")
    def began(connection: Connection) -> None:
        take_lock(connection, part)

    return reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True), writing


def take_lock(connection: Connection, name: str) -> None:
    """Wait for the lock of that name, and hold it until the transaction ends. Each schema has locks of its own."""
    number = func.hashtextextended(func.current_schema() + f".palmares.{name}", 0)
    connection.execute(select(func.pg_advisory_xact_lock(number)))


def check(connection: Connection) -> None:
    """Raise `Unavailable` when the server is too old, or the database could not hold every text."""
    version: Any = connection.dialect.server_version_info
    if version < (_OLDEST,):
        raise Unavailable(f"the database is PostgreSQL {version[0]}; Palmares needs {_OLDEST} or newer")
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise Unavailable(f"the database has the encoding {encoding}; Palmares needs UTF8")


def _engine(url: URL, options: str) -> Engine:
    given = url.query.get("options", ())
    options = " ".join([options, *([given] if isinstance(given, str) else given)])
    settings = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=settings | {"options": options},
        # What broke while it lay idle is not lent.
        pool_pre_ping=True,
    )
