"""A ledger that lost everything in Valkey has the past that its archive kept, once it is rebuilt."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from palmares.archive.sql import SqlArchive
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from palmares.ledger.valkey.keys import LedgerKeys
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.log_archive.sql import SqlLogArchive
from palmares.service.archive_log import LogArchiver
from palmares.service.rebuild import rebuild
from tests.databases import sqlite_in
from tests.ledger_world import Clock, everything, memory_folder, run_on, swam, swim
from tests.valkey_servers import Address, fresh_name
from tests.world import LAPS, POOL, make_board

pytestmark = pytest.mark.anyio
USERS = "ann ben cat dan".split()
FIRST = "2026-03-04T12:00:00Z"
DAILY = make_board(1, "daily", run_unit="day", run_interval=1)
POOLS = make_board(2, "pools", run_unit="day", run_interval=2, breakdown=(POOL,), late_events="revise")
ALL = make_board(3, "all", aggregation="max", numbering="dense")
SEASON = make_board(4, "season", breakdown=(POOL,))
LATER = make_board(5, "later", run_unit="day", run_interval=3)
BOTH = pytest.mark.parametrize("shards", [1, 3])


class Killed(Exception):
    """The process ends here."""


class World:
    """A ledger with its archive, and the log that is kept of it."""

    def __init__(self, servers: list[Address], folder: Any, log: SqlLogArchive, stack: AsyncExitStack) -> None:
        self._servers, self._folder, self._log, self._stack = servers, folder, log, stack
        self.clock = Clock(FIRST)
        self.boards = [DAILY, POOLS, ALL, SEASON]
        self.name = fresh_name()
        self._workers = 0
        self.shards = 1
        self.ledger: ValkeyLedger

    async def open(self, *, followed: bool = True) -> None:
        """A worker of the ledger, which follows the boards or not."""
        self._workers += 1
        url = f"sqlite:///{self._folder / 'archive.sqlite3'}"
        self.ledger = await ValkeyLedger.open(
            self._servers,
            self.boards if followed else [],
            self.clock,
            f"worker-{self._workers}",
            name=self.name,
            shards=self.shards,
            open_archive=lambda: SqlArchive.open(url, shared=True),
            kept_log=self._log,
        )
        self._stack.push_async_callback(self.ledger.close)

    async def at(self, text: str) -> None:
        self.clock.set(text)
        await self.ledger.advance(self.clock())

    async def swim_all(self, day: int) -> None:
        for place, user in enumerate(USERS):
            pool = {"pool": "ab"[(place + day) % 2]}
            await self.ledger.record([swim(user, (place * day) % 7 + 1, attributes=pool)])

    async def finish(self) -> None:
        """The season is over."""
        position = await self.ledger.freeze(SEASON.number)
        finished = replace(SEASON, asked_status="finished", finished_position=position)
        self.boards[3] = finished
        self.ledger.redefine(finished)

    async def live(self) -> None:
        """Days and runs that end, one that is finished by hand, late events, history, and a board that comes late."""
        await self.swim_all(4)
        await self.at("2026-03-05T13:00:00Z")
        await self.swim_all(5)
        await self.ledger.record([swim("ann", 30, "2026-03-04T13:00:00Z"), swam("ben", 9, "2026-03-04T14:00:00Z")])
        await self.at("2026-03-07T13:00:00Z")
        await self.swim_all(7)
        await self.ledger.record([swim("eve", 5, key="1", attributes={"pool": "a"}), swim("eve", 2)])
        await self.ledger.record([swim("cat", 40, "2026-03-04T13:00:00Z")])
        await self.ledger.settle()
        await self.finish()
        await self.swim_all(8)
        await self.ledger.follow(LATER)
        self.boards.append(LATER)
        await self.at("2026-03-10T01:00:00Z")
        await self.swim_all(9)
        await self.ledger.settle()
        await self.ledger.record([Entry(DEFAULT_SCOPE, "eve", erase=True, must_exist=True), swim("eve", 1)])

    async def keep_log(self) -> None:
        """With nothing of who was erased."""
        await LogArchiver(self.ledger.stream, self._log).drain()
        await self.ledger.compact([erasure.number for erasure in await self.ledger.unfinished_erasures()])

    async def lose(self, place: int) -> None:
        """One shard is gone, with its node."""
        store, head = self.ledger._store, self.ledger._shards.all[place].keys.head
        [keys] = await store.read([[b"KEYS", head.replace(b"head", b"*")]])
        await store.read([[b"DEL", *keys]])

    async def rebuild(self, pieces: int | None = None) -> None:
        """As the command does it; it may be killed after some pieces of the log."""
        present = self.clock.now
        self.clock.set(FIRST)
        await self.open(followed=False)
        self.clock.now = present
        await self.ledger.begin_anew(self.boards, present)
        left = pieces

        def told(lines: int) -> None:
            nonlocal left
            if left is not None:
                left -= 1
                if not left:
                    raise Killed

        await rebuild(self.ledger.replay(), self.ledger.stream, self._log, told)
        await self.ledger.finish_anew(self.boards)

    async def told(self) -> dict[Any, Any]:
        found = await everything(self.ledger, self.boards, USERS, [LAPS])
        for board in self.boards:
            for run in await self.ledger.runs(board.number):
                found[board.key, run, "revision"] = await self.ledger.run_state(board.number, run)
        # The day on which it was finished, too.
        season = self.boards[3]
        for user in found["users"]:
            run = run_on(season, "2026-03-04")
            found["season", user.id] = await self.ledger.history(season.number, run, user, 0, 10**6)
        return found | {"records": await self.ledger.records(0, 100_000)}


@pytest.fixture
async def world(valkey: list[Address], request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(memory_folder())
        log = await SqlLogArchive.open(sqlite_in(folder).url)
        stack.push_async_callback(log.close)
        yield World(valkey, folder, log, stack)


@BOTH
async def test_the_past_is_what_it_was(world: World, shards: int) -> None:
    """Every rank, run, revision, day and finished board, with the rows of who was erased, in groups that nobody could
    tell any more; and days that end from then on are kept as ever."""
    world.shards = shards
    await world.open()
    await world.live()
    await world.keep_log()
    before = await world.told()
    assert before[("pools", run_on(POOLS, "2026-03-04"), "revision")].revision == 1
    for board in world.boards[1], world.boards[3]:
        rows = await world.ledger.page(board.number, run_on(board, "2026-03-07"), [("a",)], 0, 9)
        assert [row.value for row in rows if row.user_id.startswith("erased-")] == [7 * MICROS]
    # A name that is new has nothing, as a Valkey that lost everything.
    world.name = fresh_name()
    if shards == 3:
        for pieces in (1, 4):
            with pytest.raises(Killed):
                await world.rebuild(pieces)
    await world.rebuild()
    # Workers that come then find nothing to be made.
    await world.open()
    assert await world.told() == before
    await world.at("2026-03-11T13:00:00Z")
    [ann, *_] = before["users"]
    days = await world.ledger.history(ALL.number, run_on(ALL, "2026-03-04"), ann, 0, 10**6)
    assert [one.rank is not None for one in days] == [True] * 7


async def test_a_shard_that_was_lost_is_what_it_was(world: World) -> None:
    """Beside others that lost nothing, and know until when all is kept."""
    world.shards = 3
    await world.open()
    await world.live()
    await world.keep_log()
    before = await world.told()
    await world.lose(1)
    await world.ledger._store.read([[b"DEL", LedgerKeys(world.name).kept]])
    await world.rebuild()
    assert await world.told() == before
