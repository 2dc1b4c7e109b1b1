"""Rankings from nothing but the log: for boards that were not followed when their events came.

The events are read from the projection user by user, so each user's tallies are folded once, in the order in which
the events happened, and every ranking is loaded in bulk.
"""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter

from palmares.domain import tally, value
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.tally import Tally
from palmares.ledger.embedded.log import PastEvent
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.users import decode_user

_USERS_BETWEEN_PAUSES = 500


class Columns:
    """The entries of one ranking, as bulk loading wants them."""

    __slots__ = ("participants", "reached", "values")

    def __init__(self) -> None:
        self.values = array("q")
        self.reached = array("q")
        self.participants = array("I")

    def add(self, user: int, earned: Tally) -> None:
        """Take in one user."""
        self.values.append(earned.value)
        self.reached.append(earned.reached_at)
        self.participants.append(user)


async def build(
    rankings: Rankings,
    events: Iterable[tuple[int, PastEvent]],
    users: Iterator[tuple[int, str]],
    pause: Callable[[], Awaitable[None]],
) -> None:
    """Fill empty rankings from all events of their metric and the bodies of all users, both in order of user number.

    `pause` is awaited often, so that others get their turn. One pass; memory for the entries once more. Raises
    `Invalid` when a value leaves its range.
    """
    columns: dict[tuple[int, Group | None], Columns] = {}
    for count, (user, held) in enumerate(groupby(events, key=itemgetter(0))):
        group = _group(rankings, user, users)
        for run, earned in _tallies(rankings, [event for _, event in held]).items():
            columns.setdefault((run.start, group), Columns()).add(user, earned)
        if count % _USERS_BETWEEN_PAUSES == 0:
            await pause()
    for (run_start, group), entries in columns.items():
        rankings.index(run_start, group).load(entries.values, entries.reached, entries.participants)
        await pause()


def _tallies(rankings: Rankings, events: list[PastEvent]) -> dict[Run, Tally]:
    aggregation = rankings.plan.board.aggregation
    earned: dict[Run, Tally] = {}
    for event in sorted(events):
        run = rankings.plan.run_at(event.local_at)
        if run is not None:
            after = tally.step(aggregation, earned.get(run), event.amount, event.occurred_at, in_order=True)
            assert after is not None, "events in order need no others"
            earned[run] = after
    for held in earned.values():
        # Where nobody followed the board, nobody has refused the events that lead out of the range.
        value.checked(held.value, f"a value on leaderboard {rankings.plan.board.key!r}")
    return earned


def _group(rankings: Rankings, user: int, users: Iterator[tuple[int, str]]) -> Group | None:
    """The group of a user, walking the users along with the events."""
    if not rankings.plan.grouped:
        return ()
    for number, body in users:
        if number == user:
            return rankings.plan.group_of(decode_user(number, 0, "", body).attributes)
    raise AssertionError(f"user {user} has events but no user line")
