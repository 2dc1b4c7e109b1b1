"""What requests are going to change, worked out from a picture of their users, before anything is sent.

A draft sees of later entries what earlier ones will have done. A request that is refused leaves nothing in it. What it
makes are steps: each has the version of the user that it was worked out from, and the shard takes it only while that
version holds, so nothing here can be overtaken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from palmares.domain import local_time, tally, value
from palmares.domain.effect import changes_past_days, is_late, is_live
from palmares.domain.erased import check_new_id
from palmares.domain.errors import NotAllowed, NotFound, PalmaresError
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.preferences import streak_settings_of
from palmares.domain.run import Run
from palmares.domain.streak import Streak, StreakEvent, concerns, encode_change, fold, in_order, in_zone
from palmares.domain.streak import at as shown_at
from palmares.domain.streak import blank as blank_streak
from palmares.domain.streak import step as streak_step
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.user import User, changed
from palmares.ledger.contract import NO_STREAK, Entry
from palmares.ledger.valkey.boards import Boards, Making
from palmares.ledger.valkey.keys import run_field, used_field, user_name
from palmares.ledger.valkey.member import event_of, event_parts
from palmares.ledger.valkey.state import (
    Held,
    Line,
    Stored,
    Sum,
    Use,
    UserState,
    attributes_text,
    profile_text,
)

# Behind every position that a stream can have: drafted events come last among those of an instant.
_DRAFTED = 2**62
# Held values by generation and first day of the run.
Holdings = dict[int, dict[int, Held]]


class PastEvent(NamedTuple):
    """An event as the fold needs it; sorting puts events in the order in which they happened."""

    occurred_at: int
    position: int
    amount: int
    local_at: int


class EventsNeeded(Exception):
    """A tally or a streak can only be told from all events of these users and metrics, which were not read yet."""

    def __init__(self, missing: Iterable[tuple[bytes, int]]) -> None:
        super().__init__()
        self.missing = set(missing)


@dataclass(slots=True)
class Picture:
    """What was read of the users of some requests. Boards are by shard; events by user and metric, where asked for."""

    now: int
    boards: Sequence[Boards]
    users: Mapping[bytes, Stored]
    used: Mapping[bytes, Use]
    shard_of: Mapping[bytes, int]
    events: Mapping[tuple[bytes, int], Sequence[bytes]] = field(default_factory=dict)


class Side(NamedTuple):
    """The order that a user leaves or joins, and as what; the group None is the hidden one."""

    group: Group | None
    member: bytes


class Change(NamedTuple):
    """What a user has in one run becomes something else, or stands elsewhere."""

    making: Making
    run_start: int
    left: Side | None
    joined: Side | None


class Tell(NamedTuple):
    """The outcome tells where the user stands in a group of a run, by the members before and after the step: None for
    who stood elsewhere or nowhere, or still has nothing there."""

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
    """An event as it is kept for its user: what comes before its position, and behind it."""

    metric: int
    before: bytes
    behind: bytes


@dataclass(slots=True)
class Step:
    """The consequences of one entry for its user. A replay has `replayed`: a use, or the step of the same batch."""

    entry: Entry
    name: bytes
    shard: int
    version: int
    state: UserState
    created: bool = False
    writes: bool = False
    lines: list[Line] = field(default_factory=list)
    used: list[bytes] = field(default_factory=list)
    events: list[EventMember] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    past: list[Past] = field(default_factory=list)
    ignored: list[bytes] = field(default_factory=list)
    revising: list[bytes] = field(default_factory=list)
    tells: list[Tell] = field(default_factory=list)
    replayed: Use | Step | None = None
    total: int = 0
    streak: Streak = NO_STREAK
    streak_extended: bool = False
    # Given by the shard.
    number: int = 0
    position: int = 0
    recorded_at: int = 0


@dataclass(slots=True)
class _Notes:
    """What has been drafted: the last step of each user, keys, and events."""

    users: dict[bytes, Stored] = field(default_factory=dict)
    used: dict[bytes, Step] = field(default_factory=dict)
    events: dict[tuple[bytes, int], list[PastEvent]] = field(default_factory=dict)

    def take_over(self, other: _Notes) -> None:
        self.users.update(other.users)
        self.used.update(other.used)
        for key, events in other.events.items():
            self.events.setdefault(key, []).extend(events)


class Draft:
    """Some requests in the making."""

    def __init__(self, picture: Picture, streaks: Mapping[int, StreakSettings]) -> None:
        self.now = picture.now
        self.picture = picture
        self._streaks = streaks
        self._kept = _Notes()
        self._fresh = _Notes()

    def add(self, entries: Sequence[Entry]) -> list[Step]:
        """Draft one request: all of its entries, or none when one is refused (then the refusal is raised)."""
        self._fresh = _Notes()
        steps: list[Step] = []
        for entry in entries:
            try:
                steps.append(self._add(entry))
            except PalmaresError as error:
                raise (error.at(len(steps)) if len(entries) > 1 else error) from None
        self._kept.take_over(self._fresh)
        return steps

    def _add(self, entry: Entry) -> Step:
        _check_supported(entry)
        name = user_name(entry.scope, entry.user_id)
        present = self._fresh.users.get(name) or self._kept.users.get(name) or self.picture.users.get(name)
        replay = None if present is None else self._replay(entry, name, present)
        if replay is not None:
            return replay
        step = self._new_user(entry, name) if present is None else self._known_user(entry, name, present)
        before = {} if present is None else present.state.held
        if entry.metric is not None:
            self._count_event(entry, entry.metric, step, before)
        self._settle(step, before)
        self._keep(step, entry)
        return step

    def _boards(self, name: bytes) -> Boards:
        return self.picture.boards[self.picture.shard_of[name]]

    # A key that was used

    def _replay(self, entry: Entry, name: bytes, present: Stored) -> Step | None:
        if entry.metric is None or entry.idempotency_key is None:
            return None
        used = used_field(name, entry.metric.number, entry.idempotency_key)
        use = self._fresh.used.get(used) or self._kept.used.get(used) or self.picture.used.get(used)
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
            run, group = making.plan.run_at(local), making.plan.group_of(state.user.attributes)
            if run is not None and group is not None and self._is_told(boards, making):
                held = state.held.get(making.generation, {}).get(run.start)
                member = _member(making, held, state.user)
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
        held = dict(state.held)
        for generation, runs in state.held.items():
            making = self._boards(name).get(generation)
            if making is not None and making.plan.grouped and making.counts:
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
            metric = making.board.metric
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

    def _count_event(self, entry: Entry, metric: Metric, step: Step, before: Mapping[int, Mapping[int, Held]]) -> None:
        user, number = step.state.user, metric.number
        former = step.state.sums.get(number)
        occurred_at = self.now if entry.occurred_at is None else entry.occurred_at
        amount = value.checked(entry.amount, "value")
        late = former is not None and occurred_at < former.latest
        after = Sum(amount, occurred_at)
        if former is not None:
            total = value.checked(former.total + amount, "the user's total")
            after = Sum(total, former.latest if late else occurred_at)
        local_at = local_time.local_at(occurred_at, user.tz)
        event = PastEvent(occurred_at, _DRAFTED + self._count_drafted(step.name, number), amount, local_at)
        held = self._counted(metric, step, event, late, before)
        streak = self._extended(step, number, event)
        line = Line(
            user.scope, user.id, attributes_text(entry.attributes), number, amount, occurred_at, local_at, after.total,
            entry.idempotency_key, late, encode_change(step.state.streak, streak), entry.history,
        )  # fmt: skip
        step.total, step.streak = after.total, streak
        step.state = UserState(user, {**step.state.sums, number: after}, streak, held, step.state.generation)
        step.lines.append(line)
        step.events.append(EventMember(number, *event_parts(local_at, occurred_at, amount)))
        self._fresh.events.setdefault((step.name, number), []).append(event)

    def _counted(
        self, metric: Metric, step: Step, event: PastEvent, late: bool, before: Mapping[int, Mapping[int, Held]]
    ) -> Holdings:
        """What the user holds after the event; notes on the way what is told of it, and where it came too late."""
        boards, user, held = self._boards(step.name), step.state.user, dict(step.state.held)
        for making in boards.counting(metric.number):
            run = making.plan.run_at(event.local_at)
            if run is None:
                continue
            if self._changes_what_is_over(making, run, step, event):
                continue
            group = making.plan.group_of(user.attributes)
            runs = held.get(making.generation, {})
            after = self._stepped(making, run, runs.get(run.start), metric, step, event, late)
            held[making.generation] = {**runs, run.start: Held(*after, group)}
            if group is not None and self._is_told(boards, making):
                first = before.get(making.generation, {}).get(run.start)
                stood = first if first is not None and first.group == group else None
                members = [_member(making, one, user) for one in (stood, Held(*after, group))]
                step.tells.append(Tell(making, run, group, *members))
        return held

    def _changes_what_is_over(self, making: Making, run: Run, step: Step, event: PastEvent) -> bool:
        """Whether an event comes to a run that is final; notes what becomes of it, and of days that are over."""
        place, history = run_field(making.generation, run.start), step.entry.history
        final = is_late(run, self.now)
        if final and making.board.late_events == "ignore" and not history:
            step.ignored.append(place)
        elif final or changes_past_days(self.now, event.occurred_at, history):
            step.revising.append(place)
        return final

    def _stepped(
        self, making: Making, run: Run, held: Held | None, metric: Metric, step: Step, event: PastEvent, late: bool
    ) -> tuple[int, int]:
        """The tally with one more event."""
        aggregation = making.board.aggregation
        after = tally.step(aggregation, held and held[:2], event.amount, event.occurred_at, not late)
        if after is None:
            events = [*self._events(step.name, metric.number), event]
            inside = [one for one in sorted(events) if making.plan.run_at(one.local_at) == run]
            after = tally.fold(aggregation, [(one.amount, one.occurred_at) for one in inside])
            assert after is not None
        return _fitting(making, after)

    def _is_told(self, boards: Boards, making: Making) -> bool:
        return boards.is_current(making) and making.plan.active_at(self.now)

    def _is_live(self, making: Making, run_start: int) -> bool:
        run = making.board.schedule.run_at(run_start)
        return run is not None and making.counts and is_live(run, self.now)

    def _events(self, name: bytes, metric: int) -> list[PastEvent]:
        """All events of a user on a metric, recorded or drafted, in no order."""
        drafted = [*self._kept.events.get((name, metric), ()), *self._fresh.events.get((name, metric), ())]
        if name not in self.picture.users:
            return drafted
        stored = self.picture.events.get((name, metric))
        if stored is None:
            raise EventsNeeded([(name, metric)])
        return [*(PastEvent(*event_of(member)) for member in stored), *drafted]

    def _count_drafted(self, name: bytes, metric: int) -> int:
        key = (name, metric)
        return len(self._kept.events.get(key, ())) + len(self._fresh.events.get(key, ()))

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
        return fold(settings, sorted([*self.streak_events(name, state), *more]), state.user.tz)

    def streak_events(self, name: bytes, state: UserState) -> list[StreakEvent]:
        """All events of a user that may count for a streak, in no order."""
        settings = self._settings_of(state.user)
        metrics = [number for number, _ in settings.metrics if number in state.sums] or list(state.sums)
        if settings.metrics:
            metrics = [number for number in metrics if settings.uses(number)]
        return [_streak_event(event, metric) for metric in metrics for event in self._events(name, metric)]

    # Keeping

    def _settle(self, step: Step, before: Mapping[int, Mapping[int, Held]]) -> None:
        """Work out what a step changes in the orders, and lay aside what is final or was let go."""
        boards, held = self._boards(step.name), step.state.held
        user = step.state.user
        for making in boards:
            first, last = before.get(making.generation, {}), held.get(making.generation, {})
            if first is not last:
                step.changes += [
                    Change(making, start, _side(making, first.get(start), user), _side(making, last.get(start), user))
                    for start in first.keys() | last.keys()
                    if first.get(start) != last.get(start)
                ]
        step.writes = step.writes or bool(step.lines or step.changes)
        if step.writes:
            step.state = self._pruned(step, boards)

    def _pruned(self, step: Step, boards: Boards) -> UserState:
        held: Holdings = {}
        for generation, runs in step.state.held.items():
            making = boards.get(generation)
            if making is None:
                continue
            live = {start: found for start, found in runs.items() if self._is_live(making, start)}
            step.past += [Past(generation, start, found) for start, found in runs.items() if start not in live]
            held[generation] = live
        state = step.state
        return UserState(state.user, state.sums, state.streak, held, state.generation)

    def _keep(self, step: Step, entry: Entry) -> None:
        """Let the entries behind this one see it."""
        version = step.version + 1 if step.writes else step.version
        self._fresh.users[step.name] = Stored(version, step.state)
        if entry.metric is not None and entry.idempotency_key is not None:
            used = used_field(step.name, entry.metric.number, entry.idempotency_key)
            step.used.append(used)
            self._fresh.used[used] = step


def _check_supported(entry: Entry) -> None:
    """Raises `NotAllowed` for what this ledger does not take yet."""
    if entry.voids is not None:
        raise NotAllowed("void: this ledger does not take events back yet; record one with the negative amount")
    if entry.total is not None:
        raise NotAllowed("total: this ledger does not set totals yet; record an event with the difference")
    if entry.erase:
        raise NotAllowed("this ledger does not erase users yet; clear their fields")
    if "hidden" in entry.changes:
        raise NotAllowed("hidden: this ledger does not hide users yet; leave them out with a filter")


def streak_settings_for(streaks: Mapping[int, StreakSettings], user: User) -> StreakSettings:
    """The settings by which the streak of a user counts, by those of the scopes."""
    return streak_settings_of(streaks.get(user.scope, StreakSettings()), user.preferences)


def _fitting(making: Making, found: tuple[int, int]) -> tuple[int, int]:
    value.checked(found[0], f"the value on leaderboard {making.board.key!r}")
    return found


def _member(making: Making, held: Held | None, user: User) -> bytes | None:
    return None if held is None else making.members.encode(held[:2], user.id)


def _side(making: Making, held: Held | None, user: User) -> Side | None:
    return None if held is None else Side(held.group, making.members.encode(held[:2], user.id))


def _streak_event(event: PastEvent, metric: int) -> StreakEvent:
    return StreakEvent(event.occurred_at, event.position, metric, event.amount, event.local_at)


def _user_line(user: User, streak_before: Streak, streak: Streak) -> Line:
    return Line(user.scope, user.id, profile_text(user), streak=encode_change(streak_before, streak))
