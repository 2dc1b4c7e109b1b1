"""What is over goes to the archive, and waits in memory while the archive cannot be written."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.snapshot import DayEnd
from palmares.domain.value import MICROS
from palmares.ledger.embedded import archivist
from palmares.ledger.embedded.ledger import EmbeddedLedger
from tests.faults import broken_archive
from tests.ledger_world import Clock, everything_of_boards, open_embedded, run_on, swim
from tests.world import POOL, day, make_board

pytestmark = pytest.mark.anyio

DAILY = make_board(1, "daily", run_unit="day", run_interval=1)
POOLS = make_board(2, "pools", run_unit="day", run_interval=7, breakdown=(POOL,))
BOARDS = [DAILY, POOLS]
EAST, WEST = {"attributes": {"pool": "east"}}, {"attributes": {"pool": "west"}}


@pytest.fixture
def clock() -> Clock:
    """It is noon UTC on 2026-03-04."""
    return Clock()


@pytest.fixture
async def ledger(folder: Path, clock: Clock) -> AsyncIterator[EmbeddedLedger]:
    """Two boards with a user each in two pools; nothing that waits for its writing is little enough."""
    with patch.object(archivist, "_MOST_BYTES_WAITING", 0):
        made = await open_embedded(folder, clock, BOARDS)
        await made.record([swim("ann", 3, **EAST), swim("bob", 2, **WEST)])
        yield made
        await made.close()


async def all_of(ledger: EmbeddedLedger) -> object:
    users = [user for user_id in ("ann", "bob") if (user := await ledger.user(1, user_id)) is not None]
    return await everything_of_boards(ledger, BOARDS, users)


async def laps(ledger: EmbeddedLedger, date: str) -> list[tuple[str, int]]:
    rows = await ledger.page(DAILY.number, run_on(DAILY, date), [()], 0, 10)
    return [(row.user_id, row.value // MICROS) for row in rows]


async def test_recording_goes_on_while_the_archive_cannot_be_written(ledger: EmbeddedLedger, clock: Clock) -> None:
    """However much waits; what is over is read from memory, days of histories included."""
    with broken_archive(ledger):
        for date in range(5, 9):
            clock.set(f"2026-03-{date:02}T12:00:00Z")
            [outcome] = await ledger.record([swim("ann", 1)])
            assert [found.rank for found in outcome.boards] == [1, 1]
        ann = await ledger.user(1, "ann")
        assert ann is not None
        assert ledger.obstacle is None
        assert (await ledger.run_state(1, run_on(DAILY, "2026-03-04"))).final
        assert await laps(ledger, "2026-03-04") == [("ann", 3), ("bob", 2)]
        assert await laps(ledger, "2026-03-05") == [("ann", 1)]
        history = await ledger.history(2, run_on(POOLS, "2026-03-04"), ann, 0, day("2026-03-31"))
        assert [(found.rank, found.value) for found in history] == [(1, laps * MICROS) for laps in (3, 4, 5, 6)]


async def test_what_is_due_is_not_done_before_it_is_written(ledger: EmbeddedLedger, clock: Clock) -> None:
    """Whoever advances the time hears of it and tries again; then all is as if nothing had happened."""
    clock.set("2026-03-05T12:00:00Z")
    with broken_archive(ledger):
        for _ in range(2):
            with pytest.raises(Unavailable):
                await ledger.advance(clock())
        before = await all_of(ledger)
    await ledger.advance(clock())
    assert ledger._archivist.archive.final_runs(1) == [day("2026-03-04")]
    assert await all_of(ledger) == before


async def test_what_waited_when_the_server_was_stopped_is_taken_again_from_the_log(folder: Path, clock: Clock) -> None:
    """No checkpoint says that it was done."""
    ledger = await open_embedded(folder, clock, BOARDS)
    await ledger.record([swim("ann", 3, **EAST), swim("bob", 2, **WEST)])
    await ledger.checkpoint()
    clock.set("2026-03-10T12:00:00Z")
    with broken_archive(ledger):
        await ledger.record([swim("bob", 5)])
        before = await all_of(ledger)
        await ledger.close()
    again = await open_embedded(folder, clock, BOARDS)
    assert await all_of(again) == before
    await again.advance(clock())
    assert await all_of(again) == before
    await again.close()


@pytest.mark.parametrize(
    ("together", "written"), [(1 << 20, [[62, 63, 64, 65, 66], [67]]), (-1, [[62], [63], [64], [65], [66], [67]])]
)
async def test_days_that_end_at_once_are_written_together(
    folder: Path, clock: Clock, together: int, written: list[list[int]]
) -> None:
    """As long as they are few bytes; the last one comes with the end of the run."""
    ledger = await open_embedded(folder, clock, BOARDS)
    await ledger.record([swim("ann", 3, **EAST), swim("bob", 2, **WEST)])
    archive, found = ledger._archivist.archive, []

    def keep_days(edition: int, run_start: int, ends: Sequence[DayEnd]) -> None:
        if run_start == day("2026-03-02"):
            found.append([end.day - day("2026-01-01") for end in ends])
        type(archive).keep_days(archive, edition, run_start, ends)

    clock.set("2026-03-10T12:00:00Z")
    with (
        patch.object(archive, "keep_days", keep_days),
        patch.object(archivist, "_MOST_BYTES_TOGETHER", together),
    ):
        await ledger.advance(clock())
        await ledger._archivist.drain()
    ann = await ledger.user(1, "ann")
    assert ann is not None
    history = await ledger.history(2, run_on(POOLS, "2026-03-04"), ann, 0, day("2026-03-31"))
    assert found == written
    assert [standing.day - day("2026-01-01") for standing in history] == [62, 63, 64, 65, 66, 67]
    await ledger.close()


async def test_a_board_that_is_forgotten_takes_what_waits_along(ledger: EmbeddedLedger, clock: Clock) -> None:
    """And holds nobody else up."""
    clock.set("2026-03-10T12:00:00Z")
    with broken_archive(ledger):
        await ledger.record([swim("bob", 5)])
        ledger.forget(DAILY.number)
    await ledger.advance(clock())
    assert ledger._archivist.archive.final_runs(DAILY.number) == []
    assert ledger._archivist.archive.final_runs(POOLS.number) == [day("2026-03-02")]


async def test_a_board_that_is_forgotten_and_followed_at_once_has_its_past(
    ledger: EmbeddedLedger, clock: Clock
) -> None:
    """What is forgotten is the former edition."""
    clock.set("2026-03-10T12:00:00Z")
    await ledger.advance(clock())
    before = await all_of(ledger)
    for board in BOARDS:
        ledger.forget(board.number)
        await ledger.follow(board)
    await ledger.advance(clock())
    assert await all_of(ledger) == before


async def test_a_build_ends_when_what_it_takes_cannot_be_written(ledger: EmbeddedLedger, clock: Clock) -> None:
    """It could fill the memory with years; and nothing of it stays behind that would keep others from being written."""
    clock.set("2026-03-10T12:00:00Z")
    await ledger.advance(clock())
    twin = replace(DAILY, number=3, key="twin")
    with broken_archive(ledger), pytest.raises(Unavailable):
        await ledger.follow(twin)
    assert 3 not in {rankings.number for rankings in ledger._followed}
    clock.set("2026-03-11T12:00:00Z")
    await ledger.advance(clock())
    await ledger.follow(twin)
    assert await ledger.runs(3) == await ledger.runs(1)


async def test_a_build_that_is_given_up_keeps_nobody_from_being_written(ledger: EmbeddedLedger, clock: Clock) -> None:
    """At whatever moment that happens."""
    clock.set("2026-03-10T12:00:00Z")
    await ledger.advance(clock())
    for steps in range(12):
        following = asyncio.ensure_future(ledger.follow(replace(DAILY, number=3, key="twin")))
        for _ in range(steps):
            await asyncio.sleep(0)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        ledger.forget(3)
        clock.now += 24 * 3_600_000_000
        await ledger.record([swim("ann", 1)])
        await ledger.advance(clock())
    assert len(ledger._archivist.archive.final_runs(1)) == 12
    assert ledger._archivist.archive.final_runs(3) == []


async def test_a_board_is_not_frozen_while_the_archive_cannot_be_written(ledger: EmbeddedLedger, clock: Clock) -> None:
    """It goes on as before."""
    clock.set("2026-03-05T12:00:00Z")
    with broken_archive(ledger):
        await ledger.record([swim("ann", 1)])
        with pytest.raises(Unavailable):
            await ledger.freeze(POOLS.number)
    [outcome] = await ledger.record([swim("ann", 1)])
    assert [found.board.key for found in outcome.boards] == ["daily", "pools"]
