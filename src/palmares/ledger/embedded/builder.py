"""Making rankings from the log while events go on: of boards that are followed late, and of runs that are revised.

What is recorded during the build waits in a list, with the instants that passed, and is applied at the end; the last
of it in a moment without a batch, in which the new rankings take the place of the old.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from palmares.domain.board import Board
from palmares.domain.changes import Plan
from palmares.domain.effect import is_late, last_boundary
from palmares.domain.group import Group
from palmares.domain.local_time import day_of, start_of
from palmares.domain.run import Run
from palmares.domain.value import LEAST
from palmares.ledger.contract import Ranks
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.build import Build, Tools
from palmares.ledger.embedded.draft import Step
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import Log
from palmares.ledger.embedded.past import opened
from palmares.ledger.embedded.projection import Projection
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.reader import ranks_of
from palmares.ledger.embedded.replay import replay_step
from palmares.ledger.embedded.streak_build import StreakBuild
from palmares.ledger.embedded.streaks import Streaks
from palmares.ledger.embedded.timeline import Timeline, finish
from palmares.ledger.embedded.upkeep import Newcomer, Upkeep, pause
from palmares.ledger.embedded.users import Users

_STEPS_BETWEEN_PAUSES = 500


class Builder:
    """Builds one board after the other. `progress` tells, by board number, how much of a build is done."""

    def __init__(
        self,
        log_path: Path,
        log: Log,
        projection: Projection,
        users: Users,
        followed: Followed,
        streaks: Streaks,
        archivist: Archivist,
        timeline: Timeline,
        upkeep: Upkeep,
        turn: asyncio.Lock,
    ) -> None:
        self.progress: dict[int, float] = {}
        # Held while the settings of streaks change, and while rankings are built by them.
        self.streak_turn = asyncio.Lock()
        self._log_path = log_path
        self._log = log
        self._projection = projection
        self._users = users
        self._followed = followed
        self._streaks = streaks
        self._archivist = archivist
        self._timeline = timeline
        self._upkeep = upkeep
        self._turn = turn

    async def follow(self, board: Board) -> None:
        """See `Ledger.follow`. Until the new rankings are complete, those of an earlier form are read and counted."""
        if board.rank_by != "streak":
            await self.follow_in_turn(board)
            return
        async with self.streak_turn:
            await self.follow_in_turn(board)

    async def follow_in_turn(self, board: Board) -> None:
        """Follow a board; one that ranks by streak while the settings of streaks do not change."""
        rankings, newcomer = await self._begin(board), Newcomer(minding(board), deque())
        try:
            upto, until = await self._watch(newcomer)
            if board.finished_position is not None:
                upto = board.finished_position
                until = self._finished_at(board, upto, until)
            timeline = await self._build(rankings, upto, until, None)
            await self._install(rankings, timeline, newcomer.steps)
        except BaseException:
            await self._archivist.in_thread(self._archivist.archive.discard, rankings.edition)
            raise
        finally:
            self._upkeep.unwatch(newcomer)
            self.progress.pop(board.number, None)

    def _finished_at(self, board: Board, position: int, now: int) -> int:
        """About when a board was finished by hand: days that ended before it are its, though nothing was recorded."""
        recorded = self._log.recorded_when(position)
        return recorded if board.end is None else max(recorded, min(now, start_of(board.end)))

    async def rebuild(self, rankings: Rankings, runs: list[Run]) -> None:
        """Build some runs anew, as they are with everything recorded so far, and let them take the former's place."""
        copy = await self._begin(rankings.plan.board)
        try:
            upto, until = await self._watch(None)
            frozen = rankings.frozen_position
            if frozen is not None:
                upto, until = frozen, self._finished_at(rankings.plan.board, frozen, until)
            timeline = await self._build(copy, upto, until, runs)
            if frozen is not None:
                finish(copy, self._archivist, timeline.now)
            await self._archivist.drain()
            if rankings.frozen_position != frozen:
                # Finished by hand meanwhile: these runs have ended in another way than what was made of them here.
                for run in runs:
                    rankings.revise(run)
            elif self._followed.holds(rankings):
                over = [run for run in runs if rankings.frozen or is_late(run, until)]
                await self._install_edition(copy, {run.start: day_of(until) + (run in over) for run in runs})
                self._note_begun(rankings, copy, [run for run in runs if run not in over], until)
        finally:
            self.progress.pop(rankings.number, None)
            await self._archivist.in_thread(self._archivist.archive.discard, copy.edition)

    def _note_begun(self, rankings: Rankings, copy: Rankings, live: list[Run], until: int) -> None:
        """The days of live runs may have begun earlier, or not at all, now that they are made anew."""
        for run in live:
            if run.start in copy.begun:
                rankings.begun.add(run.start)
            elif run.start in rankings.begun:
                rankings.begun.remove(run.start)
                if last_boundary(self._timeline.now) > last_boundary(until):
                    # Meanwhile a day was kept that may not have begun anything.
                    rankings.revise(run)

    async def ranks_as_of(self, board: Board, position: int, instant: int) -> list[tuple[Run, Group, Ranks]]:
        """See `Ledger.ranks_as_of`. The past is lived through until then, and what would be kept of it thrown away."""
        copy = await self._begin(board)
        try:
            await self._watch(None)
            await self._build(copy, position, instant, None)
            await self._archivist.drain()
            runs = [(board.schedule.run_at(start), orders) for start, orders in copy.runs.items()]
            return [
                (run, group, ranks_of(copy, index))
                for run, orders in runs
                for group, index in orders.items()
                if run is not None and group is not None
            ]
        finally:
            self.progress.pop(board.number, None)
            await self._archivist.in_thread(self._archivist.archive.discard, copy.edition)

    async def _begin(self, board: Board) -> Rankings:
        rankings = Rankings(Plan(board), self._users.id_of)
        if board.rank_by == "streak":
            rankings.streaks = self._streaks.settings(board.scope)
        rankings.edition = await self._archivist.in_thread(self._archivist.archive.begin_edition, board.number)
        return rankings

    async def _watch(self, newcomer: Newcomer | None) -> tuple[int, int]:
        """Bring the projection up to date and note what is recorded from then on; the position and the instant."""
        # Most of the log before the turn, so that recording waits for the rest only.
        await self._upkeep.project()
        async with self._turn:
            await self._upkeep.project()
            if newcomer is not None:
                self._upkeep.watch(newcomer)
            return self._log.position, self._timeline.now

    async def _build(self, rankings: Rankings, upto: int, until: int, runs: list[Run] | None) -> Timeline:
        """Live through the past; the timeline with which to go on."""
        timeline = Timeline(lambda: [rankings], lambda: [rankings], self._archivist, LEAST, in_build=True)
        board = rankings.plan.board
        if board.counted is None and rankings.streaks is None:
            return timeline
        snapshot = self._projection.snapshot()
        try:
            metric = None if board.counted is None else board.counted.number
            void = snapshot.voids(metric, upto)
            with opened(self._log_path, rankings.plan, upto, runs, rankings.streaks, void) as past:
                # Who gives up waits for the thread: what it reads from must not be closed under it.
                in_thread = partial(self._upkeep.undisturbed, interrupt=past.interrupt)
                tools = Tools(self._projection, in_thread, pause, partial(self._kept_group, rankings))
                build = (
                    Build(rankings, past, runs, timeline, tools, self._archivist)
                    if rankings.streaks is None
                    else StreakBuild(rankings, past, runs, timeline, tools, self._archivist, rankings.streaks)
                )
                await build.run(snapshot, until, lambda position: self._tell(board.number, position, upto))
        finally:
            snapshot.close()
        return timeline

    def _kept_group(self, rankings: Rankings, run_start: int, user: int) -> Group | None:
        """The group of an erased user in a run that was kept before; where it was not, that of nobody's attributes."""
        archive, board = self._archivist.archive, rankings.plan.board
        if archive.final_run(board.number, run_start) is None:
            return rankings.plan.own_group({})
        place = archive.place(board.number, run_start, user)
        return place.group if place is not None and len(place.group) == len(board.breakdown) else None

    def _tell(self, board: int, position: int, upto: int) -> None:
        self.progress[board] = max(self.progress.get(board, 0.0), position / max(upto, 1))

    async def _install(self, rankings: Rankings, timeline: Timeline, steps: deque[Step | int]) -> None:
        """Take in what was recorded during the build; the last of it in one go, with no batch on its way."""
        while not rankings.frozen and len(steps) > _STEPS_BETWEEN_PAUSES:
            await self._replay(rankings, timeline, [steps.popleft() for _ in range(_STEPS_BETWEEN_PAUSES)])
            await pause()
        await self._archivist.drain()
        async with self._turn:
            if rankings.frozen:
                finish(rankings, self._archivist, timeline.now)
            else:
                await self._replay(rankings, timeline, steps)
                await timeline.reach(self._timeline.now)
            await self._archivist.drain()
            await self._install_edition(rankings)
            self._followed.install(rankings)
            self._upkeep.give_up_checkpoint()

    async def _install_edition(self, rankings: Rankings, runs: Mapping[int, int] | None = None) -> None:
        """Let the edition be read; of some runs only, each with the day before which all of its days are made."""
        archive, board = self._archivist.archive, rankings.plan.board.number
        await self._archivist.write(archive.install, board, rankings.edition, runs, runs)

    async def _replay(self, rankings: Rankings, timeline: Timeline, steps: Iterable[Step | int]) -> None:
        for step in steps:
            if isinstance(step, int):
                await timeline.reach(step)
            else:
                replay_step(rankings, self._users, self._streaks, step)


def minding(board: Board) -> Callable[[Step], bool]:
    """Whether a step may change the rankings of a board, told without knowing them."""

    def minds(step: Step) -> bool:
        user = step.state.user
        if user.scope != board.scope:
            return False
        if board.counted is None or step.erased or user.attributes != step.attributes_before:
            return True
        if any(voided.event.metric == board.counted.number for voided in step.voids):
            return True
        return any(line.metric == board.counted.number for line in step.lines)

    return minds
