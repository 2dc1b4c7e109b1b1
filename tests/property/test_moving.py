"""Any life of a data folder is taken over by several shards, and goes on there like the ledger that is right.

It is the life of `test_ledger.py` with boards of `test_streaks.py` and erasures, and behind the move that of
`test_valkey.py`.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from palmares.archive.sql import SqlArchive
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.domain.board import Board
from palmares.ledger.contract import Entry, Ledger, Record, StoredEvent, WantedEvents
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.ledger.embedded.transfer import FolderLog
from palmares.ledger.valkey import explorer
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.numbering import Numbering
from palmares.ledger.valkey.transfer import inherited_by
from palmares.log_archive.sql import SqlLogArchive
from palmares.merging import put_together
from palmares.moving import inherited_of, keep_log
from palmares.service.archive_log import LogArchiver
from palmares.service.rebuild import rebuild
from palmares.service.verify import Verification, _plain
from tests.effort import tries
from tests.ledger_world import BUSY, Clock, everything, memory_folder, open_embedded
from tests.property import test_ledger, test_valkey
from tests.property.test_ledger import METRICS, USERS
from tests.twins import Twins
from tests.valkey_servers import Address, fresh_name
from tests.world import HOURS, LAPS

pytestmark = pytest.mark.anyio


def erase(user_id: str) -> test_ledger.Action:
    async def act(twins: Twins) -> None:
        await twins.record([[Entry(DEFAULT_SCOPE, user_id, erase=True, must_exist=True)]])

    return act


before = st.one_of(
    test_ledger.crowds, test_ledger.crowds, test_ledger.crowds, test_ledger.waits, test_ledger.waits, test_ledger.pays,
    test_ledger.follows, test_ledger.ends, test_ledger.hides, st.builds(erase, st.sampled_from(USERS)),
)  # fmt: skip


class Killed(Exception):
    """The process ends here."""


def kill_after(left: Iterator[int], _: int) -> None:
    if not next(left):
        raise Killed


class Moved(test_valkey.Pair):
    """What has become of twins: the embedded one is on Valkey."""

    def __init__(self, addresses: Sequence[Address], shards: int, twins: Twins, kept: SqlLogArchive) -> None:
        super().__init__(addresses, shards)
        self.clock, self.slow, self.boards, self._streaks = twins.clock, twins.slow, twins.boards, twins.streaks
        self._data, self._kept = twins.data, kept

    async def open(self) -> None:
        self.workers = [await self._open(list(self.boards.values())) for _ in range(2)]

    async def _open(self, boards: Sequence[Board], at: int | None = None, **given: object) -> ValkeyLedger:
        url = f"sqlite:///{self._data / 'archive.sqlite3'}"
        return await ValkeyLedger.open(
            self._addresses, boards, self.clock if at is None else lambda: at, f"worker-{next(self._lives)}",
            self._streaks, name=self._name, shards=self._shards, kept_log=self._kept,
            open_archive=lambda: SqlArchive.open(url, shared=True), **given,
        )  # fmt: skip

    async def erase(self, worker: int, user_id: str, compacted: bool) -> None:
        """The same, once it is kept."""
        await super().erase(worker, user_id, False)
        if compacted:
            await self.let_go(None)
            await self.workers[worker].compact(
                [erasure.number for erasure in await self.workers[worker].unfinished_erasures()]
            )

    async def let_go(self, lines_left: int | None) -> None:
        """Keep the log, and leave in Valkey so many lines of each shard."""
        await LogArchiver(self.workers[0].stream, self._kept, lines_left).drain()

    async def move(self) -> None:
        """As the command does it."""
        log = FolderLog(self._data)
        try:
            await keep_log(log, self._kept, Numbering(self._shards, inherited_of(log, self._shards)))
        finally:
            log.close()
        await self.rebuild(archived=True)

    async def rebuild(self, archived: bool = False, pieces: int = 1_000_000) -> None:
        """Fill an empty Valkey by the log that is kept, or go on with that; it is killed after so many pieces. The
        archive has what the folder had, or the ledger."""
        first = [line.recorded_at for shard in range(self._shards) for line in await self._kept.lines(shard, 0, 1)]
        inherited = inherited_by(await self._kept.arrival())
        ledger = await self._open([], min(first, default=self.clock()), inherited=inherited)
        boards, left = list(self.boards.values()), count(pieces, -1)
        try:
            await ledger.begin_anew(boards, self.clock())
            await rebuild(ledger.replay(), ledger.stream, self._kept, lambda lines: kill_after(left, lines))
            await ledger.finish_anew(boards, archived)
        finally:
            await ledger.close()

    async def begin_again(self) -> None:
        """Valkey loses everything behind the last line, and who was erased was forgotten before."""
        await self.let_go(None)
        worker = self.workers[0]
        await worker.compact([erasure.number for erasure in await worker.unfinished_erasures()])
        lines, events = await worker.records(0, 1_000_000), await all_events(worker)
        await self.close()
        self._name = fresh_name()
        with suppress(Killed):
            await self.rebuild(pieces=3)
        await self.rebuild()
        await self.open()
        assert await self.workers[0].records(0, 1_000_000) == lines
        assert await all_events(self.workers[0]) == events

    async def put_together(self, folder: Path) -> EmbeddedLedger:
        """What a folder is that takes it over, as the command does it."""
        await self.let_go(None)
        finished = [board for board in self.boards.values() if board.finished_position is not None]
        cuts = [await self.workers[0].cut(board.number, board.finished_position or 0) for board in finished]
        log = FolderLog(folder)
        try:
            places = await put_together(self._kept, self.workers[0].numbering, log, cuts, lambda done, total: None)
        finally:
            log.close()
        shutil.copy(self._data / "archive.sqlite3", folder)
        there = [replace(board, finished_position=place) for board, place in zip(finished, places, strict=True)]
        boards = self.boards | {board.number: board for board in there}
        return await open_embedded(folder, self.clock, list(boards.values()), BUSY, self._streaks)


def let_go(lines_left: int) -> test_valkey.Action:
    async def act(pair: test_valkey.Pair) -> None:
        assert isinstance(pair, Moved)
        await pair.let_go(lines_left)

    return act


async def all_events(ledger: Ledger) -> list[StoredEvent]:
    """Page by page, and each by its id."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explorer, "LINES_AT_ONCE", 2)
        page = await ledger.events(WantedEvents(DEFAULT_SCOPE, 4))
        found = list(page.events)
        while page.before is not None:
            page = await ledger.events(WantedEvents(DEFAULT_SCOPE, 4, page.before))
            found += page.events
    assert await ledger.events_with(DEFAULT_SCOPE, [event.id for event in found]) == found
    return found


