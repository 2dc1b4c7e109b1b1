"""What a batch of entries is going to change, worked out before anything is written.

A draft reads the present state and keeps every consequence to itself: lines for the log, new states of users, new
tallies. Later entries of the batch see what earlier ones will have done. When a request is refused, what it had
drafted is undone and the others stay. Only after the flush does the ledger apply the steps.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from palmares.domain import local_time, tally, value
from palmares.domain.changes import Move, moves
from palmares.domain.effect import changes_past_days, is_late
from palmares.domain.erased import check_new_id
from palmares.domain.errors import NotFound, PalmaresError
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.points import Earned, earned, is_counter
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, concerns, encode, encode_change, in_zone, may_concern
from palmares.domain.streak import at as shown_at
from palmares.domain.streak import blank as blank_streak
from palmares.domain.tally import Tally
from palmares.domain.user import User, changed
from palmares.ledger.contract import Entry
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import ERASURE, EVENT, USER, VOID, Line, Log, PastEvent, Voided, past_event
from palmares.ledger.embedded.projection import FirstUse
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.streaks import Drafted, Streaks, StreakValue
from palmares.ledger.embedded.users import Sum, Users, UserState, encode_user
from palmares.ledger.points import Points, encode_award
from palmares.ledger.repay import repay
from palmares.ledger.voids import Consequence, consequence

_MISSING = object()
_ERASED: UserState = UserState(User(number=0, scope=0, id="", created=0, updated=0))


def streak_event(event: PastEvent, metric: int) -> StreakEvent:
    """An event as streaks need it."""
    return StreakEvent(event.occurred_at, event.position, metric, event.amount, event.local_at)


class Count(NamedTuple):
    """An event counts on a board, or is void: the user's tally in a run becomes this, None without any event left.
    `group` None is taking no part."""

    rankings: Rankings
    run: Run
    group: Group | None
    tally: Tally | None


class StreakCount(NamedTuple):
    """A user's streak is worth this in a run. `told` says that an event in the run extended it."""

    rankings: Rankings
    run: Run
    group: Group | None
    value: StreakValue
    told: bool


class Late(NamedTuple):
    """An event or a void changes what is over on a board: a final run, or past days of a run. Or it would, but is
    ignored."""

    rankings: Rankings
    run: Run
    ignored: bool


@dataclass(slots=True)
class Step:
    """The consequences of one entry, to be applied in order. A replay has no event and changes nothing.

    `about` is the line of the event that an entry says is void; without `voids` it was so already. Of a user who is
    `erased` the state is the last one.
    """

    metric: Metric | None
    state: UserState
    attributes_before: Mapping[str, str]
    created: bool = False
    moves: Sequence[tuple[Rankings, Move]] = ()
    counts: Sequence[Count] = ()
    streak_counts: Sequence[StreakCount] = ()
    streak_extended: bool = False
    late: Sequence[Late] = ()
    lines: list[Line] = field(default_factory=list)
    event: PastEvent | None = None
    award_lines: Sequence[Line] = ()
    replayed: FirstUse | None = None
    about: Line | None = None
    voids: Sequence[Voided] = ()
    erased: bool = False

    @property
    def event_line(self) -> Line:
        """The line of the event, of a step that has one: the last, but for those of its awards."""
        return self.lines[-1 - len(self.award_lines)]


