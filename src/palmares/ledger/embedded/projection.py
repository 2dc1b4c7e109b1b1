"""The projection: the log once more, arranged to be found by user, metric, day and idempotency key.

It follows the log in large sorted steps (`fill`), each one transaction that also notes how far it came, so it is
always equal to the log up to `position` and may be deleted at any time. A step is a handful of SQL statements that
read the log file directly: no line passes through Python, and the interpreter is free meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from palmares.domain.streak import Streak, StreakEvent, encode
from palmares.domain.value import LEAST
from palmares.ledger.contract import StreakOrder
from palmares.ledger.embedded.log import PastEvent
from palmares.ledger.embedded.queries import query

_TABLES = (
    "create_users", "create_totals", "create_user_events", "create_idempotency", "create_streaks",
    "create_streak_rules", "create_progress",
)  # fmt: skip
# Raised when the tables change: a projection of another version is made again.
_VERSION = 1
_STEPS = ("project_users", "project_totals", "project_user_events", "project_idempotency", "project_streaks")

# Where a state, which is a JSON array, has a length and the instant at which it was reached.
_IN_STATE: dict[StreakOrder, tuple[str, str]] = {"active": ("$[1]", "$[6]"), "longest": ("$[2]", "$[3]")}


# A metric, the total of it, and when the newest event happened.
Total = tuple[int, int, int]


class FirstUse(NamedTuple):
    """The event that used an idempotency key first."""

    position: int
    recorded_at: int


class Projection:
    """The projection file. Reads see everything up to `position`."""

    def __init__(self, path: Path, log_path: Path, log_position: int) -> None:
        self._path, self._log_path = path, log_path
        try:
            self._open()
        except sqlite3.DatabaseError:
            # Damaged, by a lost power supply say: it holds nothing that the log does not.
            self._make_again()
        if self.position > log_position:
            self._make_again()

    def _make_again(self) -> None:
        # Closed before deleted: a connection that closes later would delete the new file's WAL by its name.
        self.close()
        _delete(self._path)
        self._open()

    def _open(self) -> None:
        self._writer, self._reader = _connect(self._path), _connect(self._path)
        # A power failure may cost the newest steps, never the file: they are made again from the log.
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = NORMAL")
        for connection in (self._writer, self._reader):
            connection.execute("ATTACH ? AS source", (str(self._log_path),))
        if self._version() != _VERSION:
            raise sqlite3.DatabaseError("the projection is of another version")
        for table in _TABLES:
            self._writer.execute(query(table))
        row = self._reader.execute(query("progress")).fetchone()
        if row is None:
            self._writer.execute("INSERT INTO progress VALUES (0)")
        self.position: int = row[0] if row else 0
        self.streak_rules: dict[int, int] = dict(self._reader.execute(query("streak_rules")).fetchall())

    def _version(self) -> int:
        """The version of the tables; a new file gets the present one."""
        if not self._writer.execute(query("projection_tables")).fetchone()[0]:
            self._writer.execute(f"PRAGMA user_version = {_VERSION}")
        return int(self._writer.execute("PRAGMA user_version").fetchone()[0])

    def catch_up(self, upto: int) -> None:
        """Take in the log up to a position, at the start: nobody reads yet, so a damaged file is made again."""
        try:
            self.position = self.fill(upto)
        except sqlite3.OperationalError:
            # No damage but a full disk, say.
            raise
        except sqlite3.DatabaseError:
            self._make_again()
            self.position = self.fill(upto)

    def fill(self, upto: int) -> int:
        """Take in the log up to a position and return it; for another thread. The reads see it at once.

        The caller sets `position` when it stops holding the same lines in memory.
        """
        with suppress(sqlite3.Error):
            self._writer.execute("ROLLBACK")
        # Not IMMEDIATE, which would lock the attached log too, and nothing could be recorded meanwhile.
        self._writer.execute("BEGIN")
        # Not `self.position`: a step whose caller went away has come further than anybody was told.
        (after,) = self._writer.execute(query("progress")).fetchone()
        for step in _STEPS:
            self._writer.execute(query(step), {"after": after, "upto": upto})
        self._writer.execute("UPDATE progress SET position = ?", (upto,))
        self._writer.execute("COMMIT")
        return upto

    def user_by_id(self, scope: int, user_id: str) -> tuple[int, str, str | None, list[Total]] | None:
        """The number, the body, the streak and the totals of a user."""
        rows = self._reader.execute(query("user_by_id"), (scope, user_id)).fetchall()
        return (*rows[0][:3], _totals_in(rows)) if rows else None

    def user_by_number(self, number: int) -> tuple[int, str, str, str | None, list[Total]] | None:
        """The scope, id, body, streak and totals of a user."""
        rows = self._reader.execute(query("user_by_number"), (number,)).fetchall()
        return (*rows[0][:4], _totals_in(rows)) if rows else None

    def named(self, numbers: Sequence[int]) -> dict[int, tuple[str, str | None]]:
        """The id and name of each of these users."""
        rows = self._reader.execute(query("named"), (f"[{','.join(map(str, numbers))}]",))
        return {number: (user_id, name) for number, user_id, name in rows}

    def id_of(self, number: int) -> str:
        """The id of a user who has one."""
        return str(self._reader.execute(query("id_of"), (number,)).fetchone()[0])

    def last_user(self) -> int:
        """The highest user number given up to `position`; 0 when there is none."""
        return int(self._reader.execute(query("last_user")).fetchone()[0] or 0)

    def totals_of(self, user: int) -> list[Total]:
        """The totals of one user."""
        return self._reader.execute(query("totals_of"), (user,)).fetchall()

    def first_use(self, user: int, metric: int, key: str) -> FirstUse | None:
        """The event that used an idempotency key."""
        row = self._reader.execute(query("first_use"), (user, metric, key)).fetchone()
        return FirstUse(*row) if row else None

    def days_of(self, user: int, metric: int, first: int, past: int) -> list[tuple[int, int]]:
        """(days since 1970, sum of amounts) for the days of a stretch of local time."""
        span = {"user": user, "metric": metric, "first": first, "past": past, "upto": self.position}
        return self._reader.execute(query("days_of"), span).fetchall()

    def history_of(self, user: int, metric: int, first: int, past: int, upto: int) -> list[PastEvent]:
        """The events of a user and metric in a stretch of local time, up to a position."""
        span = {"user": user, "metric": metric, "first": first, "past": past, "upto": min(upto, self.position)}
        return [PastEvent(*row) for row in self._reader.execute(query("history_of"), span)]

    def effects_of(self, user: int, metric: int, first: int, past: int, upto: int) -> list[tuple[PastEvent, int, bool]]:
        """Like `history_of`, each event with when it was recorded and whether it was imported as history."""
        span = {"user": user, "metric": metric, "first": first, "past": past, "upto": upto}
        rows = self._reader.execute(query("effects_of"), span)
        return [(PastEvent(*event), recorded_at, bool(history)) for *event, recorded_at, history in rows]

    def blank_streak(self, scope: int) -> Streak:
        """The streak of those for whom nothing is kept: by the settings that all streaks of the scope are made by."""
        return Streak(self.streak_rules.get(scope, 0))

    def restate(self, scope: int, streaks: Sequence[tuple[int, Streak]]) -> None:
        """Keep streaks, by user, that were worked out by newer settings; for the thread that fills."""
        rows = [{"user": user, "scope": scope, "state": encode(streak)} for user, streak in streaks]
        with self._writer:
            self._writer.execute("BEGIN")
            self._writer.executemany(query("restate"), rows)

    def finish_restating(self, scope: int, version: int) -> None:
        """Note that all streaks of a scope are by a version of the settings; for the thread that fills."""
        rule = {"scope": scope, "version": version}
        with self._writer:
            self._writer.execute("BEGIN")
            self._writer.execute(query("forget_old_states"), rule)
            self._writer.execute(query("set_streak_rules"), rule)

    def snapshot(self) -> Snapshot:
        """The projection as it is now, for a long read while it goes on."""
        return Snapshot(self._path)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        self._writer.close()


class Snapshot:
    """The projection as it was at one moment. Read it user by user; `close` it soon, it holds back disk space."""

    def __init__(self, path: Path) -> None:
        self._connection = _connect(path)
        self._connection.execute("BEGIN")
        # The first read fixes what the transaction sees.
        self.position: int = self._connection.execute(query("progress")).fetchone()[0]

    def users(self) -> Iterator[tuple[int, str]]:
        """The number and body of every user, in the order of the numbers."""
        return iter(self._connection.execute(query("users_by_number")))

    def streak_events(
        self, scope: int, metrics: str | None
    ) -> Iterator[tuple[int, str | None, str | None, StreakEvent]]:
        """User, zone, preferences and event of everything that may count for the streaks of a scope, user by user.

        `metrics` is a JSON array of metric numbers, None for all; preferences are JSON, None for the defaults.
        """
        rows = self._connection.execute(query("streak_events"), {"scope": scope, "metrics": metrics})
        return ((user, tz, preferences, StreakEvent(*event)) for user, tz, preferences, *event in rows)

    def longest_streaks(
        self, scope: int, version: int, order: StreakOrder, now: int, limit: int
    ) -> list[tuple[str, str | None, int]]:
        """The id, name and length of those with the longest streaks, as `Ledger.streak_rankings` wants them."""
        length, reached = _IN_STATE[order]
        given = {
            "scope": scope, "version": version, "length": length, "reached": reached,
            "now": now if order == "active" else LEAST, "limit": limit,
        }  # fmt: skip
        return self._connection.execute(query("longest_streaks"), given).fetchall()

    def close(self) -> None:
        """Let go of the view."""
        self._connection.close()


def _totals_in(rows: Sequence[tuple[Any, ...]]) -> list[Total]:
    """The totals at the ends of the rows of a user; one without any has a row of nothing."""
    return [row[-3:] for row in rows if row[-3] is not None]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
