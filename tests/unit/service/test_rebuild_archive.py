"""A ledger that lost everything in Valkey has the past that its archive kept, once it is rebuilt."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from palmares.archive.sql import SqlArchive
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


class World:
    """A ledger with its archive, and the log that is kept of it."""

    def __init__(self, servers: list[Address], folder: Any, log: SqlLogArchive, stack: AsyncExitStack) -> None:
        self._servers, self._folder, self._log, self._stack = servers, folder, log, stack
        self.clock = Clock(FIRST)
        self.boards = [DAILY, POOLS, ALL, SEASON]
        self._workers = 0
        self.shards = 1
        self.ledger: ValkeyLedger

    async def open(self, *, anew: bool = False) -> None:
        """A worker of the ledger; or of one that has nothing yet, which is what is left when Valkey lost it."""
        self._workers += 1
        if self._workers == 1 or anew:
            self._name = fresh_name()
        url = f"sqlite:///{self._folder / 'archive.sqlite3'}"
        self.ledger = await ValkeyLedger.open(
            self._servers,
            [] if anew else self.boards,
            self.clock,
            f"worker-{self._workers}",
            name=self._name,
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
        await self.ledger.record([swim("cat", 40, "2026-03-04T13:00:00Z")])
        await self.ledger.settle()
        await self.finish()
        await self.swim_all(8)
        await self.ledger.follow(LATER)
        self.boards.append(LATER)
        await self.at("2026-03-10T01:00:00Z")
        await self.swim_all(9)
        await self.ledger.settle()

    async def keep_log(self) -> None:
        await LogArchiver(self.ledger.stream, self._log).drain()

    async def rebuild(self, now: int) -> None:
        """As when everything in Valkey is gone, days later."""
        present = self.clock.now
        self.clock.set(FIRST)
        await self.open(anew=True)
        self.clock.now = present
        await self.ledger.begin_anew(self.boards, now)
        await rebuild(self.ledger.replay(), self.ledger.stream, self._log)
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
    """Every rank, run, revision, day and finished board; and days that end from then on are kept as ever."""
    world.shards = shards
    await world.open()
    await world.live()
    await world.keep_log()
    before = await world.told()
    assert before[("pools", run_on(POOLS, "2026-03-04"), "revision")].revision == 1
    await world.rebuild(world.clock())
    # Workers that come then find nothing to be made.
    await world.open()
    assert await world.told() == before
    await world.at("2026-03-11T13:00:00Z")
    [ann, *_] = before["users"]
    days = await world.ledger.history(ALL.number, run_on(ALL, "2026-03-04"), ann, 0, 10**6)
    assert [one.rank is not None for one in days] == [True] * 7
