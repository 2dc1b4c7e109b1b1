"""The event log: an SQLite file that only grows, and is the truth.

Lines are inserted on the caller's thread, which is a copy into SQLite's page cache, and made durable by `commit`,
which is meant for another thread: it is one call that waits for the disk without holding the interpreter.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from palmares.domain.errors import Unavailable
from palmares.ledger.embedded.queries import query

EVENT = 1
USER = 2
VOID = 3
ERASURE = 4
POINTS = 5


class Line(NamedTuple):
    """One line of the log, in the order of its columns."""

    position: int
    kind: int
    recorded_at: int
    scope: int
    user: int
    metric: int | None = None
    amount: int | None = None
    occurred_at: int | None = None
    local_at: int | None = None
    late: int | None = None
    total: int | None = None
    idempotency_key: str | None = None
    user_id: str | None = None
    body: str | None = None
    history: int | None = None
    streak: str | None = None
    target: int | None = None


class Voided(NamedTuple):
    """An event that is void, and the line that says so."""

    event: Line
    line: Line


class PastEvent(NamedTuple):
    """An event as the fold needs it."""

    occurred_at: int
    position: int
    amount: int
    local_at: int


def past_event(line: Line) -> PastEvent:
    """The event of an event line."""
    assert line.occurred_at is not None
    assert line.amount is not None
    assert line.local_at is not None
    return PastEvent(line.occurred_at, line.position, line.amount, line.local_at)


class Log:
    """The log file. `position` and `recorded_at` are those of the last durable line; 0 when there is none.

    A log that was put together from several has the ids of events that these gave: up to `last_origin`, they are made
    of places in those logs.
    """

    def __init__(self, path: Path) -> None:
        self._writer = _connect(path)
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = FULL")
        # Nothing is ever deleted, but a page that becomes an inner one must not keep what it held: it may be erased.
        self._writer.execute("PRAGMA secure_delete = ON")
        self._writer.execute(query("create_log"))
        present = self._writer.execute(query("log_columns")).fetchall()
        for column in ("history", "streak", "target"):
            if (column,) not in present:
                self._writer.execute(query(f"add_{column}"))
        self._writer.execute(query("create_origins"))
        self._reader = _connect(path)
        last: tuple[int, int] | None = self._writer.execute(query("last_record")).fetchone()
        self.position, self.recorded_at = last or (0, 0)
        self.last_origin = int(self._reader.execute(query("last_origin")).fetchone()[0])

    def append(self, lines: Sequence[Line]) -> None:
        """Begin a transaction with these lines; `Unavailable` when the disk takes none, and then none is in."""
        with _translated(self):
            self._writer.execute("BEGIN IMMEDIATE")
            self._writer.executemany(query("append"), lines)

    def append_origins(self, origins: Sequence[tuple[int, int]]) -> None:
        """Note in the same transaction at which places in other logs some lines were."""
        with _translated(self):
            self._writer.executemany(query("add_origin"), origins)
        self.last_origin = max([self.last_origin, *(position for position, _ in origins)])

    def origin_of(self, position: int) -> int:
        """The place of which the id of an event is made."""
        if position > self.last_origin:
            return position
        row = self._reader.execute(query("origin_of"), (position,)).fetchone()
        return int(row[0]) if row else position

    def position_of_origin(self, origin: int) -> int | None:
        """Where the event is that was at a place in another log."""
        row = self._reader.execute(query("position_of_origin"), (origin,)).fetchone()
        return int(row[0]) if row else None

    def commit(self) -> None:
        """Make the appended lines durable: write and flush. `Unavailable` when that failed; then none is in."""
        with _translated(self):
            self._writer.execute("COMMIT")

    def roll_back(self) -> None:
        """Forget lines that were appended but not committed."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")

    def read(self, after: int, limit: int) -> list[Line]:
        """Up to `limit` lines behind a position, in order."""
        return [Line(*row) for row in self._reader.execute(query("records"), (after, limit))]

    def at(self, position: int) -> Line | None:
        """The line at a position."""
        row = self._reader.execute(query("record"), (position,)).fetchone()
        return Line(*row) if row else None

    def recorded_when(self, position: int) -> int:
        """When the last line up to a position was recorded; 0 when there is none."""
        row = self._reader.execute(query("recorded_when"), (position,)).fetchone()
        return int(row[0]) if row else 0

    def lines(self, positions: Sequence[int]) -> list[Line]:
        """The lines at these positions, in the same order."""
        rows = self._reader.execute(query("lines"), (f"[{','.join(map(str, positions))}]",))
        found = {line.position: line for line in (Line(*row) for row in rows)}
        return [found[position] for position in positions]

    def user_lines(self, after: int, upto: int) -> Iterator[Line]:
        """The user lines behind one position up to another, in order."""
        return (Line(*row) for row in self._reader.execute(query("user_records"), (after, upto)))

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()


@contextmanager
def _translated(log: Log) -> Iterator[None]:
    """SQLite's errors as ours, with the transaction rolled back."""
    try:
        yield
    except sqlite3.Error as error:
        log.roll_back()
        raise Unavailable(f"the log cannot be written: {error}; nothing was stored") from error


def _connect(path: Path) -> sqlite3.Connection:
    # Threads take turns: the loop appends, one worker commits, never at the same time.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)