class Draft:
    """One batch in the making. `lines` grows with each request that is taken."""

    def __init__(self, log: Log, users: Users, followed: Followed, streaks: Streaks, points: Points, now: int) -> None:
        self.lines: list[Line] = []
        self.now = now
        self._log = log
        self._users = users
        self._followed = followed
        self._streaks = streaks
        self._points = points
        self._position = log.position
        self._last_number = users.last_number
        self._states: dict[tuple[int, str], UserState] = {}
        self._keys: dict[tuple[int, int, str], FirstUse] = {}
        # Who is erased in the batch, by number.
        self._erased: dict[int, bool] = {}
        self._tallies: dict[tuple[int, int, int], Tally | None] = {}
        # The events that the batch says are void, with the position of what says so.
        self._voids: dict[int, int] = {}
        self._journal: list[tuple[dict[Any, Any], Any, Any]] | None = None

    def add(self, entries: Sequence[Entry]) -> list[Step]:
        """Draft one request: all of its entries, or none when one is refused (then the refusal is raised)."""
        if len(entries) == 1:
            # An entry is checked as a whole before anything of it is kept, so alone it needs no way back.
            return [self._add(entries[0])]
        lines, position, last_number = len(self.lines), self._position, self._last_number
        self._journal = []
        steps: list[Step] = []
        try:
            # Not a comprehension: when one is refused, the steps so far tell its place.
            for entry in entries:
                steps.append(self._add(entry))  # noqa: PERF401
        except BaseException as error:
            del self.lines[lines:]
            self._position, self._last_number = position, last_number
            self._take_back()
            raise (error.at(len(steps)) if isinstance(error, PalmaresError) else error) from None
        finally:
            self._journal = None
        return steps

    def _add(self, entry: Entry) -> Step:
        """Work out the whole step, which may be refused; then keep it."""
        if entry.voids is not None:
            return self._add_void(entry, entry.voids)
        name = (entry.scope, entry.user_id)
        drafted = self._states.get(name)
        stored = self._users.find(*name)
        if drafted is _ERASED:
            drafted = stored = None
        present = drafted or stored
        if entry.erase:
            return self._erase(name, present)
        if present is None:
            step = self._new_user(entry)
        else:
            use = self._first_use(entry, present.user.number)
            if use is not None:
                return Step(entry.metric, present, present.user.attributes, replayed=use)
            step = self._known_user(entry, present)
        if entry.metric is not None:
            amount = entry.amount if entry.total is None else self._amount(entry.total, entry.metric, step.state)
            if amount is not None:
                self._count_event(entry, entry.metric, amount, step, stored)
        if present is None or step.state.streak is not present.streak:
            step.streak_counts = self._streak_counts(step, None if present is None else present.user)
        self._keep(name, step, entry)
        return step

    def _add_void(self, entry: Entry, position: int) -> Step:
        """Take back an event; one that is void already stays so, and nothing changes."""
        event = self._event_at(entry.scope, position)
        stored = self._users.get(event.user)
        name = (entry.scope, stored.user.id)
        present = self._states.get(name) or stored
        step = Step(None, present, present.user.attributes, about=event)
        assert event.metric is not None
        if position not in self._voids and not self._users.is_void(event.user, event.metric, position):
            self._void(step, [event], entry.reason)
            self._repay(step, event)
            if step.state.streak is not present.streak:
                step.streak_counts = self._streak_counts(step, present.user)
            self._keep(name, step, entry)
        return step

    def _event_at(self, scope: int, position: int) -> Line:
        """The line of an event that was recorded in a scope."""
        line = self._log.at(position) if 0 < position <= self._log.position else None
        if line is None or line.kind != EVENT or line.scope != scope or line.metric is None or line.metric <= 0:
            raise NotFound("there is no such event")
        if line.user in self._users.erased or line.user in self._erased:
            raise NotFound("there is no such event")
        return line

    def _void(self, step: Step, events: Sequence[Line], reason: str | None) -> None:
        """Let events of a step's user be void from now on, with all that follows from it.

        They count until now, whether recorded or drafted, in the step itself even.
        """
        body = None if reason is None else msgspec.json.encode({"reason": reason}).decode()
        step.voids = [*step.voids, *(self._append_void(step, event, body) for event in events)]
        self._refold_streak(step, events)
        changed_boards: dict[tuple[int, int], Count] = {}
        for event in events:
            for rankings, found in self._consequences(step.state.user.scope, event):
                if found.ignored or found.over:
                    step.late = [*step.late, Late(rankings, found.run, found.ignored)]
                if found.live and rankings.streaks is None:
                    # Of several events in one run, the tally is made once.
                    name = (rankings.number, found.run.start)
                    if name not in changed_boards:
                        changed_boards[name] = self._recount(rankings, found.run, step, event)
        self._replace_counts(step, changed_boards)

    @staticmethod
    def _replace_counts(step: Step, changed: Mapping[tuple[int, int], Count]) -> None:
        """Let these hold, by board and first day of the run, instead of what the step had there."""
        kept = [count for count in step.counts if (count.rankings.number, count.run.start) not in changed]
        step.counts = [*kept, *changed.values()]

    def _repay(self, step: Step, event: Line) -> None:
        """Let a step's user have the points that are earned without an event that is void."""
        assert event.metric is not None
        for counter, versions in self._points.paying_since(event.scope, event.metric, event.position):
            metrics = {rule.metric for _, scheme in versions for rule in scheme.rules}
            own = sorted(line for metric in metrics for line in self._standing(step, metric))
            awards, attributes = self._standing(step, counter), step.state.user.attributes
            gone, owed = repay(versions, own, awards, event.position, attributes)
            if gone:
                self._void(step, gone, None)
            self._pay_late(step, counter, owed)

    def _standing(self, step: Step, metric: int) -> list[Line]:
        """All events of a step's user and a metric that are not void, recorded and drafted, in the order of the log."""
        user, void = step.state.user.number, self._void_with(step)
        recorded = self._users.history(user, metric, value.LEAST, value.MOST, self._log.position)
        lines = self._log.lines(sorted(event.position for event in recorded))
        drafted = (line for line in chain(self.lines, step.lines) if line.kind == EVENT and line.user == user)
        return [line for line in (*lines, *drafted) if line.metric == metric and line.position not in void]

    def _pay_late(self, step: Step, counter: int, owed: Sequence[tuple[Line, Earned]]) -> None:
        """Add awards for events of the past; they take effect now, as events do that are sent late."""
        changed_boards: dict[tuple[int, int], Count] = {}
        for source, award in owed:
            self._append_award(step, source._replace(history=None), counter, award.amount, encode_award(award))
        for line in step.lines[len(step.lines) - len(owed) :]:
            step.award_lines = [*step.award_lines, line]
            step.late = [*step.late, *self._late(counter, line.scope, past_event(line), history=False)]
            for rankings in self._followed.counting(counter):
                run = rankings.plan.run_at(line.local_at or 0)
                if run is not None and not is_late(run, self.now):
                    changed_boards[rankings.number, run.start] = self._recount(rankings, run, step, line)
        self._replace_counts(step, changed_boards)

    def _append_award(self, step: Step, source: Line, counter: int, amount: int, body: str) -> None:
        """Add the line of an award to a step: an event like that of the source, on the counter of a points system."""
        assert source.occurred_at is not None
        before = step.state.sums.get(counter)
        late = before is not None and source.occurred_at < before.latest
        total = value.checked(amount + (0 if before is None else before.total), "the user's points")
        latest = before.latest if before is not None and late else source.occurred_at
        step.state = replace(step.state, sums={**step.state.sums, counter: Sum(total, latest)})
        step.lines.append(
            source._replace(
                position=self._position + len(step.lines) + 1, recorded_at=self.now, metric=counter, amount=amount,
                late=int(late), total=total, idempotency_key=None, body=body, streak=None, target=source.position,
            )
        )  # fmt: skip

    def _append_void(self, step: Step, event: Line, body: str | None) -> Voided:
        assert event.metric is not None
        assert event.amount is not None
        before = step.state.sums[event.metric]
        after = Sum(value.checked(before.total - event.amount, "the user's total"), before.latest)
        step.state = UserState(step.state.user, {**step.state.sums, event.metric: after}, step.state.streak)
        line = Line(
            self._position + len(step.lines) + 1, VOID, self.now, event.scope, event.user, event.metric, -event.amount,
            event.occurred_at, event.local_at, event.late, after.total, body=body, history=event.history,
            target=event.position,
        )  # fmt: skip
        step.lines.append(line)
        return Voided(event, line)

    def _refold_streak(self, step: Step, events: Iterable[Line]) -> None:
        """The streak of a step's user without some events, noted in the step's last line."""
        state = step.state
        settings = self._streaks.settings_of(state.user)
        if any(concerns(settings, line.metric or 0, line.amount or 0) for line in events):
            streak = self._streaks.refold(state, self._drafted_with(step))
            step.state = UserState(state.user, state.sums, streak)
            step.lines[-1] = step.lines[-1]._replace(streak=encode(streak))

    def _consequences(self, scope: int, event: Line) -> Iterator[tuple[Rankings, Consequence]]:
        """What it means for each board that an event is void from now on."""
        assert event.metric is not None
        assert event.amount is not None
        for rankings in self._concerned(event.metric, scope, event.amount):
            found = consequence(rankings.plan, event, self.now)
            if found is not None:
                yield rankings, found

    def _recount(self, rankings: Rankings, run: Run, step: Step, event: Line) -> Count:
        """What is left to a step's user in a run where an event is void."""
        user = step.state.user
        assert event.metric is not None
        after = self._refold(rankings, run, step, event.metric)
        if after is not None:
            value.checked(after.value, f"the value on leaderboard {rankings.plan.board.key!r}")
        return Count(rankings, run, rankings.plan.group_of(user.attributes), after)

    def _amount(self, total: int, metric: Metric, state: UserState) -> int | None:
        """What is missing to a total; None for nothing."""
        before = state.sums.get(metric.number)
        return value.checked(total, "total") - (0 if before is None else before.total) or None

    def _erase(self, name: tuple[int, str], present: UserState | None) -> Step:
        """From here on, nobody has the id."""
        if present is None:
            raise NotFound(f"user {name[1]!r} was not found")
        line = Line(self._position + 1, ERASURE, self.now, name[0], present.user.number)
        self.lines.append(line)
        self._position += 1
        self._write(self._states, name, _ERASED)
        self._write(self._erased, present.user.number, True)
        return Step(None, present, present.user.attributes, lines=[line], erased=True)

    def _first_use(self, entry: Entry, user: int) -> FirstUse | None:
        if entry.metric is None or entry.idempotency_key is None:
            return None
        name = (user, entry.metric.number, entry.idempotency_key)
        return self._keys.get(name) or self._users.first_use(*name)

    def _new_user(self, entry: Entry) -> Step:
        if entry.must_exist:
            raise NotFound(f"user {entry.user_id!r} was not found")
        check_new_id(entry.user_id)
        number = self._last_number + 1
        blank = User(
            number=number, scope=entry.scope, id=entry.user_id, control=entry.control,
            created=self.now, updated=self.now,
        )  # fmt: skip
        user = changed(blank, entry.changes, self.now)
        streak = blank_streak(self._streaks.settings(entry.scope))
        state = UserState(user, streak=streak)
        return Step(entry.metric, state, {}, created=True, lines=[self._user_line(state, None, streak)])

    def _known_user(self, entry: Entry, present: UserState) -> Step:
        before = present.user
        step = Step(entry.metric, present, before.attributes)
        if not entry.changes:
            return step
        after = changed(before, entry.changes, self.now)
        if after is before:
            return step
        step.state = UserState(after, present.sums, self._streak_of(present, after))
        if after.attributes == before.attributes:
            step.lines.append(self._user_line(step.state, before, present.streak))
            return step
        step.lines.append(self._user_line(step.state, before, present.streak))
        boards = self._followed.grouped if after.hidden == before.hidden else self._followed.counting_in
        by_plan = {rankings.plan: rankings for rankings in boards(after.scope)}
        step.moves = [(by_plan[move.plan], move) for move in moves(by_plan, before.attributes, after.attributes)]
        return step

    def _streak_of(self, present: UserState, after: User) -> Streak:
        """The streak of a user who is changed: in another zone its last day has another end, and what counts may be
        another thing."""
        settings = self._streaks.settings_of(after)
        if settings != self._streaks.settings_of(present.user):
            drafted = Drafted(self._drafted_of(after.number, self.lines), self._voids.keys())
            return self._streaks.refold(UserState(after, present.sums), drafted)
        if after.tz == present.user.tz:
            return present.streak
        return in_zone(settings, self._streaks.of(present), after.tz)

    def _user_line(self, state: UserState, before: User | None, streak: Streak) -> Line:
        """The line of a user who was another, and had a streak, before."""
        user, body = state.user, encode_user(state.user, before)
        return Line(
            self._position + 1, USER, self.now, user.scope, user.number, user_id=user.id, body=body,
            streak=encode_change(streak, state.streak),
        )  # fmt: skip

    def _count_event(self, entry: Entry, metric: Metric, amount: int, step: Step, stored: UserState | None) -> None:
        user = step.state.user
        before = step.state.sums.get(metric.number)
        occurred_at = self.now if entry.occurred_at is None else entry.occurred_at
        value.checked(amount, "value")
        late = before is not None and occurred_at < before.latest
        after = Sum(amount, occurred_at)
        if before is not None:
            total = value.checked(before.total + amount, "the user's total")
            after = Sum(total, before.latest if late else occurred_at)
        local_at = local_time.local_at(occurred_at, user.tz)
        step.event = PastEvent(occurred_at, self._position + len(step.lines) + 1, amount, local_at)
        # What happens now is never late: where it is still this local day, no run of the day is over.
        if occurred_at < self.now:
            step.late = self._late(metric.number, user.scope, step.event, entry.history)
        step.counts = self._counts(metric.number, step, step.event, late, stored, self._tallies)
        streak_before = step.state.streak
        streak = self._extend_streak(step, metric.number, step.event)
        step.state = UserState(user, {**step.state.sums, metric.number: after}, streak)
        body = msgspec.json.encode(entry.attributes).decode() if entry.attributes else None
        step.lines.append(
            Line(
                step.event.position, EVENT, self.now, user.scope, user.number, metric.number, amount, occurred_at,
                local_at, int(late), after.total, entry.idempotency_key, None, body, int(entry.history) or None,
                encode_change(streak_before, streak),
            )
        )  # fmt: skip
        if self._points.paying(metric.number):
            self._pay(entry, metric.number, step, (0 if before is None else before.total, after.total), stored)

    def _pay(self, entry: Entry, metric: int, step: Step, totals: tuple[int, int], stored: UserState | None) -> None:
        """Let the event of a step, which changed a total, be followed by what it earns."""
        # Several awards may count on one board, of which only the last tally is told.
        counts: dict[tuple[int, int], Count] = {}
        tallies: dict[tuple[int, int, int], Tally | None] = {}
        event_line, attributes, first = step.event_line, step.state.user.attributes, len(step.lines)
        for scheme in self._points.paying(metric):
            held = step.state.sums.get(scheme.number)
            points = 0 if held is None else held.total
            for award in earned(scheme, metric, totals, points, attributes, entry.attributes or {}):
                for count in self._award(
                    scheme.number, award, event_line, step, stored, ChainMap(tallies, self._tallies)
                ):
                    counts[count.rankings.number, count.run.start] = count
                    tallies[count.rankings.number, count.run.start, event_line.user] = count.tally
        step.award_lines = step.lines[first:]
        step.counts = [*step.counts, *counts.values()]

    def _award(
        self,
        counter: int,
        award: Earned,
        source: Line,
        step: Step,
        stored: UserState | None,
        tallies: Mapping[tuple[int, int, int], Tally | None],
    ) -> list[Count]:
        """Add an award to a step: an event like the one it is for, on the counter of its points system."""
        event = past_event(source)._replace(position=self._position + len(step.lines) + 1, amount=award.amount)
        before = step.state.sums.get(counter)
        late = before is not None and event.occurred_at < before.latest
        if event.occurred_at < self.now:
            step.late = [*step.late, *self._late(counter, source.scope, event, bool(source.history))]
        counts = self._counts(counter, step, event, late, stored, tallies)
        self._append_award(step, source, counter, award.amount, encode_award(award))
        return counts

    def _extend_streak(self, step: Step, metric: int, event: PastEvent) -> Streak:
        """The user's streak after the event."""
        before = self._streaks.of(step.state)
        after = self._streaks.after(step.state, before, streak_event(event, metric), lambda: self._drafted_with(step))
        if after is not before:
            step.streak_extended = shown_at(after, self.now).length > shown_at(before, self.now).length
        return after

    def _drafted_with(self, step: Step) -> Drafted:
        """The events of a step's user that are in the draft, its own included, and what is void by it."""
        return Drafted(self._drafted_of(step.state.user.number, chain(self.lines, step.lines)), self._void_with(step))

    def _void_with(self, step: Step) -> Set[int]:
        """The events that are void by the draft, the step included."""
        if not step.voids:
            return self._voids.keys()
        return self._voids.keys() | {voided.event.position for voided in step.voids}

    @staticmethod
    def _drafted_of(user: int, lines: Iterable[Line]) -> Iterator[StreakEvent]:
        for line in lines:
            if line.kind == EVENT and line.user == user and line.metric is not None and not is_counter(line.metric):
                yield streak_event(past_event(line), line.metric)

    def _streak_counts(self, step: Step, before: User | None) -> list[StreakCount]:
        """What the step's streak is worth on the boards that rank by it; `before` is the user until now."""
        user, event = step.state.user, step.event
        happened = [line.local_at for line in step.lines if line.local_at is not None]
        changed_otherwise = before is not None and (before.tz, before.preferences) != (user.tz, user.preferences)
        counts: list[StreakCount] = []
        for rankings in self._followed.by_streak(user.scope):
            plan, run = rankings.plan, rankings.plan.only_run
            inside = any(plan.run_concerned(local_at) is not None for local_at in happened)
            if is_late(run, self.now) or not (inside or changed_otherwise):
                continue
            worth = self._streaks.value_in(run, step.state, self.now, self._drafted_with(step))
            told = step.streak_extended and event is not None and plan.run_at(event.local_at) is not None
            counts.append(StreakCount(rankings, run, plan.group_of(user.attributes), worth, told))
        return counts

    def _concerned(self, metric: int, scope: int, amount: int) -> Iterator[Rankings]:
        """The rankings that such an event may change."""
        yield from self._followed.counting(metric)
        if may_concern(self._streaks.settings(scope), metric, amount):
            yield from self._followed.by_streak(scope)

    def _late(self, metric: int, scope: int, event: PastEvent, history: bool) -> list[Late]:
        """The boards on which an event of the past comes too late to simply count."""
        found = []
        for rankings in self._concerned(metric, scope, event.amount):
            run = rankings.plan.run_concerned(event.local_at)
            if run is None:
                continue
            if is_late(run, self.now):
                ignored = not history and rankings.plan.board.late_events == "ignore"
                found.append(Late(rankings, run, ignored))
            elif changes_past_days(self.now, event.occurred_at, history):
                found.append(Late(rankings, run, ignored=False))
        return found

    def _counts(
        self,
        metric: int,
        step: Step,
        event: PastEvent,
        late: bool,
        stored: UserState | None,
        tallies: Mapping[tuple[int, int, int], Tally | None],
    ) -> list[Count]:
        """What an event makes of its user's tallies; `tallies` are those that this batch has changed already."""
        user = step.state.user
        counts: list[Count] = []
        for rankings in self._followed.counting(metric):
            plan = rankings.plan
            run = plan.run_at(event.local_at)
            if run is None or (step.late and is_late(run, self.now)):
                continue
            group = plan.group_of(user.attributes)
            # What the batch has taken away is None, and not asked for in the rankings.
            before: Any = tallies.get((rankings.number, run.start, user.number), _MISSING)
            if before is _MISSING:
                before = None
                if stored is not None:
                    # In the rankings, the user still is in the group of before this batch.
                    attributes = stored.user.attributes
                    known = group if attributes is user.attributes else plan.group_of(attributes)
                    before = rankings.stored(run.start, known, user.number)
            after = tally.step(plan.board.aggregation, before, event.amount, event.occurred_at, not late)
            if after is None:
                after = self._refold(rankings, run, step, metric, event)
                assert after is not None, "there is this event at least"
            if not value.fits(after.value):
                value.checked(after.value, f"the value on leaderboard {plan.board.key!r}")
            counts.append(Count(rankings, run, group, after))
        return counts

    def _refold(self, rankings: Rankings, run: Run, step: Step, metric: int, *coming: PastEvent) -> Tally | None:
        """The tally from all events of a step's user in a run, and those that have no line yet.

        For a late event whose effect depends on the others, and for one that is void.
        """
        user, void = step.state.user.number, self._void_with(step)
        drafted = [
            past_event(line)
            for line in chain(self.lines, step.lines)
            if line.kind == EVENT and line.user == user and line.metric == metric
        ]
        stored = rankings.history(self._users, run, user, value.MOST)
        return rankings.refold(run, [one for one in (*stored, *drafted, *coming) if one.position not in void])

    def _keep(self, name: tuple[int, str], step: Step, entry: Entry) -> None:
        """Let the entries behind this one see it."""
        user = step.state.user.number
        self.lines += step.lines
        self._position += len(step.lines)
        self._last_number = max(self._last_number, user)
        self._write(self._states, name, step.state)
        for count in step.counts:
            self._write(self._tallies, (count.rankings.number, count.run.start, user), count.tally)
        for voided in step.voids:
            self._write(self._voids, voided.event.position, voided.line.position)
        if step.event is not None and entry.metric is not None and entry.idempotency_key is not None:
            use = FirstUse(step.event.position, self.now)
            self._write(self._keys, (user, entry.metric.number, entry.idempotency_key), use)

    def _write(self, mapping: dict[Any, Any], key: Any, after: Any) -> None:
        if self._journal is not None:
            self._journal.append((mapping, key, mapping.get(key, _MISSING)))
        mapping[key] = after

    def _take_back(self) -> None:
        for mapping, key, before in reversed(self._journal or []):
            if before is _MISSING:
                del mapping[key]
            else:
                mapping[key] = before
