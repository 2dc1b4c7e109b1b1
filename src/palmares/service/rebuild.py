"""Rebuilding a ledger that lost its data from the log that is kept: everything is lived through once more, in order.

Of all shards, what was recorded in one half of a UTC day comes before anything of the next, and what time brings is
done in between: so days and runs end with the same standings as at first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from palmares.domain.effect import next_boundary
from palmares.domain.errors import NotAllowed
from palmares.domain.log_line import LogLine
from palmares.log_archive.contract import LogArchive, LogSource

_LINES_PER_PIECE = 200


class Replaying(Protocol):
    """Records lines of a log once more, in a ledger that nobody else uses."""

    @property
    def shards(self) -> int:
        """How many shards there are."""

    async def position(self, shard: int) -> int:
        """The last line that a shard has; 0 when there is none."""

    async def leave_out(self, shard: int, erasures: Sequence[tuple[LogLine, LogLine]]) -> None:
        """Record nothing that says who was erased, by the lines that tell so, each with the first of the same user."""

    async def advance(self, now: int) -> None:
        """Do what is due until an instant."""

    async def add(self, shard: int, lines: Sequence[LogLine]) -> None:
        """Record lines of a shard; all of what was recorded at one instant, and nothing behind the next boundary."""

    async def finish(self) -> None:
        """Let go of what is only needed meanwhile."""


class _Cursor:
    """Reads the kept log of a shard, piece by piece."""

    def __init__(self, archive: LogArchive, shard: int, after: int) -> None:
        self.shard = shard
        self._archive = archive
        self._after = after
        self._read: list[LogLine] = []
        self._ended = False

    async def next_at(self) -> int | None:
        """When the next line was recorded; None at the end."""
        await self._fill(1)
        return self._read[0].recorded_at if self._read else None

    async def take(self, until: int) -> list[LogLine]:
        """The next lines that were recorded before an instant, with all of what was recorded at the last of theirs."""
        wanted = _LINES_PER_PIECE
        await self._fill(wanted)
        while len(self._read) > wanted and self._read[wanted].recorded_at == self._read[wanted - 1].recorded_at:
            wanted += 1
            await self._fill(wanted + 1)
        taken = [line for line in self._read[:wanted] if line.recorded_at < until]
        del self._read[: len(taken)]
        return taken

    async def _fill(self, wanted: int) -> None:
        while not self._ended and len(self._read) <= wanted:
            found = await self._archive.lines(self.shard, self._after, 5 * _LINES_PER_PIECE)
            self._ended = not found
            self._read += found
            self._after = self._read[-1].position if found else self._after


async def rebuild(
    replay: Replaying,
    source: LogSource,
    archive: LogArchive,
    told: Callable[[int], None] = lambda lines: None,
    lines_left: int | None = None,
) -> int:
    """Record what is kept in a ledger that has nothing of it, or goes on where another rebuild stopped.

    `told` hears of every piece how many lines it had. With `lines_left`, the ledger lets go of all lines but so many of
    each shard. Returns how many lines were recorded.
    Raises `NotAllowed` when the ledger has something else, and what the parts raise; then it may be done again.
    """
    if await archive.shards() not in (0, replay.shards):
        raise NotAllowed(f"the log that is kept has {await archive.shards()} shards, the ledger {replay.shards}")
    cursors = [await _begin(replay, source, archive, shard) for shard in range(replay.shards)]
    for shard in range(replay.shards):
        await replay.leave_out(shard, await archive.erasures(shard))
    count = 0
    while (start := _earliest([await cursor.next_at() for cursor in cursors])) is not None:
        await replay.advance(start)
        for cursor in cursors:
            while lines := await cursor.take(next_boundary(start)):
                await replay.add(cursor.shard, lines)
                if lines_left is not None:
                    await source.trim(cursor.shard, lines[-1].position - lines_left)
                count += len(lines)
                told(len(lines))
    await replay.finish()
    return count


async def _begin(replay: Replaying, source: LogSource, archive: LogArchive, shard: int) -> _Cursor:
    """Behind what the shard has already, which must be what is kept."""
    position = await replay.position(shard)
    found = await source.lines(shard, position - 1, 1) if position else []
    kept = await archive.lines(shard, position - 1, 1) if position else []
    if position and not (found and kept and found[0].is_same(kept[0])):
        raise NotAllowed(
            f"shard {shard} has something else than what is kept up to its line {position}: empty Valkey first, or "
            "rebuild under another name"
        )
    return _Cursor(archive, shard, position)


def _earliest(instants: Sequence[int | None]) -> int | None:
    return min((instant for instant in instants if instant is not None), default=None)
