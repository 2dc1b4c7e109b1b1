"""A ledger that is obviously right: what every real one is compared with.

It keeps one list, the log, and computes every answer anew from all of it. Nothing is updated in place, so there is no
state that could go wrong: recording extends a copy of the log and takes it over when nothing was refused.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from palmares.domain.board import Board
from palmares.domain.changes import Plan, threshold
from palmares.domain.errors import NotFound, PalmaresError
from palmares.domain.group import Group, group_of
from palmares.domain.local_time import day_of, local_at
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.standing import Standing, rank_all
from palmares.domain.tally import Tally, fold
from palmares.domain.user import User, changed
from palmares.domain.value import checked
from palmares.ledger.contract import BoardOutcome, DayChange, Entry, Outcome, Place, Record, Row


@dataclass(frozen=True)
class UserLine:
    """A user as of this place in the log."""

    position: int
    recorded_at: int
    user: User


@dataclass(frozen=True)
class EventLine:
    """One event."""

    position: int
    recorded_at: int
    event_id: str
    user: int
    metric: Metric
    amount: int
    occurred_at: int
    local_at: int
    total: int
    idempotency_key: str | None
    attributes: Mapping[str, str] | None


Line = UserLine | EventLine


class SlowLedger:
    """A `Ledger` in memory. `new_id` gives the id of an event."""

    def __init__(self, clock: Callable[[], int], new_id: Callable[[], str]) -> None:
        self._clock = clock
        self._new_id = new_id
        self._log: list[Line] = []
        self._boards: dict[int, Board] = {}

    # Recording

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        log, outcomes = list(self._log), []
        now = max([self._clock(), *(line.recorded_at for line in log[-1:])])
        for place, entry in enumerate(entries):
            try:
                outcomes.append(self._record_one(log, entry, now))
            except PalmaresError as error:
                raise error.at(place) if len(entries) > 1 else error from None
        self._log = log
        return outcomes

    def _record_one(self, log: list[Line], entry: Entry, now: int) -> Outcome:
        known = user_with(log, entry.scope, entry.user_id)
        if known is None and entry.must_exist:
            raise NotFound(f"user {entry.user_id!r} was not found")
        first = None if known is None else first_use(log, known, entry)
        if known is not None and first is not None and entry.metric is not None:
            boards = self._outcomes(log, log, known, entry.metric, local_at(now, known.tz), now)
            total = total_of(log, known.number, entry.metric.number)
            return Outcome(known, False, first.event_id, total, True, boards)
        fresh = User(number=len(users_of(log)) + 1, scope=entry.scope, id=entry.user_id, created=now, updated=now)
        user = changed(known or fresh, entry.changes, now)
        before = list(log)
        if user is not known:
            log.append(UserLine(len(log) + 1, now, user))
        if entry.metric is None:
            return Outcome(user, known is None)
        event = self._event(log, user, entry, now)
        log.append(event)
        self._check_values(log, user, entry.metric)
        boards = self._outcomes(before, log, user, entry.metric, event.local_at, now)
        return Outcome(user, known is None, event.event_id, event.total, False, boards)

    def _event(self, log: list[Line], user: User, entry: Entry, now: int) -> EventLine:
        assert entry.metric is not None
        occurred_at = now if entry.occurred_at is None else entry.occurred_at
        return EventLine(
            position=len(log) + 1,
            recorded_at=now,
            event_id=self._new_id(),
            user=user.number,
            metric=entry.metric,
            amount=checked(entry.amount, "value"),
            occurred_at=occurred_at,
            local_at=local_at(occurred_at, user.tz),
            total=checked(total_of(log, user.number, entry.metric.number) + entry.amount, "total"),
            idempotency_key=entry.idempotency_key,
            attributes=entry.attributes,
        )

    def _check_values(self, log: list[Line], user: User, metric: Metric) -> None:
        """Every value of the user has to fit, also where nobody sees it at present."""
        own = [line for line in log if isinstance(line, EventLine) and line.user == user.number]
        for board in self._boards_of(metric):
            check_values(own, board)

    def _outcomes(
        self, before: list[Line], after: list[Line], user: User, metric: Metric, local: int, now: int
    ) -> list[BoardOutcome]:
        """Where an event of that local time put its user, by the log before and after it, on the active boards."""
        outcomes = []
        for board in self._boards_of(metric):
            run = Plan(board).run_at(local)
            group = group_of(board, user.attributes)
            counts = board.finished_position is None and board.status_at(now) == "active"
            if counts and run is not None and group is not None:
                standings = ranking(after, board, run, group)
                outcomes.append(
                    BoardOutcome(
                        board,
                        run,
                        group,
                        rank_in(standings, user.id),
                        rank_in(ranking(before, board, run, group), user.id),
                        threshold(board, len(standings), standings[-1].value if standings else None),
                    )
                )
        return outcomes

    def _boards_of(self, metric: Metric) -> list[Board]:
        boards = sorted(self._boards.values(), key=lambda board: board.number)
        return [board for board in boards if board.metric is not None and board.metric.number == metric.number]

    # Following boards

    async def follow(self, board: Board) -> None:
        check_values(self._log, board)
        self._boards[board.number] = board

    def redefine(self, board: Board) -> None:
        if board.number not in self._boards:
            return
        frozen = self._board(board.number).finished_position
        self._boards[board.number] = replace(board, finished_position=board.finished_position or frozen)

    def forget(self, board_number: int) -> None:
        self._boards.pop(board_number, None)

    async def freeze(self, board_number: int) -> int:
        board = self._board(board_number)
        position = len(self._log) if board.finished_position is None else board.finished_position
        self._boards[board_number] = replace(board, finished_position=position)
        return position

    # Reading rankings

    async def runs(self, board_number: int) -> list[Run]:
        return sorted(runs_of(self._log, self._board(board_number)))

    async def groups(self, board_number: int, run: Run) -> Collection[Group]:
        return groups_of(self._log, self._board(board_number), run)

    async def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        return len(union(self._log, self._board(board_number), run, groups))

    async def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        board = self._board(board_number)
        names = {user.id: user.name for user in users_of(self._log).values() if user.scope == board.scope}
        standings = union(self._log, board, run, groups)
        return [
            Row(row, standing.rank, standing.participant, names[standing.participant], standing.value)
            for row, standing in list(enumerate(standings))[start:stop]
        ]

    async def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        board = self._board(board_number)
        for row, standing in enumerate(union(self._log, board, run, groups)):
            if standing.participant == user.id:
                return Place(row, standing.rank, standing.value)
        tally = tallies(self._log, board, run).get(user.number)
        present = users_of(counted(self._log, board)).get(user.number)
        if tally is None or present is None or group_of(board, present.attributes) not in set(groups):
            return None
        return Place(None, None, tally.value)

    # Reading users and the log

    async def user(self, scope: int, user_id: str) -> User | None:
        return user_with(self._log, scope, user_id)

    async def total(self, user: User, metric: Metric) -> int:
        return total_of(self._log, user.number, metric.number)

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        changes: dict[int, int] = {}
        for event in events_of(self._log, metric.number):
            day = day_of(event.local_at)
            if event.user == user.number and first_day <= day <= last_day:
                changes[day] = changes.get(day, 0) + event.amount
        return [DayChange(day, changes[day]) for day in sorted(changes)]

    async def records(self, after: int, limit: int) -> list[Record]:
        scopes = {user.number: user.scope for user in users_of(self._log).values()}
        return [record_of(line, scopes) for line in self._log if line.position > after][:limit]

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _board(self, number: int) -> Board:
        if number not in self._boards:
            raise NotFound(f"board {number} is not followed")
        return self._boards[number]


# The fold: everything below is a function of the log


def users_of(log: Sequence[Line]) -> dict[int, User]:
    """The users by number, each as of their last line."""
    return {line.user.number: line.user for line in log if isinstance(line, UserLine)}


def user_with(log: Sequence[Line], scope: int, user_id: str) -> User | None:
    return next((user for user in users_of(log).values() if (user.scope, user.id) == (scope, user_id)), None)


def events_of(log: Sequence[Line], metric_number: int) -> Iterator[EventLine]:
    return (line for line in log if isinstance(line, EventLine) and line.metric.number == metric_number)


def first_use(log: Sequence[Line], user: User, entry: Entry) -> EventLine | None:
    """The event of the same user, metric and idempotency key."""
    if entry.metric is None or entry.idempotency_key is None:
        return None
    for event in events_of(log, entry.metric.number):
        if event.user == user.number and event.idempotency_key == entry.idempotency_key:
            return event
    return None


def total_of(log: Sequence[Line], user_number: int, metric_number: int) -> int:
    return sum(event.amount for event in events_of(log, metric_number) if event.user == user_number)


def counted(log: Sequence[Line], board: Board) -> Sequence[Line]:
    """The part of the log that counts on a board: all, or what there was when it was finished by hand."""
    return log if board.finished_position is None else log[: board.finished_position]


def events_for(log: Sequence[Line], board: Board) -> Iterator[EventLine]:
    """The events that may count on a board: those of its metric, if it has one."""
    return iter(()) if board.metric is None else events_of(counted(log, board), board.metric.number)


def check_values(log: Sequence[Line], board: Board) -> None:
    """`Invalid` when anyone's value in any run does not fit."""
    for run in runs_of(log, board):
        for tally in tallies(log, board, run).values():
            checked(tally.value, f"a value on leaderboard {board.key!r}")


