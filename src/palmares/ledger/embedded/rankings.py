"""The rankings of one board: for each run and group, an order of the users who earned a value in that run.

A user with a value in a run stands in exactly one group of it. Those who take no part (a filter that does not match,
a breakdown attribute without a value) and those who are hidden stand in the hidden group `None`, in an order that no
page reads, so that the value comes along whole when they join or come back.

A run that is final takes nothing any more. Its orders are kept under `closing` until the archive has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from palmares.domain import local_time, tally, value
from palmares.domain.board import Board
from palmares.domain.changes import Move, Plan, threshold
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.streak_settings import StreakSettings
from palmares.domain.tally import Tally
from palmares.ledger.contract import BoardOutcome
from palmares.ledger.embedded._index import Index
from palmares.ledger.embedded.breaks import Breaks
from palmares.ledger.embedded.log import PastEvent
from palmares.ledger.embedded.streaks import StreakValue
from palmares.ledger.embedded.users import Users

Groups = dict[Group | None, Index]


class Rankings:
    """All rankings of one board. Ranks count from 1, rows from 0; participants are user numbers."""

    def __init__(self, plan: Plan, id_of: Callable[[int], bytes]) -> None:
        self.define(plan)
        # By the first day of the run: the last one may still change.
        self.runs: dict[int, Groups] = {}
        self.closing: dict[int, Groups] = {}
        # By the first day of a final run: how many events came late and were left out.
        self.ignored: Counter[int] = Counter()
        # Final runs, and runs with days that are over, in which an event took effect that they do not show yet.
        self.revising: set[Run] = set()
        # Those of them for which that is so since the present pass over the log began.
        self.revising_anew: set[Run] = set()
        # Runs that hold events which came when they were final, where a build finds them.
        self.revised: set[int] = set()
        # Runs that became final here.
        self.closed: set[int] = set()
        # Runs of which days are kept.
        self.begun: set[int] = set()
        # Where the archive keeps what is over of this board.
        self.edition = 0
        # The run and group of each order that changed since somebody asked; None while nobody does.
        self.changed: set[tuple[int, Group]] | None = None
        # Of a board that ranks by streak: who leaves it when, and the settings by which its streaks count.
        self.breaks = Breaks()
        self.streaks: StreakSettings | None = None
        # The last position counted, once the board was finished by hand; since then it is only read.
        self.frozen_position = plan.board.finished_position
        self._id_of = id_of
        self._nobody = self._new_index()

    def define(self, plan: Plan) -> None:
        """Take a definition that counts the same."""
        self.plan = plan
        self.number = plan.board.number
        self._cap = value.MOST if plan.board.max_participants is None else plan.board.max_participants
        self.numbered_by_row = plan.board.numbering == "ordinal"

    @property
    def frozen(self) -> bool:
        """Whether the rankings stay as they are."""
        return self.frozen_position is not None

    @property
    def counted(self) -> Board:
        """The board that these rankings are right for, also while its definition does not know yet of its freezing."""
        return replace(self.plan.board, finished_position=self.frozen_position)

    def revise(self, run: Run) -> None:
        """Note that an event took effect in what is over of a run."""
        self.revising.add(run)
        self.revising_anew.add(run)

    def live_runs(self) -> list[Run]:
        """The runs that are not final and in which anyone has a value."""
        schedule = self.plan.board.schedule
        found = [schedule.run_at(start) for start in self.runs]
        return [run for run in found if run is not None]

    def close(self, run_start: int) -> Groups:
        """Make a run final; its orders stay readable until `let_go`."""
        orders = self.closing[run_start] = self.runs.pop(run_start)
        self.closed.add(run_start)
        return orders

    def let_go(self, run_start: int) -> None:
        """The archive has a final run: its orders need not be held any longer."""
        self.closing.pop(run_start, None)

    def index(self, run_start: int, group: Group | None) -> Index:
        """The order of one group, made when missing."""
        groups = self.runs.get(run_start)
        if groups is None:
            groups = self.runs[run_start] = {}
        index = groups.get(group)
        if index is None:
            index = groups[group] = self._new_index()
        return index

    def found(self, run_start: int, group: Group) -> Index:
        """The order of one group for reading: nobody is in it when there is none, and none is made."""
        return self.runs.get(run_start, {}).get(group) or self._nobody

    def stored(self, run_start: int, group: Group | None, user: int) -> tuple[int, int] | None:
        """The tally of a user of that group in a run."""
        groups = self.runs.get(run_start)
        index = None if groups is None else groups.get(group)
        return None if index is None else index.get(user)

    def set(self, run_start: int, group: Group | None, user: int, after: Tally) -> None:
        """Give a user of that group a value."""
        self._note_change(run_start, group)
        self.index(run_start, group).put(user, *after)

    def count(self, run: Run, group: Group, user: int, after: Tally, moved: bool) -> BoardOutcome:
        """Give a user of that group a value, and tell the ranks before and after.

        `moved` says that the same event brought the user into the group, so there is no rank before.
        """
        index = self.index(run.start, group)
        self._note_change(run.start, group)
        if self.numbered_by_row:
            row_before, row = index.put(user, *after)
            previous, rank = self._row_rank(row_before), self._row_rank(row)
        else:
            previous = self.rank(index, index.row(user))
            rank = self.rank(index, index.put(user, *after)[1])
        return BoardOutcome(self.plan.board, run, group, rank, None if moved else previous, self._threshold(index))

    def look(self, run: Run, group: Group, user: int) -> BoardOutcome:
        """Where a user of that group stands, told like the outcome of an event that changed nothing."""
        index = self.found(run.start, group)
        rank = self.rank(index, index.row(user))
        return BoardOutcome(self.plan.board, run, group, rank, rank, self._threshold(index))

    def change(self, run_start: int, group: Group | None, user: int, after: Tally | None) -> None:
        """Give a user of that group a value, or none any more."""
        if after is None:
            self.drop(run_start, group, user)
        else:
            self.set(run_start, group, user, after)

    def count_hidden(self, run: Run, group: Group, user: int, after: Tally, moved: bool) -> BoardOutcome:
        """Give a hidden user a value, and tell the ranks before and after that the user would have in that group."""
        previous = None if moved else self._hidden_rank(run, group, user)
        self.set(run.start, None, user, after)
        return self.look_hidden(run, group, user)._replace(previous_rank=previous)

    def look_hidden(self, run: Run, group: Group, user: int) -> BoardOutcome:
        """Where a hidden user would stand in that group, told like the outcome of an event that changed nothing."""
        rank = self._hidden_rank(run, group, user)
        return BoardOutcome(self.plan.board, run, group, rank, rank, self._threshold(self.found(run.start, group)))

    def _hidden_rank(self, run: Run, group: Group, user: int) -> int | None:
        """The rank that a hidden user would have among those of a group; None outside the cap and without a value."""
        held = self.stored(run.start, None, user)
        if held is None:
            return None
        index = self.found(run.start, group)
        return self._rank_of(index, index.count_before(*held, user), held[0])

    def drop(self, run_start: int, group: Group | None, user: int) -> None:
        """Let a user of that group have no value any more."""
        index = self.runs.get(run_start, {}).get(group)
        if index is not None and user in index:
            self._note_change(run_start, group)
            index.remove(user)

    def erase(self, user: int) -> Iterator[tuple[int, Group | None]]:
        """Take a user out of every run that is not final; yields the run and the group of each place that was left."""
        self.breaks.set(user, None)
        for run_start, groups in self.runs.items():
            for group, index in groups.items():
                if user in index:
                    self._note_change(run_start, group)
                    index.remove(user)
                    yield run_start, group

    def where(self, run_start: int, user: int, group: Group | None) -> Group | None:
        """The group that a user stands in; the one given for who stands in none."""
        found = [held for held, index in self.runs.get(run_start, {}).items() if user in index]
        return found[0] if found else group

    def set_streak(self, run_start: int, group: Group | None, user: int, after: StreakValue) -> None:
        """Give a user of that group what a streak is worth, or nothing."""
        self.change(run_start, group, user, after.tally)
        self.breaks.set(user, after.leaves_at)

    def break_streaks(self, now: int) -> None:
        """Let those leave whose streaks break until an instant."""
        leaving = self.breaks.pop(now)
        for groups in self.runs.values():
            for user in leaving:
                for group in groups:
                    self.drop(self.plan.board.start, group, user)

    def move(self, move: Move, user: int) -> Iterator[int]:
        """Take a user from one group to another in every run, whole value included; yields the runs it touched."""
        for run_start, groups in self.runs.items():
            source = groups.get(move.before)
            found = source.get(user) if source is not None else None
            if source is not None and found is not None:
                self._note_change(run_start, move.before)
                source.remove(user)
                self.set(run_start, move.after, user, Tally(*found))
                yield run_start

    def history(self, users: Users, run: Run, user: int, upto: int) -> list[PastEvent]:
        """The recorded events of a user that the board counts in a run, up to a position and not void; in no order."""
        metric = self.plan.board.counted
        assert metric is not None
        past = local_time.start_of(run.end + 1) if run.end is not None else value.MOST
        return users.history(user, metric.number, local_time.start_of(run.start), past, upto)

    def refold(self, run: Run, events: list[PastEvent]) -> Tally | None:
        """The tally that those events of a run make, taken in the order in which they happened; None without any."""
        counted = [event for event in sorted(events) if self.plan.run_at(event.local_at) == run]
        return tally.fold(self.plan.board.aggregation, [(event.amount, event.occurred_at) for event in counted])

    def rank(self, index: Index, row: int) -> int | None:
        """The rank, by the board's numbering, of a row of one group; None for -1 and outside the cap."""
        if self.numbered_by_row or row < 0 or not self.inside(row):
            return self._row_rank(row)
        return self._rank_of(index, row, index.at(row)[1])

    def inside(self, row: int) -> bool:
        """Whether a row is inside the cap."""
        return row < self._cap

    def ranked(self, index: Index) -> int:
        """How many of a group are inside the cap."""
        return min(len(index), self._cap)

    def held(self, run_start: int) -> Groups:
        """The orders of a run that are in memory: of a live one, or a final one that is not written yet."""
        return self.runs.get(run_start) or self.closing.get(run_start) or {}

    def _new_index(self) -> Index:
        board = self.plan.board
        return Index(
            descending=board.order == "desc",
            later_first=board.ties == "last",
            distinct=board.numbering == "dense",
            id_of=self._id_of,
        )

    def _note_change(self, run_start: int, group: Group | None) -> None:
        if self.changed is not None and group is not None:
            self.changed.add((run_start, group))

    def _rank_of(self, index: Index, row: int, held: int) -> int | None:
        """The rank of who has a value and stands in a row of a group, or would."""
        if self.numbered_by_row or not self.inside(row):
            return self._row_rank(row)
        if self.plan.board.numbering == "competition":
            return index.count_better(held) + 1
        return index.count_distinct_better(held) + 1

    def _row_rank(self, row: int) -> int | None:
        return row + 1 if 0 <= row < self._cap else None

    def _threshold(self, index: Index) -> int:
        size = len(index)
        return threshold(self.plan.board, size, index.at(self._cap - 1)[1]) if size >= self._cap else 0
