"""What an archive says, remembered as long as it stays as it is.

Every standing tells of the last days, and past runs are read like present ones. They are over, so what the archive
says of them changes only when something is written there, which is seldom: then everything is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from palmares.domain.group import Group
from palmares.domain.snapshot import DayStanding, FinalRun
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.keeping import Archive, Order

# About ten megabytes.
MOST_DAYS = 100_000
MOST_RUNS = 10_000

_Name = TypeVar("_Name")
_Said = TypeVar("_Said")


class Kept:
    """What one archive answers to readers. Whoever writes there calls `forget` once that is durable."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._histories: dict[tuple[int, int, int, int, int], Sequence[DayStanding]] = {}
        # A day that is kept is told for everybody, so where one user has none, nobody has.
        self._empty: set[tuple[int, int, int, int]] = set()
        self._days = 0
        self._run_starts: dict[int, Sequence[int]] = {}
        self._runs: dict[tuple[int, int], FinalRun | None] = {}
        self._orders: dict[tuple[int, int, Group], Order] = {}

    def history(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> Sequence[DayStanding]:
        """See `Archive.history`."""
        stretch = (board, run_start, first_day, last_day)
        if stretch in self._empty:
            return ()
        name = (board, run_start, user, first_day, last_day)
        found = self._histories.get(name)
        if found is None:
            found = self._archive.history(*name)
            self._note_days(name, stretch, found)
        return found

    def final_runs(self, board: int) -> Sequence[int]:
        """See `Archive.final_runs`."""
        return _remembered(self._run_starts, board, lambda: self._archive.final_runs(board))

    def final_run(self, board: int, run_start: int) -> FinalRun | None:
        """See `Archive.final_run`."""
        return _remembered(self._runs, (board, run_start), lambda: self._archive.final_run(board, run_start))

    def order(self, rankings: Rankings, run_start: int, group: Group, id_of: Callable[[int], bytes]) -> Order:
        """See `Archive.order`. The rankings say which board it is and how it orders, which is the same for a board."""
        board = rankings.plan.board

        def asked() -> Order:
            return self._archive.order(
                board.number,
                run_start,
                group,
                descending=board.order == "desc",
                later_first=board.ties == "last",
                id_of=id_of,
            )

        return _remembered(self._orders, (board.number, run_start, group), asked)

    def forget(self) -> None:
        """The archive is not what it was."""
        self._forget_histories()
        for said in (self._run_starts, self._runs, self._orders):
            said.clear()

    def _forget_histories(self) -> None:
        self._histories.clear()
        self._empty.clear()
        self._days = 0

    def _note_days(
        self, name: tuple[int, int, int, int, int], stretch: tuple[int, int, int, int], found: Sequence[DayStanding]
    ) -> None:
        # Anybody may ask for any stretch, so what is empty counts too.
        self._days += len(found) + 1
        if self._days > MOST_DAYS:
            self._forget_histories()
        if found:
            self._histories[name] = found
        else:
            self._empty.add(stretch)


def _remembered(said: dict[_Name, _Said], name: _Name, asked: Callable[[], _Said]) -> _Said:
    """What was said under a name, or else is asked now; when there is no room, all of the kind is forgotten."""
    if name in said:
        return said[name]
    found = asked()
    if len(said) >= MOST_RUNS:
        said.clear()
    said[name] = found
    return found