def events_in(log: Sequence[Line], board: Board, run: Run) -> list[EventLine]:
    """The events of a run in the order in which they happened; those of one instant in the order of the log."""
    plan = Plan(board)
    events = [event for event in events_for(log, board) if plan.run_at(event.local_at) == run]
    return sorted(events, key=lambda event: (event.occurred_at, event.position))


def runs_of(log: Sequence[Line], board: Board) -> set[Run]:
    plan = Plan(board)
    runs = {plan.run_at(event.local_at) for event in events_for(log, board)}
    return {run for run in runs if run is not None}


def tallies(log: Sequence[Line], board: Board, run: Run) -> dict[int, Tally]:
    """What everyone earned in a run, by the number of the user, whether they take part or not."""
    amounts: dict[int, list[tuple[int, int]]] = {}
    for event in events_in(log, board, run):
        amounts.setdefault(event.user, []).append((event.amount, event.occurred_at))
    found = {user: fold(board.aggregation, pairs) for user, pairs in amounts.items()}
    return {user: tally for user, tally in found.items() if tally is not None}


def groups_of(log: Sequence[Line], board: Board, run: Run) -> set[Group]:
    users = users_of(counted(log, board))
    found = {group_of(board, users[number].attributes) for number in tallies(log, board, run)}
    return {group for group in found if group is not None}


