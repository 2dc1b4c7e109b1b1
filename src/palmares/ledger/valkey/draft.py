"""What requests are going to change, worked out from a picture of their users, before anything is sent.

A draft sees of later entries what earlier ones will have done. A request that is refused leaves nothing in it. What it
makes are steps: each has the version of the user that it was worked out from, and the shard takes it only while that
version holds, so nothing here can be overtaken.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from palmares.domain import local_time, tally, value
from palmares.domain.effect import changes_past_days, is_live
from palmares.domain.erased import check_new_id
from palmares.domain.errors import NotFound, PalmaresError
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.points import Earned, earned, is_counter
from palmares.domain.preferences import streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, concerns, encode_change, fold, in_order, in_zone
from palmares.domain.streak import at as shown_at
from palmares.domain.streak import blank as blank_streak
from palmares.domain.streak import step as streak_step
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User, changed, without_person
from palmares.ledger.contract import NO_STREAK, Award, Entry
from palmares.ledger.points import encode_award
from palmares.ledger.valkey.boards import Boards, Making
from palmares.ledger.valkey.keys import run_field, used_field, user_name
from palmares.ledger.valkey.member import event_parts
from palmares.ledger.valkey.numbering import Numbering
from palmares.ledger.valkey.state import (
    Held,
    Left,
    Line,
    Logged,
    Stored,
    Sum,
    Use,
    UserState,
    attributes_text,
    profile_text,
)

# Behind every position that a stream can have: drafted events come last among those of an instant. Lines of a user
# that are drafted have the positions from here on, in the order in which the shard will store them.
DRAFTED = 2**62
# Held values by generation and first day of the run.
Holdings = dict[int, dict[int, Held]]
_NOTHING: dict[int, Held] = {}


class PastEvent(NamedTuple):
    """An event as the fold needs it; sorting puts events in the order in which they happened."""

    occurred_at: int
    position: int
    amount: int
    local_at: int


class EventsNeeded(Exception):
    """Tallies or streaks of these users can only be told from all their events on some metrics, or from some lines (by
    shard and position), which were not read yet."""

    def __init__(
        self,
        users: Iterable[bytes] = (),
        events: Iterable[tuple[bytes, int]] = (),
        lines: Iterable[tuple[int, int]] = (),
    ) -> None:
        super().__init__()
        self.users, self.events, self.lines = set(users), set(events), set(lines)

    def include(self, other: EventsNeeded) -> None:
        """Need what another needs, too."""
        self.users |= other.users
        self.events |= other.events
        self.lines |= other.lines


@dataclass(slots=True)
class Picture:
    """What was read of the users of some requests. Boards are by shard; events by user and metric, where asked for;
    lines by shard and position, where asked for, and of those that entries are about, `voids` has the void ones."""

    now: int
    boards: Sequence[Boards]
    users: Mapping[bytes, Stored]
    used: Mapping[bytes, Use]
    shard_of: Mapping[bytes, int]
    numbering: Numbering
    events: Mapping[tuple[bytes, int], Sequence[PastEvent]] = field(default_factory=dict)
    lines: Mapping[tuple[int, int], Logged] = field(default_factory=dict)
    voids: Collection[tuple[int, int]] = ()


class Side(msgspec.Struct, frozen=True):
    """The order that a user leaves or joins, and as what; the group None is the hidden one. With an instant, the user
    leaves it by then, unless something else is said before."""

    group: Group | None
    member: bytes
    leaves_at: int | None = None


class Change(NamedTuple):
    """What a user has in one run becomes something else, or stands elsewhere."""

    making: Making
    run_start: int
    left: Side | None
    joined: Side | None


class Tell(msgspec.Struct, frozen=True):
    """The outcome tells where the user stands in a group of a run, by the members before and after the step: None for
    who stood elsewhere or nowhere, or still has nothing there. Who is hidden has members that are in no order."""

    making: Making
    run: Run
    group: Group
    before: bytes | None
    after: bytes | None


class Past(NamedTuple):
    """What a user has in a run that is final, and that is no part of the state any more."""

    generation: int
    run_start: int
    held: Held


class EventMember(NamedTuple):
    """An event as it is kept for its user: the position, what comes before it, and behind it."""

    metric: int
    before: bytes
    position: int
    behind: bytes


class Happened(msgspec.Struct, frozen=True):
    """What the line of an event says of itself. `target` is the position of the event that earned an award."""

    metric: int
    amount: int
    occurred_at: int
    local_at: int
    body: str | None
    idempotency_key: str | None = None
    target: int = 0
    history: bool = False


class Coming(msgspec.Struct, frozen=True):
    """An event that is about to be drafted, whether it is late for its user, the sum with it, and if it is history,
    which takes effect when it happened."""

    event: PastEvent
    late: bool
    after: Sum
    history: bool


class Given(NamedTuple):
    """A number and positions that a shard does not give itself."""

    number: int
    positions: Sequence[int]


class Step(msgspec.Struct, eq=False):
    """The consequences of one entry for its user. A replay has `replayed`: a use, or the step of the same batch.

    `event_line` is the place, from 1, of the line of its event; `targets` are by the place of their line, from 0, and
    awards come with the place of theirs. `gone` are events that are void now, each with the position of what says so.
    `about` is the line of the event that an entry says is void; without any `gone` it was so already. When
    it `erases` the user, its state is what is left.
    """

    entry: Entry
    name: bytes
    shard: int
    version: int
    state: UserState
    created: bool = False
    writes: bool = False
    lines: list[Line] = []
    used: list[bytes] = []
    events: list[EventMember] = []
    erases: Left | None = None
    changes: list[Change] = []
    past: list[Past] = []
    ignored: list[bytes] = []
    revising: list[bytes] = []
    tells: list[Tell] = []
    replayed: Use | Step | None = None
    total: int = 0
    streak: Streak = NO_STREAK
    streak_extended: bool = False
    event_line: int = 0
    targets: dict[int, int] = {}
    awards: list[tuple[int, Award]] = []
    about: Logged | None = None
    gone: list[tuple[EventMember, int]] = []
    # What its user and lines are numbered, where that was taken over.
    given: Given | None = None
    # Given by the shard.
    number: int = 0
    position: int = 0
    recorded_at: int = 0


class UserBefore(msgspec.Struct, frozen=True):
    """A user before a step, and what the user held."""

    user: User | None = None
    held: Mapping[int, Mapping[int, Held]] = {}
    streak: Streak | None = None

    def stood_in(self, making: Making, run: Run, group: Group, hidden: bool) -> Held | None:
        """What the user held in a run, if that was in the group in which the step leaves them, seen or `hidden`."""
        held = self.held.get(making.generation, {}).get(run.start)
        if held is None or self.user is None:
            return None
        former = making.plan.own_group(self.user.attributes) if hidden else held.group
        return held if former == group else None


class _Notes(msgspec.Struct):
    """What has been drafted: the last step of each user, keys, events, lines with their targets, and which events are
    void. `erased` counts how often a user was erased: keys and events are those of one life."""

    users: dict[bytes, Stored | None] = {}
    used: dict[tuple[int, bytes], Step] = {}
    events: dict[tuple[bytes, int, int], list[PastEvent]] = {}
    lines: dict[bytes, list[tuple[Line, int]]] = {}
    voids: dict[bytes, set[int]] = {}
    erased: dict[bytes, int] = {}

    def take_over(self, other: _Notes) -> None:
        self.users.update(other.users)
        self.used.update(other.used)
        for key, events in other.events.items():
            self.events.setdefault(key, []).extend(events)
        for name, lines in other.lines.items():
            self.lines.setdefault(name, []).extend(lines)
        for name, voids in other.voids.items():
            self.voids.setdefault(name, set()).update(voids)
        for name, erased in other.erased.items():
            self.erased[name] = self.erased.get(name, 0) + erased


class Draft:
    """Some requests in the making."""

    def __init__(self, picture: Picture, streaks: Mapping[int, StreakSettings]) -> None:
        self.now = picture.now
        self.picture = picture
        self._streaks = streaks
        self._kept = _Notes()
        self._fresh = _Notes()
        self._needed = EventsNeeded()

    def add(self, entries: Sequence[Entry]) -> list[Step]:
        """Draft one request: all of its entries, or none when one is refused (then the refusal is raised).

        Raises `EventsNeeded` with all that this request and those before it turned out to need, so that a batch is not
        drafted once more for each of its users. From then on the draft serves to learn what else is needed: it leaves
        those users out, and whoever is refused then may be taken once all is there.
        """
        self._fresh = _Notes()
        steps: list[Step] = []
        is_whole = True
        for entry in entries:
            try:
                steps.append(self._add(entry))
            except EventsNeeded as needed:
                self._needed.include(needed)
                is_whole = False
            except PalmaresError as error:
                if not is_whole:
                    break
                raise (error.at(len(steps)) if len(entries) > 1 else error) from None
        if not is_whole:
            raise self._needed
        self._kept.take_over(self._fresh)
        return steps

    def _add(self, entry: Entry) -> Step:
        name = user_name(entry.scope, entry.user_id)
        present = self._present(name)
        if entry.erase:
            return self._erase(entry, name, present)
        replay = None if present is None else self._replay(entry, name, present)
        if replay is not None:
            return replay
        step = self._new_user(entry, name) if present is None else self._known_user(entry, name, present)
        before = UserBefore()
        if present is not None:
            before = UserBefore(present.state.user, present.state.held, present.state.streak)
        if entry.metric is not None:
            self._count_or_tell(entry, entry.metric, step, before)
        self._settle(step, before)
        self._keep(step, entry)
        return step

    def _present(self, name: bytes) -> Stored | None:
        """A user as the entries before have left them."""
        if name in self._needed.users:
            raise EventsNeeded([name])
        for notes in (self._fresh, self._kept):
            if name in notes.users:
                return notes.users[name]
        found = self.picture.users.get(name)
        return None if found is None or found.state.erased_at else found

    def _life(self, name: bytes) -> int:
        """How often a user was erased by what is drafted."""
        return self._kept.erased.get(name, 0) + self._fresh.erased.get(name, 0)

    def _boards(self, name: bytes) -> Boards:
        return self.picture.boards[self.picture.shard_of[name]]

    # A key that was used

    def _replay(self, entry: Entry, name: bytes, present: Stored) -> Step | None:
        if entry.metric is None or entry.idempotency_key is None:
            return None
        used = used_field(name, entry.metric.number, entry.idempotency_key)
        life = self._life(name)
        use: Use | Step | None = self._fresh.used.get((life, used)) or self._kept.used.get((life, used))
        if use is None and not life:
            stored = self.picture.used.get(used)
            use = stored if stored is not None and stored.user == present.state.user.number else None
        if use is None:
            return None
        state = present.state
        step = Step(entry, name, self.picture.shard_of[name], present.version, state, replayed=use)
        step.total, step.streak = state.sums[entry.metric.number].total, self.streak(name, state)
        step.tells = list(self._looks(name, entry.metric, state))
        return step

    def _looks(self, name: bytes, metric: Metric, state: UserState) -> Iterator[Tell]:
        """Where the user stands on the boards that such an event would feed now."""
        boards, local = self._boards(name), local_time.local_at(self.now, state.user.tz)
        for making in boards.counting(metric.number):
            run, group = making.plan.run_at(local), seen_group(making, state.user)
            if run is not None and group is not None and self._is_told(boards, making):
                held = state.held.get(making.generation, {}).get(run.start)
                member = member_of(making, held, state.user)
                yield Tell(making, run, group, member, member)

    # Users

    def _new_user(self, entry: Entry, name: bytes) -> Step:
        if entry.must_exist:
            raise NotFound(f"user {entry.user_id!r} was not found")
        check_new_id(entry.user_id)
        blank = User(
            number=0, scope=entry.scope, id=entry.user_id, control=entry.control, created=self.now, updated=self.now
        )
        user = changed(blank, entry.changes, self.now)
        streak = blank_streak(self._settings(entry.scope))
        state = UserState(user, {}, streak, {}, self._boards(name).newest)
        step = Step(entry, name, self.picture.shard_of[name], 0, state, created=True, writes=True)
        step.lines.append(_user_line(user, streak, streak))
        return step

    def _known_user(self, entry: Entry, name: bytes, present: Stored) -> Step:
        state = self._caught_up(name, present.state)
        step = Step(entry, name, self.picture.shard_of[name], present.version, state)
        before = state.user
        after = changed(before, entry.changes, self.now) if entry.changes else before
        if after is not before:
            streak = self._streak_of(name, state, after)
            step.lines.append(_user_line(after, state.streak, streak))
            step.state = UserState(after, state.sums, streak, self._moved(name, state, after), state.generation)
        return step

    def _moved(self, name: bytes, state: UserState, after: User) -> Holdings:
        """What the user holds, in the groups of the new attributes; final runs stay as they are."""
        if after.attributes == state.user.attributes:
            return state.held
        shows_or_hides = after.hidden != state.user.hidden
        held = dict(state.held)
        for generation, runs in state.held.items():
            making = self._boards(name).get(generation)
            if making is not None and (making.plan.grouped or shows_or_hides) and making.counts:
                group = making.plan.group_of(after.attributes)
                held[generation] = {
                    start: found._replace(group=group) if self._is_live(making, start) else found
                    for start, found in runs.items()
                }
        return held

    def _caught_up(self, name: bytes, state: UserState) -> UserState:
        """The state with what the user's events make on boards that were followed after them."""
        boards = self._boards(name)
        if state.generation >= boards.newest:
            return state
        held = dict(state.held)
        for making in boards:
            metric = making.board.counted
            is_new = making.generation > state.generation and making.counts
            if is_new and metric is not None and metric.number in state.sums:
                held[making.generation] = self._made(making, state.user, self._events(name, metric.number))
        return UserState(state.user, state.sums, state.streak, held, boards.newest)

    def _made(self, making: Making, user: User, events: Iterable[PastEvent]) -> dict[int, Held]:
        """What events make on a board, in the runs that are not final."""
        by_run: dict[int, list[tuple[int, int]]] = {}
        for event in sorted(events):
            run = making.plan.run_at(event.local_at)
            if run is not None and is_live(run, self.now):
                by_run.setdefault(run.start, []).append((event.amount, event.occurred_at))
        group, made = making.plan.group_of(user.attributes), {}
        for start, amounts in by_run.items():
            folded = tally.fold(making.board.aggregation, amounts)
            assert folded is not None
            made[start] = Held(*_fitting(making, folded), group)
        return made

    # Events

    def _count_or_tell(self, entry: Entry, metric: Metric, step: Step, before: UserBefore) -> None:
        """Let the event happen; where the user has the total that was asked for, nothing happens."""
        amount = entry.amount
        if entry.total is not None:
            former = step.state.sums.get(metric.number)
            present = 0 if former is None else former.total
            amount = value.checked(entry.total, "total") - present
            if not amount:
                step.total, step.streak = present, self.streak(step.name, step.state)
                return
        self._count_event(entry, metric.number, amount, step, before)

    def _count_event(self, entry: Entry, metric: int, amount: int, step: Step, before: UserBefore) -> None:
        occurred_at = self.now if entry.occurred_at is None else entry.occurred_at
        local_at = local_time.local_at(occurred_at, step.state.user.tz)
        happened = Happened(
            metric, value.checked(amount, "value"), occurred_at, local_at, attributes_text(entry.attributes),
            entry.idempotency_key, history=entry.history,
        )  # fmt: skip
        former = step.state.sums.get(metric)
        coming = self._coming(step, happened, "the user's total")
        held = self._counted(metric, step, coming, before)
        streak = self._extended(step, metric, coming.event)
        self._append(step, happened, coming, streak, held)
        step.event_line = len(step.lines)
        step.total, step.streak = coming.after.total, streak
        self._pay(entry, metric, step, (0 if former is None else former.total, coming.after.total), before)

    def _coming(self, step: Step, happened: Happened, named: str) -> Coming:
        """An event that is the next line of a step; `named` is what the sum is called where it leaves its range."""
        former = step.state.sums.get(happened.metric)
        event = PastEvent(happened.occurred_at, self._next_position(step), happened.amount, happened.local_at)
        if former is None:
            return Coming(event, False, Sum(happened.amount, happened.occurred_at), happened.history)
        late = happened.occurred_at < former.latest
        total = value.checked(former.total + happened.amount, named)
        after = Sum(total, former.latest if late else happened.occurred_at)
        return Coming(event, late, after, happened.history)

    def _append(self, step: Step, happened: Happened, coming: Coming, streak: Streak, held: Holdings) -> None:
        """Add the line of an event to a step, with what the user is after it."""
        state, number = step.state, happened.metric
        if happened.target:
            step.targets[len(step.lines)] = happened.target
        step.lines.append(
            Line(
                state.user.scope, state.user.id, happened.body, number, happened.amount, happened.occurred_at,
                happened.local_at, coming.after.total, happened.idempotency_key, coming.late,
                encode_change(state.streak, streak), history=happened.history,
            )
        )  # fmt: skip
        step.state = UserState(state.user, {**state.sums, number: coming.after}, streak, held, state.generation)
        step.events.append(event_member(number, coming.event))
        self._fresh.events.setdefault((step.name, number, self._life(step.name)), []).append(coming.event)

    def _pay(self, entry: Entry, metric: int, step: Step, totals: tuple[int, int], before: UserBefore) -> None:
        """Let the event of a step, which changed a total, be followed by what it earns."""
        attributes = step.state.user.attributes
        for scheme in self._boards(step.name).points.paying(metric):
            held = step.state.sums.get(scheme.number)
            points = 0 if held is None else held.total
            for award in earned(scheme, metric, totals, points, attributes, entry.attributes or {}):
                self._award(step, scheme.number, award, before)

    def _award(self, step: Step, counter: int, award: Earned, before: UserBefore) -> None:
        """Add an award to a step: an event like that of the step, on the counter of a points system."""
        event_line = step.lines[step.event_line - 1]
        assert event_line.occurred_at is not None
        assert event_line.local_at is not None
        target = self._next_position(step) - (len(step.lines) - step.event_line + 1)
        happened = Happened(
            counter, award.amount, event_line.occurred_at, event_line.local_at, encode_award(award), None, target,
            event_line.history,
        )  # fmt: skip
        coming = self._coming(step, happened, "the user's points")
        held = self._counted(counter, step, coming, before)
        self._append(step, happened, coming, step.state.streak, held)
        told = Award("", counter, award.trigger, award.amount, coming.after.total, happened.occurred_at)
        step.awards.append((len(step.lines), told))

    def _next_position(self, step: Step) -> int:
        """Where the next line of a step is going to be."""
        drafted = len(self._kept.lines.get(step.name, ())) + len(self._fresh.lines.get(step.name, ()))
        return DRAFTED + drafted + len(step.lines)

    def _drafted_lines(self, name: bytes) -> list[tuple[Line, int]]:
        """The lines of a user that are drafted, but for those of the step in the making, with their targets."""
        return [*self._kept.lines.get(name, ()), *self._fresh.lines.get(name, ())]

    def _counted(self, metric: int, step: Step, coming: Coming, before: UserBefore) -> Holdings:
        """What the user holds after the event; notes on the way what is told of it, and where it came too late."""
        boards, user, held = self._boards(step.name), step.state.user, dict(step.state.held)
        for making in boards.counting(metric):
            run = making.plan.run_at(coming.event.local_at)
            if run is None:
                continue
            if self._changes_what_is_over(making, run, step, coming):
                continue
            group = making.plan.group_of(user.attributes)
            runs = held.get(making.generation, _NOTHING)
            after = Held(*self._stepped(making, run, runs.get(run.start), metric, step, coming), group)
            held[making.generation] = {**runs, run.start: after}
            seen = seen_group(making, user) if group is None else group
            if seen is not None and self._is_told(boards, making):
                stood = before.stood_in(making, run, seen, hidden=group is None)
                members = member_of(making, stood, user), member_of(making, after, user)
                if is_counter(metric):
                    # Several awards of an event may count on one board, and are told as one.
                    step.tells = [told for told in step.tells if (told.making, told.run) != (making, run)]
                step.tells.append(Tell(making, run, seen, *members))
        return held

    def _changes_what_is_over(self, making: Making, run: Run, step: Step, coming: Coming) -> bool:
        """Whether an event comes to a run that is final; notes what becomes of it, and of days that are over."""
        final = not making.is_live(run.start, self.now)
        if final and making.board.late_events == "ignore" and not coming.history:
            step.ignored.append(run_field(making.generation, run.start))
        elif final or changes_past_days(self.now, coming.event.occurred_at, coming.history):
            step.revising.append(run_field(making.generation, run.start))
        return final

    def _stepped(
        self, making: Making, run: Run, held: Held | None, metric: int, step: Step, coming: Coming
    ) -> tuple[int, int]:
        """The tally with one more event."""
        event, aggregation = coming.event, making.board.aggregation
        after = tally.step(aggregation, held and held[:2], event.amount, event.occurred_at, not coming.late)
        return self._folded(making, run, metric, step, event) if after is None else _fitting(making, after)

    def _folded(self, making: Making, run: Run, metric: int, step: Step, *more: PastEvent) -> tuple[int, int]:
        """The tally of all events of a step's user in a run, and of more; there are some."""
        after = self._fold(making, run, [*self._events(step.name, metric), *more])
        assert after is not None
        return after

    @staticmethod
    def _fold(making: Making, run: Run, events: Iterable[PastEvent]) -> tuple[int, int] | None:
        inside = [one for one in sorted(events) if making.plan.run_at(one.local_at) == run]
        after = tally.fold(making.board.aggregation, [(one.amount, one.occurred_at) for one in inside])
        return None if after is None else _fitting(making, after)

    def _is_told(self, boards: Boards, making: Making) -> bool:
        return boards.is_current(making) and making.plan.active_at(self.now)

    def _is_live(self, making: Making, run_start: int) -> bool:
        return making.is_live(run_start, self.now)

    def _events(self, name: bytes, metric: int) -> list[PastEvent]:
        """All events of a user on a metric that are not void, recorded or drafted, in no order."""
        found = self._recorded_or_drafted(name, metric)
        void = self._void_by_draft(name)
        return [event for event in found if event.position not in void] if void else found

    def _void_by_draft(self, name: bytes) -> Set[int]:
        """The positions of events of a user that are void by what is drafted."""
        return self._kept.voids.get(name, set()) | self._fresh.voids.get(name, set())

    def _recorded_or_drafted(self, name: bytes, metric: int) -> list[PastEvent]:
        life = self._life(name)
        drafted = [*self._kept.events.get((name, metric, life), ()), *self._fresh.events.get((name, metric, life), ())]
        if life or name not in self.picture.users:
            return drafted
        stored = self.picture.events.get((name, metric))
        if stored is None:
            raise EventsNeeded([name], events=[(name, metric)])
        return [*stored, *drafted]

    # Streaks

    def _settings(self, scope: int) -> StreakSettings:
        return self._streaks.get(scope, StreakSettings())

    def _settings_of(self, user: User) -> StreakSettings:
        return streak_settings_for(self._streaks, user)

    def streak(self, name: bytes, state: UserState) -> Streak:
        """The streak as of the last event; worked out anew after a change of the settings."""
        if state.streak.version == self._settings(state.user.scope).version:
            return state.streak
        return self._refold(name, state)

    def _extended(self, step: Step, metric: int, event: PastEvent) -> Streak:
        """The streak after an event."""
        user = step.state.user
        before, settings = self.streak(step.name, step.state), self._settings_of(user)
        if not concerns(settings, metric, event.amount):
            return before
        one = _streak_event(event, metric)
        if in_order(before, event.occurred_at):
            after = streak_step(settings, before, one, user.tz)
        else:
            after = self._refold(step.name, step.state, one)
        if after is not before:
            step.streak_extended = shown_at(after, self.now).length > shown_at(before, self.now).length
        return after

    def _streak_of(self, name: bytes, state: UserState, after: User) -> Streak:
        """The streak of a user who is changed: in another zone its last day has another end, and what counts may be
        another thing."""
        settings = self._settings_of(after)
        if settings != self._settings_of(state.user):
            return self._refold(name, UserState(after, state.sums, state.streak, {}))
        if after.tz == state.user.tz:
            return state.streak
        return in_zone(settings, self.streak(name, state), after.tz)

    def _refold(self, name: bytes, state: UserState, *more: StreakEvent) -> Streak:
        settings = self._settings_of(state.user)
        return fold(settings, sorted([*self.streak_events(name, state, settings), *more]), state.user.tz)

    def streak_events(self, name: bytes, state: UserState, settings: StreakSettings) -> list[StreakEvent]:
        """All events of a user that may count for a streak by some settings, in no order."""
        metrics = [number for number, _ in settings.metrics if number in state.sums] or list(state.sums)
        metrics = [number for number in metrics if not is_counter(number)]
        if settings.metrics:
            metrics = [number for number in metrics if settings.uses(number)]
        return [_streak_event(event, metric) for metric in metrics for event in self._events(name, metric)]

    # Keeping

    def _settle(self, step: Step, before: UserBefore) -> None:
        """Work out what a step changes in the orders, and lay aside what is final or was let go."""
        boards, held = self._boards(step.name), step.state.held
        for making in boards:
            first, last = before.held.get(making.generation, _NOTHING), held.get(making.generation, _NOTHING)
            if first is not last:
                self._note_changes(step, making, first, last)
        step.writes = step.writes or bool(step.lines or step.changes)
        if step.writes:
            step.state = self._pruned(step, boards)

    @staticmethod
    def _note_changes(step: Step, making: Making, first: Mapping[int, Held], last: Mapping[int, Held]) -> None:
        user = step.state.user
        for start, after in last.items():
            former = first.get(start)
            if former != after:
                sides = _side(making, former, user), _side(making, after, user)
                step.changes.append(Change(making, start, *sides))
        for start, former in first.items():
            if start not in last:
                step.changes.append(Change(making, start, _side(making, former, user), None))

    def _pruned(self, step: Step, boards: Boards) -> UserState:
        """The state but for what is final, or of boards that were let go."""
        held, kept, now = step.state.held, {}, self.now
        for generation, runs in held.items():
            making = boards.get(generation)
            if making is None:
                continue
            over = [start for start in runs if not making.is_live(start, now)]
            step.past += [Past(generation, start, runs[start]) for start in over]
            kept[generation] = {start: runs[start] for start in runs if start not in over} if over else runs
        state = step.state
        return UserState(state.user, state.sums, state.streak, kept, state.generation)

    def _keep(self, step: Step, entry: Entry) -> None:
        """Let the entries behind this one see it."""
        version = step.version + 1 if step.writes else step.version
        self._fresh.users[step.name] = Stored(version, step.state)
        self._keep_lines(step)
        if step.event_line and entry.metric is not None and entry.idempotency_key is not None:
            used = used_field(step.name, entry.metric.number, entry.idempotency_key)
            step.used.append(used)
            self._fresh.used[self._life(step.name), used] = step

    def _keep_lines(self, step: Step) -> None:
        if step.lines:
            lines = [(line, step.targets.get(place, 0)) for place, line in enumerate(step.lines)]
            self._fresh.lines.setdefault(step.name, []).extend(lines)

    # Erasing

    def _erase(self, entry: Entry, name: bytes, present: Stored | None) -> Step:
        """From here on, nobody has the id, and the user stands in nothing that is live."""
        if present is None:
            raise NotFound(f"user {entry.user_id!r} was not found")
        state = present.state
        left = UserState(without_person(state.user), state.sums, state.streak, {}, state.generation, self.now)
        step = Step(entry, name, self.picture.shard_of[name], present.version, state, writes=True)
        step.erases = Left(entry.scope, entry.user_id, self.now)
        step.lines.append(Line(entry.scope, "", kind="erasure"))
        for making in self._boards(name):
            for start, held in state.held.get(making.generation, {}).items():
                if self._is_live(making, start):
                    step.changes.append(Change(making, start, _side(making, held, state.user), None))
        step.state = left
        self._fresh.users[name] = None
        self._keep_lines(step)
        self._fresh.erased[name] = self._fresh.erased.get(name, 0) + 1
        return step


