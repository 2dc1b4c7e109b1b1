"""Any life of a ledger on Valkey, by two workers, compared with the ledger that is right.

It is the life of `test_ledger.py` with the boards and preferences of `test_streaks.py`. Users and lines have other
numbers where there are several shards.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.errors import NotAllowed, PalmaresError
from palmares.domain.local_time import HOUR
from palmares.domain.points import Scheme
from palmares.domain.streak_settings import StreakSettings, changed
from palmares.domain.user import User
from palmares.domain.value import LEAST, MOST
from palmares.ledger.contract import Entry, Ledger, void
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.effort import tries
from tests.ledger_world import Clock, everything, told
from tests.plain_archive import PlainArchive
from tests.property.test_ledger import (
    METRICS,
    USERS,
    boards,
    changes,
    entry_of,
    numbered,
    refused,
    schemes,
    voids,
)  # fmt: skip
from tests.property.test_streaks import ENDING, OPEN, preferring, what_counts
from tests.slow_ledger import SlowLedger
from tests.valkey_servers import Address, fresh_name
from tests.world import HOURS, LAPS

pytestmark = pytest.mark.anyio

# Beyond what a double can tell apart, too.
AMOUNTS = [-2_000_000, -1, 0, 1, 1_000_000, 1_000_000, 2_000_000, 2**60, 2**60 + 1, -(2**61), MOST, LEAST]

events = st.builds(
    lambda **fields: fields,
    user_id=st.sampled_from(USERS),
    changes=st.one_of(st.just({}), changes),
    metric=st.sampled_from([LAPS, LAPS, LAPS, HOURS, None]),
    amount=st.sampled_from(AMOUNTS),
    idempotency_key=st.sampled_from([None, None, None, "one", "two"]),
    hours_ago=st.sampled_from([None, None, None, 0, 1, 7, 24, 60, 24 * 6]),
    history=st.sampled_from([False, False, True]),
    total=st.sampled_from([None, None, None, None, None, None, 0, 2_000_000]),
)
requests = st.lists(st.one_of(events, events, events, events, preferring, voids, refused), min_size=1, max_size=4)
taken_boards = boards | ENDING


class Pair:
    """A ledger on Valkey with two workers, and one that is right; the workers take turns."""

    def __init__(self, addresses: Sequence[Address], shards: int) -> None:
        numbers = count(1)
        self.clock = Clock()
        self.boards: dict[int, Board] = {}
        self.slow = SlowLedger(self.clock, lambda: str(UUID(int=next(numbers))))
        self.workers: list[ValkeyLedger] = []
        self._addresses, self._shards, self._name = addresses, shards, fresh_name()
        self._lives = count(1)
        self.archive = PlainArchive()
        self._streaks: dict[int, StreakSettings] = {}

    async def open(self) -> None:
        self.workers = [
            await ValkeyLedger.open(
                self._addresses,
                list(self.boards.values()),
                self.clock,
                f"worker-{next(self._lives)}",
                self._streaks,
                name=self._name,
                shards=self._shards,
                open_archive=lambda: self.archive,
            )
            for _ in range(2)
        ]

    async def close(self) -> None:
        for worker in self.workers:
            await worker.close()

    async def record(self, worker: int, together: Sequence[Sequence[Entry]]) -> None:
        """Requests that arrive together at one of the workers."""
        asked = [[await self._as_there(entry) for entry in request] for request in together]
        answers = await asyncio.gather(*(answer(self.workers[worker], request) for request in asked))
        for request, found in zip(together, answers, strict=True):
            assert found == await answer(self.slow, request), request

    async def entry_of_void(self, pick: int) -> Entry:
        """A void of one of the events, void or not; where there are none, of something that is no event."""
        events = [line.position for line in await self.slow.records(0, 1_000_000) if line.kind == "event"]
        return void(DEFAULT_SCOPE, events[-1 - pick % len(events)] if events else 1_000_000 + pick)

    async def _as_there(self, entry: Entry) -> Entry:
        """An entry as the ledger on Valkey has to be told it: there, events have other positions."""
        slow = [line for line in await self.slow.records(0, 1_000_000) if line.kind == "event"]
        wanted = next((line for line in slow if line.position == entry.voids), None)
        if wanted is None:
            return entry
        [user] = await self.slow.users([wanted.user])
        known = await self.workers[0].user(user.scope, user.id)
        if known is None:
            # Erased since: the event is nobody's.
            return replace(entry, voids=1_000_000)
        lines = await self.workers[0].records(0, 1_000_000)
        own = [line.position for line in lines if line.kind == "event" and line.user == known.number]
        place = [line for line in slow if line.user == wanted.user].index(wanted)
        return replace(entry, voids=own[place])

    async def erase(self, worker: int, user_id: str, compacted: bool) -> None:
        """Erase somebody at one of the workers, which is refused while there are runs that are over."""
        request = [Entry(DEFAULT_SCOPE, user_id, erase=True, must_exist=True)]
        found = await answer(self.workers[worker], request)
        if found is NotAllowed:
            return
        assert found == await answer(self.slow, request)
        if compacted:
            await self.workers[worker].compact(
                [erasure.number for erasure in await self.workers[worker].unfinished_erasures()]
            )

    async def set_streaks(self, worker: int, given: Mapping[str, Any]) -> None:
        """Change the settings of streaks. One of the workers hears of it first."""
        after = changed(self._streaks.get(DEFAULT_SCOPE, StreakSettings()), given)
        self._streaks[DEFAULT_SCOPE] = after
        for ledger in (self.workers[worker], self.workers[1 - worker], self.slow):
            await ledger.set_streaks(DEFAULT_SCOPE, after)

    async def pay(self, worker: int, scheme: Scheme) -> None:
        """One of the workers hears of other schemes; the other has to find out."""
        await self.workers[worker].set_points(DEFAULT_SCOPE, [scheme])
        await self.slow.set_points(DEFAULT_SCOPE, [scheme])

    async def follow(self, worker: int, board: Board) -> None:
        """One of the workers follows a board, of which the other has to find out."""
        try:
            await self.workers[worker].follow(board)
        except PalmaresError as error:
            with pytest.raises(type(error)):
                await self.slow.follow(board)
            return
        await self.slow.follow(board)
        self.boards[board.number] = board

    def forget(self, worker: int, number: int) -> None:
        if self.boards.pop(number, None) is not None:
            self.workers[worker].forget(number)
            self.slow.forget(number)

    async def compare(self) -> None:
        """Both workers tell everything as the slow ledger does."""
        made = list(self.boards.values())
        await self.slow.advance(self.clock())
        await self.slow.settle()
        expected = anonymous(await everything(self.slow, made, USERS, METRICS))
        for worker in self.workers:
            await worker.advance(self.clock())
            await worker.settle()
            assert anonymous(await everything(worker, made, USERS, METRICS)) == expected


async def answer(ledger: Ledger, request: Sequence[Entry]) -> Any:
    try:
        outcomes = await ledger.record(request)
    except PalmaresError as error:
        return type(error)
    return [(unnumbered(outcome.user), *told(outcome)[1:]) for outcome in outcomes]


def unnumbered(user: User) -> User:
    """A user without the number, which is all that is told of one who is erased."""
    return replace(user, number=0, id="erased" if user.erased else user.id)


def anonymous(found: dict[Any, Any]) -> dict[Any, Any]:
    """Users without their numbers, rankings whatever the order in which groups are told."""
    return found | {"users": [replace(user, number=0) for user in found["users"]]}


Action = Callable[[Pair], Awaitable[None]]


def record(worker: int, together: list[list[dict[str, Any]]]) -> Action:
    async def act(pair: Pair) -> None:
        await pair.record(worker, [[await entry_for(pair, fields) for fields in request] for request in together])

    return act


async def entry_for(pair: Pair, fields: Mapping[str, Any]) -> Entry:
    """The entry of one that was drawn: a void, or an event or a change of a user."""
    return await pair.entry_of_void(fields["void"]) if "void" in fields else entry_of(pair.clock(), **fields)


def pay(worker: int, scheme: Scheme) -> Action:
    async def act(pair: Pair) -> None:
        await pair.pay(worker, scheme)

    return act


def set_streaks(worker: int, given: Mapping[str, Any]) -> Action:
    async def act(pair: Pair) -> None:
        await pair.set_streaks(worker, given)

    return act


def wait(hours: int) -> Action:
    async def act(pair: Pair) -> None:
        pair.clock.now += hours * HOUR

    return act


def hide(worker: int, user_id: str, hidden: bool) -> Action:
    async def act(pair: Pair) -> None:
        await pair.record(worker, [[Entry(DEFAULT_SCOPE, user_id, {"hidden": hidden}, must_exist=True)]])

    return act


def erase(worker: int, user_id: str, compacted: bool) -> Action:
    async def act(pair: Pair) -> None:
        await pair.erase(worker, user_id, compacted)

    return act


def about_board(what: str, worker: int, board: Board, number: int) -> Action:
    async def act(pair: Pair) -> None:
        if what == "follow":
            await pair.follow(worker, replace(board, number=number, key=f"board-{number}"))
        else:
            pair.forget(worker, number)
            await pair.workers[worker].settle()

    return act


async def restart(pair: Pair) -> None:
    await pair.close()
    await pair.open()


async def compare(pair: Pair) -> None:
    await pair.compare()


either = st.integers(0, 1)
records = st.builds(record, either, st.lists(requests, min_size=1, max_size=4))
actions = st.one_of(
    records, records, records, records, records,
    st.builds(wait, st.sampled_from([1, 5, 13, 24, 24 * 7])),
    st.builds(about_board, st.sampled_from(["follow", "follow", "forget"]), either, taken_boards, st.integers(1, 4)),
    st.builds(hide, either, st.sampled_from(USERS), st.booleans()),
    st.builds(pay, either, schemes),
    st.builds(erase, either, st.sampled_from(USERS), st.booleans()),
    st.sampled_from([restart, compare]),
)  # fmt: skip


lives = {
    "made": st.lists(taken_boards, min_size=2, max_size=3).map(numbered),
    "life": st.lists(actions, min_size=5, max_size=15),
}


async def live(addresses: list[Address], shards: int, made: list[Board], life: list[Action]) -> None:
    pair = Pair(addresses, shards)
    await pair.open()
    try:
        for board in made:
            await pair.follow(0, board)
        for action in life:
            await action(pair)
        await pair.compare()
    finally:
        await pair.close()


@pytest.mark.parametrize("shards", [1, 4])
@given(**lives)
@settings(max_examples=tries(10), phases=[Phase.generate])
async def test_any_life_by_two_workers_is_told_like_the_slow_ledger_tells_it(
    valkey: list[Address], shards: int, made: list[Board], life: list[Action]
) -> None:
    """Every outcome, rank, place, total, day and streak, whoever of the two is asked."""
    await live(valkey, shards, made, life)


@given(
    made=st.lists(OPEN, min_size=1, max_size=2).map(numbered),
    life=st.lists(st.one_of(st.builds(set_streaks, either, what_counts), actions), min_size=5, max_size=15),
)
@settings(max_examples=tries(6), phases=[Phase.generate])
async def test_what_counts_for_streaks_may_change_at_any_time(
    valkey: list[Address], made: list[Board], life: list[Action]
) -> None:
    """Boards that go on are by the newest settings, whichever worker heard of them first."""
    await live(valkey, 2, made, life)


@given(**lives)
@settings(max_examples=tries(6), phases=[Phase.generate])
async def test_so_is_any_life_in_sixteen_shards(valkey: list[Address], made: list[Board], life: list[Action]) -> None:
    """More of them than users: most are empty, and nobody shares one."""
    await live(valkey, 16, made, life)
