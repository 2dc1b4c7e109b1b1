"""The embedded ledger: the parts put together, and boards followed and let go.

Committer   records: queue → draft → log → users and rankings      the only writer
Timeline    ends days and runs between two batches
Archivist   takes what is over out of the rankings and writes it into the archive
Explorer    looks for events as they were recorded
Reader      answers from users, rankings and the archive
Upkeep      brings projection and checkpoint up to date behind the log
Compaction  removes from the files what is left of erased users
Builder     makes rankings from the log: of boards followed late, and of runs that late events revise
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import structlog

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.effect import is_late
from palmares.domain.errors import Invalid
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.points import Scheme
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.streak import CountedPeriod, Streak
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
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.builder import Builder
from palmares.ledger.embedded.checkpoint import Checkpoint, Damaged
from palmares.ledger.embedded.committer import Committer
from palmares.ledger.embedded.compaction import Compaction
from palmares.ledger.embedded.explorer import Found, FoundPage, explore, look_up
from palmares.ledger.embedded.figures import Figures
from palmares.ledger.embedded.folder import Folder
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import Log
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.reader import Reader
from palmares.ledger.embedded.replay import replay_log
from palmares.ledger.embedded.restate import restate
from palmares.ledger.embedded.revise import Reviser
from palmares.ledger.embedded.streaks import Streaks
from palmares.ledger.embedded.timeline import Timeline, finish
from palmares.ledger.embedded.upkeep import Upkeep
from palmares.ledger.embedded.users import Users
from palmares.ledger.keeping import Archive
from palmares.ledger.points import Points, decode_schemes

logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the ledger holds in memory, and how often it writes down what it could work out again."""

    queued_entries: int = 20_000
    cached_users: int = 100_000
    events_between_projections: int = 100_000
    events_between_checkpoints: int = 1_000_000


