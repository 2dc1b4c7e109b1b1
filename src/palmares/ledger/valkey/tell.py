"""Where each step of a commit left its user: ranks before and after, and thresholds, told as of the step's own moment.

A shard counts once, when all steps of a commit are in. From that follows what it was before each of them, because all
that moved meanwhile is known: members of the commit's own users. So the answer to any question about a moment is

    what was counted at the end  −  the own members at the end  +  the own members at that moment

and of a list the first entry is told what was true when only the first was in. Counts of several shards are added up;
distinct values, which do not add up, are united.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from palmares.domain.board import Board
from palmares.domain.changes import threshold
from palmares.domain.group import Group
from palmares.ledger.contract import BoardOutcome
from palmares.ledger.valkey.draft import Change, Step, Tell
from palmares.ledger.valkey.member import Members, before_value, behind_value


class Ranking(NamedTuple):
    """A ranking of the whole ledger, whatever its generation in each shard."""

    board: int
    run_start: int
    group: Group


@dataclass(slots=True)
class Question:
    """What has to be counted in one ranking, in every shard alike.

    `bounds` are counted among the members, `value_bounds` among the distinct values (only where ranks are dense).
    `movers` is how many of the commit's users have to do with the ranking.
    """

    board: Board
    bounds: dict[bytes, None] = field(default_factory=dict)
    value_bounds: dict[bytes, None] = field(default_factory=dict)
    movers: set[bytes] = field(default_factory=set)

    @property
    def rows(self) -> tuple[int, int] | None:
        """The rows, both included, among which the lowest ranked member is found at any moment of the commit."""
        cap = self.board.max_participants
        if cap is None:
            return None
        return max(0, cap - 1 - len(self.movers)), cap - 1 + len(self.movers)


@dataclass(slots=True)
class Count:
    """The answer to a question, of one shard or of all together. `better` are the distinct values before the greatest
    of the value bounds, where they were asked for; `rows` are those of the question, as far as there are any."""

    size: int
    counts: dict[bytes, int]
    distinct: dict[bytes, int]
    better: Sequence[bytes] = ()
    rows: Sequence[bytes] = ()


def added_up(counts: Sequence[Count]) -> Count:
    """The counts of several shards as one."""
    if len(counts) == 1:
        return counts[0]
    values = sorted({value for count in counts for value in count.better})
    return Count(
        sum(count.size for count in counts),
        {bound: sum(count.counts[bound] for count in counts) for bound in counts[0].counts},
        {bound: bisect_left(values, bound) for bound in counts[0].distinct},
    )


def questions(steps: Iterable[Step]) -> dict[Ranking, Question]:
    """What has to be counted to tell all about some steps."""
    found: dict[Ranking, Question] = {}
    steps = list(steps)
    for step in steps:
        for tell in step.tells:
            ranking = ranking_of(tell)
            question = found.get(ranking)
            if question is None:
                question = found[ranking] = Question(tell.making.board)
            for member in {tell.before, tell.after}:
                if member is not None:
                    _ask(question, member)
    for step in steps:
        for change in step.changes:
            for ranking, before, after in _moves(change):
                question = found.get(ranking)
                if question is not None:
                    question.movers.add(step.name)
                    if question.board.numbering == "dense":
                        _ask_holders(question, [member for member in (before, after) if member is not None])
    return found


def _ask(question: Question, member: bytes) -> None:
    question.bounds[member] = None
    if question.board.numbering != "ordinal":
        question.bounds[before_value(member)] = None
    if question.board.numbering == "dense":
        question.value_bounds[before_value(member)] = None


def _ask_holders(question: Question, members: Iterable[bytes]) -> None:
    for member in members:
        start = before_value(member)
        question.bounds[start] = question.bounds[behind_value(start)] = None


def ranking_of(tell: Tell) -> Ranking:
    """The ranking that is told of."""
    return Ranking(tell.making.board.number, tell.run.start, tell.group)


def _moves(change: Change) -> list[tuple[Ranking, bytes | None, bytes | None]]:
    """The rankings that a change concerns, with the user's member there before and after it."""
    making, start, left, joined = change
    sides: list[tuple[Group | None, bytes | None, bytes | None]]
    if left is not None and joined is not None and left.group == joined.group:
        sides = [(left.group, left.member, joined.member)]
    else:
        sides = [] if left is None else [(left.group, left.member, None)]
        sides += [] if joined is None else [(joined.group, None, joined.member)]
    board = making.board.number
    return [(Ranking(board, start, group), before, after) for group, before, after in sides if group is not None]


