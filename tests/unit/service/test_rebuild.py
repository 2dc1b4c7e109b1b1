"""A ledger that lost everything in Valkey is what it was before, once it is rebuilt from the log that is kept."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from palmares.domain.errors import Invalid, NotAllowed, Unavailable
from palmares.domain.log_line import LogLine
from palmares.ledger.contract import Entry
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.state import Line, encode_logged
from palmares.log_archive.sql import SqlLogArchive
from palmares.service.archive_log import LogArchiver
from palmares.service.rebuild import rebuild
from tests.databases import sqlite_in
from tests.ledger_world import Clock, everything, memory_folder, swim
from tests.valkey_servers import Address, fresh_name, one_server
from tests.world import DEFAULT_SCOPE, HOURS, LAPS, POOL, make_board

pytestmark = pytest.mark.anyio
SHARDS = 3
USERS = "ann ben cat dan eve fay gus hal ida".split()
BOARDS = [
    make_board(1),
    replace(make_board(2), aggregation="max", numbering="dense", breakdown=(POOL,)),
    replace(make_board(3), aggregation="last", order="asc", metric=HOURS),
    make_board(4, "streaks", rank_by="streak", metric=None),
]


@pytest.fixture(scope="module")
def servers() -> Any:
    """A server that may lose everything."""
    with one_server() as addresses:
        yield addresses


class World:
    """A ledger, the log that is kept of it, and what a rebuild makes of that."""

    def __init__(self, servers: list[Address], archive: SqlLogArchive, stack: AsyncExitStack) -> None:
        self._servers, self._stack = servers, stack
        self.archive = archive
        self.name = fresh_name()
        self.clock = Clock()
        self._workers = 0
        self.ledger: ValkeyLedger

    async def open(self, shards: int = SHARDS) -> None:
        self._workers += 1
        self.ledger = await ValkeyLedger.open(
            self._servers,
            BOARDS,
            self.clock,
            f"worker-{self._workers}",
            name=self.name,
            shards=shards,
            kept_log=self.archive,
        )
        self._stack.push_async_callback(self.ledger.close)

    async def live(self) -> None:
        """Some days of events, changes, late events and keys."""
        for day in range(4, 9):
            self.clock.set(f"2026-03-{day:02}T12:00:00Z")
            for place, user in enumerate(USERS):
                self.clock.now += 1_000_003
                swims = swim(user, (place * day) % 7, key=f"{day}", attributes={"pool": "ab"[(place + day) % 2]})
                await self.ledger.record([swims, swim(user, 1, "2026-03-04T01:00:00Z")])
            await self.ledger.record([Entry(DEFAULT_SCOPE, user, {}, HOURS, len(user) * day) for user in USERS])

    async def archive_all(self, lines_left: int | None = 0) -> None:
        await LogArchiver(self.ledger.stream, self.archive, lines_left).drain()

    async def lose_all(self) -> None:
        await self.ledger._store.read([[b"FLUSHALL"]])

    async def rebuild(self, **given: Any) -> int:
        return await rebuild(self.ledger.replay(), self.ledger.stream, self.archive, **given)

    async def told(self) -> dict[Any, Any]:
        found = await everything(self.ledger, BOARDS, USERS, [LAPS, HOURS], histories=False)
        return found | {"records": await self.ledger.records(0, 100_000)}


@pytest.fixture
async def world(servers: list[Address]) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(memory_folder())
        archive = await SqlLogArchive.open(sqlite_in(folder).url)
        stack.push_async_callback(archive.close)
        world = World(servers, archive, stack)
        await world.open()
        yield world


async def test_what_was_lost_is_what_it_was(world: World) -> None:
    """Ranks, totals, streaks, lines and numbers; and it goes on as if nothing had been."""
    await world.live()
    await world.archive_all()
    before = await world.told()
    [used] = await world.ledger.record([swim("ann", 3, key="4")])
    await world.lose_all()
    await world.open()
    told: list[int] = []
    count = await world.rebuild(told=told.append)
    assert count == sum(told) == len(before["records"]) > 100
    assert await world.told() == before
    [again] = await world.ledger.record([swim("ann", 3, key="4")])
    assert again == used
    await world.ledger.record([swim("new", 3), swim("ann", 1)])
    await world.archive_all()
    assert len(await world.ledger.records(0, 100_000)) == count + 3


async def test_a_rebuild_that_was_killed_goes_on(world: World) -> None:
    """After any piece, also of one that lies in the middle of a shard's log."""
    await world.live()
    await world.archive_all()
    before = await world.told()
    await world.lose_all()
    await world.open()
    pieces = 0

    def die_now_and_then(lines: int) -> None:
        nonlocal pieces
        pieces += 1
        if pieces % 3 == 0:
            raise KeyboardInterrupt

    while True:
        try:
            await world.rebuild(told=die_now_and_then)
        except KeyboardInterrupt:
            await world.open()
        else:
            break
    assert pieces > 6
    assert await world.told() == before


