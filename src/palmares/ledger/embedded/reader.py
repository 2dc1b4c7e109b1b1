"""Reading standings, users and the log. Nothing here waits: a reader sees all of a batch or nothing of it."""

from __future__ import annotations

from collections.abc import Collection

from palmares.domain import local_time
from palmares.domain.group import Group
from palmares.domain.metric import Metric
from palmares.domain.run import Run
from palmares.domain.user import User
from palmares.ledger.contract import DayChange, Place, Record, Row
from palmares.ledger.embedded._index import Index
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.log import EVENT, Line, Log
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.embedded.union import Union
from palmares.ledger.embedded.users import Users


class Reader:
    """The reading half of the contract; each method is described there."""

    def __init__(self, log: Log, users: Users, followed: Followed) -> None:
        self._log = log
        self._users = users
        self._followed = followed

    def runs(self, board_number: int) -> list[Run]:
        """See `Ledger.runs`."""
        rankings = self._followed.get(board_number)
        schedule = rankings.plan.board.schedule
        starts = sorted(start for start, groups in rankings.runs.items() if any(map(len, groups.values())))
        return [run for start in starts if (run := schedule.run_at(start)) is not None]

    def groups(self, board_number: int, run: Run) -> Collection[Group]:
        """See `Ledger.groups`."""
        groups = self._followed.get(board_number).runs.get(run.start, {})
        return [group for group, index in groups.items() if group is not None and len(index)]

    def size(self, board_number: int, run: Run, groups: Collection[Group]) -> int:
        """See `Ledger.size`."""
        rankings = self._followed.get(board_number)
        return sum([rankings.ranked(index) for index in rankings.shown(run, groups)])

    def page(self, board_number: int, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """See `Ledger.page`."""
        rankings = self._followed.get(board_number)
        rows = self._union(rankings, rankings.shown(run, groups)).page(start, stop)
        names = self._users.named([participant for _, _, participant, _ in rows])
        return [
            Row(row, rank, user_id, name, value)
            for (row, rank, _, value), (user_id, name) in zip(rows, names, strict=True)
        ]

    def place(self, board_number: int, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """See `Ledger.place`."""
        rankings = self._followed.get(board_number)
        indexes = rankings.shown(run, groups)
        for index in indexes:
            row = index.row(user.number)
            if row >= 0:
                return self._place(rankings, indexes, index, row)
        return None

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

    def records(self, after: int, limit: int) -> list[Record]:
        """See `Ledger.records`."""
        return [_record(line) for line in self._log.read(after, limit) if line.position <= self._log.position]

    def _place(self, rankings: Rankings, indexes: list[Index], index: Index, row: int) -> Place:
        entry = index.at(row)
        if row >= rankings.ranked(index):
            return Place(None, None, entry[1])
        union = self._union(rankings, indexes)
        if len(indexes) > 1:
            row = union.row(entry)
        return Place(row, union.rank(row, entry[1]), entry[1])

    def _union(self, rankings: Rankings, indexes: list[Index]) -> Union:
        sizes = [rankings.ranked(index) for index in indexes]
        return Union(rankings.plan.board, indexes, sizes, self._users.id_of)


def _record(line: Line) -> Record:
    return Record(
        line.position, "event" if line.kind == EVENT else "user", line.recorded_at, line.scope, line.user, line.metric,
        line.amount, line.occurred_at, line.local_at, line.total, line.idempotency_key, line.body,
    )  # fmt: skip
