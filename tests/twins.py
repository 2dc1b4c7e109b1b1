"""Two ledgers that live the same life: the embedded one, and the one that is obviously right.

Everything is done to both and has to be told alike. The embedded one is also closed, crashed and robbed of its files;
of all that its twin knows nothing.
"""

import asyncio
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.domain.errors import PalmaresError
from palmares.domain.local_time import day_of
from palmares.domain.metric import Metric
from palmares.domain.points import Scheme
from palmares.domain.streak_settings import StreakSettings, changed
from palmares.ledger.contract import Entry, Ledger, Outcome, void
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from tests.faults import write_wal_only
from tests.ledger_world import BUSY, Clock, everything, open_embedded, told
from tests.slow_ledger import SlowLedger

Told = tuple[Any, ...]


class Twins:
    """Both ledgers on one clock. `folder` holds one data folder for each life that a crash has ended."""

    def __init__(self, folder: Path, clock: Clock, limits: Limits = BUSY) -> None:
        numbers = count(1)
        self.clock = clock
        self.slow = SlowLedger(clock, lambda: str(UUID(int=next(numbers))))
        self.boards: dict[int, Board] = {}
        self.streaks: dict[int, StreakSettings] = {}
        self.embedded: EmbeddedLedger
        self._folder = folder
        self._limits = limits
        self._life = 0

    @property
    def data(self) -> Path:
        """The data folder of the present life."""
        return self._folder / str(self._life)

    async def open(self) -> None:
        boards = list(self.boards.values())
        self.embedded = await open_embedded(self.data, self.clock, boards, self._limits, self.streaks)
        write_wal_only(self.embedded)

    async def close(self) -> None:
        await self.embedded.close()

    async def restart(self, *, without: Collection[str] = ()) -> None:
        """Stop and start, the files that begin so being lost meanwhile."""
        await self.embedded.close()
        self._lose(without)
        await self.open()

    async def crash(self, *, without: Collection[str] = ()) -> None:
        """Go on with the files as they are at this moment, as after `kill -9`."""
        before, self._life = self.data, self._life + 1
        copy_as_after_a_kill(before, self.data)
        await self.embedded.close()
        self._lose(without)
        await self.open()

    async def follow(self, board: Board) -> None:
        self.boards[board.number] = board
        for ledger in self._both():
            await ledger.follow(board)

    async def set_streaks(self, scope: int, given: Mapping[str, Any]) -> None:
        """Change what counts for streaks."""
        self.streaks[scope] = changed(self.streaks.get(scope, StreakSettings()), given)
        for ledger in self._both():
            await ledger.set_streaks(scope, self.streaks[scope])

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        """Pay points by these schemes from now on."""
        for ledger in self._both():
            await ledger.set_points(scope, schemes)

    async def freeze(self, number: int) -> None:
        """Stop counting on a board, the position kept in its definition."""
        await self.advance()
        first, second = [await ledger.freeze(number) for ledger in self._both()]
        assert first == second
        self.boards[number] = replace(self.boards[number], finished_position=first)
        for ledger in self._both():
            ledger.redefine(self.boards[number])

    async def finish(self, number: int) -> None:
        """Finish a board by hand as the service does: its end is today, and then it is frozen."""
        board, today = self.boards[number], day_of(self.clock())
        latest = max(today, board.start)
        end = latest if board.end is None else min(board.end, latest)
        await self.follow(replace(board, asked_status="finished", end=end))
        await self.freeze(number)

    def forget(self, number: int) -> None:
        for ledger in self._both():
            ledger.forget(number)
        del self.boards[number]

    async def record(self, requests: Sequence[Sequence[Entry]]) -> None:
        """Requests that arrive together, in that order; both tell each the same."""
        answers = await asyncio.gather(*(_answer(self.embedded, request) for request in requests))
        for request, answer in zip(requests, answers, strict=True):
            assert answer == await _answer(self.slow, request), request

    async def entry_of_void(self, pick: int) -> Entry:
        """A void of one of the events, void or not; where there are none, of something that is no event."""
        events = [line.position for line in await self.slow.records(0, 1_000_000) if line.kind == "event"]
        # Of the newest events more often: they are the ones that matter still.
        return void(DEFAULT_SCOPE, events[-1 - pick % len(events)] if events else pick)

    async def advance(self) -> None:
        """Do what is due."""
        for ledger in self._both():
            await ledger.advance(self.clock())

    async def compare(self, users: Collection[str], metrics: Iterable[Metric]) -> None:
        """Everything that can be read is the same, once all that is due is done."""
        await self.advance()
        for ledger in self._both():
            await ledger.settle()
        metrics = list(metrics)
        boards = list(self.boards.values())
        found, expected = [await everything(ledger, boards, users, metrics) for ledger in self._both()]
        assert found == expected

    def _both(self) -> tuple[Ledger, Ledger]:
        return self.embedded, self.slow

    def _lose(self, names: Collection[str]) -> None:
        for path in list(self.data.iterdir()):
            if path.name.startswith(tuple(names)):
                with suppress(FileNotFoundError):
                    path.unlink()


def copy_as_after_a_kill(source: Path, target: Path) -> None:
    """What is on the disk now. The log comes first, so everything else may be ahead of it by a moment."""
    target.mkdir()
    for path in sorted(source.iterdir(), key=lambda path: (not path.name.startswith("log"), path.name)):
        if path.name != "lock" and not path.name.endswith("-shm"):
            with suppress(FileNotFoundError):
                shutil.copyfile(path, target / path.name)


async def _answer(ledger: Ledger, request: Sequence[Entry]) -> list[Told] | type[PalmaresError]:
    try:
        outcomes: list[Outcome] = await ledger.record(request)
    except PalmaresError as error:
        return type(error)
    return [told(outcome) for outcome in outcomes]
