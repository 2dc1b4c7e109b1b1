"""What is left by a kill at the worst moments of finishing, revising and changing a board."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.run import Run
from palmares.ledger.contract import void
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.ledger.embedded.rankings import Rankings
from tests.ledger_world import Clock, memory_folder, open_embedded, swim
from tests.twins import copy_as_after_a_kill
from tests.world import LAPS, day

pytestmark = pytest.mark.anyio

BOARD = Board(
    number=1,
    id="00000000-0000-0000-0000-000000000001",
    scope=1,
    key="weekly",
    name="Weekly",
    rank_by="metric",
    metric=LAPS,
    start=day("2026-03-02"),
    run_unit="day",
    run_interval=7,
    late_events="revise",
)
WEEK = Run(day("2026-03-02"), day("2026-03-08"))


async def order(ledger: EmbeddedLedger, run: Run = WEEK) -> list[tuple[str, int]]:
    """Who stands where, with whole laps."""
    return [(row.user_id, row.value // 10**6) for row in await ledger.page(1, run, [()], 0, 10)]


@pytest.mark.parametrize("end", ["kill", "close"])
async def test_a_checkpoint_in_the_middle_of_a_revision_forgets_no_late_event(end: str) -> None:
    """The event was answered, so it counts after the next start at the latest."""
    with memory_folder() as folder:
        clock = Clock()
        ledger = await open_embedded(folder / "a", clock, [BOARD])
        await ledger.record([swim("ann", 3)])
        clock.set("2026-03-09T12:00:00Z")
        await ledger.advance(clock())
        await ledger.record([swim("bob", 9, at="2026-03-04T12:00:00Z")])
        rebuild = ledger._reviser._rebuild

        async def interrupted(rankings: Rankings, runs: list[Run]) -> None:
            await ledger.checkpoint()
            if end == "kill":
                copy_as_after_a_kill(folder / "a", folder / "b")
            else:
                raise OSError("the disk fails")
            await rebuild(rankings, runs)

        with patch.object(ledger._reviser, "_rebuild", interrupted):
            if end == "kill":
                await ledger.settle()
            else:
                with pytest.raises(OSError, match="the disk fails"):
                    await ledger.settle()
        await ledger.close()
        again = await open_embedded(folder / ("b" if end == "kill" else "a"), clock, [BOARD])
        await again.settle()
        assert await order(again) == [("bob", 9), ("ann", 3)]
        await again.close()


async def test_a_board_that_was_not_noted_as_finished_counts_on() -> None:
    """Whoever dies before the note is taken finds the board as it was, up to its real end."""
    with memory_folder() as folder:
        clock = Clock()
        ledger = await open_embedded(folder / "a", clock, [BOARD])
        await ledger.record([swim("ann", 3)])
        await ledger.checkpoint()

        async def die(position: int) -> None:
            copy_as_after_a_kill(folder / "a", folder / "b")

        await ledger.freeze(1, die)
        await ledger.close()
        again = await open_embedded(folder / "b", clock, [BOARD])
        await again.record([swim("bob", 9)])
        clock.set("2026-03-09T12:00:00Z")
        await again.advance(clock())
        assert await order(again) == [("bob", 9), ("ann", 3)]
        await again.close()


async def test_a_refused_note_leaves_the_board_as_it_was() -> None:
    """Nothing is frozen that nobody can remember."""

    async def refuse(position: int) -> None:
        raise OSError("the catalog fails")

    with memory_folder() as folder:
        ledger = await open_embedded(folder, Clock(), [BOARD])
        await ledger.record([swim("ann", 3)])
        with pytest.raises(OSError, match="the catalog fails"):
            await ledger.freeze(1, refuse)
        await ledger.record([swim("bob", 9)])
        assert await order(ledger) == [("bob", 9), ("ann", 3)]
        await ledger.close()


async def test_an_end_that_was_not_saved_cuts_nothing() -> None:
    """The archive has the shorter run already; the board as it was saved knows nothing of it."""
    with memory_folder() as folder:
        clock = Clock("2026-03-05T12:00:00Z")
        ledger = await open_embedded(folder / "a", clock, [BOARD])
        await ledger.record([swim("ann", 3)])
        await ledger.checkpoint()
        await ledger.follow(replace(BOARD, end=day("2026-03-03")))
        copy_as_after_a_kill(folder / "a", folder / "b")
        await ledger.close()
        again = await open_embedded(folder / "b", clock, [BOARD])
        await again.record([swim("bob", 9)])
        clock.set("2026-03-09T12:00:00Z")
        await again.advance(clock())
        assert await order(again) == [("bob", 9), ("ann", 3)]
        await again.close()


async def test_a_checkpoint_in_the_middle_of_a_revision_forgets_no_void() -> None:
    """It was answered, so it holds after the next start at the latest."""
    with memory_folder() as folder:
        clock = Clock()
        ledger = await open_embedded(folder / "a", clock, [BOARD])
        await ledger.record([swim("ann", 3), swim("bob", 9)])
        clock.set("2026-03-09T12:00:00Z")
        await ledger.advance(clock())
        await ledger.record([void(DEFAULT_SCOPE, ledger.position())])
        rebuild = ledger._reviser._rebuild

        async def interrupted(rankings: Rankings, runs: list[Run]) -> None:
            await ledger.checkpoint()
            copy_as_after_a_kill(folder / "a", folder / "b")
            await rebuild(rankings, runs)

        with patch.object(ledger._reviser, "_rebuild", interrupted):
            await ledger.settle()
        await ledger.close()
        again = await open_embedded(folder / "b", clock, [BOARD])
        await again.settle()
        assert await order(again) == [("ann", 3)]
        await again.close()


async def test_days_that_end_while_a_run_is_made_anew_are_kept() -> None:
    """Those of the live run; nobody is on one that begins nothing any more."""
    board = replace(BOARD, run_unit=None, run_interval=None)
    run = Run(BOARD.start, None)
    with memory_folder() as folder:
        clock = Clock()
        ledger = await open_embedded(folder, clock, [board])
        await ledger.record([swim("ann", 3)])
        clock.set("2026-03-06T12:00:00Z")
        await ledger.advance(clock())
        await ledger.record([void(DEFAULT_SCOPE, ledger.position())])
        rebuild, install = ledger._reviser._rebuild, ledger._builder._install_edition

        async def late(*given: Any) -> None:
            clock.set("2026-03-07T12:00:00Z")
            await ledger.advance(clock())
            await install(*given)

        with patch.object(ledger._builder, "_install_edition", late):
            await rebuild(ledger._followed.get(1), [run])
        await ledger.settle()
        await ledger.record([swim("bob", 1)])
        clock.set("2026-03-09T12:00:00Z")
        await ledger.advance(clock())
        [bob] = await ledger.users([2])
        days = [one.day for one in await ledger.history(1, run, bob, 0, day("2026-12-31"))]
        assert days == [day("2026-03-07"), day("2026-03-08")]
        await ledger.close()
