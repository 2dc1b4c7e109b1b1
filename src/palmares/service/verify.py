"""Comparing two ledgers that are to be the same: every line, user, total, streak, and every row of every run.

Where one was put together from the shards of the other, lines have other places: then every event is compared by its
id, and of other lines how many there are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

from palmares.domain.board import Board
from palmares.domain.errors import NotFound
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.ledger.contract import Ledger, Record, StoredEvent, WantedEvents

_LINES_PER_PIECE = 1_000
_ROWS_PER_PAGE = 1_000
_USERS_PER_PIECE = 500
_EVENTS_PER_PAGE = 500


class Verification:
    """Two ledgers at a standstill, and what differs between them. `compared` counts what was looked at."""

    def __init__(
        self, one: Ledger, other: Ledger, told: Callable[[int], None] = lambda count: None, same_places: bool = True
    ) -> None:
        self.compared = 0
        self._same_places = same_places
        self._both = (one, other)
        self._told = told

    async def differences(self, boards: Iterable[Board], metrics: Sequence[Metric]) -> AsyncIterator[str]:
        """Each difference as a sentence. Linear in everything there is: lines, users and standings."""
        newest = 0
        scopes = sorted({metric.scope for metric in metrics})
        async for found, met in self._lines() if self._same_places else self._lines_elsewhere(scopes):
            newest = max(newest, met)
            if found:
                yield found
        async for found in self._users(newest, metrics):
            yield found
        for board in boards:
            async for found in self._board(board):
                yield found

    async def _lines(self) -> AsyncIterator[tuple[str | None, int]]:
        """The first line that differs, and up to which number both have met users on the way."""
        after = 0
        while True:
            one, other = [await ledger.records(after, _LINES_PER_PIECE) for ledger in self._both]
            here, there = [[_plain(line) for line in lines] for lines in (one, other)]
            found = self._compare(f"the lines of the log behind {after}", here, there, len(one))
            yield found, min(max((line.user for line in lines), default=0) for lines in (one, other))
            if not one or not other or found:
                return
            after = one[-1].position

    async def _lines_elsewhere(self, scopes: Sequence[int]) -> AsyncIterator[tuple[str | None, int]]:
        """The same where the two have lines at different places."""
        (one, met), (other, met_there) = [await _counted(ledger) for ledger in self._both]
        yield self._compare("the numbers of lines by kind", one, other, 1), min(met, met_there)
        for scope in scopes:
            here, there = [_moments(ledger, scope) for ledger in self._both]
            found = None
            while found is None:
                events, others = [await anext(moments, None) for moments in (here, there)]
                found = self._compare("the events", events, others, len(events or ()))
                if events is None and others is None:
                    break
            yield found, 0

    async def _users(self, newest: int, metrics: Sequence[Metric]) -> AsyncIterator[str]:
        for first in range(1, newest + 1, _USERS_PER_PIECE):
            numbers = range(first, min(first + _USERS_PER_PIECE, newest + 1))
            one, other = [await ledger.users(numbers) for ledger in self._both]
            if found := self._compare(f"the users numbered from {first}", one, other, len(one)):
                yield found
                continue
            for user in one:
                if user.erased:
                    # Nobody can ask for what they had.
                    continue
                own = [metric for metric in metrics if metric.scope == user.scope]
                here, there = [
                    ([await ledger.total(user, metric) for metric in own], await ledger.streak(user))
                    for ledger in self._both
                ]
                if found := self._compare(f"totals and streak of user {user.id!r}", here, there, len(own)):
                    yield found

    async def _board(self, board: Board) -> AsyncIterator[str]:
        name = f"leaderboard {board.key!r}"
        one, other = [await _or_missing(ledger.runs(board.number)) for ledger in self._both]
        if found := self._compare(f"the runs of {name}", one, other, 1):
            yield found
            return
        for run in one if isinstance(one, list) else []:
            async for found in self._run(board, run, f"{name}, run {run.start}"):
                yield found

    async def _run(self, board: Board, run: Run, name: str) -> AsyncIterator[str]:
        state, other_state = [await ledger.run_state(board.number, run) for ledger in self._both]
        if found := self._compare(f"the state of {name}", state, other_state, 1):
            yield found
        groups, other_groups = [sorted(await ledger.groups(board.number, run)) for ledger in self._both]
        if found := self._compare(f"the groups of {name}", groups, other_groups, 1):
            yield found
        for group in sorted({*groups, *other_groups}):
            start, more = 0, True
            while more:
                stop = start + _ROWS_PER_PAGE
                one, other = [
                    await ledger.page(board.number, run, [group], start, stop) for ledger in self._both
                ]  # fmt: skip
                found = self._compare(
                    f"{name}, group {'/'.join(group) or '-'}, rows from {start}", one, other, len(one)
                )
                if found:
                    yield found
                start, more = stop, len(one) == _ROWS_PER_PAGE and not found

    def _compare(self, what: str, one: Any, other: Any, count: int) -> str | None:
        """The difference between two things, told by the first part that differs."""
        self.compared += count
        self._told(count)
        if one == other:
            return None
        if isinstance(one, list) and isinstance(other, list):
            pairs = zip([*one, None], [*other, None], strict=False)
            one, other = next((pair for pair in pairs if pair[0] != pair[1]), (one, other))
        return f"{what} differ: {_shown(one)} here, {_shown(other)} there"


async def _counted(ledger: Ledger) -> tuple[dict[str, int], int]:
    """How many lines there are of each kind, and up to which number users; schemes of points are with every shard."""
    counts: Counter[str] = Counter()
    after = newest = 0
    while lines := await ledger.records(after, _LINES_PER_PIECE):
        after, newest = lines[-1].position, max([newest, *(line.user for line in lines)])
        counts.update(line.kind for line in lines if line.kind != "points")
    return dict(sorted(counts.items())), newest


async def _moments(ledger: Ledger, scope: int) -> AsyncIterator[list[StoredEvent]]:
    """All events of users who are there, newest first, and of one instant together; without their places."""
    before, waiting, more = None, list[StoredEvent](), True
    while more:
        page = await ledger.events(WantedEvents(scope, _EVENTS_PER_PAGE, before))
        waiting += [event._replace(position=0) for event in page.events]
        before, more = page.before, page.before is not None
        moments = [sorted(some) for _, some in groupby(waiting, key=lambda event: event.recorded_at)]
        # The oldest may go on with the next page.
        waiting = moments.pop() if more and moments else []
        for moment in moments:
            yield moment


def _plain(line: Record) -> Record:
    """A line in which nothing is left where a folder has blanks, of who was erased."""
    key, body = (line.idempotency_key or "").strip() or None, (line.body or "").strip() or None
    return line._replace(idempotency_key=key, body=None if body == "{}" else body)


async def _or_missing(reading: Any) -> Any:
    """What is read, or what stands for something that is not there."""
    try:
        return await reading
    except NotFound as error:
        return error.message


def _shown(thing: Any) -> str:
    text = str(thing)
    return "nothing" if thing is None else text if len(text) < 300 else f"{text[:300]}…"
