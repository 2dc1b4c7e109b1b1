"""What a ledger keeps of the past, and the store that it needs for that.

A run that is final and the ends of days leave the ledger for an `Archive`. Everything in it can be worked out again
from the log. An *edition* is all that is kept of one board: the runs and days of one is current and read, another may
be in the making, unseen, until it is installed in one go.

The methods are blocking and may be called from any thread, one call at a time; what they write is durable on return.
They raise `Unavailable` when the store cannot be written or read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DayEnd, DayStanding, FinalPlace, FinalRun, Places, Rows


class Order(Protocol):
    """One ranking, read by row and by user; the live index has the same methods. An entry is a triple of
    participant, value and reached_at."""

    def __len__(self) -> int:
        """How many stand in it."""

    def at(self, row: int, /) -> tuple[int, int, int]:
        """The entry of a row."""

    def page(self, start: int, stop: int, /) -> list[tuple[int, int, int]]:
        """The entries from one row to before another, cut to what exists."""

    def row(self, participant: int, /) -> int:
        """The row of a participant; -1 when absent."""

    def count_better(self, value: int, /) -> int:
        """How many have a strictly better value."""

    def count_distinct_better(self, value: int, /) -> int:
        """How many different values are strictly better."""

    def count_before(self, value: int, reached_at: int, participant: int, /) -> int:
        """How many stand before this entry, be it present or not."""


class Archive(Protocol):
    """Final runs and the ends of days."""

    def begin_edition(self, board: int) -> int:
        """The number of a new edition of a board, empty and unseen."""

    def edition(self, board: int) -> int:
        """The current edition of a board; begun and made current when there was none."""

    def holds(self, board: int) -> bool:
        """Whether there is a current edition of a board."""

    def install(
        self,
        board: int,
        edition: int,
        runs: Collection[int] | None = None,
        complete: Mapping[int, int] | None = None,
    ) -> None:
        """Make an edition current instead of the former, all at once.

        A run that is final in both goes on with the revision that it had, raised by one if any of its rows differs.
        With `runs` (first days), only those are taken over into the former edition, which stays current, and the other
        runs stay as they are: of a run that the new edition has as final, the end replaces the former one; days that
        the new edition has replace the former ones. Days before the one that `complete` names for a run are as the new
        edition has them, also those that it has not.
        """

    def discard(self, edition: int) -> None:
        """Forget an edition that was never installed."""

    def forget(self, board: int) -> None:
        """Forget the current edition of a board; one in the making stays."""

    def keep_cut(self, board: int, position: int, content: bytes) -> None:
        """Keep what the ledger has to know of a board that was finished by hand at a position, for good; instead of
        what was kept of that before."""

    def cut(self, board: int, position: int) -> bytes | None:
        """What was kept of a board that was finished at a position."""

    def keep_days(self, edition: int, run_start: int, ends: Sequence[DayEnd]) -> None:
        """Keep the ends of some days of a run, ascending, instead of what was kept for those days; days of the run
        that lie `DAYS_KEPT` or more before the last of them are let go."""

    def has_day(self, edition: int, run_start: int, day: int) -> bool:
        """Whether that day of a run is kept."""

    def keep_run(
        self, edition: int, run: Run, groups: Sequence[tuple[Group, Rows]], places: Places, revision: int = 0
    ) -> None:
        """Keep how a run ended: each group's ranked rows in order, and everybody's place in them.

        The revision counts when the run was not kept before.
        """

    def final_run(self, board: int, run_start: int) -> FinalRun | None:
        """A run of the current edition; None when it was not kept."""

    def final_runs(self, board: int) -> list[int]:
        """The first days of the runs that are kept in the current edition, ascending."""

    def order(
        self,
        board: int,
        run_start: int,
        group: Group,
        *,
        descending: bool,
        later_first: bool,
        id_of: Callable[[int], bytes],
    ) -> Order:
        """One group's ranking of a run that is kept, read where it lies: a chunk or two for each question.

        Empty when there is none. The last arguments say how the board orders, as the index takes them. When the run
        is kept anew while it is read, what has not been read yet is gone, and the order raises `Unavailable`.
        """

    def place(self, board: int, run_start: int, user: int) -> FinalPlace | None:
        """Where a user stood when the run became final, in whichever group; None when not ranked."""

    def history(self, board: int, run_start: int, user: int, first_day: int, last_day: int) -> list[DayStanding]:
        """The days of a run that are kept, within a range, ascending, with where a user stood."""

    def close(self) -> None:
        """Let go of the store."""
