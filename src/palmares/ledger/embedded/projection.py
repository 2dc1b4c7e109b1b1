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

from palmares.domain.errors import Unavailable
from palmares.domain.streak import Streak, StreakEvent, encode
from palmares.domain.value import LEAST
from palmares.ledger.contract import StreakOrder
from palmares.ledger.embedded.log import PastEvent
from palmares.ledger.embedded.queries import query

_TABLES = (
    "create_users", "create_totals", "create_user_events", "create_voids", "create_idempotency", "create_streaks",
    "create_streak_rules", "create_schemes", "create_marked", "create_erased", "create_progress",
)  # fmt: skip
# Raised when the tables change: a projection of another version is made again.
_VERSION = 4
_STEPS = (
    "project_users", "project_totals", "project_user_events", "project_voids", "project_idempotency",
    "project_streaks", "project_schemes", "project_marked",
)  # fmt: skip

_ERASING = ("project_erased", "erase_users", "erase_idempotency", "erase_streaks", "erase_marked")

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
        stretch = {"after": after, "upto": upto}
        # First, so that who comes with the id of one who is gone finds it free.
        erasing = _ERASING if self._writer.execute(query("has_erasures"), stretch).fetchone()[0] else ()
        for step in (*erasing, *_STEPS):
            self._writer.execute(query(step), stretch)
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

    def hidden_users(self) -> set[int]:
        """The numbers of the users who are hidden."""
        return {number for (number,) in self._reader.execute(query("hidden_users"))}

    def erased_users(self) -> set[int]:
        """The numbers of the users who were erased."""
        return {number for (number,) in self._reader.execute(query("erased_users"))}

    def erased_user(self, number: int) -> tuple[int, str]:
        """The scope of a user who was erased, and what is left of the body."""
        row: tuple[int, str] = self._reader.execute(query("erased_user"), (number,)).fetchone()
        return row

    def unfinished_erasures(self) -> list[tuple[int, int, str | None, int, int]]:
        """(scope, number, id, instant, position) of erased users of whom files may hold something, oldest first."""
        return self._reader.execute(query("unfinished_erasures")).fetchall()

    def compact(self, numbers: Sequence[int]) -> None:
        """Hold nothing of erased users any more, and note that no file does; for the thread that fills."""
        given = (f"[{','.join(map(str, numbers))}]",)
        self._writer.execute(query("forget_ids"), given)
        self._writer.execute("VACUUM main")
        truncate_wal(self._writer, "main")
        self._writer.execute(query("finish_erasures"), given)

    def interrupt(self) -> None:
        """Let what the filling thread is at fail, if it is at anything: it is as if it had not begun."""
        self._writer.interrupt()

    def totals_of(self, user: int) -> list[Total]:
        """The totals of one user."""
        return self._reader.execute(query("totals_of"), (user,)).fetchall()

    def first_use(self, user: int, metric: int, key: str) -> FirstUse | None:
        """The event that used an idempotency key."""
        row = self._reader.execute(query("first_use"), (user, metric, key)).fetchone()
        return FirstUse(*row) if row else None

    def void_of(self, user: int, metric: int, target: int) -> int | None:
        """The position of the line that says that an event is void."""
        row = self._reader.execute(query("void_of"), (user, metric, target)).fetchone()
        return int(row[0]) if row else None

    def days_of(self, user: int, metric: int, first: int, past: int) -> list[tuple[int, int]]:
        """(days since 1970, sum of amounts) for the days of a stretch of local time; what is void is left out."""
        span = {"user": user, "metric": metric, "first": first, "past": past, "upto": self.position}
        return self._reader.execute(query("days_of"), span).fetchall()

    def history_of(self, user: int, metric: int, first: int, past: int, upto: int) -> list[PastEvent]:
        """The events of a user and metric in a stretch of local time, up to a position and as far as not void by it."""
        span = {"user": user, "metric": metric, "first": first, "past": past, "upto": min(upto, self.position)}
        return [PastEvent(*row) for row in self._reader.execute(query("history_of"), span)]

    def newest_of(self, user: int, metric: int, limit: int) -> list[PastEvent]:
        """The events of a user and metric that happened last by the user's clock, the newest first."""
        given = {"user": user, "metric": metric, "upto": self.position, "limit": limit}
        return [PastEvent(*row) for row in self._reader.execute(query("newest_of"), given)]

    def effects_of(self, user: int, metric: int, first: int, past: int, upto: int) -> list[tuple[PastEvent, int, bool]]:
        """Like `history_of`, void ones too, each with when it was recorded and whether it was imported as history."""
        span = {"user": user, "metric": metric, "first": first, "past": past, "upto": upto}
        rows = self._reader.execute(query("effects_of"), span)
        return [(PastEvent(*event), recorded_at, bool(history)) for *event, recorded_at, history in rows]

    def schemes(self) -> list[tuple[int, int, str]]:
        """By which schemes a scope pays points from a position on: position, scope and the text in the log."""
        return self._reader.execute(query("schemes")).fetchall()

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

    def voids(self, metric: int | None, upto: int) -> Iterator[tuple[int, int]]:
        """The positions of the events of a metric, or of any, that are void by a position, and of their voids."""
        return iter(self._connection.execute(query("voids"), {"metric": metric, "upto": upto}))

    def erased_users(self) -> set[int]:
        """The numbers of the users who were erased."""
        return {number for (number,) in self._connection.execute(query("erased_users"))}

    def anyone_hidden(self) -> bool:
        """Whether anyone was ever hidden."""
        return bool(self._connection.execute(query("anyone_hidden")).fetchone()[0])

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


def truncate_wal(connection: sqlite3.Connection, schema: str = "main") -> None:
    """Bring all of a file's WAL into the file and leave nothing in it; `Unavailable` while an older state is read."""
    busy, _, _ = connection.execute(f"PRAGMA {schema}.wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise Unavailable("a file cannot be compacted while it is read as it was; it will be tried again")


def _totals_in(rows: Sequence[tuple[Any, ...]]) -> list[Total]:
    """The totals at the ends of the rows of a user; one without any has a row of nothing."""
    return [row[-3:] for row in rows if row[-3] is not None]


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
