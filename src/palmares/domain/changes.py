"""From one event to the rankings that it changes.

`Plan` is a board made ready for many events. A ledger asks the plans of an event's scope three things: which boards
the event counts on and in which run (`Plan.run_at`), what the user's tally there becomes (`tally.step`), and, when the
user's attributes change, between which groups the user moves (`moves`). Applying the answers is the ledger's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from palmares.domain.board import Board
from palmares.domain.group import Group, group_of, own_group
from palmares.domain.hidden import MARK, is_hidden
from palmares.domain.local_time import DAY, EPOCH_ORDINAL, SECOND, parse_time
from palmares.domain.run import Run, closes_at, opens_at
from palmares.domain.streak_board import concerns_run
from palmares.domain.value import MOST, rounded

_MOST_DAYS_REMEMBERED = 4096


class Plan:
    """A board made ready for the events that it counts.

    Events of one day fall in one run, so the run of each day is worked out once and remembered.
    """

    __slots__ = ("_ends", "_opens", "_runs", "attribute_keys", "board", "closing", "grouped", "opening")

    def __init__(self, board: Board) -> None:
        self.board = board
        keys = [attribute.key for attribute, _ in board.filters] + [attribute.key for attribute in board.breakdown]
        self.attribute_keys = frozenset([*keys, MARK])
        # Whether attributes matter, but for that of who is hidden.
        self.grouped = bool(keys)
        self.opening = parse_time(board.start_time, "startTime") * SECOND if board.start_time else 0
        self.closing = parse_time(board.end_time, "endTime") * SECOND if board.end_time else DAY
        self._opens = opens_at(board.start)
        self._ends = MOST if board.end is None else closes_at(board.end)
        self._runs: dict[int, Run | None] = {}

    def active_at(self, now: int) -> bool:
        """Whether the board's status is `active` at an instant."""
        return self._opens <= now < self._ends and self.board.asked_status == "active"

    def run_at(self, local: int) -> Run | None:
        """The run in which an event at that local time counts; None outside the board's days or daily window."""
        day, time = divmod(local, DAY)
        if not self.opening <= time < self.closing:
            return None
        try:
            return self._runs[day]
        except KeyError:
            return self._remember(day)

    def run_concerned(self, local: int) -> Run | None:
        """The run whose ranking an event at that local time may change.

        On a board that ranks by streak, events from before its only run make the streak that a user brings along.
        """
        if self.board.rank_by != "streak":
            return self.run_at(local)
        run = self.only_run
        return run if concerns_run(run, local) else None

    @property
    def only_run(self) -> Run:
        """The run of a board that does not repeat."""
        return Run(self.board.start, self.board.end)

    def group_of(self, attributes: Mapping[str, str]) -> Group | None:
        """The group of a user with these attributes; None when the user takes no part."""
        if not self.grouped:
            return None if is_hidden(attributes) else ()
        return group_of(self.board, attributes)

    def own_group(self, attributes: Mapping[str, str]) -> Group | None:
        """The group of a user with these attributes, who may be hidden there."""
        return own_group(self.board, attributes) if self.grouped else ()

    def _remember(self, day: int) -> Run | None:
        if len(self._runs) >= _MOST_DAYS_REMEMBERED:
            self._runs.clear()
        run = self._runs[day] = self.board.schedule.run_at(day + EPOCH_ORDINAL)
        return run


class Move(NamedTuple):
    """A user leaves one group of a board for another, with the whole value of each run; None is taking no part."""

    plan: Plan
    before: Group | None
    after: Group | None


def moves(plans: Iterable[Plan], before: Mapping[str, str], after: Mapping[str, str]) -> list[Move]:
    """The moves between groups that a change of attributes brings."""
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    found = []
    for plan in plans:
        if not plan.attribute_keys.isdisjoint(differing):
            move = Move(plan, plan.group_of(before), plan.group_of(after))
            if move.before != move.after:
                found.append(move)
    return found


def threshold(board: Board, size: int, lowest_value: int | None) -> int:
    """What the lowest ranked value is while the group is full, as sent on the wire; else 0."""
    full = board.max_participants is not None and size >= board.max_participants
    return rounded(lowest_value) if full and lowest_value is not None else 0
