"""What keeps the log of a ledger for good, and where the log comes from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from palmares.domain.log_line import LogLine


class Overtaken(Exception):
    """Somebody else has kept lines of the shard meanwhile; nothing was written."""


class LogArchive(Protocol):
    """The lines of all shards. Every method may raise `Unavailable`; none leaves anything half-done.

    Any number of processes may add lines at once: of those that add behind the same line, one is taken.
    """

    async def shards(self) -> int:
        """How many shards the log has that is kept; 0 before the first line."""

    async def last(self, shard: int) -> LogLine | None:
        """The last line that is kept of a shard."""

    async def add(self, shard: int, shards: int, after: int, lines: Sequence[LogLine]) -> None:
        """Keep the lines of one of so many shards that follow on a position; durable on return.

        Raises `Overtaken` when `after` is not the position of the last line that is kept (0 when there is none), and
        `Invalid` when what is kept is the log of another number of shards.
        """

    async def lines(self, shard: int, after: int, limit: int) -> list[LogLine]:
        """Lines of a shard in order, from the position behind `after`. O(limit)."""

    async def lines_before(self, shard: int, before: int, limit: int) -> list[LogLine]:
        """The last lines of a shard in front of a position, newest first. O(limit)."""

    async def count(self, shard: int, after: int) -> int:
        """How many lines there are of a shard behind a position. O(lines)."""

    async def arrival(self) -> LogLine | None:
        """The line that ends what was taken over from a data folder, if anything was: every shard has it. O(lines)."""

    async def rewrite(
        self, shard: int, users: Collection[int], upto: int, change: Callable[[LogLine], LogLine]
    ) -> None:
        """Let the lines of some users say something else, which must be the same line (`LogLine.is_same`).

        Piece by piece: what fails in the middle may be done again. Raises `Unavailable`, and changes nothing, while
        the shard is not kept up to a position: then whoever read the lines before could still add them as they were.
        """

    async def erasures(self, shard: int) -> list[tuple[LogLine, LogLine]]:
        """The lines of a shard that say that a user was erased, each with the first line of that user. O(lines)."""


class LogSource(Protocol):
    """The log as the ledger has it: in each shard its newest lines. Every method may raise `Unavailable`."""

    @property
    def shards(self) -> int:
        """How many shards the ledger has."""

    async def lines(self, shard: int, after: int, limit: int, safe: bool = False) -> list[LogLine]:
        """Lines of a shard that the ledger still has, in order, from the position behind `after`; with `safe`, they
        are as sure to stay as an answer to whoever recorded them."""

    async def trim(self, shard: int, upto: int) -> None:
        """Let go of all lines in front of a position; the last line stays whatever is asked."""