def streak_settings_for(streaks: Mapping[int, StreakSettings], user: User) -> StreakSettings:
    """The settings by which the streak of a user counts, by those of the scopes."""
    return streak_settings_of(streaks.get(user.scope, StreakSettings()), user.preferences)


def _fitting(making: Making, found: tuple[int, int]) -> tuple[int, int]:
    if not value.LEAST <= found[0] <= value.MOST:
        value.checked(found[0], f"the value on leaderboard {making.board.key!r}")
    return found


def seen_group(making: Making, user: User) -> Group | None:
    """The group in which a user is told to stand: who is hidden has a place all the same."""
    return making.plan.own_group(user.attributes)


def member_of(making: Making, held: Held | None, user: User) -> bytes | None:
    return None if held is None else making.members.encode(held[:2], user.id)


def _side(making: Making, held: Held | None, user: User) -> Side | None:
    return None if held is None else Side(held.group, making.members.encode(held[:2], user.id), held.leaves_at)


def event_member(metric: int, event: PastEvent) -> EventMember:
    """An event as it is kept for its user."""
    before, behind = event_parts(event.local_at, event.occurred_at, event.amount)
    return EventMember(metric, before, event.position, behind)


def _streak_event(event: PastEvent, metric: int) -> StreakEvent:
    return StreakEvent(event.occurred_at, event.position, metric, event.amount, event.local_at)


def _user_line(user: User, streak_before: Streak, streak: Streak) -> Line:
    return Line(user.scope, user.id, profile_text(user), streak=encode_change(streak_before, streak), kind="user")