async def test_a_rebuild_may_leave_the_lines_where_they_are_kept(world: World) -> None:
    """The log of years does not have to fit into Valkey."""
    await world.live()
    await world.archive_all(lines_left=None)
    before = await world.told()
    await world.lose_all()
    await world.open()
    await world.rebuild(lines_left=2)
    assert [len(await world.ledger.stream.lines(shard, 0, 1_000)) for shard in range(SHARDS)] == [3] * SHARDS
    assert await world.told() == before


async def test_lines_that_only_the_stream_has_are_kept_first(world: World) -> None:
    """Of the shards that did not lose anything; these stay as they are."""
    await world.live()
    await world.archive_all()
    await world.ledger.record([swim(user, 2) for user in USERS])
    before = await world.told()
    store = world.ledger._store
    lost = world.ledger._shards.all[1].keys
    whole = await world.ledger.stream.lines(1, 0, 1_000)
    # All that shard 1 has but its stream, which ends behind what is kept.
    [keys] = await store.read([[b"KEYS", lost.head.replace(b"head", b"*")]])
    await store.read([[b"DEL", key] for key in keys if key != lost.log])
    await world.archive_all(lines_left=None)
    with pytest.raises(Unavailable, match="lost a part"):
        await world.rebuild()
    await store.read([[b"DEL", lost.log]])
    await world.open()
    assert await world.rebuild() == whole[-1].position
    assert await world.told() == before


async def test_many_lines_of_one_moment_stay_together(world: World) -> None:
    """More than go into one piece."""
    entries = [swim(f"user-{number}", number) for number in range(500)]
    await world.ledger.record(entries)
    await world.archive_all()
    before = await world.told()
    await world.lose_all()
    await world.open()
    assert await world.rebuild() == 1_000
    assert await world.told() == before


# What is refused


async def test_a_ledger_with_something_else_is_left_as_it_is(world: World) -> None:
    await world.live()
    await world.archive_all()
    await world.lose_all()
    await world.open()
    await world.ledger.record([swim(user, 1) for user in USERS])
    with pytest.raises(NotAllowed, match="empty Valkey first"):
        await world.rebuild()
    assert len(await world.ledger.records(0, 1_000)) == 2 * len(USERS)


async def test_the_number_of_shards_must_be_that_of_the_log(world: World) -> None:
    await world.live()
    await world.archive_all()
    world.name = fresh_name()
    await world.open(shards=SHARDS + 1)
    with pytest.raises(NotAllowed, match=f"{SHARDS} shards, the ledger {SHARDS + 1}"):
        await world.rebuild()


class Tampered:
    """A log that somebody has changed."""

    def __init__(self, archive: SqlLogArchive, change: Any) -> None:
        self._archive, self._change = archive, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._archive, name)

    async def lines(self, shard: int, after: int, limit: int) -> Sequence[LogLine]:
        return self._change(await self._archive.lines(shard, after, limit))


async def test_a_log_that_does_not_follow_from_itself_is_not_recorded(world: World) -> None:
    """A line is missing: the total behind it is another one. Nothing of the piece is stored."""
    await world.ledger.record([swim("ann", 1), swim("ann", 2), swim("ann", 3)])
    await world.archive_all()
    await world.lose_all()
    await world.open()
    archive = Tampered(world.archive, lambda lines: [line for line in lines if line.amount != 2_000_000])
    with pytest.raises(Invalid, match="line 4 does not follow"):
        await rebuild(world.ledger.replay(), world.ledger.stream, archive)
    assert await world.ledger.records(0, 1_000) == []


async def test_lines_of_a_kind_that_nobody_knows_are_refused(world: World) -> None:
    await world.ledger.record([swim("ann", 1)])
    await world.archive_all()
    await world.lose_all()
    await world.open()
    wish = encode_logged(Line(DEFAULT_SCOPE, "ann", kind="wish"), None)
    archive = Tampered(world.archive, lambda lines: [line._replace(content=wish) for line in lines])
    with pytest.raises(Invalid, match="line 1 cannot be recorded once more: lines of the kind 'wish'"):
        await rebuild(world.ledger.replay(), world.ledger.stream, archive)
