"""A draft that takes events back too.

An event that is void is taken out of what its user has, as if it had not been, and the awards of points behind it are
worked out again. All of it is a change of that one user. What it changes of what is over, is noted to be revised; in
runs that are final and ignore what comes late, nothing changes, and the void counts among what was ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from palmares.domain import value
from palmares.domain.errors import NotFound
from palmares.domain.points import Earned
from palmares.domain.streak import concerns, encode, may_concern
from palmares.ledger.contract import Entry
from palmares.ledger.points import encode_award
from palmares.ledger.repay import repay
from palmares.ledger.valkey.boards import Making
from palmares.ledger.valkey.draft import (
    DRAFTED,
    EventsNeeded,
    Happened,
    PastEvent,
    Step,
    UserBefore,
    event_member,
)
from palmares.ledger.valkey.draft_streaks import StreakDraft
from palmares.ledger.valkey.keys import run_field, user_name
from palmares.ledger.valkey.state import Held, Line, Logged, Stored, Sum, UserState
from palmares.ledger.voids import consequence


class CorrectingDraft(StreakDraft):
    """Some requests in the making, of which some take events back."""

    def _add(self, entry: Entry) -> Step:
        return super()._add(entry) if entry.voids is None else self._add_void(entry, entry.voids)

    def _add_void(self, entry: Entry, position: int) -> Step:
        """Take back an event; one that is void already stays so, and nothing changes."""
        where = self._where(position)
        event, name, present = self._event_at(entry.scope, where)
        state = self._caught_up(name, present.state)
        step = Step(entry, name, where[0], present.version, state, about=event)
        if where not in self.picture.voids and event.position not in self._void_by_draft(name):
            self._void(step, [event], entry.reason)
            self._repay(step, event)
            self._settle(step, UserBefore(present.state.user, present.state.held, present.state.streak))
            self._keep(step, entry)
        assert event.metric is not None
        step.total, step.streak = step.state.sums[event.metric].total, self.streak(name, step.state)
        return step

    def _where(self, position: int) -> tuple[int, int]:
        """The shard of an event and its position there; of several shards where it may be, one has it."""
        places, lines = self.picture.numbering.split_position(position), self.picture.lines
        return next((where for where in places if where in lines and lines[where].line.kind == "event"), places[0])

    def _event_at(self, scope: int, where: tuple[int, int]) -> tuple[Logged, bytes, Stored]:
        """The line of an event that was recorded in a scope, and its user."""
        event = self.picture.lines.get(where)
        if event is None or event.line.kind != "event" or event.line.scope != scope or (event.metric or 0) <= 0:
            raise NotFound("there is no such event")
        name = user_name(scope, event.line.user_id)
        present = self._present(name)
        if present is None:
            raise NotFound("there is no such event")
        return event, name, present

    def _void(self, step: Step, events: Sequence[Logged], reason: str | None) -> None:
        """Let events of a step's user be void from now on, with all that follows from it."""
        body = None if reason is None else msgspec.json.encode({"reason": reason}).decode()
        for event in events:
            self._append_void(step, event, body)
        settings = self._settings_of(step.state.user)
        if any(concerns(settings, event.metric or 0, event.amount or 0) for event in events):
            streak = self._refold(step.name, step.state)
            step.lines[-1] = msgspec.structs.replace(step.lines[-1], streak=encode(streak))
            step.state = msgspec.structs.replace(step.state, streak=streak)
        self._recount_without(step, events)

    def _append_void(self, step: Step, event: Logged, body: str | None) -> None:
        line, state = event.line, step.state
        past = past_event(event)
        assert line.metric is not None
        former = state.sums[line.metric]
        after = Sum(value.checked(former.total - past.amount, "the user's total"), former.latest)
        step.state = msgspec.structs.replace(state, sums={**state.sums, line.metric: after})
        step.gone.append((event_member(line.metric, past), self._next_position(step)))
        step.targets[len(step.lines)] = event.position
        step.lines.append(
            Line(
                line.scope, line.user_id, body, line.metric, -past.amount, line.occurred_at, line.local_at, after.total,
                late=line.late, kind="void", history=line.history,
            )
        )  # fmt: skip
        self._fresh.voids.setdefault(step.name, set()).add(event.position)

    def _recount_without(self, step: Step, events: Iterable[Logged]) -> None:
        """What is left to a step's user on the boards that counted some events, which are void now."""
        boards = self._boards(step.name)
        for event in events:
            assert event.metric is not None
            for making in [*boards.counting(event.metric), *self._ranking_streak_of(step, event)]:
                found = consequence(making.plan, event, self.now)
                if found is None:
                    continue
                place = run_field(making.generation, found.run.start)
                if found.ignored:
                    step.ignored.append(place)
                if found.over:
                    step.revising.append(place)
                if found.live and making.streaks is None:
                    self._recount(step, making, found.run.start, event.metric)

    def _ranking_streak_of(self, step: Step, event: Logged) -> Iterable[Making]:
        """The boards that rank by a streak to which an event may have mattered."""
        return [
            making
            for making in self._boards(step.name).by_streak(step.state.user.scope)
            if making.streaks is not None and may_concern(making.streaks, event.metric or 0, event.amount or 0)
        ]

    def _recount(self, step: Step, making: Making, run_start: int, metric: int) -> None:
        """Let a step's user have in a run what the events that are left make there."""
        run = making.board.schedule.run_at(run_start)
        assert run is not None
        after = self._fold(making, run, self._events(step.name, metric))
        runs = {start: held for start, held in step.state.held.get(making.generation, {}).items() if start != run_start}
        if after is not None:
            runs[run_start] = Held(*after, making.plan.group_of(step.state.user.attributes))
        step.state = msgspec.structs.replace(step.state, held={**step.state.held, making.generation: runs})

    # Points

    def _repay(self, step: Step, event: Logged) -> None:
        """Let a step's user have the points that are earned without an event that is void."""
        assert event.metric is not None
        points = self._boards(step.name).points
        for counter, versions in points.paying_since(event.line.scope, event.metric, event.position):
            metrics = {rule.metric for _, scheme in versions for rule in scheme.rules}
            own = sorted(line for metric in metrics for line in self._standing(step, metric, event.position))
            awards = sorted(self._standing(step, counter, event.position))
            found = repay(versions, own, awards, event.position, step.state.user.attributes)
            if found.gone:
                self._void(step, found.gone, None)
            for source, award in found.owed:
                self._pay_late(step, counter, source, award)

    def _standing(self, step: Step, metric: int, position: int) -> list[Logged]:
        """All events of a step's user on a metric that are not void. Those in front of a position are told without
        their attributes and targets: nothing of them is judged again."""
        events = self._events(step.name, metric)
        self._need_lines(step, [event.position for event in events if position < event.position < DRAFTED])
        return [
            self._logged(step, event) if event.position > position else _shortly(step.state, metric, event)
            for event in events
        ]

    def _need_lines(self, step: Step, positions: Iterable[int]) -> None:
        missing = {(step.shard, position) for position in positions} - self.picture.lines.keys()
        if missing:
            raise EventsNeeded([step.name], lines=missing)

    def _logged(self, step: Step, event: PastEvent) -> Logged:
        """The line of an event, recorded or drafted."""
        if event.position < DRAFTED:
            return self.picture.lines[step.shard, event.position]
        drafted = self._drafted_lines(step.name)
        own = [(line, step.targets.get(place, 0)) for place, line in enumerate(step.lines)]
        line, target = [*drafted, *own][event.position - DRAFTED]
        return Logged(event.position, self.now, step.state.user.number, line, target)

    def _pay_late(self, step: Step, counter: int, source: Logged, award: Earned) -> None:
        """Add an award for an event of the past; it takes effect now, as events do that are sent late."""
        past = past_event(source)
        happened = Happened(
            counter, award.amount, past.occurred_at, past.local_at, encode_award(award), None, source.position
        )
        coming = self._coming(step, happened, "the user's points")
        self._append(step, happened, coming, step.state.streak, step.state.held)
        for making in self._boards(step.name).counting(counter):
            run = making.plan.run_at(past.local_at)
            if run is None:
                continue
            if self._is_live(making, run.start):
                self._recount(step, making, run.start, counter)
            elif making.board.late_events == "ignore":
                step.ignored.append(run_field(making.generation, run.start))
            else:
                step.revising.append(run_field(making.generation, run.start))


def past_event(event: Logged) -> PastEvent:
    """The event of a line, as it is kept for its user."""
    line = event.line
    assert line.occurred_at is not None
    assert line.amount is not None
    assert line.local_at is not None
    return PastEvent(line.occurred_at, event.position, line.amount, line.local_at)


def _shortly(state: UserState, metric: int, event: PastEvent) -> Logged:
    line = Line(state.user.scope, state.user.id, None, metric, event.amount, event.occurred_at, event.local_at)
    return Logged(event.position, 0, state.user.number, line)
