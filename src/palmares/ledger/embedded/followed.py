"""Which boards the ledger keeps rankings of, found by number, by metric and by scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from palmares.domain.changes import Plan
from palmares.domain.errors import NotFound
from palmares.domain.group import Group
from palmares.ledger.embedded.rankings import Rankings


class Followed:
    """The followed boards. A frozen one is read like the others but counts nothing and moves nobody."""

    def __init__(self) -> None:
        self._by_number: dict[int, Rankings] = {}
        self._by_metric: dict[int, list[Rankings]] = {}
        self._grouped: dict[int, list[Rankings]] = {}
        self._by_streak: dict[int, list[Rankings]] = {}

    def __iter__(self) -> Iterator[Rankings]:
        return iter(self._by_number.values())

    def get(self, board_number: int) -> Rankings:
        """The rankings of a board; `NotFound` when it is not followed."""
        rankings = self._by_number.get(board_number)
        if rankings is None:
            raise NotFound("the leaderboard has no rankings")
        return rankings

    def holds(self, rankings: Rankings) -> bool:
        """Whether these very rankings are those of their board."""
        return self._by_number.get(rankings.number) is rankings

    def counting(self, metric: int) -> Sequence[Rankings]:
        """The rankings that events of a metric change."""
        return self._by_metric.get(metric, ())

    def by_streak(self, scope: int) -> Sequence[Rankings]:
        """The rankings of a scope that streaks change."""
        return self._by_streak.get(scope, ())

    def breaking(self) -> Iterator[Rankings]:
        """The rankings that users leave when their streaks break."""
        return chain.from_iterable(self._by_streak.values())

    def grouped(self, scope: int) -> Sequence[Rankings]:
        """The rankings of a scope in which a change of attributes may move a user."""
        return self._grouped.get(scope, ())

    def counting_in(self, scope: int) -> list[Rankings]:
        """All rankings of a scope that are not frozen: each of them hides who is hidden."""
        return [held for held in self._by_number.values() if held.plan.board.scope == scope and not held.frozen]

    def install(self, rankings: Rankings) -> None:
        """Follow a board from now on, instead of an earlier form of it."""
        board = rankings.plan.board
        former = self._by_number.get(board.number)
        if former is not None and former is not rankings and former.changed is not None:
            # Who asks for changes has to look at everything that was made anew.
            rankings.changed = former.changed | _present(former) | _present(rankings)
        self.remove(board.number)
        self._by_number[board.number] = rankings
        if rankings.frozen:
            return
        if board.counted is not None:
            self._by_metric.setdefault(board.counted.number, []).append(rankings)
        if board.rank_by == "streak":
            self._by_streak.setdefault(board.scope, []).append(rankings)
        if rankings.plan.grouped:
            self._grouped.setdefault(board.scope, []).append(rankings)

    def redefine(self, plan: Plan) -> None:
        """Give the rankings of a board, if it is followed, a new definition; they stay as they are."""
        rankings = self._by_number.get(plan.board.number)
        if rankings is not None:
            self.remove(plan.board.number)
            rankings.define(plan)
            self.install(rankings)

    def remove(self, board_number: int) -> None:
        """Follow a board no longer."""
        rankings = self._by_number.pop(board_number, None)
        if rankings is not None:
            for held in (*self._by_metric.values(), *self._by_streak.values(), *self._grouped.values()):
                if rankings in held:
                    held.remove(rankings)


def _present(rankings: Rankings) -> set[tuple[int, Group]]:
    """The runs and groups that have an order in memory."""
    return {(start, group) for start, orders in rankings.runs.items() for group in orders if group is not None}
