"""The archiver takes the log out of Valkey exactly once, whatever dies, stands still or is away meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.log_line import LogLine
from palmares.ledger.contract import Record, WantedEvents, void
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.log_archive.sql import SqlLogArchive
from palmares.service.archive_log import Damaged, LogArchiver
from tests.databases import Place, Postgres
from tests.ledger_world import Clock, swim
from tests.valkey_servers import Address, fresh_name
from tests.world import DEFAULT_SCOPE, LAPS, make_board

pytestmark = pytest.mark.anyio
SHARDS = 3
USERS = "ann ben cat dan eve fay gus hal ida".split()


class World:
    """A ledger with an archive, and as many archivers as a test asks for."""

    def __init__(self, valkey: list[Address], url: str, stack: AsyncExitStack) -> None:
        self._valkey, self._url, self._stack = valkey, url, stack
        self.name = fresh_name()
        self._workers = 0
        self.archive: SqlLogArchive
        self.ledger: ValkeyLedger

    async def open(self) -> None:
        self.archive = await self.open_archive()
        self.ledger = await self.open_ledger()

    async def open_archive(self) -> SqlLogArchive:
        archive = await SqlLogArchive.open(self._url)
        self._stack.push_async_callback(archive.close)
        return archive

    async def open_ledger(self) -> ValkeyLedger:
        self._workers += 1
        ledger = await ValkeyLedger.open(
            self._valkey,
            [make_board()],
            Clock(),
            f"worker-{self._workers}",
            name=self.name,
            shards=SHARDS,
            kept_log=self.archive,
        )
        self._stack.push_async_callback(ledger.close)
        return ledger

    def archiver(self, lines_left: int | None = None, per_batch: int = 4) -> LogArchiver:
        return LogArchiver(self.ledger.stream, self.archive, lines_left, per_batch)

    async def record(self, rounds: int = 2) -> None:
        for number in range(rounds):
            await self.ledger.record([swim(user, number + 1, name=f"{user} {number}") for user in USERS])

    async def kept(self) -> list[list[LogLine]]:
        return [await self.archive.lines(shard, 0, 10_000) for shard in range(SHARDS)]

    async def in_stream(self) -> list[list[LogLine]]:
        return [await self.ledger.stream.lines(shard, 0, 10_000) for shard in range(SHARDS)]

    async def wipe(self) -> None:
        """Valkey loses all that the ledger has, but for how many shards it has."""
        for shard in self.ledger._shards.all:
            found = await self.ledger._store.read([[b"KEYS", shard.keys.head.replace(b"head", b"*")]])
            await self.ledger._store.read([[b"DEL", key] for key in found[0]])


@pytest.fixture
async def world(valkey: list[Address], place: Place) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        world = World(valkey, place.url, stack)
        await world.open()
        yield world


class Stumbling:
    """A source or an archive that does something before a method is gone through."""

    def __init__(self, inner: Any, method: str, before: Callable[[], Awaitable[None]]) -> None:
        self._inner, self._method, self._before = inner, method, before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name != self._method:
            return found

        async def called(*arguments: Any) -> Any:
            await self._before()
            return await found(*arguments)

        return called


class Killed(Exception):
    """The process ends here."""


async def be_killed() -> None:
    raise Killed


def whole(lines: Sequence[Sequence[LogLine]]) -> list[int]:
    """How many lines each shard has, which have no gaps and come once."""
    for some in lines:
        assert [line.position for line in some] == list(range(1, len(some) + 1))
    return [len(some) for some in lines]


async def test_what_is_kept_is_what_was_recorded(world: World) -> None:
    """Line by line, with everything that a record tells of them."""
    await world.record()
    told = await world.ledger.records(0, 10_000)
    assert await world.archiver().drain() == len(told) > 30
    kept = await world.kept()
    assert kept == await world.in_stream()
    records = [
        Record(
            (line.position - 1) * SHARDS + shard + 1, line.kind, line.recorded_at, line.scope, line.user, line.metric,
            line.amount, line.occurred_at, line.local_at, line.total, line.idempotency_key, line.target, line.body,
        )
        for shard, lines in enumerate(kept)
        for line in lines
    ]  # fmt: skip
    assert sorted(records) == sorted(told)
    assert await world.archiver().drain() == 0


async def test_the_log_is_told_whole_though_most_of_it_was_let_go_of(world: World) -> None:
    """In pieces too; and recording goes on behind."""
    await world.record()
    before = await world.ledger.records(0, 10_000)
    await world.archiver(lines_left=0).drain()
    assert [len(lines) for lines in await world.in_stream()] == [1] * SHARDS
    assert await world.ledger.records(0, 10_000) == before
    pieces = [await world.ledger.records(after, 4) for after in range(0, before[-1].position, 5)]
    expected = [
        [record for record in before if record.position > after][:4] for after in range(0, before[-1].position, 5)
    ]
    assert pieces == expected
    await world.record(1)
    assert set(before) < set(await world.ledger.records(0, 10_000))


async def test_events_are_found_and_taken_back_though_their_lines_were_let_go_of(world: World) -> None:
    """By user, by id and among all; and what a void is about."""
    await world.record()
    user = await world.ledger.user(DEFAULT_SCOPE, "ann")
    wanted = [WantedEvents(DEFAULT_SCOPE, 100), WantedEvents(DEFAULT_SCOPE, 100, user=user)]
    before = [(await world.ledger.events(one)).events for one in wanted]
    await world.archiver(lines_left=0).drain()
    assert [(await world.ledger.events(one)).events for one in wanted] == before
    [first] = [event for event in before[1] if event.amount == 1_000_000]
    assert await world.ledger.events_with(DEFAULT_SCOPE, [first.id]) == [first]
    assert user is not None
    await world.ledger.record([void(DEFAULT_SCOPE, first.position)])
    assert await world.ledger.total(user, LAPS) == 2_000_000
    await world.archiver(lines_left=0).drain()
    [found] = await world.ledger.events_with(DEFAULT_SCOPE, [first.id])
    assert found is not None
    assert found.void is not None


async def test_as_many_lines_stay_as_are_asked_for(world: World) -> None:
    """And those that are not kept yet."""
    await world.record()
    await world.archiver(lines_left=3).drain()
    assert [len(lines) for lines in await world.in_stream()] == [4] * SHARDS
    await world.record(1)
    await world.archiver(lines_left=None).drain()
    assert all(len(lines) > 4 for lines in await world.in_stream())


async def test_who_is_killed_between_keeping_and_letting_go_does_nothing_twice(world: World) -> None:
    """The next one lets go of what is kept already, and goes on behind it."""
    await world.record()
    source = Stumbling(world.ledger.stream, "trim", be_killed)
    with pytest.raises(Killed):
        await LogArchiver(source, world.archive, 0, 4).drain()
    assert sum(len(lines) for lines in await world.kept()) == 4
    before = await world.ledger.records(0, 10_000)
    await world.archiver(lines_left=0).drain()
    assert sum(whole(await world.kept())) == len(before)
    assert await world.ledger.records(0, 10_000) == before


async def test_who_is_killed_before_the_end_of_its_transaction_has_done_nothing(world: World) -> None:
    await world.record()
    archive = Stumbling(world.archive, "add", be_killed)
    with pytest.raises(Killed):
        await LogArchiver(world.ledger.stream, archive, 0, 4).drain()
    assert await world.kept() == [[]] * SHARDS
    assert whole(await world.in_stream()) > [4] * SHARDS


async def test_many_archivers_at_once_keep_each_line_once(world: World) -> None:
    """While recording goes on; of one shard, one after the other."""
    archivers = [
        LogArchiver(world.ledger.stream, await world.open_archive(), lines_left, 3) for lines_left in (0, None, 2)
    ]

    async def drain(archiver: LogArchiver) -> int:
        return sum([await archiver.drain() for _ in range(6)])

    counts = await asyncio.gather(world.record(6), *(drain(archiver) for archiver in archivers))
    last = await world.archiver(0).drain()
    told = await world.ledger.records(0, 10_000)
    assert sum(whole(await world.kept())) == len(told) == sum(filter(None, counts)) + last


async def test_who_stood_still_while_another_went_on_changes_nothing(world: World) -> None:
    """It read some lines, stood still, and wakes up when these and others are kept and let go of."""
    await world.record(1)
    woken = asyncio.Event()
    asleep = asyncio.Event()

    async def stand_still() -> None:
        asleep.set()
        await woken.wait()

    stalled = LogArchiver(world.ledger.stream, Stumbling(world.archive, "add", stand_still), 0, 4)
    draining = asyncio.create_task(stalled.drain())
    await asleep.wait()
    await world.record(3)
    await world.archiver(0).drain()
    kept = await world.kept()
    woken.set()
    assert await draining == 0
    assert await world.kept() == kept
    assert [len(lines) for lines in await world.in_stream()] == [1] * SHARDS


async def test_who_reads_what_was_just_let_go_of_is_no_sign_of_damage(world: World) -> None:
    """Between looking what is kept and reading what follows, another one keeps and lets go of all."""
    await world.record()

    async def be_overtaken() -> None:
        await world.archiver(0).drain()

    slow = LogArchiver(Stumbling(world.ledger.stream, "lines", be_overtaken), world.archive, 0, 4)
    assert await slow.drain() == 0
    assert whole(await world.kept()) > [4] * SHARDS


# A ledger that is not the one whose log is kept


async def test_a_ledger_that_began_anew_is_not_mixed_with_the_log_that_is_kept(world: World) -> None:
    """Valkey lost everything, and somebody went on recording: nothing is kept of it, and nothing let go of."""
    await world.record()
    await world.archiver(0).drain()
    kept = await world.kept()
    await world.wipe()
    with pytest.raises(Damaged):
        await world.archiver(0).check()
    again = await world.open_ledger()
    await again.record([swim(user, 1) for user in USERS * 10])
    archivers = world.archiver(0), world.archiver(0), world.archiver(0)
    for act in (archivers[0].drain, archivers[1].check):
        with pytest.raises(Damaged, match="empty Valkey, and run `palmares rebuild`"):
            await act()
    await archivers[2].look()
    for archiver in archivers:
        assert "run `palmares rebuild`" in str(archiver.obstacle)
    assert await world.kept() == kept
    assert len(await again.records(0, 10_000)) == len(USERS) * 11


async def test_a_ledger_that_lost_its_last_lines_is_noticed(world: World) -> None:
    """As after a crash with `appendfsync everysec`: other lines come to the places of those that were lost."""
    await world.record()
    await world.archiver().drain()
    shard = world.ledger._shards.all[0]
    [last] = (await world.ledger.stream.lines(0, 0, 10_000))[-1:]
    store = world.ledger._store
    await store.read(
        [
            [b"XDEL", shard.keys.log, b"%d-0" % last.position],
            [b"XADD", shard.keys.log, b"%d-1" % last.position, b"n", b"1", b"t", b"1", b"l", last.content],
        ]
    )
    with pytest.raises(Damaged):
        await world.archiver().check()
    with pytest.raises(Damaged):
        await world.archiver().drain()
    assert (await world.kept())[1:] == (await world.in_stream())[1:]


async def test_a_line_that_is_missing_in_both_is_told(world: World) -> None:
    """A log with a hole is not read as if there was none."""
    await world.record()
    await world.ledger.stream.trim(0, 5)
    with pytest.raises(Unavailable, match="neither in Valkey nor kept"):
        await world.ledger.records(0, 10_000)


async def test_a_hole_in_the_middle_is_told(world: World) -> None:
    """By whoever reads across it, and nothing is kept that lies behind."""
    await world.record()
    await world.ledger._store.read([[b"XDEL", world.ledger._shards.all[0].keys.log, b"3-0"]])
    across = world.ledger.records(0, 10_000), world.ledger.events(WantedEvents(DEFAULT_SCOPE, 100))
    for act in (*across, world.archiver(per_batch=100).drain()):
        with pytest.raises(Unavailable, match="has holes in Valkey between lines 1 and"):
            await act
    assert (await world.kept())[0] == []


# A database that is away


async def test_recording_goes_on_while_the_database_is_away(valkey: list[Address], postgres: Postgres) -> None:
    """Nothing is lost, and what came meanwhile is kept when it is there again."""
    async with AsyncExitStack() as stack:
        with postgres.database() as place:
            world = World(valkey, place.url, stack)
            await world.open()
            await world.record(1)
            archiver = world.archiver(0)
            await archiver.drain()
            await _be_away(postgres, world, archiver)
            told = await world.ledger.records(0, 10_000)
            assert await archiver.drain() > 20
            assert sum(whole(await world.kept())) == len(told)
            assert await world.ledger.records(0, 10_000) == told
            await stack.aclose()


async def _be_away(postgres: Postgres, world: World, archiver: LogArchiver) -> None:
    with postgres.away():
        await world.record(3)
        with pytest.raises(Unavailable):
            await archiver.drain()
        with pytest.raises(Unavailable):
            await world.ledger.records(0, 10_000)


async def test_the_archiver_goes_on_by_itself_after_errors(world: World) -> None:
    """It waits ever longer while nothing works, and no longer than before once it does."""
    waits: list[float] = []
    failures = 4
    through = asyncio.Event()

    async def fail_at_first() -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise Unavailable("away")

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            through.set()
            await asyncio.Event().wait()

    await world.record(1)
    # Each of the shards is tried at each attempt.
    archiver = LogArchiver(world.ledger.stream, Stumbling(world.archive, "last", fail_at_first), 0, 100)
    archiver.start(sleep)
    await through.wait()
    await archiver.close()
    assert waits == [2.0, 4.0, 1.0]
    assert sum(whole(await world.kept())) == len(USERS) * 2


async def test_who_closes_the_archiver_can_be_cancelled(world: World) -> None:
    """It is not taken for the end of the archiver."""
    begun, asked_to_stop = asyncio.Event(), asyncio.Event()

    async def be_stubborn() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            asked_to_stop.set()
            await asyncio.Event().wait()

    archiver = LogArchiver(world.ledger.stream, Stumbling(world.archive, "last", be_stubborn))
    archiver.start(asyncio.sleep)
    await begun.wait()
    closing = asyncio.create_task(archiver.close())
    await asked_to_stop.wait()
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
