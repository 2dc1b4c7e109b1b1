"""How the lines and users of shards are numbered in the whole ledger.

Each shard counts its own. What it counts is told so that no two shards tell the same: with four shards, the first lines
are 1, 2, 3 and 4 of the whole, and so are the first users.

A ledger that was taken over from a data folder has lines and users with the places and numbers that they had there.
Their shards have gaps between them, and go on behind them all: where ten lines were taken over, of which each shard has
the last (`ARRIVAL`), the next line of each shard is its eleventh, and the next ones of the whole are 11, 12, 13 and 14.
Which shard has one of those that were taken over does not follow from the number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from palmares.ledger.valkey.keys import shard_of


class Inherited(NamedTuple):
    """How many lines and users were taken over, by the last numbers among them. The last line is the same in every
    shard and says so (`ARRIVAL`)."""

    lines: int = 0
    users: int = 0


class Numbering(NamedTuple):
    """How so many shards number what they have."""

    shards: int
    inherited: Inherited = Inherited()

    def whole_position(self, place: int, position: int) -> int:
        """The place in the log of the whole ledger of a line of a shard: no two users' lines have the same."""
        before = self.inherited.lines
        return position if position <= before else before + (position - before - 1) * self.shards + place + 1

    def split_position(self, position: int) -> list[tuple[int, int]]:
        """Where a line may be by its place in the log of the whole ledger: the shard, and its position there."""
        before = self.inherited.lines
        if position <= before:
            return [(place, position) for place in range(self.shards)]
        rows, place = divmod(position - before - 1, self.shards)
        return [(place, before + rows + 1)]

    def place_upto(self, place: int, position: int) -> int:
        """The last position in a shard that is not behind a place in the log of the whole ledger."""
        before = self.inherited.lines
        return position if position <= before else before + (position - before - 1 - place) // self.shards + 1

    def follows(self, position: int, other: int) -> bool:
        """Whether a line of a shard may be the next one behind another."""
        return position == other + 1 or other < position <= self.inherited.lines

    def shards_of_number(self, number: int) -> Sequence[int]:
        """The shards that may have given a number to a user."""
        before = self.inherited.users
        return range(self.shards) if number <= before else [(number - before - 1) % self.shards]

    def shard_of(self, name: bytes) -> int:
        """The shard in which a user is, but for those who were taken over and erased since: these may be in any."""
        return shard_of(name, self.shards, self.inherited.users)
