"""Users as the ledger knows them, with a bound on how many are in memory.

Layers, newest first; the first that knows a user is right:

    unprojected   what was recorded since the last step of the projection: users, their events, which of these or
                  earlier ones are void, idempotency keys
    filling       the layer before, while the projection takes it in
    young, old    users that are projected, kept because they were seen lately
    projection    everybody, on disk

States are never changed: a batch makes new ones and `put`s them after its flush. When the projection has
taken in `filling`, that layer's users become the young ones, which costs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, cast

import msgspec

from palmares.domain import local_time, value
from palmares.domain.erased import anonymous_id
from palmares.domain.preferences import DEFAULTS, Preferences
from palmares.domain.streak import Streak, decode
from palmares.domain.user import User, without_person
from palmares.domain.value import MOST
from palmares.ledger.contract import NO_STREAK
from palmares.ledger.embedded.log import PastEvent
from palmares.ledger.embedded.projection import FirstUse, Projection, Total

_NOTHING: Mapping[int, int] = {}
# An id is small beside a user's state.
_IDS_PER_CACHED_USER = 10
# A recorded user has a place by id and by number, and with an event one among the events and one among the keys.
_FREED_FOR_EACH_USER = 5


class Sum(NamedTuple):
    """A user's lifetime total of a metric, and when the newest of its events happened."""

    total: int
    latest: int


@dataclass(slots=True)
class UserState:
    """A user, the sum of each metric by its number, and the streak as of the last event.

    Never changed, though not frozen: to make a frozen one takes three times as long, and every event makes one.
    """

    user: User
    sums: Mapping[int, Sum] = field(default_factory=dict)
    streak: Streak = NO_STREAK


# Stands for a user who has an id no longer.
_GONE = UserState(User(number=0, scope=0, id="", created=0, updated=0))


class Layer:
    """Users by id and by number; in the unprojected layers also their events, voids and keys.

    `voids` has, by user and metric, the position of each event that is void, with the position of what says so.
    """

    __slots__ = ("by_id", "by_number", "events", "keys", "step_count", "voids")

    def __init__(self) -> None:
        self.by_id: dict[tuple[int, str], UserState] = {}
        self.by_number: dict[int, UserState] = {}
        self.events: defaultdict[tuple[int, int], list[PastEvent]] = defaultdict(list)
        self.voids: defaultdict[tuple[int, int], dict[int, int]] = defaultdict(dict)
        self.keys: dict[tuple[int, int, str], FirstUse] = {}
        self.step_count = 0

    def put(self, state: UserState) -> None:
        """Keep a state, instead of an older one of the same user."""
        user = state.user
        self.by_id[user.scope, user.id] = state
        self.by_number[user.number] = state