class EmbeddedLedger:
    """A `Ledger` on one data folder. Make it with `open`; use it from one event loop."""

    def __init__(
        self,
        path: Path,
        open_archive: Callable[[], Archive],
        clock: Callable[[], int],
        timer: Callable[[], float],
        limits: Limits,
    ) -> None:
        self._folder = Folder(path)
        self._log = Log(self._folder.log)
        self._projection = Projection(self._folder.projection, self._folder.log, self._log.position)
        self._projection.catch_up(self._log.position)
        self._users = Users(self._projection, limits.cached_users)
        self._followed = Followed()
        self._streaks = Streaks(self._users)
        self._points = Points()
        for position, scope, body in self._projection.schemes():
            self._points.define(scope, decode_schemes(body), position)
        self._archivist = Archivist(open_archive())
        # Time begins with the first record: before that, nothing ends.
        self._timeline = Timeline(
            lambda: self._followed, self._followed.breaking, self._archivist, self._log.recorded_at or clock()
        )
        self._reader = Reader(self._log, self._users, self._followed, self._streaks, self._archivist, self._timeline)
        self._upkeep = Upkeep(
            self._folder, self._log, self._projection, self._users, self._followed,
            limits.events_between_projections, limits.events_between_checkpoints, self._archivist, self._timeline,
        )  # fmt: skip
        self._committer = Committer(
            self._log, self._users, self._followed, self._streaks, self._points, self._upkeep, self._timeline, clock,
            timer, limits.queued_entries,
        )  # fmt: skip
        self._builder = Builder(
            self._folder.log, self._log, self._projection, self._users, self._followed, self._streaks,
            self._archivist, self._timeline, self._upkeep, self._committer.turn,
        )  # fmt: skip
        self._compaction = Compaction(
            self._folder.log, self._log, self._projection, self._users, self._upkeep, self._committer.turn
        )
        self._reviser = Reviser(self._followed, self._builder.rebuild, timer)
        self._upkeep.on_batch = self._reviser.look

    @classmethod
    async def open(
        cls,
        path: Path,
        boards: Sequence[Board],
        clock: Callable[[], int],
        timer: Callable[[], float],
        limits: Limits | None = None,
        streaks: Mapping[int, StreakSettings] | None = None,
        *,
        open_archive: Callable[[], Archive],
    ) -> EmbeddedLedger:
        """Open a data folder, making it when missing, and follow these boards, with the settings of streaks by scope.
        What is over goes to the archive, which is opened only once the folder is known to be nobody else's.

        What the log holds beyond the projection and the checkpoint is worked out first. Raises `FolderInUse` when
        another process has the folder.
        """
        ledger = cls(path, open_archive, clock, timer, limits or Limits())
        for scope, settings in (streaks or {}).items():
            ledger._streaks.define(scope, settings)
            await ledger._restate(scope, settings)
        restored = await ledger._restore(boards)
        for board in boards:
            if board.number not in restored:
                await ledger._follow_again(board)
        return ledger

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        """See `Ledger.record`."""
        return await self._committer.record(entries)

    async def advance(self, now: int) -> None:
        """See `Ledger.advance`."""
        await self._committer.advance(now)
        # Something may wait since before a restart, or since it failed.
        self._reviser.look()
        await self._archivist.drain()

    def next_due(self) -> int:
        """See `Ledger.next_due`."""
        return self._timeline.next_due

    async def follow(self, board: Board) -> None:
        """See `Ledger.follow`."""
        await self._builder.follow(board)

    def progress(self, board_number: int) -> float | None:
        """See `Ledger.progress`."""
        return self._builder.progress.get(board_number)

    def revising(self, board_number: int) -> bool:
        """See `Ledger.revising`."""
        return self._reviser.is_at(board_number)

    async def settle(self) -> None:
        """See `Ledger.settle`."""
        await self._reviser.settle()

    async def _restate(self, scope: int, settings: StreakSettings) -> None:
        """Let the projection have everybody's streak by these settings."""
        if self._projection.streak_rules.get(scope) != settings.version:
            await self._upkeep.project()
            await restate(self._projection, self._upkeep.undisturbed, scope, settings)

    async def _follow_again(self, board: Board) -> None:
        """Follow at the start. A board that cannot be must not keep the others from being served."""
        try:
            await self.follow(board)
        except Invalid as error:
            logger.error("a leaderboard cannot be followed", leaderboard=board.key, reason=error.message)

    def redefine(self, board: Board) -> None:
        """See `Ledger.redefine`."""
        self._followed.redefine(Plan(board))

    def forget(self, board_number: int) -> None:
        """See `Ledger.forget`."""
        self._followed.remove(board_number)
        self._archivist.forget(board_number)
        self._upkeep.give_up_checkpoint()

    async def freeze(self, board_number: int, note: Callable[[int], Awaitable[None]] | None = None) -> int:
        """See `Ledger.freeze`."""
        # Nothing is to be undone when the archive cannot be written.
        await self._archivist.drain()
        async with self._committer.turn:
            rankings = self._followed.get(board_number)
            position = self._log.position if rankings.frozen_position is None else rankings.frozen_position
            if note is not None:
                await note(position)
            if not rankings.frozen:
                finish(rankings, self._archivist, self._timeline.now)
                rankings.frozen_position = position
                self._followed.install(rankings)
                self._upkeep.give_up_checkpoint()
        return position

    async def runs(self, board_number: int) -> list[Run]:
        """See `Ledger.runs`."""
        return self._reader.runs(board_number)

    async def run_state(self, board_number: int, run: Run) -> RunState:
        """See `Ledger.run_state`."""
        return self._reader.run_state(board_number, run)

    async def group(self, board_number: int, run: Run, user: User) -> Group | None:
        """See `Ledger.group`."""
        return self._reader.group(board_number, run, user)

    async def history(
        self, board_number: int, run: Run, user: User, first_day: int, last_day: int
    ) -> list[DayStanding]:
        """See `Ledger.history`."""
        return self._reader.history(board_number, run, user, first_day, last_day)

    async def groups(self, board_number: int, run: Run) -> Collection[Group]:
        """See `Ledger.groups`."""
        return self._reader.groups(board_number, run)

    async def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        """See `Ledger.size`."""
        return self._reader.size(board_number, run, groups)

    async def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """See `Ledger.page`."""
        return self._reader.page(board_number, run, groups, start, stop)

    async def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """See `Ledger.place`."""
        return self._reader.place(board_number, run, groups, user)

    async def ranks(self, board_number: int, run: Run, group: Group) -> Ranks:
        """See `Ledger.ranks`."""
        return self._reader.ranks(board_number, run, group)

    async def ranks_as_of(self, board: Board, position: int, instant: int) -> list[tuple[Run, Group, Ranks]]:
        """See `Ledger.ranks_as_of`."""
        return await self._builder.ranks_as_of(board, position, instant)

    def changed_rankings(self) -> list[tuple[int, Run, Group]]:
        """See `Ledger.changed_rankings`."""
        return self._reader.changed_rankings()

    async def users(self, numbers: Sequence[int]) -> list[User]:
        """See `Ledger.users`."""
        return self._reader.users(numbers)

    def position(self) -> int:
        """See `Ledger.position`."""
        return self._log.position

    async def user(self, scope: int, user_id: str) -> User | None:
        """See `Ledger.user`."""
        return self._reader.user(scope, user_id)

    async def total(self, user: User, metric: Metric) -> int:
        """See `Ledger.total`."""
        return self._reader.total(user, metric)

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        """See `Ledger.days`."""
        return self._reader.days(user, metric, first_day, last_day)

    async def set_streaks(self, scope: int, settings: StreakSettings) -> None:
        """See `Ledger.set_streaks`. Whoever does something before all is done has the new streak from then on."""
        async with self._builder.streak_turn:
            async with self._committer.turn:
                self._streaks.define(scope, settings)
            await self._restate(scope, settings)
            for rankings in [*self._followed.by_streak(scope)]:
                final = is_late(rankings.plan.only_run, self._timeline.now)
                if rankings.streaks is not None and rankings.streaks.version != settings.version and not final:
                    await self._builder.follow_in_turn(rankings.plan.board)

    async def streak(self, user: User) -> Streak:
        """See `Ledger.streak`."""
        return self._reader.streak(user)

    async def counted_periods(self, user: User) -> list[CountedPeriod]:
        """See `Ledger.counted_periods`."""
        return self._reader.counted_periods(user)

    async def streak_rankings(self, scope: int, order: StreakOrder, limit: int) -> list[StreakRow]:
        """See `Ledger.streak_rankings`. Everything recorded until now is projected first."""
        version, now = self._streaks.settings(scope).version, self._timeline.now
        await self._upkeep.project()
        with closing(self._projection.snapshot()) as snapshot:
            found = await self._upkeep.undisturbed(snapshot.longest_streaks, scope, version, order, now, limit)
        return [StreakRow(*row) for row in found]

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        """See `Ledger.set_points`."""
        await self._committer.set_points(scope, schemes)

    async def awards(self, user: User, system: Metric, limit: int) -> list[Award]:
        """See `Ledger.awards`."""
        return self._reader.awards(user, system, limit)

    async def unfinished_erasures(self) -> list[Erasure]:
        """See `Ledger.unfinished_erasures`."""
        return await self._compaction.unfinished()

    async def compact(self, numbers: Sequence[int]) -> None:
        """See `Ledger.compact`."""
        await self._compaction.compact(numbers)

    async def records(self, after: int, limit: int) -> list[Record]:
        """See `Ledger.records`."""
        return self._reader.records(after, limit)

    async def events(self, wanted: WantedEvents) -> EventPage:
        """See `Ledger.events`. Everything recorded until now is projected first."""
        await self._upkeep.project()
        page: FoundPage = await self._upkeep.in_background(
            explore, self._folder.projection, self._folder.log, self._projection.position, wanted
        )
        return EventPage(self._reader.stored_events(page.found), page.before)

    async def events_with(self, scope: int, ids: Sequence[str]) -> list[StoredEvent | None]:
        """See `Ledger.events_with`. Everything recorded until now is projected first."""
        await self._upkeep.project()
        found: list[Found | None] = await self._upkeep.in_background(
            look_up, self._folder.projection, self._folder.log, self._projection.position, scope, [*ids]
        )
        stored = iter(self._reader.stored_events([one for one in found if one is not None]))
        return [None if one is None else next(stored) for one in found]

    @property
    def is_put_together(self) -> bool:
        """Whether the log was put together from several, in which lines had other places."""
        return self._log.last_origin > 0

    async def checkpoint(self) -> None:
        """Write a checkpoint now, without waiting until one is due."""
        await self._upkeep.checkpoint()

    async def close(self) -> None:
        """See `Ledger.close`."""
        # All of it, whatever fails, from the last that is put in to the first: the folder is let go of in any case.
        async with AsyncExitStack() as ending:
            for release in (self._folder.release, self._log.close, self._projection.close):
                ending.callback(release)
            ending.push_async_callback(self._archivist.close_down)
            ending.push_async_callback(self._upkeep.close)
            # The last batch may have given it something to do.
            ending.push_async_callback(self._reviser.close)
            ending.push_async_callback(self._committer.close)

    @property
    def now(self) -> int:
        """How far time has come here: nothing is recorded before this instant any more."""
        return self._timeline.now

    @property
    def figures(self) -> Figures:
        """What was counted since the start."""
        return self._committer.figures

    @property
    def obstacle(self) -> str | None:
        """What keeps events from being recorded, in words; None when nothing does."""
        return self._committer.obstacle

    @property
    def queued_entries(self) -> int:
        """How many entries wait for the disk."""
        return self._committer.queued_entries

    def sizes(self) -> list[tuple[Board, int]]:
        """How many entries the rankings of each board hold, hidden ones included."""
        return [
            (held.plan.board, sum(len(index) for groups in held.runs.values() for index in groups.values()))
            for held in self._followed
        ]

    async def _restore(self, boards: Sequence[Board]) -> set[int]:
        """Read the checkpoint and replay what came after it; returns the numbers of the boards that it held."""
        try:
            stored = Checkpoint(self._folder.checkpoint)
        except FileNotFoundError:
            return set()
        except Damaged as error:
            logger.warning("the checkpoint is damaged; rankings are made from the log", reason=str(error))
            return set()
        if stored.position > self._log.position:
            return set()
        # What is over is in the archive; where that was lost, everything of the board is made again.
        archive = self._archivist.archive
        held = {
            board.number: self._known(board)
            for board in boards
            if archive.holds(board.number)
            and stored.holds(board, self._streaks.settings(board.scope), archive.edition(board.number))
        }
        stored.load(held)
        for rankings in held.values():
            self._followed.install(rankings)
        self._timeline.now = stored.now
        live = [rankings for rankings in held.values() if not rankings.frozen]
        await replay_log(live, self._users, self._streaks, self._log, stored.position, self._timeline)
        self._upkeep.checkpoint_position = stored.position
        return set(held)

    def _known(self, board: Board) -> Rankings:
        """Empty rankings of a board, with what is over of it where it was."""
        rankings = Rankings(Plan(board), self._users.id_of)
        if board.rank_by == "streak":
            rankings.streaks = self._streaks.settings(board.scope)
        rankings.edition = self._archivist.archive.edition(board.number)
        return rankings