class Teller:
    """Goes through the steps that were taken, in order, and tells each what it did."""

    def __init__(self, steps: Sequence[Step], asked: Mapping[Ranking, Question], counts: Mapping[Ranking, Count]):
        self._tables = {ranking: Table(question, counts[ranking]) for ranking, question in asked.items()}
        # What each step moves is worked out once, and needed twice.
        self._moves = [self._moves_of(step) for step in steps]
        for step, moves in zip(steps, self._moves, strict=True):
            for table, before, after in moves:
                table.note(step.name, before, after)
        for table in self._tables.values():
            table.begin()

    def told(self, steps: Sequence[Step]) -> Iterator[list[BoardOutcome]]:
        """What each of the steps did."""
        return (self._tell(step, moves) for step, moves in zip(steps, self._moves, strict=True))

    def _tell(self, step: Step, moves: Iterable[_Move]) -> list[BoardOutcome]:
        tables = [self._tables[ranking_of(tell)] for tell in step.tells]
        formers = [table.rank(tell.before) for tell, table in zip(step.tells, tables, strict=True)]
        for table, before, after in moves:
            table.move(before, after)
        return [
            BoardOutcome(
                tell.making.board, tell.run, tell.group, table.rank(tell.after), former,
                table.threshold(tell.making.members),
            )
            for tell, table, former in zip(step.tells, tables, formers, strict=True)
        ]  # fmt: skip

    def _moves_of(self, step: Step) -> list[_Move]:
        return [
            (self._tables[ranking], before, after)
            for change in step.changes
            if change.making.ready
            for ranking, before, after in _moves(change)
            if ranking in self._tables
        ]


class Table:
    """One ranking at each moment of a commit."""

    def __init__(self, question: Question, count: Count) -> None:
        self._board = question.board
        self._first_row = question.rows[0] if question.rows else 0
        self._count = count
        self._first: dict[bytes, bytes | None] = {}
        self._last: dict[bytes, bytes | None] = {}
        self._final: list[bytes] = []
        self._now: list[bytes] = []

    def note(self, name: bytes, before: bytes | None, after: bytes | None) -> None:
        """A user's member becomes another, in the order of the commit."""
        self._first.setdefault(name, before)
        self._last[name] = after

    def begin(self) -> None:
        """All was noted; go to the moment before the commit."""
        self._final = sorted(member for member in self._last.values() if member is not None)
        self._now = sorted(member for member in self._first.values() if member is not None)

    def move(self, before: bytes | None, after: bytes | None) -> None:
        """The next change has happened."""
        if before is not None:
            del self._now[bisect_left(self._now, before)]
        if after is not None:
            insort(self._now, after)

    def rank(self, member: bytes | None) -> int | None:
        """The rank of a member, present or not; None outside the cap."""
        if member is None:
            return None
        row = self._before(member)
        if self._board.max_participants is not None and row >= self._board.max_participants:
            return None
        if self._board.numbering == "ordinal":
            return row + 1
        start = before_value(member)
        return 1 + (self._before(start) if self._board.numbering == "competition" else self._distinct_before(start))

    def threshold(self, members: Members) -> int:
        """What the lowest ranked value is while the ranking is full, as sent on the wire."""
        cap = self._board.max_participants
        if cap is None:
            return 0
        size = self._count.size - len(self._final) + len(self._now)
        if size < cap:
            return 0
        return threshold(self._board, size, members.decode(self._at(cap - 1))[0])

    def _before(self, bound: bytes) -> int:
        return self._count.counts[bound] - bisect_left(self._final, bound) + bisect_left(self._now, bound)

    def _distinct_before(self, start: bytes) -> int:
        own_last, own_now = ({before_value(member) for member in some} for some in (self._final, self._now))
        alone = {value for value in own_last | own_now if value < start and not self._others_with(value)}
        return self._count.distinct[start] - len(own_last & alone) + len(own_now & alone)

    def _others_with(self, start: bytes) -> int:
        """How many besides the commit's users have a value."""
        end = behind_value(start)
        own = bisect_left(self._final, end) - bisect_left(self._final, start)
        return self._count.counts[end] - self._count.counts[start] - own

    def _at(self, row: int) -> bytes:
        """The member of a row near the cap.

        Of the rows that were read, the own ones are replaced by what they are now. There are as many rows around the
        wanted one as the commit has users, so no more than that can have moved over it.
        """
        own = set(self._final)
        others = [member for member in self._count.rows if member not in own]
        skipped = self._first_row - (bisect_left(self._final, self._count.rows[0]) if self._count.rows else 0)
        return sorted([*others, *self._now])[row - skipped]


# A table, and a user's member there before and after a change.
_Move = tuple[Table, bytes | None, bytes | None]
