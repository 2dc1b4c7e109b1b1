"""Upkeep: files behind the log, brought up to date without anybody noticing."""

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from palmares.ledger.embedded import checkpoint
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from tests.faults import faulty_projection
from tests.ledger_world import CALM, Clock, open_embedded, swim
from tests.world import LAPS, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
STEPS = Limits(events_between_projections=10, events_between_checkpoints=10**9)


async def quiet(ledger: EmbeddedLedger) -> None:
    """Wait until nothing is written any more."""
    for task in (ledger._upkeep._projecting, ledger._upkeep._checkpointing):
        if task is not None:
            await task


async def test_the_projection_follows_in_steps(folder: Path) -> None:
    """As soon as so many changes wait for it."""
    ledger = await open_embedded(folder, Clock(), [BOARD], STEPS)
    for _ in range(9):
        await ledger.record([swim("ann", 1)])
    assert ledger._projection.position == 0
    await ledger.record([swim("ann", 1)])
    await quiet(ledger)
    assert ledger._projection.position == 11
    await ledger.close()


async def test_changes_of_users_alone_are_projected_too(folder: Path) -> None:
    """They are held in memory like events, so they must not pile up."""
    ledger = await open_embedded(folder, Clock(), [], STEPS)
    for place in range(50):
        await ledger.record([Entry(DEFAULT_SCOPE, f"user-{place}")])
        assert ledger._users.unprojected_steps <= 20
    await quiet(ledger)
    assert ledger._projection.position >= 40
    await ledger.close()


async def test_a_failing_projection_loses_nothing(folder: Path) -> None:
    """What it lacks is in memory; when it works again, it takes in everything."""
    ledger = await open_embedded(folder, Clock(), [BOARD], STEPS)
    faulty = faulty_projection(ledger)
    faulty.failing = ("INSERT INTO totals",)
    for place in range(60):
        [outcome] = await ledger.record([swim(f"user-{place % 3}", 1, key=str(place))])
        assert outcome.total == (place // 3 + 1) * MICROS
    assert faulty.failures > 0
    assert ledger._projection.position == 0
    [replay] = await ledger.record([swim("user-0", 1, key="0")])
    assert replay.replayed
    await quiet(ledger)
    lacking = len(await ledger.records(0, 1000))
    faulty.failing = ()
    await ledger.record([swim("user-0", 1)])
    await quiet(ledger)
    assert ledger._projection.position >= lacking
    user = await ledger.user(1, "user-0")
    assert user is not None
    assert [change for _, change in await ledger.days(user, LAPS, BOARD.start, BOARD.start + 9)] == [21 * MICROS]
    await ledger.close()


async def test_recording_waits_when_the_projection_falls_a_step_behind(folder: Path) -> None:
    """Memory is bounded: at most the step on its way and one more."""
    ledger = await open_embedded(folder, Clock(), [BOARD], STEPS)
    for _ in range(20):
        await asyncio.gather(*(ledger.record([swim("ann", 1)]) for _ in range(5)))
        held = ledger._users._unprojected.step_count + ledger._users._filling.step_count
        assert held <= 2 * (10 + 5)
    await ledger.close()


async def test_a_step_whose_caller_goes_away_is_finished_by_the_next(folder: Path) -> None:
    """Nothing is projected twice."""
    ledger = await open_embedded(folder, Clock(), [BOARD], CALM)
    await ledger.record([swim("ann", 1, key="k")])
    step = asyncio.ensure_future(ledger._upkeep.project())
    await asyncio.sleep(0)
    step.cancel()
    with pytest.raises(asyncio.CancelledError):
        await step
    await ledger.record([swim("ann", 2)])
    await ledger._upkeep.project()
    user = await ledger.user(1, "ann")
    assert user is not None
    assert [change for _, change in await ledger.days(user, LAPS, BOARD.start, BOARD.start + 9)] == [3 * MICROS]
    assert (await ledger.record([swim("ann", 1, key="k")]))[0].replayed
    await ledger.close()


async def test_checkpoints_follow_in_steps(folder: Path) -> None:
    """As soon as the log is so far ahead; recording goes on."""
    limits = Limits(events_between_projections=10**9, events_between_checkpoints=10)
    ledger = await open_embedded(folder, Clock(), [BOARD], limits)
    path = folder / "standings.checkpoint"
    for _ in range(8):
        await ledger.record([swim("ann", 1)])
    assert not path.exists()
    await ledger.record([swim("ann", 1)])
    await quiet(ledger)
    assert checkpoint.Checkpoint(path).position == 10
    await ledger.close()
    assert checkpoint.Checkpoint(path).position == 10


async def test_a_failing_checkpoint_is_tried_again(folder: Path) -> None:
    """Nobody who records notices."""
    limits = Limits(events_between_projections=10**9, events_between_checkpoints=5)
    ledger = await open_embedded(folder, Clock(), [BOARD], limits)
    with patch.object(checkpoint, "save", side_effect=OSError("no space left on device")) as save:
        for _ in range(12):
            await ledger.record([swim("ann", 1)])
            await quiet(ledger)
    assert save.call_count > 1
    await ledger.record([swim("ann", 1)])
    await quiet(ledger)
    assert checkpoint.Checkpoint(folder / "standings.checkpoint").position == 14
    await ledger.close()


async def test_closing_brings_both_files_up_to_date(folder: Path) -> None:
    """So that the next start has nothing to do."""
    ledger = await open_embedded(folder, Clock(), [BOARD], CALM)
    await ledger.record([swim("ann", 1)])
    await ledger.close()
    assert checkpoint.Checkpoint(folder / "standings.checkpoint").position == 2
    with patch("palmares.ledger.embedded.builder.Build", side_effect=AssertionError("made from the log")):
        ledger = await open_embedded(folder, Clock(), [BOARD], CALM)
    assert ledger._projection.position == 2
    await ledger.close()


async def test_closing_with_nothing_new_writes_no_checkpoint(folder: Path) -> None:
    """The one that is there is of this moment."""
    ledger = await open_embedded(folder, Clock(), [BOARD], CALM)
    await ledger.record([swim("ann", 1)])
    await ledger.close()
    saved: list[Any] = []
    with patch.object(checkpoint, "save", side_effect=lambda *arguments: saved.append(arguments)):
        ledger = await open_embedded(folder, Clock(), [BOARD], CALM)
        await ledger.close()
    assert saved == []
