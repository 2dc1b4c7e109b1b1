"""A user's history in a run: one entry a UTC day, from the day on which the user first stood in it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import dropwhile

from palmares.domain.board import Board
from palmares.domain.local_time import day_of
from palmares.domain.run import Run, closes_at
from palmares.domain.snapshot import DAYS_KEPT, DayStanding
from palmares.domain.user import User
from palmares.ledger.contract import Ledger


async def read_history(
    ledger: Ledger, board: Board, run: Run, user: User, today: DayStanding | None, count: int, now: int
) -> Sequence[DayStanding]:
    """The last entries, at most `count` of them, ascending; days on which the user was out in between count too.

    `today` is how it stands now; None in a run that is final, which ends with the day on which it became so.
    """
    last_day = day_of(now if run.end is None else min(now, closes_at(run.end)))
    if today is not None:
        last_day -= 1
    days = await ledger.history(board.number, run, user, last_day - count, last_day)
    if days and days[0].rank is None:
        # Out on that day: whether the user had been in before tells an entry from nothing.
        days = await ledger.history(board.number, run, user, last_day - DAYS_KEPT, last_day)
    entries = [*days] if today is None else [*days, today]
    if not entries or entries[0].rank is not None:
        return entries[-count:]
    return [*dropwhile(lambda entry: entry.rank is None, entries)][-count:]
