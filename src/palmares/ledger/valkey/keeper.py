"""What ends: days are kept, and runs that are final go into the archive and out of Valkey.

A boundary, a midnight or noon in UTC, passes in each shard: from then on nothing is recorded there before it. Whoever
records first behind it lets it pass in the shard concerned, and goes on recording; what ended is kept later, by one
worker for all, who has the lease. Passing makes sure that nothing of what ended is lost meanwhile: runs that are final
change no more, and for days there are notes (`moment.py`).

What is kept of one boundary is durable before anything of it is let go, and all of it before the next. Whoever goes on
after a crash finds in the archive whether a run was written, so orders of which a part was let go are not read again.
A day that is kept twice is kept with the same places; but a ledger that is rebuilt lives through days that were kept
long ago, and keeps none again that the archive has: who was erased since has no attributes any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import structlog

from palmares.domain.board import Board
from palmares.domain.effect import BOUNDARY_STEP, ends_day, final_at, last_boundary
from palmares.domain.errors import NotFound
from palmares.domain.local_time import day_of
from palmares.domain.run import Run
from palmares.domain.snapshot import DAYS_KEPT
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.keys import LedgerKeys, begun_member, run_group_of, run_of
from palmares.ledger.valkey.lease import Lease, LeaseLost
from palmares.ledger.valkey.moment import Passed, Ranked, columns, end_of_day, passed, ranked_at
from palmares.ledger.valkey.notes import Notes
from palmares.ledger.valkey.shards import Shards, by_present_boards

logger = structlog.get_logger(__name__)
T = TypeVar("T")


class _Known(NamedTuple):
    """What was seen of all boards behind a boundary, and the runs, by board and first day, of which days are kept."""

    seen: Passed
    begun: set[tuple[int, int]]


@contextmanager
def _unless_unwanted(board: Board) -> Iterator[None]:
    try:
        yield
    except NotFound:
        logger.info("what was kept is not wanted any more", leaderboard=board.key)


class Keeper:
    """Keeps what ends of one ledger, for all of its workers. Make it with `open`."""

    def __init__(self, shards: Shards, keys: LedgerKeys, archive: Archive, lease: Lease) -> None:
        self._shards = shards
        self._keys = keys
        self._archive = archive
        self._lease = lease
        self._notes = Notes(shards.store)
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "palmares-keeper")
        # While a ledger is rebuilt, the present: days that nobody can ask for then are not wanted.
        self.present: int | None = None

    @classmethod
    async def open(cls, shards: Shards, keys: LedgerKeys, archive: Archive, lease: Lease, now: int) -> Keeper:
        """Time begins when the ledger is made: before that, nothing ends. Where only the shards are left of a ledger,
        they know until when all is kept."""
        found = await asyncio.gather(*(shards.store.read([[b"HGET", one.keys.head, b"kept"]]) for one in shards.all))
        known = max((int(kept) for [kept] in found if kept), default=last_boundary(now))
        await shards.store.read([[b"SET", keys.kept, b"%d" % known, b"NX"]])
        keeper = cls(shards, keys, archive, lease)
        await keeper._look()
        return keeper

    def is_behind(self, now: int) -> bool:
        """Whether anything may have ended until an instant that is not kept yet."""
        return self._shards.kept < last_boundary(now)

    async def reach(self, now: int, wait: bool = True) -> None:
        """Let all boundaries until an instant pass, and keep what ended; return when that is durable.

        While another worker is at it, it is waited for; or without `wait`, left to the other.
        Raises `Unavailable` when the archive cannot be written; nothing is lost then, and the next call goes on.
        """
        target = last_boundary(now)
        async with self._turn:
            while self._shards.kept < target:
                token = await self._lease.take()
                if token is not None:
                    await self._hold(target, token)
                elif wait:
                    await self._lease.wait()
                await self._look()
                if token is None and not wait:
                    return

    @asynccontextmanager
    async def leading(self) -> AsyncIterator[tuple[int, int]]:
        """Hold the lease, wait for it if need be, with all kept that has ended: the token, and until which boundary.

        Nothing else is kept meanwhile, by whomever; recording goes on.
        """
        async with self._turn:
            while (token := await self._lease.take()) is None:
                await self._lease.wait()
            async with self._lease.held(token):
                target = await self._passed()
                await self._keep_until(target, token)
                yield token, self._shards.kept

    async def _passed(self) -> int:
        """The last boundary that has passed in any shard."""
        found = await asyncio.gather(
            *(self._shards.store.read([[b"HGET", shard.keys.head, b"passed"]]) for shard in self._shards.all)
        )
        return max(int(passed or 0) for [passed] in found)

    async def check(self, token: int) -> None:
        """Raises `Unavailable` when the lease has run out."""
        await self._lease.check(token)

    def close(self) -> None:
        """Let go of the thread; nothing is at work there any more."""
        self._thread.shutdown()

    async def in_thread(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do slow work beside the event loop, one thing after the other."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _look(self) -> None:
        [kept] = await self._shards.store.read([[b"GET", self._keys.kept]])
        self._shards.kept = int(kept)

    async def _hold(self, target: int, token: int) -> None:
        async with self._lease.held(token):
            try:
                await self._keep_until(target, token)
            except LeaseLost as error:
                logger.warning("what is due is left to another worker", reason=error.message)

    async def _keep_until(self, target: int, token: int) -> None:
        # What the worker before had not told yet is not to be done once more.
        await self._look()
        await self._clear_notes(token)
        await self._shards.let_pass_everywhere(target)
        self._notes = Notes(self._shards.store)
        while (due := self._shards.kept + BOUNDARY_STEP) <= target:
            if not await self._keep_boundary(due, target, token):
                # Nothing can end: one step over all the boundaries that are left.
                due = target
            await self._note_kept(due, token)
        self._notes = Notes(self._shards.store)

    @by_present_boards
    async def _keep_boundary(self, due: int, target: int, token: int) -> bool:
        """Keep what ended at a boundary; may be done again. False when nothing can end, now or later."""
        known = await self._known(due)
        boards = self._boards()
        for board in boards:
            with _unless_unwanted(board):
                if self._shards.all[0].boards.current(board.number).stopped is None:
                    await self._keep_board(board, known, target, token)
        fields = (some for by_generation in known.seen.fields.values() for some in by_generation.values())
        return bool(known.begun) or any(fields) or any(self._may_have_left(board) for board in boards)

    def _boards(self) -> list[Board]:
        """The boards whose rankings can be read in all shards."""
        first, *others = self._shards.all
        boards = [making.board for making in first.boards if first.boards.is_current(making)]
        return [
            board
            for board in boards
            if all(any(making.ready for making in shard.boards.of(board.number)) for shard in others)
        ]

    async def _keep_board(self, board: Board, known: _Known, target: int, token: int) -> None:
        due = known.seen.boundary
        for run in self._runs(board, known):
            if not ends_day(due):
                if final_at(run) <= due:
                    await self._close(board, run, known, token)
            elif final_at(run) > due:
                present = target if self.present is None else self.present
                is_wanted = day_of(due) > day_of(min(present, final_at(run))) - DAYS_KEPT
                await self._end_day(board, run, known, token, is_wanted)

    @by_present_boards
    async def has_runs(self, board: Board) -> bool:
        """Whether a board has runs that are not closed."""
        return bool(self._runs(board, await self._known(self._shards.now)))

    @by_present_boards
    async def finish(self, board: Board, at: int, token: int) -> None:
        """Let all runs of a board end that has stopped counting. May be done again."""
        known = await self._known(at)
        for run in self._runs(board, known):
            await self._close(board, run, known, token)

    async def _known(self, boundary: int) -> _Known:
        [members], seen = await asyncio.gather(
            self._shards.store.read([[b"SMEMBERS", self._keys.begun]]), passed(self._shards, boundary)
        )
        return _Known(seen, set(map(run_of, members)))

    def _runs(self, board: Board, known: _Known) -> list[Run]:
        """The runs that are not closed, in which anybody stands or stood at the end of a day, oldest first."""
        starts = known.seen.runs(self._shards, board) | {
            start for number, start in known.begun if number == board.number
        }
        if self._may_have_left(board):
            starts.add(board.start)
        return [run for start in sorted(starts) if (run := board.schedule.run_at(start)) is not None]

    def _may_have_left(self, board: Board) -> bool:
        """Whether nobody may stand in the run of a board any more who did when a boundary passed that is not kept yet:
        streaks break."""
        return board.rank_by == "streak" and final_at(Run(board.start, board.end)) > self._shards.kept

    async def _end_day(self, board: Board, run: Run, known: _Known, token: int, is_wanted: bool) -> None:
        """Keep where everybody stood at a midnight. The first day is one with anybody ranked; days that nobody can ask
        for any more are passed over."""
        due, has_begun = known.seen.boundary, (board.number, run.start) in known.begun
        if has_begun and not is_wanted:
            return
        if self.present is not None and await self.in_thread(self._has_day, board, run, day_of(due) - 1):
            await self._begin(board, run, known)
            return
        ranked = await ranked_at(self._shards, board, run.start, known.seen, self._notes)
        if ranked.groups:
            await self._begin(board, run, known)
        if is_wanted and (has_begun or ranked.groups):
            await self._write_day(board, run, day_of(due) - 1, ranked, token)

    async def _close(self, board: Board, run: Run, known: _Known, token: int) -> None:
        """Let the archive have a run that is final, then let its orders go."""
        if await self.in_thread(self._archive.final_run, board.number, run.start) is None:
            ranked = await ranked_at(self._shards, board, run.start, known.seen, self._notes)
            if ranked.groups or (board.number, run.start) in known.begun:
                day = day_of(min(known.seen.boundary, final_at(run)))
                await self._write_day(board, run, day, ranked, token)
            await self._lease.check(token)
            await self.in_thread(self._write_run, board, run, ranked)
        await asyncio.gather(*(self._let_go(shard, board, run, token) for shard in self._shards.all))
        await self._shards.store.read([[b"SREM", self._keys.begun, begun_member(board.number, run.start)]])
        known.begun.discard((board.number, run.start))

    async def _write_day(self, board: Board, run: Run, day: int, ranked: Ranked, token: int) -> None:
        await self._lease.check(token)
        await self.in_thread(self._write_places, board, run, day, ranked)

    def _write_places(self, board: Board, run: Run, day: int, ranked: Ranked) -> None:
        self._archive.keep_days(self._archive.edition(board.number), run.start, [end_of_day(day, ranked)])

    def _has_day(self, board: Board, run: Run, day: int) -> bool:
        return self._archive.has_day(self._archive.edition(board.number), run.start, day)

    def _write_run(self, board: Board, run: Run, ranked: Ranked) -> None:
        self._archive.keep_run(self._archive.edition(board.number), run, *columns(ranked))

    async def _let_go(self, shard: Shard, board: Board, run: Run, token: int) -> None:
        generation = shard.boards.current(board.number).generation
        [found] = await self._shards.ask(shard.place, [[b"HKEYS", shard.keys.groups(generation)]])
        fields = [field for field in found if run_group_of(field)[0] == run.start]
        keys = [key for field in fields for key in shard.keys.of_group_field(generation, field)]
        names = [shard.keys.head, shard.keys.groups(generation), *keys, shard.keys.past(generation, run.start)]
        await self._fenced("let_go", names, [b"%d" % token, *fields])
        if board.rank_by == "streak":
            await self._shards.stay(shard, generation)

    async def _note_kept(self, boundary: int, token: int) -> None:
        """All of a boundary is kept, so that is noted before the notes go that it was made of."""
        await self._fenced("kept", [self._keys.lease, self._keys.kept], [b"%d" % token, b"%d" % boundary])
        self._shards.kept = boundary
        await self._clear_notes(token)

    async def _clear_notes(self, token: int) -> None:
        await asyncio.gather(*(self._clear_notes_of(shard, token) for shard in self._shards.all))

    async def _clear_notes_of(self, shard: Shard, token: int) -> None:
        keys, upto = shard.keys, b"%d" % self._shards.kept
        [passes] = await self._shards.store.read([[b"ZRANGE", keys.passes, b"-inf", upto, b"BYSCORE"]])
        names = [keys.head, keys.passes, *(keys.notes(int(passed)) for passed in passes)]
        await self._fenced("clear", names, [b"%d" % token, upto])

    async def _fenced(self, script: str, keys: Iterable[bytes], arguments: Iterable[bytes]) -> None:
        if not await self._shards.store.script(script, list(keys), list(arguments)):
            raise LeaseLost("this worker was too slow with what is due; another one has done it")

    # Runs of which days are kept

    async def _begun(self, board: Board) -> set[int]:
        [members] = await self._shards.store.read([[b"SMEMBERS", self._keys.begun]])
        pairs = [tuple(map(int, member.split(b":"))) for member in members]
        return {run_start for number, run_start in pairs if number == board.number}

    async def _begin(self, board: Board, run: Run, known: _Known) -> None:
        if (board.number, run.start) not in known.begun:
            await self._shards.store.read([[b"SADD", self._keys.begun, begun_member(board.number, run.start)]])
            known.begun.add((board.number, run.start))

    async def replace_begun(self, board: Board, begun: Iterable[int], instead_of: Iterable[int] | None = None) -> None:
        """Note of which runs days are kept, instead of some runs or all of the board."""
        former = await self._begun(board)
        gone = former if instead_of is None else former.intersection(instead_of)
        commands = [[b"SREM", self._keys.begun, begun_member(board.number, start)] for start in gone]
        commands += [[b"SADD", self._keys.begun, begun_member(board.number, start)] for start in begun]
        await self._shards.store.read(commands)

    async def forget(self, board_number: int) -> None:
        """Let the archive forget a board."""
        with suppress(NotFound):
            await self.in_thread(self._archive.forget, board_number)
        [members] = await self._shards.store.read([[b"SMEMBERS", self._keys.begun]])
        gone = [member for member in members if member.startswith(begun_member(board_number, 0)[:-1])]
        if gone:
            await self._shards.store.read([[b"SREM", self._keys.begun, *gone]])
