"""Taking erased users out of the lines of the log that were written before.

A line keeps its position, its numbers and its length: what is a person's is overwritten in place, with nothing. So the
tree of the file stays as it is, byte for byte but for those lines, and no copy of an old page is left anywhere. What
is done twice is done once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from palmares.ledger.anonymous import reduced_profile
from palmares.ledger.embedded.log import USER
from palmares.ledger.embedded.projection import truncate_wal
from palmares.ledger.embedded.queries import query


class Rewritten(NamedTuple):
    """What a line holds instead."""

    user_id: str | None
    body: str | None
    idempotency_key: str | None
    position: int


class Rewriter:
    """A connection of its own to the log; the methods are for another thread, the last two while nobody records."""

    def __init__(self, path: Path) -> None:
        # Nobody else writes while this does, and whoever reads an older state may do so for long: nothing to wait for.
        self._connection = sqlite3.connect(path, 0, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA secure_delete = ON")

    def find(self, users: Collection[int], after: int, upto: int) -> list[Rewritten]:
        """What becomes of the lines of these users in a stretch of the log, of those that change."""
        numbers = f"[{','.join(map(str, users))}]"
        rows = self._connection.execute(query("lines_of_users"), (after, upto, numbers)).fetchall()
        return [
            left
            for position, kind, user_id, body, key in rows
            if (left := rewritten(position, kind, user_id, body, key)) != (user_id, body, key, position)
        ]

    def write(self, lines: Collection[Rewritten]) -> None:
        """Overwrite lines, durably or not at all."""
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(query("rewrite_line"), lines)

    def finish(self) -> None:
        """Let nothing of what was overwritten be left beside the file. Raises `Unavailable` while it is being read."""
        truncate_wal(self._connection)

    def close(self) -> None:
        """Let go of the log."""
        self._connection.close()


def rewritten(
    position: int, kind: int, user_id: str | None, body: str | None, idempotency_key: str | None
) -> Rewritten:
    """A line without what is a person's, as long as before: a profile as far as the past needs it, else nothing."""
    left = None if body is None else _padded(reduced_profile(body) if kind == USER else "{}", body)
    return Rewritten(_blank(user_id), left, _blank(idempotency_key), position)


def _padded(text: str, former: str) -> str:
    """A JSON text, in which blanks at the end mean nothing, as long as the former one."""
    return text.ljust(len(former.encode()))


def _blank(text: str | None) -> str | None:
    return None if text is None else " " * len(text.encode())
