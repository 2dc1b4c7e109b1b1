"""The adapters that this suite runs over. A new one is finished when it is in the table and everything passes."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from palmares.domain.board import Board
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.contract import Ledger
from palmares.ledger.embedded.ledger import Limits
from tests.faults import write_wal_only
from tests.ledger_world import BUSY, CALM, Clock, Home, LedgerWorld, memory_folder, open_embedded
from tests.slow_ledger import SlowLedger
from tests.twins import copy_as_after_a_kill


class SlowHome:
    """The oracle's. It has no disk: what is opened again is the same object, told anew which boards to follow."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        numbers = iter(range(1, 10**9))
        self._ledger = SlowLedger(clock, lambda: str(UUID(int=next(numbers))))

    async def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Ledger:
        await self._ledger.restart(boards, streaks)
        return self._ledger

    def kill(self) -> None:
        """It remembers all the same."""


class EmbeddedHome:
    """A data folder for each life that a kill has ended, and one for the present."""

    def __init__(self, limits: Limits, folder: Path, clock: Clock) -> None:
        self._limits = limits
        self._folder = folder
        self._clock = clock
        self._life = 0

    @property
    def data(self) -> Path:
        return self._folder / str(self._life)

    async def open(self, boards: Sequence[Board], streaks: Mapping[int, StreakSettings]) -> Ledger:
        ledger = await open_embedded(self.data, self._clock, boards, self._limits, streaks)
        write_wal_only(ledger)
        return ledger

    def kill(self) -> None:
        before, self._life = self.data, self._life + 1
        copy_as_after_a_kill(before, self.data)


# Embedded: everything since the start is in memory. Busy: users leave the cache, and projection and checkpoint are
# written, all the time.
ADAPTERS: dict[str, Callable[[Path, Clock], Home]] = {
    "slow": SlowHome,
    "embedded": partial(EmbeddedHome, CALM),
    "embedded, busy": partial(EmbeddedHome, BUSY),
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
