"""Boards that are finished by hand stop in every shard at a place of its own, and can be made again up to there."""

import asyncio
from dataclasses import replace

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.value import MICROS
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.ledger_world import Clock, run_on, swim
from tests.plain_archive import PlainArchive
from tests.unit.ledger.valkey.conftest import Open
from tests.unit.ledger.valkey.test_past import told_of
from tests.unit.ledger.valkey.test_time import USERS, FailingArchive, begin
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board(1, "pools", breakdown=(POOL,))
RUN = run_on(BOARD, "2026-03-04")


async def laps(ledger: ValkeyLedger) -> int:
    """All that was swum, by the board."""
    groups = sorted(await ledger.groups(1, RUN))
    return sum(row.value for row in await ledger.page(1, RUN, groups, 0, 100)) // MICROS


async def test_a_board_that_is_made_again_counts_what_had_counted(open_worker: Open, clock: Clock) -> None:
    """Though everything happened in one instant, and shards are not equally far."""
    archive = PlainArchive()
    ledger, other = await open_worker([BOARD], 4, archive), await open_worker((), 4, archive)
    await begin(ledger)
    recorded, enough = 0, asyncio.Event()

    async def swim_on(worker: ValkeyLedger, user: str) -> None:
        nonlocal recorded
        for _ in range(40):
            await worker.record([swim(user, 1)])
            recorded += 1
            if recorded == 60:
                enough.set()

    swimming = [asyncio.create_task(swim_on([ledger, other][place % 2], user)) for place, user in enumerate(USERS)]
    await enough.wait()
    position = await ledger.freeze(1)
    counted = await laps(other)
    await asyncio.gather(*swimming)
    assert 45 + 60 <= counted < 45 + recorded == 45 + 360
    assert await laps(ledger) == counted
    before = await told_of(other, [BOARD])
    clock.set("2026-03-20T12:00:00Z")
    ledger.forget(1)
    await ledger.follow(replace(BOARD, finished_position=position))
    assert await told_of(ledger, [BOARD]) == before
    assert await ledger.freeze(1) == position


@pytest.mark.parametrize("shards", [1, 4])
async def test_a_board_goes_on_that_could_not_be_noted_as_finished(open_worker: Open, shards: int) -> None:
    """And has what came meanwhile."""
    archive = PlainArchive()
    ledger, other = await open_worker([BOARD], shards, archive), await open_worker((), shards, archive)
    await begin(ledger)

    async def fail(position: int) -> None:
        [outcome] = await other.record([swim("user-0", 100)])
        assert list(outcome.boards) == []
        raise Unavailable("the catalog is away")

    with pytest.raises(Unavailable, match="catalog"):
        await ledger.freeze(1, fail)
    assert await laps(ledger) == 145
    [outcome] = await other.record([swim("user-0", 1)])
    assert [found.rank for found in outcome.boards] == [1]
    assert not (await ledger.run_state(1, RUN)).final


async def test_who_opens_next_ends_what_was_left_open(open_worker: Open, clock: Clock) -> None:
    """The board is noted as finished, but its runs are not written yet."""

    def is_away(name: str) -> None:
        raise Unavailable("the archive is away")

    archive = FailingArchive(is_away)
    ledger = await open_worker([BOARD], 4, archive)
    await begin(ledger)
    positions: list[int] = []

    async def note(position: int) -> None:
        positions.append(position)

    with pytest.raises(Unavailable, match="away"):
        await ledger.freeze(1, note)
    assert (await ledger.run_state(1, RUN), await laps(ledger)) == ((True, 0, 0), 45)
    archive.before = lambda name: None
    clock.set("2026-03-08T12:00:00Z")
    later = await open_worker([replace(BOARD, finished_position=positions[0])], 4, archive)
    assert archive.written == ["keep_days", "keep_run"]
    assert await laps(later) == 45
    assert await later._reader.run_groups(1) == []
    user = await later.user(1, "user-0")
    assert user is not None
    [day] = await later.history(1, RUN, user, 0, 10**6)
    assert day.rank == 9
