"""The Valkey ledger: the parts put together, and boards followed and let go.

Worker    records: queue → picture → draft → commit (Lua) → tell; any number of them on the same shards
Reader    answers from all shards
Shards    how far each shard has come, and the boards that it counts on

Breaks    lets users leave when their streaks break, without an event

Keeper    takes the ends of days and final runs into the archive, for all workers
Builder   makes what is over of boards that are followed late, and of runs that late events and history revise

Finisher  finishes boards by hand
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import structlog

from palmares.domain.board import Board
from palmares.domain.effect import is_live, next_boundary
from palmares.domain.errors import Invalid, NotAllowed, PalmaresError, Unavailable
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.points import Scheme
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.streak import CountedPeriod, Streak
from palmares.domain.streak import at as shown_at
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User
from palmares.ledger.contract import (
    Award,
    DayChange,
    Entry,
    Erasure,
    EventPage,
    Outcome,
    Place,
    Ranks,
    Record,
    Row,
    RunState,
    StoredEvent,
    StreakOrder,
    StreakRow,
    WantedEvents,
)
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.boards import Making, counts_alike
from palmares.ledger.valkey.breaks import Breaks
from palmares.ledger.valkey.builder import Builder, Made
from palmares.ledger.valkey.chores import Chores
from palmares.ledger.valkey.commit import Shard
from palmares.ledger.valkey.draft import Step
from palmares.ledger.valkey.erasing import Erasing
from palmares.ledger.valkey.explorer import Explorer
from palmares.ledger.valkey.finish import Finisher
from palmares.ledger.valkey.keeper import Keeper
from palmares.ledger.valkey.kept_log import KeptLog
from palmares.ledger.valkey.keys import LedgerKeys, ShardKeys
from palmares.ledger.valkey.lease import Lease
from palmares.ledger.valkey.member import event_of
from palmares.ledger.valkey.numbering import Inherited, Numbering
from palmares.ledger.valkey.promise import Promise, promise_of, sentence
from palmares.ledger.valkey.reader import Reader
from palmares.ledger.valkey.replay import Replay
from palmares.ledger.valkey.replicas import Replicated
from palmares.ledger.valkey.restore import Restorer
from palmares.ledger.valkey.servers import Servers
from palmares.ledger.valkey.shards import Begun, Shards
from palmares.ledger.valkey.state import UserState, decode_stored
from palmares.ledger.valkey.store import Glide, Lost
from palmares.ledger.valkey.worker import Worker

T = TypeVar("T")
logger = structlog.get_logger(__name__)
_QUEUED_ENTRIES = 20_000
_MOST_TRIES = 3


def _not_yet(what: str) -> NotAllowed:
    return NotAllowed(f"the ledger on Valkey does not have {what} yet; the embedded ledger has")


class ValkeyLedger:
    """A `Ledger` on a Valkey server or cluster. Make it with `open`; use it from one event loop."""

    def __init__(
        self,
        store: Glide,
        shards: Shards,
        clock: Callable[[], int],
        worker: str,
        streaks: Mapping[int, StreakSettings],
        promise: Promise,
        archive: Archive | None = None,
        most_queued: int = _QUEUED_ENTRIES,
    ) -> None:
        self.promise = promise
        self._store = store
        self._shards = shards
        self._clock = clock
        self._streaks = dict(streaks)
        self._progress: dict[int, float] = {}
        self._chores = Chores()
        self._attempts = 0
        self._beginning = asyncio.Lock()
        self._installs: set[asyncio.Task[None]] = set()
        self._archive = archive
        self._keeper: Keeper | None = None
        self._builder: Builder | None = None
        self._finisher: Finisher | None = None
        self._reader = Reader(shards, self._streaks, archive)
        self.stream = self._reader.stream
        self._explorer = Explorer(shards, self.stream)
        self._erasing = Erasing(store, shards, self._reader, worker)
        self._worker = Worker(shards, self._streaks, clock, worker, most_queued)
        self._breaks = Breaks(shards, worker, self._worker.watch)
        self._worker.before_round = self._breaks.catch_up
        self._worker.on_taken = self._note

    @classmethod
    async def open(
        cls,
        servers: Servers | Sequence[tuple[str, int]],
        boards: Sequence[Board],
        clock: Callable[[], int],
        worker: str,
        streaks: Mapping[int, StreakSettings] | None = None,
        *,
        name: str = "palmares",
        shards: int = 1,
        timeout_seconds: float = 5.0,
        replicas: int = 0,
        most_queued: int = _QUEUED_ENTRIES,
        open_archive: Callable[[], Archive] | None = None,
        kept_log: KeptLog | None = None,
        inherited: Inherited | None = None,
        alone: bool = False,
    ) -> ValkeyLedger:
        """Open the ledger of that name on a server or a cluster, making it when missing, and follow these boards.

        `worker` is a name that no other process has, and that this one had in no other life; what takes
        longer than the timeout counts as lost. Nothing is answered before so many replicas have it; while they have
        not, what is recorded is refused. Entries beyond `most_queued` are refused, too. What is over goes to the
        archive; without one, runs that are final stay where they are and nothing is kept of days. Lines of the log
        that were trimmed are read from `kept_log`. What was `inherited` is only told while it is recorded once more.
        `alone` says that no other worker lives, so that nobody waits for the lease of one that died.
        Raises `Invalid` when the ledger was made with another number of shards or Valkey may evict it, `Unavailable`
        when Valkey does not answer.
        """
        store = await _connect(servers, timeout_seconds, replicas)
        async with AsyncExitStack() as opened:
            opened.push_async_callback(store.close)
            await _settle_shards(store, name, shards)
            _check_eviction(await _settings(store, "maxmemory-policy"))
            kept = await _settings(store, "append*")
            promise: Promise = "unknown" if kept is None else promise_of(kept)
            logger.info("the ledger is on Valkey", promise=sentence(promise, replicas), shards=shards)
            parts = Shards(store, name, shards, kept_log, await _inherited(store, name, shards, inherited))
            await parts.refresh()
            # From now on, nothing happens before, whatever the clock says.
            parts.now = max(parts.now, clock())
            archive = None if open_archive is None else open_archive()
            ledger = cls(store, parts, clock, worker, streaks or {}, promise, archive, most_queued)
            opened.pop_all()
            opened.push_async_callback(ledger.close)
            if archive is not None:
                keys = LedgerKeys(name)
                lease = Lease(store, keys)
                if alone:
                    await lease.break_off()
                keeper = await Keeper.open(parts, keys, archive, lease, clock())
                finisher = Finisher(parts, keeper, archive)
                builder = Builder(parts, keeper, finisher, ledger.stream, archive, ledger._streaks)
                ledger._keep(keeper, finisher, builder)
            for board in boards:
                await ledger._follow_at_start(board)
            await ledger._breaks.look()
            opened.pop_all()
        return ledger

    def _keep(self, keeper: Keeper, finisher: Finisher, builder: Builder) -> None:
        self._keeper, self._finisher, self._builder = keeper, finisher, builder

    def _note(self, step: Step) -> None:
        """This worker has recorded a step."""
        self._breaks.note(step)
        if self._builder is not None:
            self._builder.note(step)

    async def _follow_at_start(self, board: Board) -> None:
        """A board that cannot be followed must not keep the others from being served."""
        try:
            await self._follow_where_new(board)
        except PalmaresError as error:
            logger.error("a leaderboard cannot be followed", leaderboard=board.key, reason=error.message)

    async def _follow_where_new(self, board: Board) -> None:
        makings = [shard.boards.of(board.number)[-1:] for shard in self._shards.all]
        alike = all(some and some[0].ready and counts_alike(some[0].board, board) for some in makings)
        alike = alike and not any(self._counts_by_others(some[0]) for some in makings)
        if not alike or any(some[0].stopped != board.finished_position for some in makings):
            await self.follow(board)
            return
        if any(some[0].board != board for some in makings):
            await self._redefine(board)
        if self._finisher is not None and board.finished_position is not None:
            await self._finisher.go_on(board, board.finished_position)

    def _counts_by_others(self, making: Making) -> bool:
        """Whether a board that goes on ranks by streaks that count by other settings than those of now."""
        if making.streaks is None or not making.counts or not is_live(making.plan.only_run, self._shards.now):
            return False
        return making.streaks.version != self._streak_settings(making.board.scope).version

    def _streak_settings(self, scope: int) -> StreakSettings:
        return self._streaks.get(scope, StreakSettings())

    # Recording

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        """See `Ledger.record`. A list is all or none within each shard, and refused before anything is sent."""
        await self._chores.done()
        if self._keeper is None and any(entry.history for entry in entries):
            raise _not_yet("events as history without an archive")
        if any(entry.erase for entry in entries):
            # Runs that are over go into the archive, where nobody has an id.
            if self._keeper is not None:
                await self._keeper.reach(self._clock())
            await self._erasing.check({entry.scope for entry in entries if entry.erase}, self._clock())
        return await self._worker.record(entries)

    async def advance(self, now: int) -> None:
        """See `Ledger.advance`. One worker does it for all, and the others wait until it is done."""
        await self._chores.done()
        self._shards.now = max(self._shards.now, now)
        if self._keeper is not None:
            await self._keeper.reach(now)
        await self._breaks.reach_everywhere(now)
        if self._builder is not None:
            # Something may wait since another life, or since it failed.
            await self._builder.look()
        await self._worker.watch.look()

    def next_due(self) -> int:
        """See `Ledger.next_due`. What another worker has done since this one looked is told, too."""
        boundary = next_boundary(self._shards.now if self._keeper is None else self._shards.kept)
        return min(boundary, self._breaks.first)

    async def settle(self) -> None:
        """See `Ledger.settle`."""
        await self._chores.done()
        if self._builder is not None:
            await self._builder.settle()

    # Boards

    async def follow(self, board: Board) -> None:
        """See `Ledger.follow`. Refused with `NotAllowed` where the ledger does not have yet what the board needs."""
        await self._chores.done()
        _check_supported(board, self._keeper is not None)
        begun: dict[int, Begun] = {}
        self._progress[board.number] = 0.0
        streaks = self._streak_settings(board.scope) if board.rank_by == "streak" else None
        try:
            past = await self._begin_and_make(board, streaks, begun)
            made = {place: one.generation for place, one in begun.items()}
            await self._go_forward(self._install(board, made, past))
        finally:
            # Somebody else may have followed the same board meanwhile, and be through.
            self._progress.pop(board.number, None)

    async def _begin_and_make(
        self, board: Board, streaks: StreakSettings | None, begun: dict[int, Begun]
    ) -> Made | None:
        """Make a generation in every shard, of which nobody reads yet, and what is over of it; where that fails, none
        stays."""
        try:
            # A shard remembers one attempt of each worker.
            async with self._beginning:
                self._attempts += 1
                await self._in_each(partial(self._begin, streaks), board, begun)
            if board.finished_position is None:
                await self._in_each(self._make, board, begun)
            if self._builder is None:
                return None
            upto = {place: one.position for place, one in begun.items()}
            return await self._builder.make(board, streaks, upto, lambda lines: self._tell(board, lines, upto))
        except BaseException:
            await self._let_go(board, {place: [one.generation] for place, one in begun.items()})
            raise

    def _tell(self, board: Board, lines: int, upto: Mapping[int, int]) -> None:
        self._progress[board.number] = 0.5 + 0.5 * min(1.0, lines / max(1, sum(upto.values())))

    async def _go_forward(self, install: Coroutine[Any, Any, None]) -> None:
        """An install that has begun goes on though who asked for it goes away."""
        task = asyncio.create_task(install)
        self._installs.add(task)
        task.add_done_callback(self._installs.discard)
        await asyncio.shield(task)

    async def _in_each(
        self, do: Callable[[Shard, Board, dict[int, T]], Awaitable[None]], board: Board, made: dict[int, T]
    ) -> None:
        """Do something in every shard, and go on when all have done it; the first error is raised then."""
        done = await asyncio.gather(*(do(shard, board, made) for shard in self._shards.all), return_exceptions=True)
        for error in done:
            if error is not None:
                raise error

    async def _begin(self, streaks: StreakSettings | None, shard: Shard, board: Board, begun: dict[int, Begun]) -> None:
        async def begin() -> None:
            begun[shard.place] = await self._shards.begin(shard, board, streaks, self._worker.name, self._attempts)

        await _persistently(begin)

    async def _make(self, shard: Shard, board: Board, begun: dict[int, Begun]) -> None:
        """Let a generation have what was recorded before it began: every user of the shard who has any of it is
        recorded once more, with nothing new."""
        generation = begun[shard.place].generation
        making = Making(generation, board, ready=False)
        async for piece in self._store.scan_hash(shard.keys.users):
            found = [(name, decode_stored(raw).state) for name, raw in piece]
            behind = [(name, state) for name, state in found if _has_to_do_with(board, state)]
            if self._builder is None:
                await asyncio.gather(*(self._check_live(shard, making, name) for name, _ in behind))
            entries = [[Entry(state.user.scope, state.user.id)] for _, state in behind if state.generation < generation]
            await asyncio.gather(*(self._worker.record(entry) for entry in entries))
        self._progress[board.number] += 0.5 / len(self._shards)

    async def _check_live(self, shard: Shard, making: Making, name: bytes) -> None:
        """Who stood where at the end of a run that is over cannot be told from what is kept of a user."""
        now, metric = max(self._clock(), self._shards.now), making.board.counted
        runs: set[Run | None] = {making.plan.only_run}
        if metric is not None:
            [members] = await self._store.read([[b"ZRANGE", shard.keys.events(metric.number, name), b"0", b"-1"]])
            runs = {making.plan.run_at(event_of(member)[3]) for member in members}
        if any(run is not None and not is_live(run, now) for run in runs):
            raise _not_yet("boards that are followed after events in runs that are over")

    async def _install(self, board: Board, made: dict[int, int], past: Made | None) -> None:
        """Let a generation be what is read, instead of the former ones.

        The former ones go when all shards have the new one. Where a shard fails before, all of both stay: every shard
        has one that can be read, and the next one that is followed takes the place of both.
        """
        if self._builder is None or past is None:
            await self._in_each(self._mark_ready, board, made)
        else:
            await self._install_past(self._builder, board, made, past)
        former = {
            place: [one.generation for one in self._shards.all[place].boards.of(board.number) if one.generation < own]
            for place, own in made.items()
        }
        await self._let_go(board, former)

    async def _install_past(self, builder: Builder, board: Board, made: dict[int, int], past: Made) -> None:
        """Install what is over, then what goes on. Only before that, there is a way back."""
        begun = False

        async def mark_ready() -> None:
            nonlocal begun
            begun = True
            await self._in_each(self._mark_ready, board, made)

        try:
            await builder.install(past, made, mark_ready)
        except BaseException:
            if not begun:
                await self._let_go(board, {place: [generation] for place, generation in made.items()})
            raise
        finally:
            await builder.discard(past)

    async def _mark_ready(self, shard: Shard, board: Board, made: dict[int, int]) -> None:
        """In one step the former ones are ready no more: what a commit did is told by one generation only."""

        async def mark() -> None:
            await self._shards.reload(shard)
            own = made[shard.place]
            former = [one for one in shard.boards.of(board.number) if one.generation < own]
            given = {one.generation: (one.board, False, one.stopped) for one in former}
            await self._shards.change_boards(shard, {**given, own: (board, True, board.finished_position)})

        await _persistently(mark)

    async def _let_go(self, board: Board, generations: Mapping[int, Sequence[int]]) -> None:
        """Drop generations that nobody reads, by the place of their shard. What cannot be dropped is in nobody's way,
        so the others are dropped all the same."""

        async def drop(shard: Shard, gone: Sequence[int]) -> None:
            try:
                await _persistently(lambda: self._shards.change_boards(shard, {}, gone))
            except PalmaresError as error:
                logger.warning(
                    "rankings that nobody reads stay until their leaderboard is followed again",
                    leaderboard=board.key,
                    shard=shard.place,
                    reason=error.message,
                )

        await asyncio.gather(*(drop(self._shards.all[place], gone) for place, gone in generations.items() if gone))

    def progress(self, board_number: int) -> float | None:
        """See `Ledger.progress`. Told shard by shard."""
        return self._progress.get(board_number)

    def revising(self, board_number: int) -> bool:
        """See `Ledger.revising`. As far as this worker knows."""
        return self._builder is not None and self._builder.is_at(board_number)

    def redefine(self, board: Board) -> None:
        """See `Ledger.redefine`. Done before anything else that is asked of this ledger afterwards."""
        self._chores.add(lambda: _persistently(lambda: self._redefine(board)))

    async def _redefine(self, board: Board) -> None:
        for shard in self._shards.all:
            await self._shards.reload(shard)
            given = {one.generation: (board, one.ready, one.stopped) for one in shard.boards.of(board.number)}
            await self._shards.change_boards(shard, given)

    def forget(self, board_number: int) -> None:
        """See `Ledger.forget`. Done before anything else that is asked of this ledger afterwards."""
        self._chores.add(lambda: _persistently(lambda: self._forget(board_number)))

    async def _forget(self, board_number: int) -> None:
        for shard in self._shards.all:
            await self._shards.reload(shard)
            gone = [making.generation for making in shard.boards.of(board_number)]
            await self._shards.change_boards(shard, {}, gone)
        if self._keeper is not None:
            await self._keeper.forget(board_number)

    async def freeze(self, board_number: int, note: Callable[[int], Awaitable[None]] | None = None) -> int:
        """See `Ledger.freeze`. While it is noted, nothing counts on the board any more, and recording goes on."""
        await self._chores.done()
        board = await self._reader.board(board_number)
        if self._finisher is None:
            raise _not_yet("boards finished by hand without an archive")
        await self._breaks.reach_everywhere(self._shards.now)
        return await self._finisher.freeze(board, note, self.follow)

    async def cut(self, board_number: int, position: int) -> dict[int, int]:
        """The last line of each shard that counts on a board that was finished at a position. Needs an archive."""
        assert self._finisher is not None
        return (await self._finisher.cut(board_number, position)).upto

    async def ends_at(self, position: int, instant: int) -> dict[int, int]:
        """The last line of each shard when the ledger was at a `position`, at an instant. Needs an archive."""
        assert self._builder is not None
        return await self._builder.ends_at(position, instant)

    @property
    def numbering(self) -> Numbering:
        """How the lines and users of the shards are numbered in the whole."""
        return self._shards.numbering

    # Reading rankings

    async def runs(self, board_number: int) -> list[Run]:
        """See `Ledger.runs`."""
        await self._chores.done()
        return await self._reader.runs(board_number)

    async def run_state(self, board_number: int, run: Run) -> RunState:
        """See `Ledger.run_state`."""
        await self._chores.done()
        await self._reader.board(board_number)
        if not self._reader.is_final(board_number, run):
            return RunState(False, 0, 0)
        ignored = await self._reader.ignored(board_number, run)
        return RunState(True, await self._reader.revision(board_number, run), ignored)

    async def group(self, board_number: int, run: Run, user: User) -> Group | None:
        """See `Ledger.group`."""
        await self._chores.done()
        return await self._reader.group(board_number, run, user)

    async def history(
        self, board_number: int, run: Run, user: User, first_day: int, last_day: int
    ) -> list[DayStanding]:
        """See `Ledger.history`. What is over, and not kept yet, is kept first; while another worker is at that, the
        days are told without."""
        await self._chores.done()
        await self._reader.board(board_number)
        if self._keeper is None:
            raise _not_yet("the history of rankings without an archive")
        await self._keeper.reach(self._shards.now, wait=False)
        return await self._reader.history(board_number, run, user, first_day, last_day)

    async def groups(self, board_number: int, run: Run) -> Collection[Group]:
        """See `Ledger.groups`."""
        await self._chores.done()
        return await self._reader.groups(board_number, run)

    async def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        """See `Ledger.size`."""
        await self._chores.done()
        return await self._reader.size(board_number, run, groups)

    async def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """See `Ledger.page`."""
        await self._chores.done()
        return await self._reader.page(board_number, run, groups, start, stop)

    async def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """See `Ledger.place`."""
        await self._chores.done()
        return await self._reader.place(board_number, run, groups, user)

    async def ranks(self, board_number: int, run: Run, group: Group) -> Ranks:
        """See `Ledger.ranks`."""
        await self._chores.done()
        return await self._reader.ranks(board_number, run, group)

    async def ranks_as_of(self, board: Board, position: int, instant: int) -> list[tuple[Run, Group, Ranks]]:
        """See `Ledger.ranks_as_of`. With several shards, how far each log counts is known by the instant."""
        await self._chores.done()
        _check_supported(board, self._builder is not None)
        if self._builder is None:
            raise _not_yet("rankings as of an earlier moment without an archive")
        return await self._builder.ranks_as_of(board, position, instant)

    def changed_rankings(self) -> list[tuple[int, Run, Group]]:
        """See `Ledger.changed_rankings`. What other workers have changed is told from the next `advance` on."""
        return self._worker.watch.take()

    # Users and the log

    async def users(self, numbers: Sequence[int]) -> list[User]:
        """See `Ledger.users`."""
        return await self._reader.users(numbers)

    @property
    def now(self) -> int:
        """How far time has come here: nothing is recorded before this instant any more."""
        return self._shards.now

    def position(self) -> int:
        """See `Ledger.position`. As far as this worker has seen; of several shards, the sum."""
        return self._shards.position

    async def user(self, scope: int, user_id: str) -> User | None:
        """See `Ledger.user`."""
        return await self._reader.user(scope, user_id)

    async def total(self, user: User, metric: Metric) -> int:
        """See `Ledger.total`."""
        return await self._reader.total(user, metric)

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        """See `Ledger.days`."""
        return await self._reader.days(user, metric, first_day, last_day)

    def note_streaks(self, scope: int, settings: StreakSettings) -> None:
        """Count the streaks of users by other settings from now on; boards go on by those that they were made with."""
        self._streaks[scope] = settings

    async def set_streaks(self, scope: int, settings: StreakSettings) -> None:
        """See `Ledger.set_streaks`. Streaks of older settings are worked out where they are asked for, and boards made
        anew by the first worker that hears of the new ones."""
        await self._chores.done()
        self._streaks[scope] = settings
        await self._shards.refresh()
        boards = self._shards.all[0].boards
        followed = [making for making in boards.by_streak(scope) if boards.is_current(making)]
        for board in (making.board for making in followed if self._counts_by_others(making)):
            await self.follow(board)

    async def streak(self, user: User) -> Streak:
        """See `Ledger.streak`."""
        return await self._reader.streak(user)

    async def counted_periods(self, user: User) -> list[CountedPeriod]:
        """See `Ledger.counted_periods`."""
        return await self._reader.counted_periods(user)

    async def streak_rankings(self, scope: int, order: StreakOrder, limit: int) -> list[StreakRow]:
        """See `Ledger.streak_rankings`."""
        found: dict[str, tuple[int, int, bytes, StreakRow]] = {}
        for shard in self._shards.all:
            async for piece in self._store.scan_hash(shard.keys.users):
                for state in (decode_stored(raw).state for _, raw in piece):
                    user = state.user
                    if user.scope == scope and not user.hidden and not state.erased_at:
                        _rank_streak(found, user, shown_at(await self.streak(user), self._shards.now), order)
        return [row for *_, row in sorted(found.values())[:limit]]

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        """See `Ledger.set_points`. Each shard pays by other schemes from a moment of its own on."""
        await self._chores.done()
        await asyncio.gather(*(self._set_points(shard, scope, schemes) for shard in self._shards.all))

    async def _set_points(self, shard: Shard, scope: int, schemes: Sequence[Scheme]) -> None:
        async def set_points() -> None:
            await self._shards.reload(shard)
            await self._shards.set_points(shard, scope, schemes, max(self._clock(), self._shards.now))

        await _persistently(set_points)

    async def awards(self, user: User, system: Metric, limit: int) -> list[Award]:
        """See `Ledger.awards`."""
        return await self._reader.awards(user, system, limit)

    async def unfinished_erasures(self) -> list[Erasure]:
        """See `Ledger.unfinished_erasures`."""
        return await self._erasing.unfinished()

    async def compact(self, numbers: Sequence[int]) -> None:
        """See `Ledger.compact`. What is kept elsewhere of the log has to be as far as the erasures."""
        if self._keeper is not None:
            # Notes of where users stood at the end of a day have ids in them, until that is kept.
            await self._keeper.reach(self._shards.now)
        await self._erasing.compact(numbers)

    async def events(self, wanted: WantedEvents) -> EventPage:
        """See `Ledger.events`."""
        return await self._explorer.events(wanted)

    async def events_with(self, scope: int, ids: Sequence[str]) -> list[StoredEvent | None]:
        """See `Ledger.events_with`."""
        return await self._explorer.events_with(scope, ids)

    async def records(self, after: int, limit: int) -> list[Record]:
        """See `Ledger.records`.

        Lines of one shard are in order. Of several shards, a line that is recorded later may have an earlier position
        than one of another shard that was already told.
        """
        return await self._reader.records(after, limit)

    # Rebuilding, while nobody records anything else

    def replay(self) -> Replay:
        """What records lines of a log once more."""
        return Replay(self._shards, self._streaks, self._keeper)

    async def begin_anew(self, boards: Sequence[Board], present: int) -> None:
        """Let boards count in the shards that lost everything. What is over of them stays as the archive has it, and of
        what it does not have, days that nobody can ask for at present are left out.

        Needs an archive, the one that the ledger had.
        """
        assert self._keeper is not None
        self._keeper.present = present
        for board in boards:
            if board.finished_position is None:
                await self._restorer().begin(board)

    async def finish_anew(self, boards: Sequence[Board], archived: bool = False) -> None:
        """When all lines are recorded, let boards that were finished by hand be as they were, and late events revise
        what the archive does not have yet.

        Boards are made anew of which it is not known that all of their runs are in the archive, unless `archived` says
        so of all.
        """
        for board in boards:
            if board.finished_position is not None and not await self._restorer().finish(board, archived):
                await self._follow_where_new(board)
        await self.settle()

    def _restorer(self) -> Restorer:
        assert self._finisher is not None
        return Restorer(self._shards, self.stream, self._finisher, self._streak_settings)

    async def close(self) -> None:
        """See `Ledger.close`. Whatever fails, all of it is let go; the first error is raised in the end."""
        try:
            await self._chores.done()
            if self._builder is not None:
                await self._builder.close()
            if self._installs:
                await asyncio.wait(self._installs)
        finally:
            try:
                await self._worker.close()
            finally:
                await self._let_go_of_all()

    async def _let_go_of_all(self) -> None:
        self._reader.close()
        if self._keeper is not None:
            self._keeper.close()
        try:
            if self._archive is not None:
                self._archive.close()
        finally:
            await self._store.close()


def _rank_streak(
    found: dict[str, tuple[int, int, bytes, StreakRow]], user: User, streak: Streak, order: StreakOrder
) -> None:
    length, reached = (streak.length, streak.extended_at) if order == "active" else (streak.longest, streak.longest_at)
    if reached is not None:
        found[user.id] = (-length, reached, user.id.encode(), StreakRow(user.id, user.name, length))


def _has_to_do_with(board: Board, state: UserState) -> bool:
    """Whether anything that a user did may count on a board."""
    if state.erased_at or state.user.scope != board.scope:
        return False
    if board.rank_by == "streak":
        return bool(state.sums)
    return board.counted is not None and board.counted.number in state.sums


def _check_supported(board: Board, keeps: bool) -> None:
    """Raises `NotAllowed` for boards that need what is not there yet."""
    if board.late_events == "revise" and not keeps:
        raise _not_yet("boards whose final runs are revised by late events (lateEvents: use ignore) without an archive")
    if board.finished_position is not None and not keeps:
        raise _not_yet("boards finished by hand without an archive")


async def _persistently(do: Callable[[], Awaitable[object]]) -> None:
    """Do what may be done twice, and once more where Valkey fails."""
    for _ in range(_MOST_TRIES - 1):
        try:
            await do()
        except Unavailable as error:
            logger.warning("a change of leaderboards failed and is tried again", reason=error.message)
        else:
            return
    await do()


async def _connect(servers: Servers | Sequence[tuple[str, int]], timeout_seconds: float, replicas: int) -> Glide:
    if replicas:
        return await Replicated.connect_both(servers, timeout_seconds, replicas)
    return await Glide.connect(servers, timeout_seconds)


async def _settings(store: Glide, pattern: str) -> list[dict[str, str]] | None:
    """Settings of the primaries; None where they are not told. Servers that are rented often tell nobody, and that must
    not keep a ledger from being opened."""
    try:
        return await store.configuration(pattern)
    except Lost:
        raise
    except Unavailable as error:
        logger.warning("Valkey does not tell its settings", settings=pattern, reason=error.message)
        return None


def _check_eviction(settings: Sequence[Mapping[str, str]] | None) -> None:
    """Raises `Invalid` where Valkey throws away keys that never expire, as none of a ledger does."""
    for one in settings or ():
        policy = one.get("maxmemory-policy", "")
        if policy.startswith("allkeys-"):
            raise Invalid(f"maxmemory-policy: {policy} would throw away parts of the ledger; set noeviction")


async def _inherited(store: Glide, name: str, shards: int, given: Inherited | None) -> Inherited:
    """What a ledger has taken over, as each of its shards says that has it all; or what it is to be, while some have
    not. Raises `Invalid` where that is not the same."""
    heads = [ShardKeys(name, place).head for place in range(shards)]
    fields = [b"position", b"inherited_lines", b"inherited_users"]
    found = await asyncio.gather(*(store.read([[b"HMGET", head, *fields]]) for head in heads))
    told = {Inherited(int(lines or 0), int(users or 0)) for [(position, lines, users)] in found if position}
    if len(told) > 1 if given is None else told - {given, Inherited()}:
        raise Invalid(
            "the shards do not agree about what was taken over from a data folder: a move or a rebuild came to no end, "
            "or this is another ledger than the database has; stop the workers, and run `palmares rebuild`"
        )
    return given or next(iter(told), Inherited())


async def _settle_shards(store: Glide, name: str, shards: int) -> None:
    """The number of shards is settled when the data is made."""
    key = LedgerKeys(name).shards
    _, stored = await store.read([[b"SET", key, b"%d" % shards, b"NX"], [b"GET", key]])
    if int(stored) != shards:
        raise Invalid(f"shards: the data was made with {int(stored)}, not {shards}; it cannot be changed afterwards")
