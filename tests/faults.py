"""Disks that fail when told to."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from palmares.domain.errors import Unavailable
from palmares.ledger.embedded.ledger import EmbeddedLedger

_WAL_ONLY = "PRAGMA wal_autocheckpoint = 0"


class FaultyConnection:
    """A connection that does not do statements with a line beginning with one of `failing`: it says the disk is bad."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.failing: tuple[str, ...] = ()
        self.failures = 0
        self._connection = connection

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        self._check(statement)
        return self._connection.execute(statement, *arguments)

    def executemany(self, statement: str, rows: Any) -> sqlite3.Cursor:
        self._check(statement)
        return self._connection.executemany(statement, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _check(self, statement: str) -> None:
        if self.failing and any(line.startswith(self.failing) for line in statement.splitlines()):
            self.failures += 1
            raise sqlite3.OperationalError("disk I/O error")


def faulty_log(ledger: EmbeddedLedger) -> FaultyConnection:
    """The connection that writes the log, from now on faulty."""
    found: Any = ledger._log
    if not isinstance(found._writer, FaultyConnection):
        found._writer = FaultyConnection(found._writer)
    connection: FaultyConnection = found._writer
    return connection


def faulty_projection(ledger: EmbeddedLedger) -> FaultyConnection:
    """The connection that writes the projection, from now on faulty."""
    found: Any = ledger._projection
    if not isinstance(found._writer, FaultyConnection):
        found._writer = FaultyConnection(found._writer)
    connection: FaultyConnection = found._writer
    return connection


def write_wal_only(ledger: EmbeddedLedger) -> None:
    """Let the WALs only grow, until they are closed. Then copying the files one after another, while other threads
    write, gives files as a kill leaves them: those that are not a WAL do not change."""
    for connection in (ledger._log._writer, ledger._projection._writer):
        connection.execute(_WAL_ONLY)
    archive: Any = ledger._archivist.archive
    event.listen(archive._database._writing_engine.pool, "checkout", _let_wal_grow)


def _let_wal_grow(connection: Any, _record: object, _proxy: object) -> None:
    connection.execute(_WAL_ONLY)


@contextmanager
def broken_archive(ledger: EmbeddedLedger) -> Iterator[None]:
    """While this lasts, nothing can be written into the archive; reading goes on."""

    def refuse(*_: Any, **__: Any) -> None:
        raise Unavailable("the archive's database does not work at present")

    with patch.multiple(ledger._archivist.archive, keep_days=refuse, keep_run=refuse, install=refuse):
        yield


@contextmanager
def full_disk(ledger: EmbeddedLedger) -> Iterator[None]:
    """While this lasts, the log's file may grow no further: SQLite says that the disk is full."""
    connection = ledger._log._writer
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    try:
        yield
    finally:
        connection.execute("PRAGMA max_page_count = 1073741823")
