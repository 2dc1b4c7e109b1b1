"""The order of one group of a final run, read where it lies.

The first entry of every chunk of rows is at hand, so a search looks there first and then into one chunk. Nothing of it
changes any more.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from operator import neg, pos
from typing import NamedTuple

from palmares.archive.columns import CHUNK, chunks_of_rows
from palmares.domain.snapshot import Rows


class Heads(NamedTuple):
    """The first entry of every chunk, and how many different values are strictly better than it."""

    first: Rows
    better: array[int]


NO_HEADS = Heads(Rows(array("I"), array("q"), array("q")), array("I"))


def heads_of(rows: Rows) -> Heads:
    """The heads of a whole ranking."""
    return Heads(Rows(*(column[::CHUNK] for column in rows)), array("I", _better_values(rows.values)))


def _better_values(values: array[int]) -> Iterator[int]:
    different = 0
    for _, cut in chunks_of_rows(len(values)):
        # The value that the chunk begins with may have begun in the one before.
        different -= cut.start > 0 and values[cut.start] == values[cut.start - 1]
        yield different
        different += len(set(values[cut]))


class Sorting(NamedTuple):
    """How a board orders: as the index takes it. `id_of` is asked only to part two with equal value and instant."""

    descending: bool
    later_first: bool
    id_of: Callable[[int], bytes]


class FinalOrder:
    """One group's ranking. An entry is a triple of participant, value and reached_at.

    `chunk` gives one chunk of rows, `row_of` the row of a participant; both raise `Unavailable` when it cannot be read.
    """

    def __init__(
        self, size: int, heads: Heads, chunk: Callable[[int], Rows], row_of: Callable[[int], int], sorting: Sorting
    ) -> None:
        self._size, self._heads, self._chunk, self._row_of = size, heads, chunk, row_of
        # What turns outer order into an ascending one.
        self._by_value = neg if sorting.descending else pos
        self._by_instant = neg if sorting.later_first else pos
        self._id_of = sorting.id_of

    def __len__(self) -> int:
        """How many stand in it."""
        return self._size

    def at(self, row: int, /) -> tuple[int, int, int]:
        """The entry of a row; IndexError when there is none. Reads one chunk."""
        if not 0 <= row < self._size:
            raise IndexError("row out of range")
        participants, values, reached = self._chunk(row // CHUNK)
        place = row % CHUNK
        return participants[place], values[place], reached[place]

    def page(self, start: int, stop: int, /) -> list[tuple[int, int, int]]:
        """The entries from one row to before another, cut to what exists. Reads the chunks that they lie in."""
        start, stop = max(start, 0), min(stop, self._size)
        entries: list[tuple[int, int, int]] = []
        while start < stop:
            first = start // CHUNK * CHUNK
            cut = slice(start - first, min(stop - first, CHUNK))
            entries += zip(*(column[cut] for column in self._chunk(start // CHUNK)), strict=True)
            start = first + cut.stop
        return entries

    def row(self, participant: int, /) -> int:
        """The row of a participant; -1 when absent. Reads one chunk of users."""
        return self._row_of(participant)

    def count_better(self, value: int, /) -> int:
        """How many have a strictly better value. Reads one chunk."""
        chunk = self._better_in(self._heads.first.values, value) - 1
        return chunk * CHUNK + self._better_in(self._chunk(chunk).values, value) if chunk >= 0 else 0

    def count_distinct_better(self, value: int, /) -> int:
        """How many different values are strictly better. Reads at most two chunks."""
        better = self.count_better(value)
        if better == 0:
            return 0
        chunk = (better - 1) // CHUNK
        return self._heads.better[chunk] + len(set(self._chunk(chunk).values[: better - chunk * CHUNK]))

    def count_before(self, value: int, reached_at: int, participant: int, /) -> int:
        """How many stand before this entry, be it present or not. Reads one chunk; may ask for ids."""
        chunk = self._before_in(self._heads.first, value, reached_at, participant) - 1
        if chunk < 0:
            return 0
        return chunk * CHUNK + self._before_in(self._chunk(chunk), value, reached_at, participant)

    def _better_in(self, values: array[int], value: int) -> int:
        return bisect_left(values, self._by_value(value), key=self._by_value)

    def _before_in(self, rows: Rows, value: int, reached_at: int, participant: int) -> int:
        """How many of these rows stand before an entry: by value, then instant, and only then by id."""
        start, stop = _equal(rows.values, value, 0, len(rows.values), self._by_value)
        start, stop = _equal(rows.reached, reached_at, start, stop, self._by_instant)
        if start == stop:
            return start
        return bisect_left(rows.participants, self._id_of(participant), start, stop, key=self._id_of)


def _equal(numbers: array[int], wanted: int, start: int, stop: int, turned: Callable[[int], int]) -> tuple[int, int]:
    """The part of numbers[start:stop], ascending when `turned`, that is equal to the wanted one; where it would be."""
    first = bisect_left(numbers, turned(wanted), start, stop, key=turned)
    return first, bisect_right(numbers, turned(wanted), first, stop, key=turned)
