"""Histories of users, remembered as long as the archive stays as it is.

Every standing tells of the last days. They are over, so what the archive says of them changes only when something is
written there, which is seldom: then everything is forgotten.
"""

from __future__ import annotations

from collections.abc import Sequence

from palmares.domain.snapshot import DayStanding
from palmares.ledger.keeping import Archive

# About ten megabytes.
MOST_DAYS = 100_000


class Histories:
    """What one archive answers to `history`. Whoever writes there calls `forget` when that is durable."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._remembered: dict[tuple[int, int, int, int, int], Sequence[DayStanding]] = {}
        # A day that is kept is told for everybody, so where one user has none, nobody has.
        self._empty: set[tuple[int, int, int, int]] = set()
        self._days = 0

    def of(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> Sequence[DayStanding]:
        """See `Archive.history`."""
        stretch = (board, run_start, first_day, last_day)
        if stretch in self._empty:
            return ()
        name = (board, run_start, user, first_day, last_day)
        found = self._remembered.get(name)
        if found is None:
            found = self._archive.history(*name)
            self._remember(name, stretch, found)
        return found

    def forget(self) -> None:
        """The archive is not what it was."""
        self._remembered.clear()
        self._empty.clear()
        self._days = 0

    def _remember(
        self, name: tuple[int, int, int, int, int], stretch: tuple[int, int, int, int], found: Sequence[DayStanding]
    ) -> None:
        # Anybody may ask for any stretch, so what is empty counts too.
        self._days += len(found) + 1
        if self._days > MOST_DAYS:
            self.forget()
        if found:
            self._remembered[name] = found
        else:
            self._empty.add(stretch)
