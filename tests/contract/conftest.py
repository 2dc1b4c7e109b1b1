"""The adapters that this suite runs over. A new one is finished when it is in the table and everything passes."""

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from uuid import UUID

import pytest

from palmares.domain.board import Board
from palmares.ledger.contract import Ledger
from tests.ledger_world import BUSY, CALM, Clock, LedgerWorld, Opener, memory_folder, open_embedded
from tests.slow_ledger import SlowLedger


def slow(folder: Path, clock: Clock) -> Opener:
    """The oracle. It has no disk: what is opened again is the same object, told anew which boards to follow."""
    numbers = iter(range(1, 10**9))
    ledger = SlowLedger(clock, lambda: str(UUID(int=next(numbers))))

    async def open_ledger(boards: Sequence[Board]) -> Ledger:
        for board in boards:
            await ledger.follow(board)
        return ledger

    return open_ledger


def embedded(folder: Path, clock: Clock) -> Opener:
    """Everything since the start is in memory."""
    return lambda boards: open_embedded(folder, clock, boards, CALM)


def embedded_busy(folder: Path, clock: Clock) -> Opener:
    """Users leave the cache, and projection and checkpoint are written, all the time."""
    return lambda boards: open_embedded(folder, clock, boards, BUSY)


ADAPTERS: dict[str, Callable[[Path, Clock], Opener]] = {
    "slow": slow,
    "embedded": embedded,
    "embedded, busy": embedded_busy,
}


@pytest.fixture(params=list(ADAPTERS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[LedgerWorld]:
    """An empty ledger of each kind in turn."""
    clock = Clock()
    with memory_folder() as folder:
        made = LedgerWorld(ADAPTERS[request.param](folder, clock), clock)
        await made.open()
        yield made
        await made.ledger.close()
