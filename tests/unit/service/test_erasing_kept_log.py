"""Who is erased is gone from the log that is kept, too, whatever dies or stands still meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Unavailable
from palmares.domain.log_line import LogLine
from palmares.ledger.contract import Entry
from palmares.log_archive.sql import SqlLogArchive
from palmares.service.archive_log import LogArchiver
from tests.databases import Place
from tests.ledger_world import swim
from tests.unit.service.test_archive_log import Killed, Stumbling, World
from tests.valkey_servers import Address

pytestmark = pytest.mark.anyio
WHO = "somebody-to-forget"


@pytest.fixture
async def world(valkey: list[Address], place: Place) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(valkey, place.url, stack)
        await world.open()
        yield world


async def live(world: World) -> None:
    """One who did something, among others, before and after."""
    await world.record(1)
    await world.ledger.record([swim(WHO, 4, key=f"{WHO}-1", name=f"{WHO} in person"), swim(WHO, 30)])
    await world.record(1)


async def erase(world: World) -> None:
    await world.ledger.record([Entry(DEFAULT_SCOPE, WHO, erase=True, must_exist=True)])


async def compact(world: World) -> None:
    await world.ledger.compact([erasure.number for erasure in await world.ledger.unfinished_erasures()])


async def is_kept(world: World) -> bool:
    """Whether anything in any column says who it was."""
    return WHO in repr(await world.kept())


async def test_the_lines_of_who_is_erased_say_nothing_of_the_person(world: World) -> None:
    """And are the same lines, in Valkey as in the database; the log goes on behind them."""
    await live(world)
    await erase(world)
    await world.archiver().drain()
    before = await world.kept()
    assert WHO in repr(before)
    await compact(world)

    after = await world.kept()
    assert WHO not in repr(after)
    assert after == await world.in_stream()
    assert [[line.without_person() for line in lines] for lines in after] == [
        [line.without_person() for line in lines] for lines in before
    ]
    changed = [line for lines, old in zip(after, before, strict=True) for line in {*lines} - {*old}]
    assert [line.kind for line in sorted(changed)] == ["user", "event", "event", "erasure"]
    assert await world.ledger.unfinished_erasures() == []
    await world.archiver().check()
    await world.record(1)
    assert await world.archiver().drain() == 9


async def test_lines_that_were_let_go_of_in_valkey_are_changed_all_the_same(world: World) -> None:
    await live(world)
    await erase(world)
    await world.archiver(0).drain()
    await compact(world)
    assert not await is_kept(world)
    assert len(await world.ledger.records(0, 1_000)) == sum(map(len, await world.kept()))


async def test_nobody_is_done_with_whose_lines_are_still_to_be_kept(world: World) -> None:
    """What somebody has read, and not written yet, would come back."""
    await live(world)
    await world.archiver().drain()
    await erase(world)
    with pytest.raises(Unavailable, match="not yet up to"):
        await compact(world)
    assert len(await world.ledger.unfinished_erasures()) == 1
    await world.archiver().drain()
    await compact(world)
    assert not await is_kept(world)


async def test_an_archiver_that_stood_still_brings_nothing_back(world: World) -> None:
    """It read the lines as they were, and writes them long after they were changed."""
    await live(world)
    await erase(world)
    woken, asleep = asyncio.Event(), asyncio.Event()

    async def stand_still() -> None:
        asleep.set()
        await woken.wait()

    stalled = LogArchiver(world.ledger.stream, Stumbling(world.archive, "add", stand_still), None, 1_000)
    draining = asyncio.create_task(stalled.drain())
    await asleep.wait()
    await world.archiver().drain()
    await compact(world)
    woken.set()
    assert await draining == 0
    assert not await is_kept(world)


class DiesIn:
    """A kept log whose process ends when the so many-th line is changed."""

    def __init__(self, archive: SqlLogArchive, line: int) -> None:
        self._archive, self._left = archive, line

    async def lines(self, shard: int, after: int, limit: int) -> list[LogLine]:
        return await self._archive.lines(shard, after, limit)

    async def rewrite(
        self, shard: int, users: Collection[int], upto: int, change: Callable[[LogLine], LogLine]
    ) -> None:
        def change_or_die(line: LogLine) -> LogLine:
            self._left -= 1
            if not self._left:
                raise Killed
            return change(line)

        await self._archive.rewrite(shard, users, upto, change_or_die)


@pytest.mark.parametrize("line", [1, 3])
async def test_what_was_interrupted_is_done_again(world: World, line: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is changed in the database, or in the middle of it."""
    monkeypatch.setattr("palmares.log_archive.sql._LINES_PER_PIECE", 1)
    await live(world)
    await erase(world)
    await world.archiver().drain()
    world.ledger._shards.kept_log = DiesIn(world.archive, line)
    with pytest.raises(Killed):
        await compact(world)
    changed = repr(await world.kept()).count("erased-")
    assert (changed > 0) == (line > 1)
    assert await is_kept(world)
    world.ledger._shards.kept_log = world.archive
    await compact(world)
    assert not await is_kept(world)
    assert await world.ledger.unfinished_erasures() == []
