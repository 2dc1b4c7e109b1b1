"""Nothing of an erased user is left in any file, however the way there was interrupted."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.errors import Unavailable
from palmares.domain.value import MICROS
from palmares.ledger.contract import Entry
from palmares.ledger.embedded import checkpoint, compaction
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.ledger.embedded.rewriting import Rewriter
from tests.ledger_world import BUSY, Clock, open_embedded, run_on, swim
from tests.twins import copy_as_after_a_kill
from tests.world import POOL, make_board

pytestmark = pytest.mark.anyio

DAILY = make_board(1, "daily", run_unit="day", run_interval=1)
POOLS = make_board(2, "pools", breakdown=(POOL,), run_unit="day", run_interval=1, late_events="revise")
TRACES = [b"quux", b"Xanthippe", b"Timbuktu", b"butterfly", b"once-only"]
PERSON: dict[str, Any] = {"name": "Xanthippe", "email": "x@quux.example", "device_tokens": ("token-quux",)}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def small_steps() -> Iterator[None]:
    """One line at a time."""
    with patch.object(compaction, "_LINES_WRITTEN_AT_ONCE", 1), patch.object(compaction, "_LINES_READ_AT_ONCE", 7):
        yield


async def opened(folder: Path, clock: Clock) -> EmbeddedLedger:
    return await open_embedded(folder, clock, [DAILY, POOLS], BUSY)


async def live(ledger: EmbeddedLedger, clock: Clock) -> None:
    """Two days of a person among others, and their erasure on the second."""
    for day in (4, 5):
        clock.set(f"2026-03-0{day}T13:00:00Z")
        await ledger.advance(clock())
        for number in range(6):
            attributes = {"pool": "east"}
            await ledger.record([swim(f"other-{number}", number, attributes=attributes, name=f"Other {number}")])
            clock.now += MICROS
        changes = PERSON | {"attributes": {"pool": "east", "city": f"Timbuktu {day}"}}
        entry = swim("quux", 3, key=f"once-only {day}", **changes)
        await ledger.record([replace(entry, attributes={"stroke": "butterfly"})])
    await ledger.record([Entry(DEFAULT_SCOPE, "quux", erase=True, must_exist=True)])


async def compact(ledger: EmbeddedLedger) -> None:
    await ledger.compact([erasure.number for erasure in await ledger.unfinished_erasures()])


async def shown(ledger: EmbeddedLedger) -> list[Any]:
    return [
        await ledger.page(board.number, run_on(board, day), [group], 0, 100)
        for board, group in ((DAILY, ()), (POOLS, ("east",)))
        for day in ("2026-03-04", "2026-03-05")
    ]


def traces_in(folder: Path) -> dict[str, list[bytes]]:
    found = {path.name: [one for one in TRACES if one in path.read_bytes()] for path in folder.iterdir()}
    return {name: traces for name, traces in found.items() if traces}


async def test_no_file_holds_anything_of_an_erased_user(folder: Path, clock: Clock) -> None:
    """While the ledger goes on, and after it was closed; a new user with the id is of course there."""
    ledger = await opened(folder / "data", clock)
    await live(ledger, clock)
    before = await shown(ledger)
    assert [row.user_id for row in before[0]].count("erased-7") == 1
    [erasure] = await ledger.unfinished_erasures()
    assert (erasure.number, erasure.user_id) == (7, "quux")
    assert len(traces_in(folder / "data")) >= 2
    await compact(ledger)
    assert traces_in(folder / "data") == {}
    assert await shown(ledger) == before
    assert await ledger.unfinished_erasures() == []
    await ledger.close()
    assert traces_in(folder / "data") == {}


async def test_a_projection_that_is_made_again_holds_nothing_either(folder: Path, clock: Clock) -> None:
    """Nor do boards that are made again from the log show anything else."""
    ledger = await opened(folder / "data", clock)
    await live(ledger, clock)
    await compact(ledger)
    before = await shown(ledger)
    await ledger.close()
    for name in ("projection.sqlite3", "standings.checkpoint"):
        (folder / "data" / name).unlink()
    ledger = await opened(folder / "data", clock)
    assert await shown(ledger) == before
    assert [erasure.user_id for erasure in await ledger.unfinished_erasures()] == [None]
    await compact(ledger)
    assert await ledger.unfinished_erasures() == []
    assert (await ledger.record([swim("quux", 1)]))[0].user.number == 8
    await ledger.close()


class Died(Exception):
    """The process was killed."""


@pytest.mark.parametrize("step", ["first line", "fifth line", "finish", "projection"])
async def test_a_compaction_that_dies_in_its_middle_is_taken_up_again(folder: Path, clock: Clock, step: str) -> None:
    """What every file is at that moment is enough to go on, and nothing that was told is lost."""
    ledger = await opened(folder / "data", clock)
    await live(ledger, clock)
    before = await shown(ledger)
    writes = 0
    write, finish = Rewriter.write, Rewriter.finish

    def dying_write(self: Rewriter, lines: Any) -> None:
        nonlocal writes
        writes += 1
        write(self, lines)
        if writes == {"first line": 1, "fifth line": 5}.get(step):
            raise Died

    def dying_finish(self: Rewriter) -> None:
        finish(self)
        if step == "finish":
            raise Died

    projection: Any = ledger._projection
    with (
        patch.object(Rewriter, "write", dying_write),
        patch.object(Rewriter, "finish", dying_finish),
        patch.object(projection, "compact", side_effect=Died),
        pytest.raises(Died),
    ):
        await compact(ledger)
    copy_as_after_a_kill(folder / "data", folder / "copy")
    await ledger.close()

    again = await opened(folder / "copy", clock)
    assert await shown(again) == before
    [erasure] = await again.unfinished_erasures()
    assert erasure.user_id == "quux"
    await compact(again)
    assert await shown(again) == before
    await again.close()
    assert traces_in(folder / "copy") == {}


async def test_without_a_new_checkpoint_nothing_is_rewritten(folder: Path, clock: Clock) -> None:
    """A restart would replay lines that have lost what it needs."""
    ledger = await opened(folder / "data", clock)
    await live(ledger, clock)
    lines = await ledger.records(0, 1000)
    with patch.object(checkpoint, "save", side_effect=OSError("no space left on device")), pytest.raises(OSError):
        await compact(ledger)
    ledger._upkeep.give_up_checkpoint()
    ledger._upkeep._trusted = False
    with pytest.raises(Unavailable, match="without a new checkpoint"):
        await compact(ledger)
    assert await ledger.records(0, 1000) == lines
    await ledger.close()


async def test_events_go_on_between_the_portions(folder: Path, clock: Clock) -> None:
    """Each is answered before the compaction has come to its end."""
    ledger = await opened(folder / "data", clock)
    await live(ledger, clock)
    written: list[int] = []
    write = Rewriter.write

    def told_write(self: Rewriter, lines: Any) -> None:
        write(self, lines)
        written.append(len(lines))

    with patch.object(Rewriter, "write", told_write):
        compacting = asyncio.ensure_future(compact(ledger))
        answered_before: set[int] = set()
        while not compacting.done():
            await ledger.record([swim("other-1", 1)])
            answered_before.add(len(written))
        await compacting
    assert len(written) > 3
    assert len(answered_before) > 3
    assert traces_in(folder / "data") == {}
    await ledger.close()
