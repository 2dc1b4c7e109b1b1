"""Where lines of the log are that a shard has let go of."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from palmares.domain.log_line import LogLine


class KeptLog(Protocol):
    """The log as it is kept elsewhere, up to some line of each shard. May raise `Unavailable`."""

    async def lines(self, shard: int, after: int, limit: int) -> list[LogLine]:
        """Lines of a shard in order, from the position behind `after`."""

    async def lines_before(self, shard: int, before: int, limit: int) -> list[LogLine]:
        """The last lines of a shard in front of a position, newest first."""

    async def rewrite(
        self, shard: int, users: Collection[int], upto: int, change: Callable[[LogLine], LogLine]
    ) -> None:
        """Let the lines of some users say something else; `Unavailable` while the shard is not kept up to a position.

        Nobody can add lines up to there any more as they were before. May be done again.
        """
