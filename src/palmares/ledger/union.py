"""Several groups of a run read as one ranking.

The rows of the union are the ranked rows of its groups, merged in the board's order. Nothing is materialised: a row
of the union is found by narrowing a window in each group until every window is empty, and its rank by counting in
each group. One group is a union of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cmp_to_key
from heapq import merge
from itertools import islice

from palmares.domain.board import Board
from palmares.ledger.keeping import Order

# participant, value, reached_at
Entry = tuple[int, int, int]


# row, rank by the board's numbering, participant, value
UnionRow = tuple[int, int, int, int]


class Union:
    """A read view of some orders of one board. `sizes` are how many of each are inside the cap."""

    def __init__(
        self, board: Board, indexes: Sequence[Order], sizes: Sequence[int], id_of: Callable[[int], bytes]
    ) -> None:
        self._board = board
        self._id_of = id_of
        self._indexes = indexes
        self._sizes = sizes

    def __len__(self) -> int:
        return sum(self._sizes)

    def page(self, start: int, stop: int) -> list[UnionRow]:
        """The rows from `start` up to `stop`. O(log n + rows) for one group, O(groups · log² n + rows) for more."""
        entries = self.entries(start, stop)
        ranks = self.ranks(start, entries)
        return [
            (row, rank, entry[0], entry[1]) for row, (rank, entry) in enumerate(zip(ranks, entries, strict=True), start)
        ]

    def entries(self, start: int, stop: int) -> list[Entry]:
        """The entries of the rows from `start` up to `stop`; costs as `page`."""
        stop = min(stop, len(self))
        if start >= stop:
            return []
        if len(self._indexes) == 1:
            return self._indexes[0].page(start, stop)
        return self._merged(start, stop)

    def ranks(self, start: int, entries: Sequence[Entry]) -> Sequence[int]:
        """The ranks of the entries of the rows from `start` on, by the board's numbering."""
        if self._board.numbering == "ordinal":
            return range(start + 1, start + 1 + len(entries))
        ranks: list[int] = []
        rank, held = 0, 0
        for row, (_, value, _) in enumerate(entries, start):
            if not ranks:
                rank = self.rank(row, value)
            elif value != held:
                rank = row + 1 if self._board.numbering == "competition" else rank + 1
            held = value
            ranks.append(rank)
        return ranks

    def row(self, entry: Entry) -> int:
        """How many rows stand before an entry."""
        return sum(self._before(place, entry) for place in range(len(self._indexes)))

    def rank(self, row: int, value: int) -> int:
        """The rank of a row with that value, by the board's numbering."""
        if self._board.numbering == "ordinal":
            return row + 1
        if self._board.numbering == "competition":
            return 1 + sum(
                min(size, index.count_better(value)) for index, size in zip(self._indexes, self._sizes, strict=True)
            )
        if len(self._indexes) == 1:
            return 1 + self._indexes[0].count_distinct_better(value)
        return 1 + len(self._better_values(value))

    def _merged(self, start: int, stop: int) -> list[Entry]:
        starts = self._split(start)
        pages = [
            index.page(first, min(size, first + stop - start))
            for index, first, size in zip(self._indexes, starts, self._sizes, strict=True)
        ]
        return list(islice(merge(*pages, key=cmp_to_key(self._compare)), stop - start))

    def _compare(self, one: Entry, other: Entry) -> int:
        """Negative when `one` stands before `other`. Ids are looked up only where everything else is equal."""
        if one[1] != other[1]:
            return other[1] - one[1] if self._board.order == "desc" else one[1] - other[1]
        if one[2] != other[2]:
            return one[2] - other[2] if self._board.ties == "first" else other[2] - one[2]
        return -1 if self._id_of(one[0]) < self._id_of(other[0]) else 1

    def _split(self, row: int) -> list[int]:
        """How many entries of each group stand before a row of the union."""
        low, high = [0] * len(self._indexes), list(self._sizes)
        while any(first < last for first, last in zip(low, high, strict=True)):
            widest = max(range(len(low)), key=lambda place: high[place] - low[place])
            middle = (low[widest] + high[widest]) // 2
            entry = self._indexes[widest].at(middle)
            # In its own group it stands where it stands: in a final run the id of an erased user may not tell.
            before = [middle if place == widest else self._before(place, entry) for place in range(len(low))]
            if sum(before) < row:
                # The entry itself stands before the row, too.
                before[widest] += 1
                low = [max(first, count) for first, count in zip(low, before, strict=True)]
            else:
                high = [min(last, count) for last, count in zip(high, before, strict=True)]
        return low

    def _before(self, place: int, entry: Entry) -> int:
        participant, value, reached_at = entry
        return min(self._sizes[place], self._indexes[place].count_before(value, reached_at, participant))

    def _better_values(self, value: int) -> set[int]:
        """The distinct better values of all groups. Distinct counts do not add up, so this walks the values."""
        found: set[int] = set()
        for index, size in zip(self._indexes, self._sizes, strict=True):
            row = 0
            better = min(size, index.count_better(value))
            while row < better:
                found.add(index.at(row)[1])
                row = self._behind(index, row)
        return found

    def _behind(self, index: Order, row: int) -> int:
        """The first row with a worse value than that row's."""
        value = index.at(row)[1]
        low, high = row + 1, len(index)
        while low < high:
            middle = (low + high) // 2
            if index.at(middle)[1] == value:
                low = middle + 1
            else:
                high = middle
        return low
