"""The past of one board, read from the log in the order in which it took effect.

The log is in the order of recording, and nearly every event took effect when it was recorded. Only the others, which
were sent with a time of their own, are sorted; then both streams are merged. Attributes are told backwards: everybody
begins with the attributes first known, found by undoing every change on the present ones.

Events that are void, by the position up to which the log is read, are left out of both.

Rows are fetched by a thread in portions, so a scan of a large log holds nobody up.
"""

from __future__ import annotations

import heapq
import sqlite3
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from palmares.domain import value
from palmares.domain.changes import Plan
from palmares.domain.effect import effect_at
from palmares.domain.group import Group
from palmares.domain.local_time import start_of
from palmares.domain.preferences import Preferences
from palmares.domain.run import Run
from palmares.domain.streak import may_concern
from palmares.domain.streak_settings import StreakSettings
from palmares.ledger.embedded.log import Line
from palmares.ledger.embedded.projection import Snapshot
from palmares.ledger.embedded.queries import query
from palmares.ledger.embedded.streaks import metrics_json
from palmares.ledger.voids import consequence

_ROWS_AT_ONCE = 500
_USERS_AT_ONCE = 5_000

InThread = Callable[..., Awaitable[Any]]


class PastStep(NamedTuple):
    """One row of the log as a build needs it. `effect` None says that the event, or the void of one, came late and
    takes none; a step with a body is a change of attributes, with an empty one the erasure of the user."""

    effect: int | None
    position: int
    recorded_at: int
    user: int
    amount: int
    occurred_at: int
    local_at: int
    body: str | None
    metric: int = 0


class _Attributes(msgspec.Struct):
    attributes: dict[str, str]


class _AttributesBefore(msgspec.Struct):
    attributes_before: dict[str, str]


_AFTER = msgspec.json.Decoder(_Attributes)
_BEFORE = msgspec.json.Decoder(_AttributesBefore)
_PREFERENCES = msgspec.json.Decoder(Preferences)


