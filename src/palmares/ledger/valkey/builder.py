"""Makes what is over of boards that are followed late, and makes anew what late events and history change of it.

A build reads the logs while days and runs go on to end, for as long as it takes. For the rest, which is short, it holds
the lease: what has ended meanwhile is kept, the build lives on until then, and its edition takes its place. So there is
no boundary that both have left to the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from typing import NamedTuple

import structlog

from palmares.domain.board import Board
from palmares.domain.effect import is_live
from palmares.domain.errors import Invalid, NotFound, PalmaresError
from palmares.domain.group import Group
from palmares.domain.local_time import day_of
from palmares.domain.run import Run
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.contract import Ranks
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.build import Build
from palmares.ledger.valkey.draft import Step
from palmares.ledger.valkey.finish import Finisher
from palmares.ledger.valkey.keeper import Keeper
from palmares.ledger.valkey.keys import run_field, run_of
from palmares.ledger.valkey.moment import ranks_of
from palmares.ledger.valkey.past import Past
from palmares.ledger.valkey.shards import Shards, by_present_boards
from palmares.ledger.valkey.streak_build import StreakBuild, StreakPast, past_of
from palmares.ledger.valkey.stream import Stream

logger = structlog.get_logger(__name__)
# Late events tend to come in crowds.
_SECONDS_FOR_A_CROWD = 0.25


class Due(NamedTuple):
    """What is to be revised of a board, which may have stopped: by place of the shard and field, what was told."""

    board: Board
    stopped: int | None
    told: dict[tuple[int, bytes], bytes]

    @property
    def runs(self) -> list[Run]:
        """The runs concerned."""
        starts = sorted({run_of(field)[1] for _, field in self.told})
        return [run for start in starts if (run := self.board.schedule.run_at(start)) is not None]


class Made(NamedTuple):
    """A build and its edition, which nobody reads yet. `finished_at` is when the board was finished by hand, if so."""

    board: Board
    past: Past
    build: Build
    edition: int
    finished_at: int | None

    async def reach(self, boundary: int) -> None:
        """Live on until a boundary, unless it is the end already."""
        if self.finished_at is None:
            await self.build.reach(boundary)


class Builder:
    """Builds on behalf of one worker."""

    def __init__(
        self,
        shards: Shards,
        keeper: Keeper,
        finisher: Finisher,
        stream: Stream,
        archive: Archive,
        streaks: Mapping[int, StreakSettings],
    ) -> None:
        self._shards = shards
        self._streaks = streaks
        self._stream = stream
        self._finisher = finisher
        self._keeper = keeper
        self._archive = archive
        self._turn = asyncio.Lock()
        self._noted: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    # Boards that are followed

    async def make(
        self,
        board: Board,
        streaks: StreakSettings | None,
        upto: Mapping[int, int],
        on_progress: Callable[[int], None] = lambda lines: None,
    ) -> Made:
        """What is over of a board until now; where it ranks by streak, by these settings. `upto` are the positions
        behind which the board was begun."""
        return await self._make(board, streaks, upto, board.finished_position, None, on_progress)

    async def install(
        self, made: Made, generations: Mapping[int, int], mark_ready: Callable[[], Awaitable[None]]
    ) -> None:
        """Let what was made take its place, together with rankings that go on, which `mark_ready` lets be read."""
        board = made.board
        async with self._keeper.leading() as (token, kept):
            await made.reach(kept)
            await self._keeper.check(token)
            await self._keeper.in_thread(self._archive.install, board.number, made.edition)
            await self._keeper.replace_begun(board, made.build.begun)
            await self._count_ignored(made.past, generations)
            await mark_ready()

    async def discard(self, made: Made) -> None:
        """Forget what was made, unless it was installed."""
        await self._keeper.in_thread(self._archive.discard, made.edition)

    async def _count_ignored(self, past: Past, generations: Mapping[int, int]) -> None:
        for (place, run_start), count in past.ignored.items():
            field = run_field(generations[place], run_start)
            keys = self._shards.all[place].keys
            await self._shards.store.read([[b"HINCRBY", keys.ignored, field, b"%d" % count]])

    async def _make(
        self,
        board: Board,
        streaks: StreakSettings | None,
        upto: Mapping[int, int],
        stopped: int | None,
        runs: Collection[Run] | None,
        on_progress: Callable[[int], None] = lambda lines: None,
    ) -> Made:
        # So that as much as can be is built while nobody has to wait for it.
        await self._keeper.reach(self._shards.now)
        starts = None if runs is None else {run.start for run in runs}
        cut = None if stopped is None else await self._finisher.cut(board.number, stopped)
        past = past_of(
            self._shards, self._stream, board, streaks, upto if cut is None else cut.upto, starts, beyond=cut is None
        )
        edition = await self._keeper.in_thread(self._archive.begin_edition, board.number)
        build = self._build(board, past, edition, runs)
        made = Made(board, past, build, edition, None if cut is None else cut.at)
        try:
            await past.survey()
            if made.finished_at is None:
                await build.reach(self._shards.kept, lambda: on_progress(past.read))
            else:
                await build.finish(made.finished_at)
        except BaseException:
            await self.discard(made)
            raise
        return made

    def _present_settings(self, board: Board) -> StreakSettings | None:
        """By which settings a board ranks by streak that is made now; None for other boards."""
        return self._streaks.get(board.scope, StreakSettings()) if board.rank_by == "streak" else None

    def _build(self, board: Board, past: Past, edition: int, runs: Collection[Run] | None) -> Build:
        if isinstance(past, StreakPast):
            return StreakBuild(board, past, self._archive, edition, self._keeper.in_thread, runs)
        return Build(board, past, self._archive, edition, self._keeper.in_thread, runs)

    async def positions(self) -> dict[int, int]:
        """How far the log of each shard is, by its place."""
        found = await asyncio.gather(
            *(self._shards.store.read([[b"HGET", shard.keys.head, b"position"]]) for shard in self._shards.all)
        )
        return {shard.place: int(position or 0) for shard, [position] in zip(self._shards.all, found, strict=True)}

    # Rankings as of an earlier moment

    async def ranks_as_of(self, board: Board, position: int, instant: int) -> list[tuple[Run, Group, Ranks]]:
        """See `Ledger.ranks_as_of`."""
        upto = await self.ends_at(position, instant)
        past = past_of(self._shards, self._stream, board, self._present_settings(board), upto, beyond=False)
        edition = await self._keeper.in_thread(self._archive.begin_edition, board.number)
        try:
            await past.survey()
            build = self._build(board, past, edition, None)
            rankings = await build.rankings_at(instant)
        finally:
            await self._keeper.in_thread(self._archive.discard, edition)
        return [
            (run, group, ranks)
            for run, ranked in rankings
            for group, ranks in ranks_of(ranked)
            if is_live(run, instant)
        ]

    async def ends_at(self, position: int, instant: int) -> dict[int, int]:
        """The last line of each shard when the ledger was at a position, at an instant.

        Of several shards, that is known by the instant. Where only some were there of the lines of that very instant,
        it is not known which, and none of them is in: who was told of one was told at that instant, and is noted.
        """
        if len(self._shards) == 1 or position <= self._shards.numbering.inherited.lines:
            # The place of a line, in a data folder, too.
            return self._shards.places_upto(position)
        behind = await self._ends_before(instant + 1)
        return behind if sum(behind.values()) == position else await self._ends_before(instant)

    async def _ends_before(self, instant: int) -> dict[int, int]:
        places = range(len(self._shards))
        return dict(enumerate(await asyncio.gather(*(self._stream.end_before(place, instant) for place in places))))

    # What late events and history change

    def note(self, step: Step) -> None:
        """This worker has recorded something that changes what is over."""
        if step.revising:
            generations = {run_of(field)[0] for field in step.revising}
            boards = self._shards.all[step.shard].boards
            self._noted.update(making.board.number for making in boards if making.generation in generations)
            self._begin()

    def is_at(self, board_number: int) -> bool:
        """Whether a board has something that is to be revised, as far as this worker knows."""
        return board_number in self._noted

    async def look(self) -> None:
        """Begin with what others, or this worker in another life, have left to be revised."""
        self._noted.update(due.board.number for due in await self._due())
        if self._noted:
            self._begin()

    async def settle(self) -> None:
        """Return when nothing is left to be revised. What fails for one board does not keep the others waiting, and is
        raised in the end; it stays noted."""
        failed: dict[int, Exception] = {}
        async with self._turn:
            while found := [due for due in await self._due() if due.board.number not in failed]:
                for due in found:
                    try:
                        await self._revise(due)
                    except Exception as error:
                        failed[due.board.number] = error
            self._noted.intersection_update(failed)
        for first in failed.values():
            raise first

    async def close(self) -> None:
        """Stop; what is not revised stays noted in the shards."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._settle_later(), name="palmares-revise")

    async def _settle_later(self) -> None:
        await asyncio.sleep(_SECONDS_FOR_A_CROWD)
        try:
            await self.settle()
        except PalmaresError as error:
            logger.error("late events wait", reason=error.message)
        except Exception:
            logger.exception("late events wait")

    @by_present_boards
    async def _due(self) -> list[Due]:
        found: dict[int, Due] = {}
        for shard in self._shards.all:
            [told] = await self._shards.ask(shard.place, [[b"HGETALL", shard.keys.revising]])
            for field, position in told.items():
                making = shard.boards.get(run_of(field)[0])
                # Of a board that is in the making everything is made, and notes of one that was let go lie there.
                if making is not None and shard.boards.is_current(making):
                    due = found.setdefault(making.board.number, Due(making.board, making.stopped, {}))
                    due.told[shard.place, field] = position
        return list(found.values())

    async def _revise(self, due: Due) -> None:
        try:
            await self._build_anew(due)
        except Invalid as error:
            # Nobody could refuse the late event for a sum that nobody had; the run stays as it is.
            logger.error("a final run cannot take its late events", leaderboard=due.board.key, reason=error.message)
        await self._forget(due)

    async def _build_anew(self, due: Due) -> None:
        streaks = self._present_settings(due.board)
        made = await self._make(due.board, streaks, await self.positions(), due.stopped, due.runs)
        try:
            async with self._keeper.leading() as (token, kept):
                await made.reach(kept)
                await self._keeper.check(token)
                complete = _complete(made, due.runs, kept)
                await self._keeper.in_thread(self._archive.install, due.board.number, made.edition, complete, complete)
                await self._keeper.replace_begun(due.board, made.build.begun, complete)
        finally:
            with suppress(NotFound):
                await self.discard(made)

    async def _forget(self, due: Due) -> None:
        by_shard: dict[int, list[bytes]] = {}
        for (place, field), told in due.told.items():
            by_shard.setdefault(place, []).extend((field, told))
        for place, arguments in by_shard.items():
            await self._shards.store.script("revised", [self._shards.all[place].keys.revising], arguments)


def _complete(made: Made, runs: Collection[Run], kept: int) -> dict[int, int]:
    """The day of each run before which all of its days are made."""
    if made.finished_at is not None:
        return {run.start: day_of(made.finished_at) + 1 for run in runs}
    return {run.start: day_of(kept) + (not is_live(run, kept)) for run in runs}
