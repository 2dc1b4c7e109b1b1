"""What a batch of entries is going to change, worked out before anything is written.

A draft reads the present state and keeps every consequence to itself: lines for the log, new states of users, new
tallies. Later entries of the batch see what earlier ones will have done. When a request is refused, what it had
drafted is undone and the others stay. Only after the flush does the ledger apply the steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from palmares.domain import local_time, tally, value
from palmares.domain.changes import Move, moves
from palmares.domain.errors import NotFound, PalmaresError
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.tally import Tally
from palmares.domain.user import User, changed
from palmares.ledger.contract import Entry
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import EVENT, USER, Line, PastEvent, past_event
from palmares.ledger.embedded.projection import FirstUse
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.users import Users, UserState, encode_user

_MISSING = object()


class Count(NamedTuple):
    """An event counts on a board: the user's tally in a run becomes this. `group` None is taking no part."""

    rankings: Rankings
    run: Run
    group: Group | None
    tally: Tally
    moved: bool


@dataclass(slots=True)
class Step:
    """The consequences of one entry, to be applied in order. `event` is its line; a replay has none."""

    metric: Metric | None
    state: UserState
    attributes_before: Mapping[str, str]
    created: bool = False
    moves: Sequence[tuple[Rankings, Move]] = ()
    counts: list[Count] = field(default_factory=list)
    event: Line | None = None
    replayed: FirstUse | None = None