class Past:
    """What the log holds, up to a position, of the events that matter to a board in a stretch of days.

    On a board that ranks by streak those are events of the metrics that the settings of streaks name, or of all.

    `void` has the positions of events that are void by then, and of what says so. Of those, `gone` are left out;
    `revising` are the runs that were final when that was said.
    """

    def __init__(
        self,
        log: Path,
        plan: Plan,
        upto: int,
        runs: list[Run] | None,
        streaks: StreakSettings | None = None,
        void: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.upto = upto
        self.gone: set[int] = set()
        self.revising: set[int] = set()
        self._plan = plan
        self._streaks = streaks
        self._void = void
        self._ignored: list[tuple[Any, ...]] = []
        self._names = ("backdated_events", "past_steps")
        first, past = _span(runs)
        metric = None if plan.board.counted is None else plan.board.counted.number
        self._given: dict[str, int | str | None] = {
            "metric": metric, "upto": upto, "changes": "all" if plan.grouped else None,
            "first": first, "past": past,
        }  # fmt: skip
        if streaks is not None:
            self._names = ("backdated_streak_events", "streak_steps")
            self._given = {"scope": plan.board.scope, "metrics": metrics_json(streaks), "upto": upto, "past": past}
        self._connection = sqlite3.connect(log, isolation_level=None, check_same_thread=False)
        self._connection.create_function("effect_at", 4, self._effect_at)

    async def steps(self, in_thread: InThread) -> AsyncIterator[list[PastStep]]:
        """All steps in order, in portions; first those that take no effect."""
        await in_thread(self._look_at_voids)
        merged = heapq.merge(self._ignored, *map(self._rows, self._names), key=_in_order)
        while portion := await in_thread(list, islice(merged, _ROWS_AT_ONCE)):
            yield [PastStep(*step) for step in portion]

    async def groups(self, snapshot: Snapshot, in_thread: InThread) -> list[Group | None]:
        """The group that everybody has at first, by number; of an ungrouped board an empty list.

        There, everybody is shown at first, and only who was ever hidden is of interest. Of who was erased it is not
        known.
        """
        groups: list[Group | None] = []
        if not self._plan.grouped:
            if snapshot.anyone_hidden():
                self._given["changes"] = "hiding"
            return groups
        known: dict[Group | None, Group | None] = {}
        users = snapshot.users()
        while portion := await in_thread(list, islice(users, _USERS_AT_ONCE)):
            for number, body in portion:
                groups.extend([None] * (number + 1 - len(groups)))
                group = self.group_after(body)
                # One tuple for all of a group, not one each.
                groups[number] = known.setdefault(group, group)
        changes = await in_thread(self._connection.execute, query("attribute_changes"), (snapshot.position,))
        while portion := await in_thread(changes.fetchmany, _USERS_AT_ONCE):
            for user, body in portion:
                groups.extend([None] * (user + 1 - len(groups)))
                groups[user] = self._plan.group_of(_BEFORE.decode(body).attributes_before)
        return groups

    async def zones(self, in_thread: InThread) -> tuple[dict[int, str | None], dict[int, Preferences]]:
        """The zone that everybody has at first, by number, and the preferences of those who have any then."""
        zones: dict[int, str | None] = {}
        preferences: dict[int, Preferences] = {}
        rows = await in_thread(self._connection.execute, query("first_zones"), self._given)
        while portion := await in_thread(rows.fetchmany, _USERS_AT_ONCE):
            # One text for all of a zone, not one each.
            zones.update((user, tz and sys.intern(tz)) for user, tz, _, _ in portion)
            preferences.update((user, _PREFERENCES.decode(text)) for user, _, text, _ in portion if text is not None)
        return zones, preferences

    def group_after(self, body: str) -> Group | None:
        """The group of a user with the attributes of a line's body."""
        return self._plan.group_of(_AFTER.decode(body).attributes)

    def interrupt(self) -> None:
        """Let a query end that a thread is at."""
        self._connection.interrupt()

    def close(self) -> None:
        """Let go of the log, when no thread reads it any more."""
        self._connection.close()

    def _rows(self, name: str) -> Iterator[tuple[Any, ...]]:
        # A generator, so that the query runs where the first row is asked for, on the thread: it sorts for long.
        rows = self._connection.execute(query(name), self._given)
        # There are few voids, mostly none: then no row is looked at here.
        yield from (row for row in rows if row[1] not in self.gone) if self.gone else rows

    def _look_at_voids(self) -> None:
        """Find out what each void does. One look into the log for each."""
        for target, position in self._void:
            event, line = (self._line(place) for place in (target, position))
            found = consequence(self._plan, event, line.recorded_at) if self._minds(event) else None
            if found is None:
                continue
            if found.ignored:
                self._ignored.append(_ignored(event, line))
                continue
            self.gone.add(target)
            if not found.live:
                self.revising.add(found.run.start)
        self._ignored.sort(key=_in_order)

    def _minds(self, event: Line) -> bool:
        """Whether an event may count on the board: of its scope, and where it ranks by streak, for streaks."""
        if event.scope != self._plan.board.scope:
            return False
        return self._streaks is None or may_concern(self._streaks, event.metric or 0, event.amount or 0)

    def _line(self, position: int) -> Line:
        return Line(*self._connection.execute(query("record"), (position,)).fetchone())

    def _effect_at(self, recorded_at: int, occurred_at: int, local_at: int, history: int | None) -> int | None:
        run = self._plan.run_concerned(local_at)
        if run is None:
            return None
        return effect_at(run, self._plan.board.late_events, recorded_at, occurred_at, bool(history))


def _ignored(event: Line, void: Line) -> tuple[Any, ...]:
    """The row of a void that came late."""
    return (
        None, void.position, void.recorded_at, event.user, event.amount, event.occurred_at, event.local_at, None,
        event.metric,
    )  # fmt: skip


def _in_order(step: tuple[Any, ...]) -> tuple[int, int]:
    effect, position = step[0], step[1]
    return (value.LEAST if effect is None else effect, position)


def _span(runs: list[Run] | None) -> tuple[int, int]:
    """The stretch of local time that these runs lie in; all of it when none are named."""
    if runs is None:
        return value.LEAST, value.MOST
    last = max(runs).end
    return start_of(min(runs).start), value.MOST if last is None else start_of(last + 1)


def opened(
    log: Path,
    plan: Plan,
    upto: int,
    runs: list[Run] | None,
    streaks: StreakSettings | None = None,
    void: Iterable[tuple[int, int]] = (),
) -> closing[Past]:
    """The past of a board, closed at the end of a `with`."""
    return closing(Past(log, plan, upto, runs, streaks, void))
