"""The logs of all shards as one log, in the order of recording, as a data folder has it.

Lines of one shard stay in their order. What was recorded in several shards at one instant follows shard by shard, so
that nothing comes between the lines of one request; but what counts on a board that was finished at that instant comes
before what does not.
"""

from __future__ import annotations

import heapq
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from palmares.domain.log_line import ARRIVAL, LogLine
from palmares.ledger.valkey.kept_log import KeptLog

_LINES_PER_PIECE = 2_000


class Placed(NamedTuple):
    """A line of the log of a shard, by the shard's place."""

    place: int
    line: LogLine


async def whole_log(log: KeptLog, shards: int, cuts: Sequence[Mapping[int, int]] = ()) -> AsyncIterator[Placed]:
    """All lines, each once: schemes of points, which each shard has, are those of the first one, and what says that a
    log was taken over is left out. Of the same instant, lines come first that are not behind the `cuts`, the last line
    of each shard that counts for something."""
    readers = [_lines(log, place) for place in range(shards)]
    waiting: list[tuple[int, int, int, LogLine]] = []

    async def push(place: int) -> None:
        async for line in readers[place]:
            behind = sum(line.position > upto.get(place, 0) for upto in cuts)
            heapq.heappush(waiting, (line.recorded_at, behind, place, line))
            return

    for place in range(shards):
        await push(place)
    while waiting:
        _, _, place, line = heapq.heappop(waiting)
        # Before the next one is taken, those of the same instant of this shard are.
        await push(place)
        if line.kind != ARRIVAL and (line.kind != "points" or place == 0):
            yield Placed(place, line)


async def _lines(log: KeptLog, place: int) -> AsyncIterator[LogLine]:
    after = 0
    while lines := await log.lines(place, after, _LINES_PER_PIECE):
        after = lines[-1].position
        for line in lines:
            yield line
