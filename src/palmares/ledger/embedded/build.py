"""Rankings from nothing but the log: for boards that were not followed when their events came, for a start without a
checkpoint, and for final runs that late events revise.

The past is lived through once more: events and changes of attributes in the order in which they took effect, with the
ends of days and the closings of runs where they belong. So what comes out, final runs and the days of histories
included, is what a board has that was there from the start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from palmares.domain import local_time, tally, value
from palmares.domain.changes import Move
from palmares.domain.effect import effect_at, final_at, is_late
from palmares.domain.group import Group
from palmares.domain.local_time import day_of
from palmares.domain.run import Run
from palmares.domain.tally import Tally
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.log import PastEvent
from palmares.ledger.embedded.past import InThread, Past, PastStep
from palmares.ledger.embedded.projection import Projection, Snapshot
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.timeline import Timeline


class Tools(NamedTuple):
    """What a build works with."""

    projection: Projection
    in_thread: InThread
    pause: Callable[[], Awaitable[None]]
    # The group in which a user stands at the end of a run, by its first day, as it was kept before; None for nowhere.
    kept_group: Callable[[int, int], Group | None]


class Build:
    """Fills empty rankings. `runs` None builds all; else only those runs are built, with their days."""

    def __init__(
        self,
        rankings: Rankings,
        past: Past,
        runs: list[Run] | None,
        timeline: Timeline,
        tools: Tools,
        archivist: Archivist,
    ) -> None:
        self._rankings = rankings
        self._past = past
        self._runs = runs or []
        self._archivist = archivist
        self._wanted = None if runs is None else {run.start for run in runs}
        self._timeline = timeline
        self._tools = tools
        self._groups: list[Group | None] = []
        # Of a board without groups: who is hidden.
        self._hidden: dict[int, None] = {}
        # Of a board with groups: who was erased, whose attributes nobody knows any more, and where they stand in runs.
        self._erased: set[int] = set()
        self._kept: dict[tuple[int, int], Group | None] = {}
        # The timeline's, remembered: it is asked at every step.
        self._next_due = timeline.next_due

    async def run(self, snapshot: Snapshot, until: int, on_progress: Callable[[int], None]) -> None:
        """Live through the past up to the instant `until`; one pass.

        `on_progress` is told how far in the log the pass has come. Raises `Invalid` when a value leaves its range.
        """
        self._groups = await self._past.groups(snapshot, self._tools.in_thread)
        if self._rankings.plan.grouped:
            self._erased = snapshot.erased_users()
        async for portion in self._past.steps(self._tools.in_thread):
            self._rankings.revised |= self._past.revising
            for step in portion:
                if step.effect is None:
                    self._ignore(step)
                    continue
                if step.effect >= self._next_due:
                    await self._timeline.reach(step.effect, until)
                    self._next_due = self._timeline.next_due
                self._apply(step)
            on_progress(portion[-1].position)
            await self._tools.pause()
        await self._timeline.reach(until)
        self._close_empty(until)

    def _close_empty(self, until: int) -> None:
        """Let also those runs end that were wanted, and in which nobody ever had a value that counts."""
        for run in self._runs:
            if is_late(run, until) and run.start not in self._rankings.closed:
                self._rankings.index(run.start, None)
                self._rankings.revised.add(run.start)
                self._archivist.close(self._rankings, run, day_of(final_at(run)))

    def _ignore(self, step: PastStep) -> None:
        run = self._run_of(step)
        if run is not None:
            self._rankings.ignored[run.start] += 1

    def _apply(self, step: PastStep) -> None:
        if step.body is None:
            self._count(step)
        elif not step.body:
            for _ in self._rankings.erase(step.user):
                pass
        elif step.user not in self._erased:
            before, after = self._group_of(step.user), self._past.group_after(step.body)
            if after != before:
                self._regroup(step.user, after)
                for _ in self._rankings.move(Move(self._rankings.plan, before, after), step.user):
                    pass

    def _group_in(self, run: Run, user: int) -> Group | None:
        """The group of a user for what counts in a run."""
        if user not in self._erased:
            return self._group_of(user)
        name = (run.start, user)
        if name not in self._kept:
            self._kept[name] = self._tools.kept_group(run.start, user)
        return self._kept[name]

    def _group_of(self, user: int) -> Group | None:
        return self._groups[user] if self._rankings.plan.grouped else self._hidden.get(user, ())

    def _regroup(self, user: int, after: Group | None) -> None:
        if self._rankings.plan.grouped:
            self._groups[user] = after
        elif after is None:
            self._hidden[user] = None
        else:
            self._hidden.pop(user, None)

    def _count(self, step: PastStep) -> None:
        run = self._run_of(step)
        if run is None:
            return
        group = self._group_in(run, step.user)
        before = self._rankings.stored(run.start, group, step.user)
        if is_late(run, step.recorded_at):
            self._rankings.revised.add(run.start)
        in_order = step.occurred_at == step.effect
        after = tally.step(self._rankings.plan.board.aggregation, before, step.amount, step.occurred_at, in_order)
        if after is None:
            after = self._refold(run, step)
        # Where nobody followed the board, nobody has refused the events that lead out of the range.
        value.checked(after.value, f"a value on leaderboard {self._rankings.plan.board.key!r}")
        self._rankings.set(run.start, group, step.user, after)

    def _run_of(self, step: PastStep) -> Run | None:
        run = self._rankings.plan.run_concerned(step.local_at)
        return run if run is None or self._wanted is None or run.start in self._wanted else None

    def _refold(self, run: Run, step: PastStep) -> Tally:
        """The tally of all events of the user in the run that took effect up to this one."""
        board = self._rankings.plan.board
        assert board.counted is not None
        assert step.effect is not None
        past = value.MOST if run.end is None else local_time.start_of(run.end + 1)
        recorded = self._tools.projection.effects_of(
            step.user, board.counted.number, local_time.start_of(run.start), past, self._past.upto
        )
        events: list[PastEvent] = []
        for event, recorded_at, history in recorded:
            if event.position in self._past.gone:
                continue
            effect = effect_at(run, board.late_events, recorded_at, event.occurred_at, history)
            if effect is not None and (effect, event.position) <= (step.effect, step.position):
                events.append(event)
        folded = self._rankings.refold(run, events)
        assert folded is not None, "there is this event at least"
        return folded