async def put_together_again(moved: Moved, folder: Path) -> None:
    worker, made = moved.workers[0], list(moved.boards.values())
    ledger = await moved.put_together(folder)
    try:
        await ledger.advance(moved.clock())
        await ledger.settle()
        told = Verification(worker, ledger, same_places=not ledger.is_put_together)
        assert [found async for found in told.differences(made, [LAPS, HOURS])] == []
        expected = await everything(worker, made, USERS, METRICS)
        assert await everything(ledger, made, USERS, METRICS) == expected
    finally:
        await ledger.close()


async def lived(
    folder: Path, made: list[Board], life: list[test_ledger.Action]
) -> tuple[Twins, list[StoredEvent], list[Record]]:
    """Twins of which the embedded one has stopped, and forgotten who was erased; its events and lines."""
    twins = Twins(folder, Clock())
    await twins.open()
    try:
        for board in made:
            await twins.follow(board)
        for action in life:
            await action(twins)
        await twins.compare(USERS, METRICS)
        await twins.embedded.compact([erasure.number for erasure in await twins.embedded.unfinished_erasures()])
        events = await all_events(twins.embedded)
        lines = [*map(_plain, await twins.embedded.records(0, 1_000_000))]
    finally:
        await twins.close()
    return twins, events, lines


@pytest.mark.parametrize("shards", [1, 4])
@given(
    made=test_valkey.lives["made"],
    life=st.lists(before, min_size=5, max_size=15),
    later=st.lists(st.one_of(test_valkey.actions, st.builds(let_go, st.integers(0, 9))), min_size=2, max_size=8),
)
@settings(max_examples=tries(4), phases=[Phase.generate])
async def test_any_life_is_taken_over_and_goes_on(
    valkey: list[Address],
    shards: int,
    made: list[Board],
    life: list[test_ledger.Action],
    later: list[test_valkey.Action],
) -> None:
    """Every line and number; and what comes behind is told as if nothing had been moved."""
    with memory_folder() as folder:
        twins, events, lines = await lived(folder, made, life)
        kept = await SqlLogArchive.open(f"sqlite:///{folder / 'kept.sqlite3'}")
        moved = Moved(valkey, shards, twins, kept)
        try:
            await moved.move()
            await moved.open()
            boards = list(twins.boards.values())
            expected = await everything(twins.slow, boards, USERS, METRICS)
            assert await everything(moved.workers[0], boards, USERS, METRICS) == expected
            assert await all_events(moved.workers[0]) == events
            assert [*map(_plain, await moved.workers[0].records(0, 1_000_000))] == lines
            for action in later:
                await action(moved)
            await moved.compare()
            await moved.begin_again()
            await moved.compare()
            await put_together_again(moved, folder / "again")
        finally:
            await moved.close()
            await kept.close()
