"""Rankings made from the log while events go on, and what a build leaves behind that does not come to its end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.errors import Invalid, NotFound
from palmares.domain.local_time import day_of, format_day
from palmares.domain.run import Run
from palmares.domain.value import MICROS
from palmares.ledger.embedded.build import Build
from palmares.ledger.embedded.ledger import EmbeddedLedger
from tests.ledger_world import Clock, open_embedded, run_on, swam, swim
from tests.world import make_board

pytestmark = pytest.mark.anyio

WEEKLY = make_board(1, "weekly", run_unit="day", run_interval=7)
FIRST_WEEK, SECOND_WEEK = run_on(WEEKLY, "2026-03-04"), run_on(WEEKLY, "2026-03-10")


@pytest.fixture
def clock() -> Clock:
    """In the second week of the board."""
    return Clock()


@pytest.fixture
async def ledger(folder: Path, clock: Clock) -> AsyncIterator[EmbeddedLedger]:
    """One with a past: ann has 3 laps in the first week and 1 in the second."""
    made = await open_embedded(folder, clock)
    await made.record([swim("ann", 3)])
    clock.set("2026-03-10T12:00:00Z")
    await made.record([swim("ann", 1)])
    yield made
    await made.close()


async def laps(ledger: EmbeddedLedger, run: Run, board: Board = WEEKLY) -> dict[str, int]:
    rows = await ledger.page(board.number, run, [()], 0, 10)
    return {row.user_id: row.value // MICROS for row in rows}


def editions(ledger: EmbeddedLedger) -> int:
    """How many editions the archive holds, those in the making included."""
    archive: Any = ledger._archivist.archive
    with archive._database.reading() as reader:
        return int(reader.exec_driver_sql("SELECT count(*) FROM editions").scalar())


def assert_nothing_is_left(ledger: EmbeddedLedger, kept: int) -> None:
    """Nobody watches, nothing is said to be in progress, and only so many editions are kept."""
    assert ledger._upkeep._newcomers == []
    assert ledger._builder.progress == {}
    assert editions(ledger) == kept


async def test_a_build_leaves_one_edition(ledger: EmbeddedLedger) -> None:
    """The former one is forgotten when another takes its place."""
    for _ in range(3):
        await ledger.follow(WEEKLY)
        assert_nothing_is_left(ledger, 1)
    assert (await laps(ledger, FIRST_WEEK), await laps(ledger, SECOND_WEEK)) == ({"ann": 3}, {"ann": 1})


@pytest.mark.parametrize("followed", [True, False])
async def test_a_build_that_is_refused_leaves_nothing(ledger: EmbeddedLedger, followed: bool) -> None:
    """What was followed before is read and counted as it was."""
    if followed:
        await ledger.follow(WEEKLY)
    with patch.object(Build, "_apply", side_effect=Invalid("value: out of range")), pytest.raises(Invalid):
        await ledger.follow(replace(WEEKLY, end=FIRST_WEEK.end))
    assert_nothing_is_left(ledger, int(followed))
    if followed:
        await ledger.record([swim("ann", 1)])
        assert (await laps(ledger, FIRST_WEEK), await laps(ledger, SECOND_WEEK)) == ({"ann": 3}, {"ann": 2})
    else:
        with pytest.raises(NotFound):
            await ledger.runs(WEEKLY.number)


async def test_a_build_that_is_given_up_leaves_nothing(ledger: EmbeddedLedger) -> None:
    """While it reads the past."""
    reading = asyncio.Event()

    async def read_for_ever(*_: object) -> None:
        reading.set()
        await asyncio.Event().wait()

    with patch.object(Build, "run", read_for_ever):
        following = asyncio.ensure_future(ledger.follow(WEEKLY))
        await reading.wait()
        assert len(ledger._upkeep._newcomers) == 1
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
    assert_nothing_is_left(ledger, 0)
    await ledger.follow(WEEKLY)
    assert await laps(ledger, FIRST_WEEK) == {"ann": 3}


async def test_what_is_recorded_while_the_past_is_read_is_taken_in_at_the_end(
    ledger: EmbeddedLedger, clock: Clock
) -> None:
    """Events, runs that close, and late events of runs that are final."""
    run, revising = Build.run, replace(WEEKLY, late_events="revise")

    async def run_and_record(self: Build, *arguments: Any) -> None:
        await run(self, *arguments)
        await ledger.record([swim("bob", 5)])
        clock.set("2026-03-16T12:00:00Z")
        await ledger.record([swim("cat", 7), swim("bob", 2, at="2026-03-10T12:00:00Z")])

    with patch.object(Build, "run", run_and_record):
        await ledger.follow(revising)
    assert await laps(ledger, SECOND_WEEK) == {"bob": 5, "ann": 1}
    assert ledger.revising(WEEKLY.number)
    await ledger.settle()
    assert not ledger.revising(WEEKLY.number)
    assert await laps(ledger, SECOND_WEEK) == {"bob": 7, "ann": 1}
    assert await ledger.run_state(WEEKLY.number, SECOND_WEEK) == (True, 1, 0)
    assert await laps(ledger, run_on(WEEKLY, "2026-03-16")) == {"cat": 7}
    assert_nothing_is_left(ledger, 1)


async def test_a_revision_makes_only_the_runs_that_ask_for_it(ledger: EmbeddedLedger) -> None:
    """The others stay, and so does the run that goes on."""
    await ledger.follow(WEEKLY)
    wanted: list[Any] = []
    run = Build.run

    async def note(self: Build, *arguments: Any) -> None:
        wanted.append(self._wanted)
        await run(self, *arguments)

    with patch.object(Build, "run", note):
        await ledger.record([swam("bob", 9, "2026-03-05T12:00:00Z")])
        await ledger.settle()
    assert wanted == [{FIRST_WEEK.start}]
    assert (await laps(ledger, FIRST_WEEK), await laps(ledger, SECOND_WEEK)) == ({"bob": 9, "ann": 3}, {"ann": 1})
    assert_nothing_is_left(ledger, 1)


async def test_a_board_that_goes_while_it_is_revised_stays_away(ledger: EmbeddedLedger) -> None:
    """What was made for it is thrown away."""
    await ledger.follow(WEEKLY)
    run = Build.run

    async def forget_meanwhile(self: Build, *arguments: Any) -> None:
        await run(self, *arguments)
        ledger.forget(WEEKLY.number)

    with patch.object(Build, "run", forget_meanwhile):
        await ledger.record([swam("bob", 9, "2026-03-05T12:00:00Z")])
        await ledger.settle()
    await ledger._archivist.drain()
    assert_nothing_is_left(ledger, 0)


async def test_what_waits_to_be_revised_is_revised_after_a_restart(folder: Path, clock: Clock) -> None:
    """Although nobody records anything more."""
    ledger = await open_embedded(folder, clock, [WEEKLY])
    await ledger.record([swim("ann", 3)])
    clock.set("2026-03-10T12:00:00Z")
    await ledger.record([swam("bob", 9, "2026-03-05T12:00:00Z")])
    await ledger.close()
    ledger = await open_embedded(folder, clock, [WEEKLY])
    assert ledger.revising(WEEKLY.number)
    with patch.object(ledger._reviser, "look") as look:
        await ledger.advance(clock())
        assert look.called
    await ledger.settle()
    assert await laps(ledger, FIRST_WEEK) == {"bob": 9, "ann": 3}
    await ledger.close()


async def test_a_board_finished_by_hand_during_a_revision_keeps_its_last_day(
    ledger: EmbeddedLedger, clock: Clock
) -> None:
    """What was made of the run until then is thrown away, and made again by how it ended."""
    board = make_board()
    await ledger.follow(board)
    clock.set("2026-03-12T12:00:00Z")
    await ledger.record([swam("bob", 2, "2026-03-05T12:00:00Z")])
    drain, freezing = ledger._archivist.drain, []

    async def freeze_meanwhile() -> None:
        # Once, at the end of the build: the next to drain is the freezing itself.
        if not freezing:
            freezing.append(True)
            await ledger.freeze(board.number)
        await drain()

    with patch.object(ledger._archivist, "drain", freeze_meanwhile):
        await ledger.settle()
    bob = await ledger.user(DEFAULT_SCOPE, "bob")
    assert bob is not None
    history = await ledger.history(board.number, run_on(board, "2026-03-10"), bob, 0, 10**6)
    assert [format_day(line.day) for line in history][-2:] == ["2026-03-11", "2026-03-12"]
    assert [line.value for line in history if line.day >= day_of(clock())] == [2 * MICROS]


async def test_a_build_may_be_given_up_at_any_moment(ledger: EmbeddedLedger) -> None:
    """Whatever its thread reads at that moment is not closed under it, which would be the end of the process."""
    for number in range(5):
        times = [f"2026-03-{day:02}T{hour:02}:0{number}:00Z" for day in range(1, 10) for hour in range(20)]
        await ledger.record([swam(f"swimmer-{place}", 1, at) for place, at in enumerate(times * 5)])
    for moment in range(0, 600, 20):
        building = asyncio.ensure_future(ledger.follow(WEEKLY))
        for _ in range(moment):
            await asyncio.sleep(0)
        building.cancel()
        await asyncio.gather(building, return_exceptions=True)
    await ledger.follow(WEEKLY)
    assert len(await laps(ledger, FIRST_WEEK)) == 10
