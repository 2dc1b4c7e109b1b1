"""PostgreSQL: all parts in one database, or in one schema of it; a writer takes the lock of its part first of all.

The lock is an advisory one, held by the transaction. So a writer has what SQLite's lock on the file gives: what it
reads stays as it is until it has committed. Readers see one snapshot.

How long a server may keep us waiting is limited, because some reads are waited for on the event loop: a server that
is away must not stop what can do without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Connection, Engine, NullPool, Table, create_engine, event, func, make_url, select
from sqlalchemy.exc import DBAPIError

from palmares.domain.errors import Unavailable

_OLDEST: Final = 15
# For how long a process waits while another one writes, and for what it reads.
_LOCK_SECONDS: Final = 10
_READING_SECONDS: Final = 10
# Where the URL does not say it; most of it is when to give up on a server that does not answer, or is gone.
_CONNECTION: Final = {
    "connect_timeout": "2",
    "tcp_user_timeout": "5000",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "2",
    "application_name": "palmares",
    "client_encoding": "UTF8",
}


def engines(url: URL, part: str) -> tuple[Engine, Engine]:
    """For reading and for writing."""
    reading = _engine(url, f"-c statement_timeout={_READING_SECONDS}s")
    writing = _engine(url, f"-c lock_timeout={_LOCK_SECONDS}s")

    @event.listens_for(writing, "begin")
    def began(connection: Connection) -> None:
        take_lock(connection, part)

    return reading.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True), writing


def session_engine(url: str | URL) -> Engine:
    """Connections that are never lent twice, for locks that last as long as they do."""
    # The server is to notice soon when the machine at our end is gone: the lock must not outlive it for long.
    keepalives = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
    # Nor may it end while whoever has it does something else.
    options = f"{keepalives} -c idle_session_timeout=0 -c lock_timeout={_LOCK_SECONDS}s"
    return _engine(make_url(url), options, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def take_lock(connection: Connection, name: str) -> None:
    """Wait for the lock of that name, and hold it until the transaction ends."""
    _lock(connection, func.pg_advisory_xact_lock, name)


def try_lock(session: Connection, name: str, shared: bool = False) -> bool:
    """Take the lock of that name for as long as the session lasts; returns whether it was to be had.

    Those who share it keep only those away who want it for themselves.
    """
    take = func.pg_try_advisory_lock_shared if shared else func.pg_try_advisory_lock
    return bool(_lock(session, take, name))


def wait_for_lock(session: Connection, name: str) -> None:
    """Wait for the lock of that name, and hold it until it is given back or the session ends."""
    _lock(session, func.pg_advisory_lock, name)


def give_back(session: Connection, name: str, shared: bool = False) -> None:
    """Give the lock of that name back at once: the server may take a moment to see that a session has ended."""
    _lock(session, func.pg_advisory_unlock_shared if shared else func.pg_advisory_unlock, name)


def load(writer: Connection, table: Table, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add many rows, by COPY."""
    quote = writer.dialect.identifier_preparer.quote
    columns = ", ".join(quote(column.name) for column in table.columns)
    types = [column.type.compile(writer.dialect).partition("(")[0].lower() for column in table.columns]
    driver: Any = writer.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(f"COPY {quote(table.name)} ({columns}) FROM STDIN BINARY") as copy:
            copy.set_types(types)
            for row in rows:
                copy.write_row(row)
    except psycopg.Error as error:
        # SQLAlchemy did not see the statement, so it cannot tell of the error in its own words.
        raise DBAPIError(f"COPY {table.name}", None, error) from error


def go_on_numbering(writer: Connection, table: Table) -> None:
    """Let the sequence of a table go on behind the greatest number that is in the table. SQLite does so by itself."""
    column = table.autoincrement_column
    if column is not None:
        sequence = func.pg_get_serial_sequence(table.name, column.name)
        greatest = select(func.max(column)).scalar_subquery()
        writer.execute(select(func.setval(sequence, greatest)).where(greatest.is_not(None)))


def check(connection: Connection) -> None:
    """Raise `Unavailable` when the server is too old, or the database could not hold every text."""
    version: Any = connection.dialect.server_version_info
    if version < (_OLDEST,):
        raise Unavailable(f"the database is PostgreSQL {version[0]}; Palmares needs {_OLDEST} or newer")
    encoding = connection.exec_driver_sql("SHOW server_encoding").scalar_one()
    if encoding != "UTF8":
        raise Unavailable(f"the database has the encoding {encoding}; Palmares needs UTF8")


def _lock(connection: Connection, take: Callable[[Any], Any], name: str) -> Any:
    """Do something with the lock of that name; returns what PostgreSQL answers. Each schema has locks of its own."""
    number = func.hashtextextended(func.current_schema() + f".palmares.{name}", 0)
    schema, answer = connection.execute(select(func.current_schema(), take(number))).one()
    if schema is None:
        # Then the number was NULL too, and there is no lock of that number.
        raise Unavailable(
            "the database has no schema of those that search_path names, or the user may not use it; make it with "
            "CREATE SCHEMA"
        )
    return answer


def _engine(url: URL, options: str, **more: Any) -> Engine:
    given = url.query.get("options", ())
    options = " ".join([options, *([given] if isinstance(given, str) else given)])
    settings = {name: value for name, value in _CONNECTION.items() if name not in url.query}
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=settings | {"options": options},
        # What broke while it lay idle is not lent.
        pool_pre_ping=True,
        **more,
    )
