"""What is kept of rankings: who stood where at the end of a day, and how a run ended.

Columns are parallel arrays ('I' unsigned 32 bits, 'q' signed 64 bits), because a day of a million users is nothing but
numbers. Only who is ranked is kept: outside the cap and without a group nobody has a rank.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from palmares.domain.group import Group
from palmares.domain.run import Run

# The most recent entries of a history that can be asked for, and one more to tell what came before the first.
DAYS_KEPT = 101


class Places(NamedTuple):
    """Who stood where in one run at one moment, in ascending order of the users' numbers.

    `groups` are places in a list of groups that goes with it; values are in micros.
    """

    users: array[int]
    groups: array[int]
    ranks: array[int]
    values: array[int]


class DayEnd(NamedTuple):
    """Where everybody of a run stood at the end of a day, with the groups that `places` refers to."""

    day: int
    groups: Sequence[Group]
    places: Places


class Rows(NamedTuple):
    """One ranking from the first row on: participants, values in micros, the instants at which they were reached."""

    participants: array[int]
    values: array[int]
    reached: array[int]


class FinalRun(NamedTuple):
    """A run that is over: how often it was revised since, and how many are ranked in each group."""

    run: Run
    revision: int
    sizes: Mapping[Group, int]


class FinalPlace(NamedTuple):
    """Where a user stood when a run became final. `row` counts from 0, `rank` by the board's numbering from 1."""

    group: Group
    row: int
    rank: int
    value: int


class DayStanding(NamedTuple):
    """A user at the end of one UTC day; None for a day on which the user was not ranked."""

    day: int
    rank: int | None
    value: int | None
