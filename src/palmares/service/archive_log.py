"""The archiver: takes the log of each shard out of the ledger and into the database, exactly once.

Lines and the note of how far the shard is kept are one transaction, which only happens while the note is what it was
when the lines were read. So any number of workers may do this at once; who was overtaken, or stood still for an hour,
changes nothing. Lines are let go of in the ledger only after that, so whatever dies, nothing is lost.

The last line that is kept is read again from the ledger each time. If it is another one there, or gone, the ledger is
not the one whose log is kept: it lost some of it, or began anew. Then nothing is taken until it is rebuilt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from palmares.domain.errors import PalmaresError, Unavailable
from palmares.domain.log_line import LogLine
from palmares.log_archive.contract import LogArchive, LogSource, Overtaken

logger = structlog.get_logger(__name__)
_LINES_PER_BATCH = 5_000
_PAUSE_SECONDS = 1.0
_LONGEST_BACK_OFF_SECONDS = 30.0
_LOOKS_BETWEEN_CHECKS = 20


class Damaged(Unavailable):
    """The ledger's log is not the one that is kept."""


class LogArchiver:
    """Drains the log of a ledger. `lines_left` says how many kept lines of each shard stay in the ledger as well; with
    None, all of them do."""

    def __init__(
        self,
        source: LogSource,
        archive: LogArchive,
        lines_left: int | None = None,
        lines_per_batch: int = _LINES_PER_BATCH,
    ) -> None:
        self._source = source
        self._archive = archive
        self._lines_left = lines_left
        self._lines_per_batch = lines_per_batch
        self._turn = asyncio.Lock()
        self._damaged: dict[int, str] = {}
        self._looks = 0
        self._task: asyncio.Task[None] | None = None

    @property
    def obstacle(self) -> str | None:
        """Why nothing is kept of a shard any more, in words: it has lost lines that are kept, and gone on."""
        return next(iter(self._damaged.values()), None)

    def start(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Go on draining in the background until `close`; `sleep` waits for so many seconds in between.

        Whatever fails is tried again, ever more seldom.
        """
        self._task = asyncio.create_task(self._run(sleep), name="palmares-log-archiver")

    async def close(self) -> None:
        """Stop. What is being written is written as a whole or not at all."""
        if self._task is not None:
            self._task.cancel()
            # Not awaited by itself: a cancellation of this call is not the one that was asked for.
            await asyncio.gather(self._task, return_exceptions=True)

    async def drain(self) -> int:
        """Keep all lines there are by now, and return how many this call has kept.

        A shard that fails does not keep the others from being drained; the first error is raised in the end. Raises
        `Unavailable` when database or ledger are away, `Damaged` when a shard's log is not the one that is kept.
        """
        async with self._turn:
            count = 0
            errors: list[PalmaresError] = []
            for shard in range(self._source.shards):
                try:
                    count += await self._drain(shard)
                    self._damaged.pop(shard, None)
                except PalmaresError as error:
                    self._note(shard, error)
                    logger.warning("the log of a shard cannot be kept at present", shard=shard, reason=error.message)
                    errors.append(error)
            if errors:
                raise errors[0]
            return count

    async def _run(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        seconds = _PAUSE_SECONDS
        while True:
            try:
                await self.drain()
                seconds = _PAUSE_SECONDS
            except PalmaresError:
                # Told already.
                seconds = min(2 * seconds, _LONGEST_BACK_OFF_SECONDS)
            except Exception:
                logger.exception("the archiver of the log stumbled")
                seconds = _LONGEST_BACK_OFF_SECONDS
            await sleep(seconds)

    async def check(self) -> None:
        """Raise `Damaged` when the ledger lacks lines that are kept, or has others in their place."""
        for shard in range(self._source.shards):
            with suppress(Overtaken):
                try:
                    await self._behind(shard, await self._archive.last(shard), 1)
                    self._damaged.pop(shard, None)
                except Damaged as error:
                    self._note(shard, error)
                    raise

    async def look(self) -> None:
        """Check now and then, for a worker that looks around twice a second; what is found is told by `obstacle`."""
        if self._looks % _LOOKS_BETWEEN_CHECKS == 0:
            # Where something is away that is told elsewhere, and the next look is soon.
            with suppress(Damaged):
                await self.check()
        self._looks += 1

    def _note(self, shard: int, error: PalmaresError) -> None:
        if isinstance(error, Damaged):
            if shard not in self._damaged:
                logger.error("a shard has another log than the one that is kept", shard=shard, reason=error.message)
            self._damaged[shard] = error.message

    async def _drain(self, shard: int) -> int:
        count = 0
        # Whoever overtakes this archiver is at work on the shard, and goes on with it.
        with suppress(Overtaken):
            while True:
                last = await self._archive.last(shard)
                # What a failover may take back must not be kept: the ledger would go on with other lines.
                lines = await self._behind(shard, last, self._lines_per_batch, safe=True)
                if lines:
                    await self._archive.add(shard, self._source.shards, _position(last), lines)
                    count += len(lines)
                    last = lines[-1]
                await self._let_go(shard, last)
                if len(lines) < self._lines_per_batch:
                    break
        return count

    async def _behind(self, shard: int, last: LogLine | None, limit: int, safe: bool = False) -> list[LogLine]:
        """The lines of the ledger that follow on the last one that is kept."""
        found = await self._source.lines(shard, max(_position(last) - 1, 0), limit + 1, safe)
        if _begins_with(found, last):
            return found[0 if last is None else 1 :][:limit]
        if await self._archive.last(shard) != last:
            # Lines that were kept meanwhile may have been let go of.
            raise Overtaken
        raise Damaged(
            f"the log of shard {shard} does not go on from line {_position(last)}, up to which it is kept: the ledger "
            "lost a part of it or was begun anew; stop all workers, empty Valkey, and run `palmares rebuild`"
        )

    async def _let_go(self, shard: int, last: LogLine | None) -> None:
        if self._lines_left is not None and last is not None:
            # The last one stays in any case, to be recognized.
            await self._source.trim(shard, last.position - self._lines_left)


async def check_complete(positions: Sequence[int], archive: LogArchive) -> None:
    """Raise `Damaged` when a ledger whose shards are at these lines lacks some that are kept: it must not go on."""
    for shard, position in enumerate(positions):
        last = _position(await archive.last(shard))
        if position < last:
            raise Damaged(
                f"shard {shard} is at line {position} in Valkey, but line {last} is kept in the database: Valkey "
                "lost data; stop all workers and run `palmares rebuild`"
            )


def _position(line: LogLine | None) -> int:
    return 0 if line is None else line.position


def _begins_with(found: list[LogLine], last: LogLine | None) -> bool:
    """Whether lines that were read begin with the last one that is kept; without one, with the first of all."""
    if last is None:
        return not found or found[0].position == 1
    return bool(found) and found[0].is_same(last)
