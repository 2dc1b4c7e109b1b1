"""Reading standings, users and the log; live and final runs alike.

Nothing here waits: a reader sees all of a batch or nothing of it.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Sequence
from functools import partial

import msgspec

from palmares.domain import local_time
from palmares.domain.effect import final_at
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding
from palmares.domain.streak import CountedPeriod, Streak
from palmares.domain.user import User
from palmares.ledger.contract import Award, DayChange, Place, Ranks, Record, Row, RunState, StoredEvent
from palmares.ledger.embedded._index import Index
from palmares.ledger.embedded.archivist import Archivist
from palmares.ledger.embedded.explorer import Found
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import ERASURE, EVENT, POINTS, USER, VOID, Line, Log, past_event
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.streaks import Streaks
from palmares.ledger.embedded.timeline import Timeline
from palmares.ledger.embedded.users import Users
from palmares.ledger.keeping import Order
from palmares.ledger.points import award_of
from palmares.ledger.union import Union

_LIVE = RunState(False, 0, 0)

# As `Row(*…)` does it, in a third of the time.
_row: Callable[[tuple[int, int, str, str | None, int]], Row] = partial(tuple.__new__, Row)


class Reader:
    """The reading half of the contract; each method is described there."""

    def __init__(
        self,
        log: Log,
        users: Users,
        followed: Followed,
        streaks: Streaks,
        archivist: Archivist,
        timeline: Timeline,
    ) -> None:
        self._log = log
        self._users = users
        self._followed = followed
        self._streaks = streaks
        self._archivist = archivist
        self._archive = archivist.archive
        self._kept = archivist.kept
        self._timeline = timeline

    def runs(self, board_number: int) -> list[Run]:
        """See `Ledger.runs`."""
        rankings = self._followed.get(board_number)
        schedule = rankings.plan.board.schedule
        present = {**rankings.runs, **rankings.closing}
        starts = {start for start, groups in present.items() if any(map(len, groups.values()))}
        starts.update(start for start in self._kept.final_runs(board_number) if self._ends_ranked(board_number, start))
        return [run for start in sorted(starts) if (run := schedule.run_at(start)) is not None]

    def run_state(self, board_number: int, run: Run) -> RunState:
        """See `Ledger.run_state`."""
        rankings = self._followed.get(board_number)
        if not self._is_final(rankings, run):
            return _LIVE
        kept = self._kept.final_run(board_number, run.start)
        return RunState(True, kept.revision if kept else 0, rankings.ignored[run.start])

    def group(self, board_number: int, run: Run, user: User) -> Group | None:
        """See `Ledger.group`."""
        rankings = self._followed.get(board_number)
        if not self._is_final(rankings, run):
            return rankings.plan.own_group(user.attributes)
        for group, index in rankings.held(run.start).items():
            if user.number in index:
                return group if index.row(user.number) < rankings.ranked(index) else None
        place = self._archive.place(board_number, run.start, user.number)
        return None if place is None else place.group

    def history(self, board_number: int, run: Run, user: User, first_day: int, last_day: int) -> list[DayStanding]:
        """See `Ledger.history`."""
        rankings = self._followed.get(board_number)
        kept = self._kept.history(board_number, run.start, user.number, first_day, last_day)
        if not self._archivist.waiting:
            return [*kept]
        days = {standing.day: standing for standing in kept}
        for standing in self._archivist.waiting_days(rankings, run, user.number):
            if first_day <= standing.day <= last_day:
                days[standing.day] = standing
        return [days[day] for day in sorted(days)]

    def groups(self, board_number: int, run: Run) -> Collection[Group]:
        """See `Ledger.groups`."""
        rankings = self._followed.get(board_number)
        held = rankings.held(run.start)
        if held or not self._is_final(rankings, run):
            return [group for group, index in held.items() if group is not None and len(index)]
        kept = self._kept.final_run(board_number, run.start)
        return list(kept.sizes) if kept else []

    def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        """See `Ledger.size`."""
        return sum([size for _, size in self._orders(self._followed.get(board_number), run, groups)])

    def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """See `Ledger.page`."""
        rankings = self._followed.get(board_number)
        union = self._union(rankings, self._orders(rankings, run, groups))
        entries = union.entries(start, stop)
        if not entries:
            return []
        # By columns, since there may be a thousand rows.
        participants, values, _ = zip(*entries, strict=True)
        ids, names = zip(*self._users.named(participants), strict=True)
        rows = range(start, start + len(entries))
        return [*map(_row, zip(rows, union.ranks(start, entries), ids, names, values, strict=True))]

    def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """See `Ledger.place`."""
        rankings = self._followed.get(board_number)
        orders = self._orders(rankings, run, groups)
        if user.hidden and not self._is_final(rankings, run):
            return self._hidden_place(rankings, run, orders, groups, user)
        for order, size in orders:
            row = order.row(user.number)
            if row >= size and self._is_final(rankings, run):
                # In the end there is nothing to be caught up with outside the cap.
                return None
            if row >= 0:
                return self._place(rankings, orders, order, size, row)
        return None

    def ranks(self, board_number: int, run: Run, group: Group) -> Ranks:
        """See `Ledger.ranks`."""
        rankings = self._followed.get(board_number)
        index = rankings.held(run.start).get(group)
        return self._final_ranks(rankings, run, group) if index is None else ranks_of(rankings, index)

    def changed_rankings(self) -> list[tuple[int, Run, Group]]:
        """See `Ledger.changed_rankings`."""
        found = []
        for rankings in self._followed:
            changed, rankings.changed = rankings.changed or set(), set()
            runs = {start: rankings.plan.board.schedule.run_at(start) for start, _ in changed}
            found += [
                (rankings.number, run, group) for start, group in sorted(changed) if (run := runs[start]) is not None
            ]
        return found

    def users(self, numbers: Sequence[int]) -> list[User]:
        """See `Ledger.users`."""
        return [state.user for number in numbers if (state := self._users.numbered(number)) is not None]

    def user(self, scope: int, user_id: str) -> User | None:
        """See `Ledger.user`."""
        state = self._users.find(scope, user_id)
        return None if state is None else state.user

    def total(self, user: User, metric: Metric) -> int:
        """See `Ledger.total`."""
        found = self._users.get(user.number).sums.get(metric.number)
        return 0 if found is None else found.total

    def days(self, user: User, metric: Metric, first_day: int, last_day: int) -> list[DayChange]:
        """See `Ledger.days`."""
        first, past = local_time.start_of(first_day), local_time.start_of(last_day + 1)
        sums = self._users.days(user.number, metric.number, first, past)
        return [DayChange(day, change) for day, change in sorted(sums.items())]

    def streak(self, user: User) -> Streak:
        """See `Ledger.streak`."""
        return self._streaks.of(self._users.get(user.number))

    def counted_periods(self, user: User) -> list[CountedPeriod]:
        """See `Ledger.counted_periods`."""
        return self._streaks.counted_periods(self._users.get(user.number))

    def awards(self, user: User, system: Metric, limit: int) -> list[Award]:
        """See `Ledger.awards`."""
        newest = self._users.newest(user.number, system.number, limit)
        lines = self._log.lines([event.position for event in newest])
        return [award_of(line._replace(position=self._log.origin_of(line.position))) for line in lines]

    def records(self, after: int, limit: int) -> list[Record]:
        """See `Ledger.records`."""
        return [_record(line) for line in self._log.read(after, limit) if line.position <= self._log.position]

    def stored_events(self, found: Sequence[Found]) -> list[StoredEvent]:
        """Events that were found, with the ids of their users."""
        users = [*dict.fromkeys(one.line.user for one in found)]
        names = dict(zip(users, self._users.named(users), strict=True))
        return [_stored_event(one, names[one.line.user][0]) for one in found]

    def _ends_ranked(self, board_number: int, run_start: int) -> bool:
        kept = self._kept.final_run(board_number, run_start)
        return kept is not None and any(kept.sizes.values())

    def _is_final(self, rankings: Rankings, run: Run) -> bool:
        return rankings.frozen or final_at(run) <= self._timeline.now

    def _final_ranks(self, rankings: Rankings, run: Run, group: Group) -> Ranks:
        """The ranks of a group that is not held: of a run in the archive, or of one in which nobody stands."""
        union = self._union(rankings, self._orders(rankings, run, [group]))
        rows = sorted((participant, rank, value) for _, rank, participant, value in union.page(0, len(union)))
        participants, ranks, values = zip(*rows, strict=True) if rows else ((), (), ())
        return Ranks(array("I", participants), array("I", ranks), array("q", values))

    def _orders(self, rankings: Rankings, run: Run, groups: Collection[Group]) -> list[tuple[Order, int]]:
        """The orders of those of the groups in which anyone stands, each with how many of it are ranked."""
        held = rankings.held(run.start)
        if held and len(groups) == 1:
            # The plain case, which is nearly always that of a board without breakdown.
            [group] = groups
            index = held.get(group)
            return [(index, rankings.ranked(index))] if index else []
        wanted = dict.fromkeys(groups)
        if held or not self._is_final(rankings, run):
            present = [held[group] for group in wanted if group in held and len(held[group])]
            return [(index, rankings.ranked(index)) for index in present]
        kept = self._kept.final_run(rankings.number, run.start)
        sizes = kept.sizes if kept else {}
        return [
            (self._kept.order(rankings, run.start, group, self._users.id_of), sizes[group])
            for group in wanted
            if sizes.get(group)
        ]

    def _place(self, rankings: Rankings, orders: list[tuple[Order, int]], order: Order, size: int, row: int) -> Place:
        entry = order.at(row)
        if row >= size:
            return Place(None, None, entry[1])
        if len(orders) == 1 and rankings.numbered_by_row:
            return Place(row, row + 1, entry[1])
        union = self._union(rankings, orders)
        if len(orders) > 1:
            row = union.row(entry)
        return Place(row, union.rank(row, entry[1]), entry[1])

    def _hidden_place(
        self,
        rankings: Rankings,
        run: Run,
        orders: list[tuple[Order, int]],
        groups: Collection[Group],
        user: User,
    ) -> Place | None:
        """Where a hidden user would stand."""
        own, held = rankings.plan.own_group(user.attributes), rankings.stored(run.start, None, user.number)
        if held is None or own is None or own not in groups:
            return None
        value, reached_at = held
        if not rankings.inside(rankings.found(run.start, own).count_before(value, reached_at, user.number)):
            return Place(None, None, value)
        union = self._union(rankings, orders)
        row = union.row((user.number, value, reached_at))
        return Place(row, union.rank(row, value), value)

    def _union(self, rankings: Rankings, orders: list[tuple[Order, int]]) -> Union:
        return Union(
            rankings.plan.board, [order for order, _ in orders], [size for _, size in orders], self._users.id_of
        )


def ranks_of(rankings: Rankings, index: Index) -> Ranks:
    """Everybody's rank in one order of a board."""
    participants, ranks, values = index.places(rankings.ranked(index), rankings.plan.board.numbering)
    return Ranks(array("I", participants), array("I", ranks), array("q", values))


_KINDS = {EVENT: "event", USER: "user", VOID: "void", ERASURE: "erasure", POINTS: "points"}


def _stored_event(found: Found, user_id: str) -> StoredEvent:
    line, event = found.line, past_event(found.line)
    assert line.metric is not None
    assert line.total is not None
    attributes = {} if line.body is None else msgspec.json.decode(line.body, type=dict[str, str])
    return StoredEvent(
        found.id, line.position, user_id, line.metric, event.amount, line.total,
        attributes, line.idempotency_key, event.occurred_at, line.recorded_at, bool(line.history), found.void,
    )  # fmt: skip


def _record(line: Line) -> Record:
    return Record(
        line.position, _KINDS[line.kind], line.recorded_at, line.scope, line.user, line.metric, line.amount,
        line.occurred_at, line.local_at, line.total, line.idempotency_key, line.target, line.body,
    )  # fmt: skip
