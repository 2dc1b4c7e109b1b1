"""The way of a request through the ledger: queued, drafted, flushed, applied, answered.

One batch is on its way at a time. It takes whatever has queued up; while its flush waits for the disk on another
thread, the next requests gather. Users and rankings change only after the flush has succeeded, all steps of the batch
in one go, so no reader sees half of anything.

`turn` is held while a batch is on its way. Whoever needs a moment without one takes it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from palmares.domain import local_time
from palmares.domain.errors import Overloaded, PalmaresError, Unavailable
from palmares.domain.group import Group
from palmares.domain.points import Scheme
from palmares.domain.run import Run
from palmares.domain.tally import Tally
from palmares.ledger.contract import BoardOutcome, Entry, Outcome
from palmares.ledger.embedded.draft import Count, Draft, Late, Step
from palmares.ledger.embedded.figures import Figures
from palmares.ledger.embedded.flusher import Flusher
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import POINTS, Line, Log, PastEvent, past_event
from palmares.ledger.embedded.projection import FirstUse
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.streaks import Streaks
from palmares.ledger.embedded.timeline import Timeline
from palmares.ledger.embedded.users import Users
from palmares.ledger.event_id import event_id
from palmares.ledger.points import Points, award_of, encode_schemes

logger = structlog.get_logger(__name__)
_MOST_ENTRIES_PER_BATCH = 5_000
_FAILURE_SECONDS = 10.0


class Watcher(Protocol):
    """Somebody who follows every applied step. `minds_standings` says whether to tell of standings before counts."""

    @property
    def minds_standings(self) -> bool: ...

    def step_applied(self, step: Step) -> None:
        """A step was applied."""

    def standing_changes(
        self, board: int, run_start: int, user: int, before: Group | None, after: Group | None
    ) -> None:
        """The standing of a user, in one group until now, changes and is in another, or the same, from now on."""

    def time_passed(self, now: int) -> None:
        """Everything has ended that was due until an instant."""

    def rankings_doubtful(self) -> None:
        """The rankings may differ from the log from now on: they must not be written down."""

    async def batch_applied(self) -> None:
        """A batch was applied; the next one waits for this."""


@dataclass(slots=True)
class Request:
    """Entries that stand or fall together, and who waits for them."""

    entries: Sequence[Entry]
    answer: asyncio.Future[list[Outcome]]
    steps: list[Step] = field(default_factory=list)

    def refuse(self, error: Exception) -> None:
        """Answer with an error: nothing was stored."""
        self.steps = []
        if not self.answer.done():
            self.answer.set_exception(error)

    def fulfil(self, outcomes: list[Outcome]) -> None:
        """Answer, unless whoever asked has gone away: what they asked for is stored all the same."""
        if not self.answer.done():
            self.answer.set_result(outcomes)


class Committer:
    """Records entries: the only writer of the log, the users and the rankings."""

    def __init__(
        self,
        log: Log,
        users: Users,
        followed: Followed,
        streaks: Streaks,
        points: Points,
        watcher: Watcher,
        timeline: Timeline,
        clock: Callable[[], int],
        timer: Callable[[], float],
        most_queued: int,
    ) -> None:
        self.figures = Figures()
        self.turn = asyncio.Lock()
        self._log = log
        self._users = users
        self._followed = followed
        self._streaks = streaks
        self._points = points
        self._watcher = watcher
        self._timeline = timeline
        self._clock = clock
        self._timer = timer
        self._most_queued = most_queued
        self._queue: list[Request] = []
        self._awake = asyncio.Event()
        self._closing = self._stopped = False
        self._failed_at: float | None = None
        self._disk = Flusher()
        self._task = asyncio.create_task(self._commit_batches(), name="palmares-committer")
        self.queued_entries = 0

    async def record(self, entries: Sequence[Entry]) -> list[Outcome]:
        """See `Ledger.record`."""
        if self._closing:
            raise Unavailable("the server is stopping; nothing was stored")
        if self.queued_entries and self.queued_entries + len(entries) > self._most_queued:
            raise Overloaded
        request = Request(entries, asyncio.get_running_loop().create_future())
        self._queue.append(request)
        self.queued_entries += len(entries)
        self._awake.set()
        return await request.answer

    @property
    def obstacle(self) -> str | None:
        """What keeps events from being recorded, in words.

        A failed flush counts for some seconds only: nobody would find out that the disk works again if nobody tried.
        """
        if self._stopped:
            return "the ledger needs a restart"
        if self._failed_at is not None and self._timer() - self._failed_at < _FAILURE_SECONDS:
            return "the last flush to the disk failed"
        return None

    async def close(self) -> None:
        """Take nothing new, record what has queued up, and stop."""
        self._closing = True
        self._awake.set()
        await self._task
        async with self.turn:
            self._disk.close()

    async def _commit_batches(self) -> None:
        while self._queue or not self._closing:
            await self._awake.wait()
            batch: list[Request] = []
            try:
                async with self.turn:
                    batch = self._take()
                    await self._commit(batch)
                await self._watcher.batch_applied()
            except Exception:
                logger.exception("the ledger stops recording")
                self._stop(batch)

    def _stop(self, batch: list[Request]) -> None:
        """What is in memory may no longer be what the log says; only a restart can tell."""
        self._closing = True
        self._stopped = True
        self._watcher.rankings_doubtful()
        for request in batch:
            request.refuse(Unavailable("the ledger needs a restart, which will tell whether this was stored"))
        while self._queue:
            for request in self._take():
                request.refuse(Unavailable("the ledger needs a restart; nothing was stored"))

    def _take(self) -> list[Request]:
        """The requests of the next batch: all that wait, up to a bound that keeps the wait of the first short."""
        taken, entries = 0, 0
        for request in self._queue:
            if taken and entries + len(request.entries) > _MOST_ENTRIES_PER_BATCH:
                break
            taken += 1
            entries += len(request.entries)
        batch, self._queue = self._queue[:taken], self._queue[taken:]
        self.queued_entries -= entries
        if not self._queue and not self._closing:
            self._awake.clear()
        return batch

    async def advance(self, now: int) -> None:
        """Let everything end that is due until an instant, though nobody records anything."""
        async with self.turn:
            await self._reach(now)

    async def set_points(self, scope: int, schemes: Sequence[Scheme]) -> None:
        """See `Ledger.set_points`. What has begun is done, also when whoever asked goes away."""
        self._setting = asyncio.create_task(self._set_points(scope, tuple(schemes)), name="palmares-points")
        await asyncio.shield(self._setting)

    async def _set_points(self, scope: int, schemes: tuple[Scheme, ...]) -> None:
        async with self.turn:
            if schemes == self._points.schemes(scope):
                return
            if self._closing:
                raise Unavailable("the server is stopping; nothing was stored")
            await self._reach(max(self._clock(), self._log.recorded_at))
            now, body = self._timeline.now, encode_schemes(schemes)
            await self._flush([Line(self._log.position + 1, POINTS, now, scope, user=0, body=body)])
            self._points.define(scope, schemes, self._log.position)

    async def _reach(self, now: int) -> None:
        """Let everything end that is due; nearly always that is nothing."""
        if now >= self._timeline.next_due:
            await self._timeline.reach(now)
            self._watcher.time_passed(now)
        elif now > self._timeline.now:
            self._timeline.now = now

    async def _commit(self, batch: list[Request]) -> None:
        await self._reach(max(self._clock(), self._log.recorded_at))
        draft = self._draft(batch)
        try:
            if draft.lines:
                await self._flush(draft.lines)
        except Unavailable as error:
            self._flush_failed(batch, error)
            return
        answers = [[self._apply(step, draft.now) for step in request.steps] for request in batch]
        for request, outcomes in zip(batch, answers, strict=True):
            request.fulfil(outcomes)

    def _draft(self, batch: list[Request]) -> Draft:
        draft = Draft(self._log, self._users, self._followed, self._streaks, self._points, self._timeline.now)
        for request in batch:
            try:
                request.steps = draft.add(request.entries)
            except PalmaresError as error:
                self.figures.refused += 1
                request.refuse(error)
            except Exception as error:
                logger.exception("an entry could not be drafted")
                request.refuse(error)
        return draft

    async def _flush(self, lines: Sequence[Line]) -> None:
        began = self._timer()
        self._log.append(lines)
        await self._disk.run(self._log.commit)
        self._log.position, self._log.recorded_at = lines[-1].position, lines[-1].recorded_at
        self.figures.flush_seconds.observe(self._timer() - began)
        self.figures.batch_entries.observe(len(lines))
        self._failed_at = None

    def _flush_failed(self, batch: list[Request], error: Unavailable) -> None:
        logger.error("flush failed", reason=error.message, requests=len(batch))
        self._failed_at = self._timer()
        self.figures.failed_flushes += 1
        for request in batch:
            request.refuse(error)

    def _apply(self, step: Step, now: int) -> Outcome:
        """Make a flushed step visible."""
        if step.replayed is not None:
            return self._replayed(step, step.replayed, now)
        if step.about is not None and not step.voids:
            return self._void_already(step, step.about)
        if step.erased:
            return self._erase(step)
        user = step.state.user
        self._users.put(step.state)
        for rankings, move in step.moves:
            for run_start in rankings.move(move, user.number):
                self._watcher.standing_changes(rankings.number, run_start, user.number, move.before, move.after)
        outcome = Outcome(user, step.created)
        if step.event is not None:
            self._apply_event(step, step.event, outcome, now)
        elif step.metric is not None:
            # The user had the total that was asked for.
            known = step.state.sums.get(step.metric.number)
            outcome.total, outcome.streak = 0 if known is None else known.total, self._streaks.of(step.state)
        if step.voids:
            self._apply_voids(step, outcome)
        if step.streak_counts:
            outcome.boards = [*outcome.boards, *self._count_streaks(step, now)]
        self._watcher.step_applied(step)
        return outcome

    def _erase(self, step: Step) -> Outcome:
        """Take a user out of everything that is live."""
        user = step.state.user
        for rankings in self._followed.counting_in(user.scope):
            for run_start, group in rankings.erase(user.number):
                self._watcher.standing_changes(rankings.number, run_start, user.number, group, group)
        anonymous = self._users.erase(step.state)
        self._watcher.step_applied(step)
        return Outcome(anonymous.user)

    def _apply_event(self, step: Step, event: PastEvent, outcome: Outcome, now: int) -> None:
        user, line = step.state.user.number, step.event_line
        assert step.metric is not None
        assert line.total is not None
        self._users.note_event(user, step.metric.number, event)
        if line.idempotency_key is not None:
            self._users.note_key(user, step.metric.number, line.idempotency_key, FirstUse(event.position, now))
        self._note_awards(step)
        self.figures.events += 1
        for late in step.late:
            self._note_late(late)
        outcome.event_id = event_id(now, event.position)
        outcome.total = line.total
        outcome.streak, outcome.streak_extended = step.state.streak, step.streak_extended
        moved = [rankings for rankings, _ in step.moves]
        outcome.boards = [
            counted for count in step.counts if (counted := self._count(count, step, moved, now)) is not None
        ]
        outcome.awards = [award_of(award) for award in step.award_lines]

    def _note_awards(self, step: Step) -> None:
        for award in step.award_lines:
            assert award.metric is not None
            self._users.note_event(award.user, award.metric, past_event(award))

    def _apply_voids(self, step: Step, outcome: Outcome) -> None:
        """Take out what is void. Where an event brought it along, its own part has told of boards and late ones."""
        user = step.state.user.number
        for event, line in step.voids:
            assert event.metric is not None
            self._users.note_void(user, event.metric, event.position, line.position)
        if step.about is None:
            return
        self._note_awards(step)
        for late in step.late:
            self._note_late(late)
        for rankings, run, group, left in step.counts:
            if self._watcher.minds_standings:
                self._watcher.standing_changes(rankings.number, run.start, user, group, group)
            rankings.change(run.start, group, user, left)
        self._tell_void(step, step.about, outcome)

    def _tell_void(self, step: Step, event: Line, outcome: Outcome) -> None:
        assert event.metric is not None
        outcome.event_id = event_id(event.recorded_at, self._log.origin_of(event.position))
        outcome.total = step.state.sums[event.metric].total
        outcome.streak = self._streaks.of(step.state)

    def _void_already(self, step: Step, event: Line) -> Outcome:
        self.figures.replays += 1
        outcome = Outcome(step.state.user, replayed=True)
        self._tell_void(step, event, outcome)
        return outcome

    def _note_late(self, late: Late) -> None:
        if late.ignored:
            self.figures.ignored_late_events += 1
            late.rankings.ignored[late.run.start] += 1
        else:
            late.rankings.revise(late.run)

    def _count(self, count: Count, step: Step, moved: list[Rankings], now: int) -> BoardOutcome | None:
        """Where an event leaves its user on a board; None when the user takes no part, or nobody may see it yet."""
        rankings, run, group, earned = count
        user = step.state.user.number
        if self._watcher.minds_standings:
            self._watcher.standing_changes(rankings.number, run.start, user, group, group)
        if group is None and earned is not None:
            outcome = self._count_unseen(rankings, run, step, earned)
        elif group is None or earned is None:
            rankings.change(run.start, group, user, earned)
            return None
        else:
            outcome = rankings.count(run, group, user, earned, rankings in moved)
        return outcome if rankings.plan.active_at(now) else None

    def _count_unseen(self, rankings: Rankings, run: Run, step: Step, earned: Tally) -> BoardOutcome | None:
        """Where an event leaves a user whom the board does not show: one who is hidden has a place all the same."""
        user, plan = step.state.user, rankings.plan
        group = plan.own_group(user.attributes) if user.hidden else None
        if group is None:
            rankings.set(run.start, None, user.number, earned)
            return None
        moved = plan.own_group(step.attributes_before) != group
        return rankings.count_hidden(run, group, user.number, earned, moved)

    def _count_streaks(self, step: Step, now: int) -> Iterator[BoardOutcome]:
        """Where a streak leaves its user; told are the boards on which an event extended it."""
        user, moved = step.state.user.number, [rankings for rankings, _ in step.moves]
        for rankings, run, group, worth, told in step.streak_counts:
            if self._watcher.minds_standings:
                self._watcher.standing_changes(rankings.number, run.start, user, group, group)
            if told and worth.tally is not None:
                if group is None:
                    outcome = self._count_unseen(rankings, run, step, worth.tally)
                else:
                    outcome = rankings.count(run, group, user, worth.tally, rankings in moved)
                if outcome is not None and rankings.plan.active_at(now):
                    yield outcome
            rankings.set_streak(run.start, group, user, worth)

    def _replayed(self, step: Step, use: FirstUse, now: int) -> Outcome:
        """The present state, on the boards that such an event would feed now."""
        assert step.metric is not None
        self.figures.replays += 1
        state = self._users.get(step.state.user.number)
        user, metric = state.user, step.metric.number
        local = local_time.local_at(now, user.tz)
        boards = []
        for rankings in self._followed.counting(metric):
            run, group = rankings.plan.run_at(local), rankings.plan.own_group(user.attributes)
            if run is not None and group is not None and rankings.plan.active_at(now):
                look = rankings.look_hidden if user.hidden else rankings.look
                boards.append(look(run, group, user.number))
        identifier = event_id(use.recorded_at, self._log.origin_of(use.position))
        streak = self._streaks.of(state)
        return Outcome(user, False, identifier, state.sums[metric].total, True, boards, streak)
