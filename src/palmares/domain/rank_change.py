"""Changes of rank: who stands elsewhere than before, and what of it is told.

A webhook hears of a user and a run at most once in a *window*. The first change is told at once and opens a window;
later ones wait for its end. Then it is the place last told that counts: if the user stands elsewhere by now, that is
told, and opens the next window; if not, there is nothing to tell.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from palmares.domain.group import Group

# Participants compared in one step: few enough that others need not wait for it.
STEP = 2048


class Ranks(Protocol):
    """Who is ranked where: parallel columns in ascending order of participants."""

    @property
    def participants(self) -> array[int]:
        """Numbers of users."""

    @property
    def ranks(self) -> array[int]:
        """Ranks from 1."""

    @property
    def values(self) -> array[int]:
        """Values in micros."""


class Stood(NamedTuple):
    """Where somebody stood: rank and value (micros) in a group, None for not ranked there."""

    group: Group
    rank: int | None
    value: int | None


class Change(NamedTuple):
    """A user's rank and value (micros) before and after, None for not ranked."""

    user: int
    previous_rank: int | None
    previous_value: int | None
    rank: int | None
    value: int | None


def changes(before: Ranks, after: Ranks) -> Iterator[list[Change]]:
    """The changes of rank from one state of a ranking to another, in steps; nobody comes twice.

    A step without changes costs a comparison of bytes.
    """
    old, new = 0, 0
    while old < len(before.participants) or new < len(after.participants):
        old_end, new_end = _step(before.participants, after.participants, old, new)
        if _same(before, after, slice(old, old_end), slice(new, new_end)):
            yield []
        else:
            yield list(_compared(before, after, range(old, old_end), range(new, new_end)))
        old, new = old_end, new_end


def find(ranks: Ranks, user: int) -> tuple[int | None, int | None]:
    """A user's rank and value; twice None for who is not ranked. O(log n)."""
    row = bisect_right(ranks.participants, user) - 1
    if row < 0 or ranks.participants[row] != user:
        return None, None
    return ranks.ranks[row], ranks.values[row]


def news(told: Stood, present: Stood) -> tuple[int | None, int | None] | None:
    """The previous rank and value to be told with a present place; None when nothing is to be told.

    Another group is another ranking, in which the user had no rank before.
    """
    if (told.group, told.rank) == (present.group, present.rank):
        return None
    return (told.rank, told.value) if told.group == present.group else (None, None)


def _step(before: array[int], after: array[int], old: int, new: int) -> tuple[int, int]:
    """Where a step ends in both columns, so that all of one user falls into one step."""
    if new >= len(after):
        return min(old + STEP, len(before)), new
    new_end = min(new + STEP, len(after))
    old_end = len(before) if new_end == len(after) else bisect_right(before, after[new_end - 1], old)
    if old_end - old > 2 * STEP:
        # Many have left here.
        old_end = old + STEP
        new_end = bisect_right(after, before[old_end - 1], new, new_end)
    return old_end, new_end


def _same(before: Ranks, after: Ranks, old: slice, new: slice) -> bool:
    return before.participants[old] == after.participants[new] and before.ranks[old] == after.ranks[new]


def _compared(before: Ranks, after: Ranks, old: range, new: range) -> Iterator[Change]:
    past = {before.participants[row]: row for row in old}
    for row in new:
        user, rank = after.participants[row], after.ranks[row]
        former = past.pop(user, None)
        if former is None:
            yield Change(user, None, None, rank, after.values[row])
        elif before.ranks[former] != rank:
            yield Change(user, before.ranks[former], before.values[former], rank, after.values[row])
    for user, former in past.items():
        yield Change(user, before.ranks[former], before.values[former], None, None)