def ranking(log: Sequence[Line], board: Board, run: Run, group: Group) -> list[Standing]:
    """One ranking, by the attributes that the users have now (or had when the board was finished by hand)."""
    users = users_of(counted(log, board))
    found = tallies(log, board, run)
    members = {users[number].id: tally for number, tally in found.items() if in_group(board, users[number], group)}
    return rank_all(board, members)


def in_group(board: Board, user: User, group: Group) -> bool:
    return group_of(board, user.attributes) == group


def union(log: Sequence[Line], board: Board, run: Run, groups: Collection[Group]) -> list[Standing]:
    """Those who are ranked in any of the groups, ranked anew as one; each group's own cap has been applied before."""
    ranked = [standing for group in set(groups) for standing in ranking(log, board, run, group)]
    members = {standing.participant: Tally(standing.value, standing.reached_at) for standing in ranked}
    return rank_all(replace(board, max_participants=None), members)


def rank_in(standings: list[Standing], participant: str) -> int | None:
    return next((standing.rank for standing in standings if standing.participant == participant), None)


def record_of(line: Line, scopes: Mapping[int, int]) -> Record:
    if isinstance(line, UserLine):
        body = json.dumps(profile(line.user))
        number, scope = line.user.number, line.user.scope
        return Record(
            line.position, "user", line.recorded_at, scope, number, None, None, None, None, None, None, body
        )  # fmt: skip
    return Record(
        line.position,
        "event",
        line.recorded_at,
        scopes[line.user],
        line.user,
        line.metric.number,
        line.amount,
        line.occurred_at,
        line.local_at,
        line.total,
        line.idempotency_key,
        None if line.attributes is None else json.dumps(dict(line.attributes)),
    )


def profile(user: User) -> dict[str, Any]:
    return {name: value for name, value in asdict(user).items() if name not in ("number", "scope")}