class Users:
    """Finds users, their events and their idempotency keys, wherever they are."""

    def __init__(self, projection: Projection, most_cached: int) -> None:
        self._projection = projection
        self._most_young = max(1, most_cached // 2)
        self._unprojected, self._filling = Layer(), Layer()
        self._young, self._old = Layer(), Layer()
        self._discarded: list[dict[Any, Any]] = []
        self._ids: dict[int, bytes] = {}
        # Of users who stood in pages, as they are now.
        self._names: dict[int, tuple[str, str | None]] = {}
        self._most_ids = most_cached * _IDS_PER_CACHED_USER
        self._last_number = projection.last_user()
        # Few, and asked for all the time.
        self.hidden = projection.hidden_users()
        self.erased = projection.erased_users()

    @property
    def last_number(self) -> int:
        """The highest user number given so far."""
        return self._last_number

    @property
    def unprojected_steps(self) -> int:
        """How many changes of users, events included, wait for the next step of the projection."""
        return self._unprojected.step_count

    def find(self, scope: int, user_id: str) -> UserState | None:
        """The state of the user with that id. A disk read when the user was not seen lately."""
        key = (scope, user_id)
        for layer in (self._unprojected, self._filling, self._young):
            state = layer.by_id.get(key)
            if state is not None:
                return None if state is _GONE else state
        state = self._old.by_id.get(key)
        if state is not None:
            return None if state is _GONE else self._keep(state)
        row = self._projection.user_by_id(scope, user_id)
        return None if row is None else self._load(row[0], scope, user_id, *row[1:])

    def get(self, number: int) -> UserState:
        """The state of the user with that number, which was given to somebody."""
        state = self.numbered(number)
        assert state is not None, f"user {number} is in a ranking but not in the log"
        return state

    def numbered(self, number: int) -> UserState | None:
        """The state of the user with that number, if somebody has it."""
        for layer in (self._unprojected, self._filling, self._young):
            state = layer.by_number.get(number)
            if state is not None:
                return state
        state = self._old.by_number.get(number)
        if state is not None:
            return self._keep(state)
        if number in self.erased:
            return self._load_erased(number)
        row = self._projection.user_by_number(number)
        return None if row is None else self._load(number, *row)

    def named(self, numbers: Sequence[int]) -> list[tuple[str, str | None]]:
        """The id and name of each user, in the same order; one disk read for all who were not seen lately."""
        names = [*map(self._names.get, numbers)]
        if None in names:
            unknown = [number for number, name in zip(numbers, names, strict=True) if name is None]
            found = self._find_names(unknown)
            self._remember_names(found)
            names = [name or found[number] for number, name in zip(numbers, names, strict=True)]
        return cast(list[tuple[str, str | None]], names)

    def _find_names(self, numbers: Sequence[int]) -> dict[int, tuple[str, str | None]]:
        found: dict[int, tuple[str, str | None]] = {}
        for number in numbers:
            if number in self.erased:
                found[number] = (anonymous_id(number), None)
            elif state := self._seen(number):
                found[number] = (state.user.id, state.user.name)
        unseen = [number for number in numbers if number not in found]
        return found | self._projection.named(unseen) if unseen else found

    def _remember_names(self, names: Mapping[int, tuple[str, str | None]]) -> None:
        if len(self._names) >= self._most_ids:
            self._names.clear()
        self._names.update(names)

    def id_of(self, number: int) -> bytes:
        """The bytes that break ties between users. They never change, so they are remembered apart from the rest.

        Where many users share a value and an instant, a search asks for dozens of them.
        """
        user_id = self._ids.get(number)
        if user_id is None:
            user_id = self._find_id(number).encode()
            if len(self._ids) >= self._most_ids:
                self._ids.clear()
            self._ids[number] = user_id
        return user_id

    def _find_id(self, number: int) -> str:
        if number in self.erased:
            return anonymous_id(number)
        state = self._seen(number)
        return self._projection.id_of(number) if state is None else state.user.id

    def _seen(self, number: int) -> UserState | None:
        for layer in (self._unprojected, self._filling, self._young, self._old):
            state = layer.by_number.get(number)
            if state is not None:
                return state
        return None

    def put(self, state: UserState) -> None:
        """Keep the state that a batch left a user in."""
        self._unprojected.put(state)
        user = state.user
        if self._names.get(user.number, (user.id, user.name)) != (user.id, user.name):
            del self._names[user.number]
        self._free_some()
        self._unprojected.step_count += 1
        if state.user.number > self._last_number:
            self._last_number = state.user.number
        if state.user.hidden:
            self.hidden.add(state.user.number)
        elif self.hidden:
            self.hidden.discard(state.user.number)

    def erase(self, state: UserState) -> UserState:
        """Let nobody have the id of a user any more, and keep of the user what the past needs."""
        user = state.user
        left = UserState(without_person(user), state.sums, state.streak)
        for layer in (self._young, self._old):
            layer.by_id.pop((user.scope, user.id), None)
            layer.by_number.pop(user.number, None)
        self._unprojected.by_id[user.scope, user.id] = _GONE
        self._unprojected.by_number[user.number] = left
        self._unprojected.step_count += 1
        self._names.pop(user.number, None)
        self._ids.pop(user.number, None)
        self.hidden.discard(user.number)
        self.erased.add(user.number)
        return left

    def forget(self, numbers: Iterable[int]) -> None:
        """Let go of what layers that are projected still hold of erased users."""
        for layer in (self._young, self._old):
            for number in numbers:
                held = layer.by_number.pop(number, None)
                if held is not None:
                    layer.by_id.pop((held.user.scope, held.user.id), None)

    def note_event(self, user: int, metric: int, event: PastEvent) -> None:
        """Keep an event until the projection has it."""
        self._unprojected.events[user, metric].append(event)

    def note_void(self, user: int, metric: int, target: int, position: int) -> None:
        """Keep until the projection has it that an event is void."""
        self._unprojected.voids[user, metric][target] = position

    def is_void(self, user: int, metric: int, target: int) -> bool:
        """Whether an event is void."""
        held = target in self._held_voids(user, metric)
        return held or self._projection.void_of(user, metric, target) is not None

    def note_key(self, user: int, metric: int, key: str, use: FirstUse) -> None:
        """Keep the use of an idempotency key until the projection has it."""
        self._unprojected.keys[user, metric, key] = use

    def first_use(self, user: int, metric: int, key: str) -> FirstUse | None:
        """The event that used an idempotency key, if any did."""
        name = (user, metric, key)
        return (
            self._unprojected.keys.get(name)
            or self._filling.keys.get(name)
            or self._projection.first_use(user, metric, key)
        )

    def history(self, user: int, metric: int, first: int, past: int, upto: int) -> list[PastEvent]:
        """The events of a user and metric in a stretch of local time up to a position, in no order.

        Those that are void by that position are left out.
        """
        found = [
            *self._projection.history_of(user, metric, first, past, upto),
            *(event for event in self._held(user, metric, first, past) if event.position <= upto),
        ]
        voids = self._held_voids(user, metric)
        return [event for event in found if voids.get(event.position, upto + 1) > upto] if voids else found

    def newest(self, user: int, metric: int, limit: int) -> list[PastEvent]:
        """The events of a user and metric that happened last by the user's clock and are not void, newest first."""
        voids = self._held_voids(user, metric)
        found = [
            event
            for event in (
                *self._projection.newest_of(user, metric, limit + len(voids)),
                *self._held(user, metric, value.LEAST, value.MOST),
            )
            if event.position not in voids
        ]
        return sorted(found, key=lambda event: (event.local_at, event.position), reverse=True)[:limit]

    def days(self, user: int, metric: int, first: int, past: int) -> dict[int, int]:
        """The days of a stretch of local time that have events, with the sum of their amounts."""
        if self._held_voids(user, metric):
            # Whether a day has other events too, its sum does not tell.
            sums, events = {}, self.history(user, metric, first, past, MOST)
        else:
            sums, events = self._projected_days(user, metric, first, past), [*self._held(user, metric, first, past)]
        for event in events:
            day = local_time.day_of(event.local_at)
            sums[day] = sums.get(day, 0) + event.amount
        return sums

    def _projected_days(self, user: int, metric: int, first: int, past: int) -> dict[int, int]:
        days = self._projection.days_of(user, metric, first, past)
        return {day + local_time.EPOCH_ORDINAL: change for day, change in days}

    def begin_filling(self) -> None:
        """Set aside what the projection is about to take in."""
        assert not self._filling.by_id, "one step at a time"
        self._filling, self._unprojected = self._unprojected, Layer()

    def end_filling(self, position: int) -> None:
        """The projection has come to `position` and has all that was set aside."""
        self._projection.position = position
        projected, self._filling = self._filling, Layer()
        self._discarded += [projected.events, projected.keys]
        self._grow_older(projected)

    def undo_filling(self) -> None:
        """The step failed: what was set aside waits for the next one."""
        newer, self._unprojected, self._filling = self._unprojected, self._filling, Layer()
        self._unprojected.by_id.update(newer.by_id)
        self._unprojected.by_number.update(newer.by_number)
        for name, events in newer.events.items():
            self._unprojected.events[name].extend(events)
        for name, voids in newer.voids.items():
            self._unprojected.voids[name].update(voids)
        self._unprojected.keys.update(newer.keys)
        self._unprojected.step_count += newer.step_count

    def _grow_older(self, young: Layer) -> None:
        self._discarded += [self._old.by_id, self._old.by_number]
        self._old, self._young = self._young, young

    def _free_some(self) -> None:
        """Free a little of what layers have left behind, as much as one user adds.

        Freed at once, a layer of 100,000 users and their events would stop the event loop for a tenth of a second.
        """
        for _ in range(_FREED_FOR_EACH_USER):
            if not self._discarded:
                return
            if self._discarded[-1]:
                self._discarded[-1].popitem()
            else:
                self._discarded.pop()

    def _held(self, user: int, metric: int, first: int, past: int) -> Iterable[PastEvent]:
        for layer in (self._filling, self._unprojected):
            for event in layer.events.get((user, metric), ()):
                if first <= event.local_at < past:
                    yield event

    def _held_voids(self, user: int, metric: int) -> Mapping[int, int]:
        """The events of a user and metric that are void, by position; those of which the projection does not know."""
        older, newer = self._filling.voids, self._unprojected.voids
        if not older and not newer:
            return _NOTHING
        name = (user, metric)
        return {**older.get(name, _NOTHING), **newer.get(name, _NOTHING)}

    def _load(
        self, number: int, scope: int, user_id: str, body: str, streak: str | None, totals: Iterable[Total]
    ) -> UserState:
        sums = {metric: Sum(total, latest) for metric, total, latest in totals}
        state = self._projection.blank_streak(scope) if streak is None else decode(streak)
        return self._keep(UserState(decode_user(number, scope, user_id, body), sums, state))

    def _load_erased(self, number: int) -> UserState:
        scope, body = self._projection.erased_user(number)
        sums = {metric: Sum(total, latest) for metric, total, latest in self._projection.totals_of(number)}
        user = decode_user(number, scope, anonymous_id(number), body)
        return UserState(user, sums, self._projection.blank_streak(scope))

    def _keep(self, state: UserState) -> UserState:
        if len(self._young.by_id) >= self._most_young:
            self._grow_older(Layer())
        self._young.put(state)
        self._free_some()
        return state


_NAMED_APART = ("number", "scope", "id", "preferences")
_BODY_FIELDS = tuple(entry.name for entry in fields(User) if entry.name not in _NAMED_APART)


def encode_user(user: User, before: User | None) -> str:
    """The body of a user line: the profile, and the attributes and preferences that it replaces if it changes any.

    Preferences are there only where a user has any, as in lines from before there were preferences.
    """
    body: dict[str, Any] = {name: getattr(user, name) for name in _BODY_FIELDS}
    if user.preferences != DEFAULTS:
        body["preferences"] = user.preferences
    if before is not None and before.attributes != user.attributes:
        body["attributes_before"] = before.attributes
    if before is not None and before.preferences != user.preferences:
        body["preferences_before"] = before.preferences
    return msgspec.json.encode(body).decode()


def decode_user(number: int, scope: int, user_id: str, body: str) -> User:
    """The user of a body."""
    given = msgspec.json.decode(body)
    for name in ("attributes_before", "preferences_before"):
        given.pop(name, None)
    if given.get("device_tokens") is not None:
        given["device_tokens"] = tuple(given["device_tokens"])
    if "preferences" in given:
        given["preferences"] = msgspec.convert(given["preferences"], Preferences)
    return User(number=number, scope=scope, id=user_id, **given)


def attributes_before(body: str) -> dict[str, str] | None:
    """The attributes that a user line replaced; None when it left them alone."""
    before: dict[str, str] | None = msgspec.json.decode(body).get("attributes_before")
    return before


def preferences_before(body: str) -> Preferences | None:
    """The preferences that a user line replaced; None when it left them alone."""
    before = msgspec.json.decode(body).get("preferences_before")
    return None if before is None else msgspec.convert(before, Preferences)
