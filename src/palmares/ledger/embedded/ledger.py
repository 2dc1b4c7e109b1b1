"""The embedded ledger: the parts put together, and boards followed and let go.

Committer   records: queue → draft → log → users and rankings      the only writer
Reader      answers from users and rankings
Upkeep      brings projection and checkpoint up to date behind the log
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.errors import Invalid
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.ledger.contract import DayChange, Entry, Outcome, Place, Record, Row
from palmares.ledger.embedded.build import build
from palmares.ledger.embedded.checkpoint import Checkpoint, Damaged
from palmares.ledger.embedded.committer import Committer
from palmares.ledger.embedded.draft import Step
from palmares.ledger.embedded.figures import Figures
from palmares.ledger.embedded.folder import Folder
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import Log
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.reader import Reader
from palmares.ledger.embedded.replay import replay_log, replay_step
from palmares.ledger.embedded.upkeep import Upkeep, pause
from palmares.ledger.embedded.users import Users

logger = structlog.get_logger(__name__)
_STEPS_BETWEEN_PAUSES = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the ledger holds in memory, and how often it writes down what it could work out again."""

    queued_entries: int = 20_000
    cached_users: int = 100_000
    events_between_projections: int = 100_000
    events_between_checkpoints: int = 1_000_000


class EmbeddedLedger:
    """A `Ledger` on one data folder. Make it with `open`; use it from one event loop."""

    def __init__(self, path: Path, clock: Callable[[], int], timer: Callable[[], float], limits: Limits) -> None:
        self._folder = Folder(path)
        self._log = Log(self._folder.log)
        self._projection = Projection(self._folder.projection, self._folder.log, self._log.position)
        self._projection.catch_up(self._log.position)
        self._users = Users(self._projection, limits.cached_users)
        self._followed = Followed()
        self._reader = Reader(self._log, self._users, self._followed)
        self._upkeep = Upkeep(
            self._folder, self._log, self._projection, self._users, self._followed,
            limits.events_between_projections, limits.events_between_checkpoints,
        )  # fmt: skip
        self._committer = Committer(
            self._log, self._users, self._followed, self._upkeep, clock, timer, limits.queued_entries
        )

    @classmethod
    async def open(
        cls,
        path: Path,
        boards: Sequence[Board],
        clock: Callable[[], int],
        timer: Callable[[], float],
        limits: Limits | None = None,
    ) -> EmbeddedLedger:
        """Open a data folder, making it when missing, and follow these boards.

        What the log holds beyond the projection and the checkpoint is worked out first. Raises `FolderInUse` when
        another process has the folder.
        """
        ledger = cls(path, clock, timer, limits or Limits())
        restored = ledger._restore(boards)
        for board in boards:
            if board.number not in restored:
                await ledger._follow_again(board)
        return ledger

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        """See `Ledger.record`."""
        return await self._committer.record(entries)

    async def follow(self, board: Board) -> None:
        """See `Ledger.follow`. While past events are folded, new ones are recorded and wait in a list.

        Until the new rankings are complete, those of an earlier form of the board are read and counted.
        """
        rankings = Rankings(Plan(board), self._users.id_of)
        steps: list[Step] = []
        # Most of the log before the turn, so that recording waits for the rest only.
        await self._upkeep.project()
        async with self._committer.turn:
            await self._upkeep.project()
            self._upkeep.watch(steps)
        try:
            await self._build(rankings)
            await self._catch_up(rankings, steps)
        finally:
            self._upkeep.unwatch(steps)

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
        self._upkeep.give_up_checkpoint()

    async def freeze(self, board_number: int) -> int:
        """See `Ledger.freeze`."""
        async with self._committer.turn:
            rankings = self._followed.get(board_number)
            if rankings.frozen_position is None:
                rankings.frozen_position = self._log.position
                self._followed.install(rankings)
            return rankings.frozen_position

    async def runs(self, board_number: int) -> list[Run]:
        """See `Ledger.runs`."""
        return self._reader.runs(board_number)

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

    async def user(self, scope: int, user_id: str) -> User | None:
        """See `Ledger.user`."""
        return self._reader.user(scope, user_id)

    async def total(self, user: User, metric: Metric) -> int:
        """See `Ledger.total`."""
        return self._reader.total(user, metric)

    async def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        """See `Ledger.days`."""
        return self._reader.days(user, metric, first_day, last_day)

    async def records(self, after: int, limit: int) -> list[Record]:
        """See `Ledger.records`."""
        return self._reader.records(after, limit)

    async def checkpoint(self) -> None:
        """Write a checkpoint now, without waiting until one is due."""
        await self._upkeep.checkpoint()

    async def close(self) -> None:
        """See `Ledger.close`."""
        await self._committer.close()
        await self._upkeep.close()
        self._projection.close()
        self._log.close()
        self._folder.release()

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

    def sizes(self) -> dict[str, int]:
        """How many entries the rankings of each board hold, hidden ones included, by board key."""
        return {
            held.plan.board.key: sum(len(index) for groups in held.runs.values() for index in groups.values())
            for held in self._followed
        }

    def _restore(self, boards: Sequence[Board]) -> set[int]:
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
        held = {board.number: Rankings(Plan(board), self._users.id_of) for board in boards if stored.holds(board)}
        stored.load(held)
        replay_log(list(held.values()), self._users, self._log, stored.position)
        for rankings in held.values():
            self._followed.install(rankings)
        self._upkeep.checkpoint_position = stored.position
        return set(held)

    async def _build(self, rankings: Rankings) -> None:
        """Fold the past. A board that was finished by hand stands as users and events were at that position."""
        board = rankings.plan.board
        if board.metric is None:
            return
        snapshot = self._projection.snapshot()
        try:
            upto = snapshot.position if board.finished_position is None else board.finished_position
            users = snapshot.users() if board.finished_position is None else self._log.users_as_of(upto)
            await build(rankings, snapshot.events_by_user(board.metric.number, upto), users, pause)
        finally:
            snapshot.close()

    async def _catch_up(self, rankings: Rankings, steps: list[Step]) -> None:
        """Take in what was recorded during the build; the last of it in one go, with no batch on its way."""
        done = 0
        while not rankings.frozen and len(steps) - done > _STEPS_BETWEEN_PAUSES:
            self._replay(rankings, steps[done : done + _STEPS_BETWEEN_PAUSES])
            done += _STEPS_BETWEEN_PAUSES
            await pause()
        async with self._committer.turn:
            self._replay(rankings, steps[done:])
            self._followed.install(rankings)
            self._upkeep.give_up_checkpoint()

    def _replay(self, rankings: Rankings, steps: Sequence[Step]) -> None:
        if not rankings.frozen:
            for step in steps:
                replay_step(rankings, self._users, step)