class Draft:
    """One batch in the making. `lines` and `steps` grow with each request that is taken."""

    def __init__(self, users: Users, followed: Followed, position: int, now: int) -> None:
        self.lines: list[Line] = []
        self.now = now
        self._users = users
        self._followed = followed
        self._position = position
        self._last_number = users.last_number
        self._states: dict[tuple[int, str], UserState] = {}
        self._keys: dict[tuple[int, int, str], FirstUse] = {}
        self._tallies: dict[tuple[int, int, int], Tally] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []

    def add(self, entries: Sequence[Entry]) -> list[Step]:
        """Draft one request: all of its entries, or none when one is refused (then the refusal is raised)."""
        self._undo.clear()
        lines, position, last_number = len(self.lines), self._position, self._last_number
        steps: list[Step] = []
        try:
            # Not a comprehension: when one is refused, the steps so far tell its place.
            for entry in entries:
                steps.append(self._step(entry))  # noqa: PERF401
        except BaseException as error:
            del self.lines[lines:]
            self._position, self._last_number = position, last_number
            self._undo_writes()
            if isinstance(error, PalmaresError) and len(entries) > 1:
                raise error.at(len(steps)) from None
            raise
        return steps

    def _step(self, entry: Entry) -> Step:
        present = self._present(entry)
        if present is not None and entry.metric is not None and entry.idempotency_key is not None:
            use = self._first_use(present.user.number, entry)
            if use is not None:
                return Step(entry.metric, present, present.user.attributes, replayed=use)
        step = self._change_user(entry, present)
        if entry.metric is not None:
            self._count_event(entry, step)
        return step

    def _present(self, entry: Entry) -> UserState | None:
        state = self._states.get((entry.scope, entry.user_id)) or self._users.find(entry.scope, entry.user_id)
        if state is None and entry.must_exist:
            raise NotFound(f"user {entry.user_id!r} was not found")
        return state

    def _first_use(self, user: int, entry: Entry) -> FirstUse | None:
        assert entry.metric is not None
        assert entry.idempotency_key is not None
        name = (user, entry.metric.number, entry.idempotency_key)
        return self._keys.get(name) or self._users.first_use(*name)

    def _change_user(self, entry: Entry, present: UserState | None) -> Step:
        if present is None:
            self._last_number += 1
            blank = User(
                number=self._last_number, scope=entry.scope, id=entry.user_id, created=self.now, updated=self.now
            )
            state = UserState(changed(blank, entry.changes, self.now))
            self._note_user(state.user, None)
            step = Step(entry.metric, state, {}, created=True)
        else:
            state = present.copy()
            step = Step(entry.metric, state, present.user.attributes)
            if entry.changes:
                state.user = changed(present.user, entry.changes, self.now)
            if state.user is not present.user:
                self._move_user(step, present.user)
        self._write(self._states, (entry.scope, entry.user_id), state)
        return step

    def _move_user(self, step: Step, before: User) -> None:
        after = step.state.user
        if after.attributes == before.attributes:
            self._note_user(after, None)
            return
        self._note_user(after, before.attributes)
        by_plan = {rankings.plan: rankings for rankings in self._followed.grouped(after.scope)}
        step.moves = [(by_plan[move.plan], move) for move in moves(by_plan, before.attributes, after.attributes)]

    def _note_user(self, user: User, attributes_before: Mapping[str, str] | None) -> None:
        self._position += 1
        body = encode_user(user, attributes_before)
        self.lines.append(Line(self._position, USER, self.now, user.scope, user.number, user_id=user.id, body=body))

    def _count_event(self, entry: Entry, step: Step) -> None:
        assert entry.metric is not None
        state, metric = step.state, entry.metric.number
        user = state.user
        occurred_at = self.now if entry.occurred_at is None else entry.occurred_at
        local_at = local_time.local_at(occurred_at, user.tz)
        value.checked(entry.amount, "value")
        total = value.checked(state.totals.get(metric, 0) + entry.amount, "the user's total")
        latest = state.latest.get(metric, occurred_at)
        in_order = occurred_at >= latest
        self._position += 1
        event = PastEvent(occurred_at, self._position, entry.amount, local_at)
        for rankings in self._followed.counting(metric):
            run = rankings.plan.run_at(local_at)
            if run is not None:
                step.counts.append(self._count(rankings, run, step, metric, event, in_order))
        state.totals[metric] = total
        state.latest[metric] = max(latest, occurred_at)
        step.event = self._note_event(entry, user, metric, event, not in_order, total)

    def _count(self, rankings: Rankings, run: Run, step: Step, metric: int, event: PastEvent, in_order: bool) -> Count:
        plan, user = rankings.plan, step.state.user.number
        name = (plan.board.number, run.start, user)
        before = self._tallies.get(name) or self._stored_tally(rankings, run, step)
        after = tally.step(plan.board.aggregation, before, event.amount, event.occurred_at, in_order)
        if after is None:
            after = self._refold(rankings, run, user, metric, event)
        value.checked(after.value, f"the value on leaderboard {plan.board.key!r}")
        self._write(self._tallies, name, after)
        moved = any(mover is rankings for mover, _ in step.moves)
        return Count(rankings, run, plan.group_of(step.state.user.attributes), after, moved)

    def _stored_tally(self, rankings: Rankings, run: Run, step: Step) -> Tally | None:
        """What stands in the rankings, where the user still is in the group of before this batch."""
        if not rankings.plan.grouped:
            return rankings.stored(run.start, (), step.state.user.number)
        user = step.state.user
        stored = self._users.find(user.scope, user.id)
        if stored is None:
            return None
        return rankings.stored(run.start, rankings.plan.group_of(stored.user.attributes), user.number)

    def _refold(self, rankings: Rankings, run: Run, user: int, metric: int, event: PastEvent) -> Tally:
        """The tally from all events of the user in the run: a late one arrived whose effect depends on the others."""
        drafted = [
            past_event(line)
            for line in self.lines
            if line.kind == EVENT and line.user == user and line.metric == metric
        ]
        stored = rankings.history(self._users, run, user, event.position)
        return rankings.refold(run, [*stored, *drafted, event])

    def _note_event(self, entry: Entry, user: User, metric: int, event: PastEvent, late: bool, total: int) -> Line:
        key = entry.idempotency_key
        body = None if not entry.attributes else msgspec.json.encode(entry.attributes).decode()
        line = Line(
            event.position, EVENT, self.now, user.scope, user.number, metric, event.amount, event.occurred_at,
            event.local_at, int(late), total, key, None, body,
        )  # fmt: skip
        self.lines.append(line)
        if key is not None:
            self._write(self._keys, (user.number, metric, key), FirstUse(event.position, self.now))
        return line

    def _write(self, mapping: dict[Any, Any], key: Any, after: Any) -> None:
        self._undo.append((mapping, key, mapping.get(key, _MISSING)))
        mapping[key] = after

    def _undo_writes(self) -> None:
        while self._undo:
            mapping, key, before = self._undo.pop()
            if before is _MISSING:
                del mapping[key]
            else:
                mapping[key] = before
