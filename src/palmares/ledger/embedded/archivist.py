"""Takes what is over out of the rankings and into the archive.

Taking happens at once, on the event loop, so that it is of one moment: a copy of everybody's place, or the orders of a
run that is final. Writing follows on a thread, in the same order. Until a final run is written it is read from the
orders that were taken; when the archive cannot be written, what was taken waits in memory and is tried again.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog

from palmares.domain.errors import Unavailable
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import Places, Rows
from palmares.ledger.embedded._index import Index, merge_places
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.keeping import Archive

logger = structlog.get_logger(__name__)
_MOST_BYTES_WAITING = 64 << 20


class GroupPlaces(NamedTuple):
    """The places of one group: the bytes of participants, ranks and values, in ascending order of participants."""

    group: Group
    participants: bytes
    ranks: bytes
    values: bytes


@dataclass(slots=True)
class Job:
    """Something taken that is to be written. `done` is called on the event loop once it is durable."""

    write: Callable[[], None]
    size: int = 0
    done: Callable[[], None] = lambda: None


class Archivist:
    """Writes to one archive, one job after the other."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._jobs: deque[Job] = deque()
        self._bytes_waiting = 0
        self._thread = ThreadPoolExecutor(1, "palmares-archive")
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def keep_day(self, rankings: Rankings, run: Run, day: int) -> None:
        """Keep where everybody of a run stands now, as the end of a day."""
        parts = places_of(rankings, rankings.runs[run.start])
        if parts:
            size = sum(len(part.participants) * 4 for part in parts)
            self._add(Job(lambda: self._write_day(rankings.edition, run, day, parts), size))

    def close(self, rankings: Rankings, run: Run, day: int) -> None:
        """Make a run final: it takes no events any more and is on its way to the archive."""
        orders = rankings.close(run.start)
        self._add(
            Job(
                lambda: self._write_run(rankings, run, day, orders),
                done=lambda: rankings.let_go(run.start),
            )
        )

    def forget(self, board: int) -> None:
        """Let the archive forget a board, after what is to be written before."""
        self._add(Job(lambda: self.archive.forget(board)))

    async def relieve(self) -> None:
        """Wait when too much is in memory for its writing."""
        if self._bytes_waiting > _MOST_BYTES_WAITING:
            await self.drain()

    async def drain(self) -> None:
        """Wait until everything taken so far is durable. Raises `Unavailable` when it cannot be written."""
        async with self._writing:
            while self._jobs:
                job = self._jobs[0]
                await self.in_thread(job.write)
                self._jobs.popleft()
                self._bytes_waiting -= job.size
                job.done()

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do slow work on the archive's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def close_down(self) -> None:
        """Write what can be written, and let go of the archive."""
        with suppress(Unavailable):
            await self.drain()
        self._thread.shutdown()
        self.archive.close()

    def _add(self, job: Job) -> None:
        self._jobs.append(job)
        self._bytes_waiting += job.size
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain_quietly(), name="palmares-archivist")

    async def _drain_quietly(self) -> None:
        try:
            await self.drain()
        except Unavailable as error:
            # What was taken stays; the next job, or the next instant that is due, tries again.
            logger.error("the archive cannot be written", reason=error.message)

    def _write_day(self, edition: int, run: Run, day: int, parts: Sequence[GroupPlaces]) -> None:
        self.archive.keep_day(edition, run.start, day, [part.group for part in parts], merged(parts))

    def _write_run(self, rankings: Rankings, run: Run, day: int, orders: dict[Group | None, Index]) -> None:
        parts = places_of(rankings, orders)
        groups = [part.group for part in parts]
        places = merged(parts)
        rows = [(group, rows_of(orders[group], rankings.ranked(orders[group]))) for group in groups]
        self.archive.keep_day(rankings.edition, run.start, day, groups, places)
        self.archive.keep_run(rankings.edition, run, rows, places)


def places_of(rankings: Rankings, orders: dict[Group | None, Index]) -> list[GroupPlaces]:
    """Where everybody stands who is ranked, group by group."""
    numbering = rankings.plan.board.numbering
    return [
        GroupPlaces(group, *index.places(rankings.ranked(index), numbering))
        for group, index in orders.items()
        if group is not None and len(index)
    ]


def rows_of(index: Index, count: int) -> Rows:
    """The first rows of an order."""
    values, reached, participants = index.dump_after(None, count)
    return Rows(array("I", participants), array("q", values), array("q", reached))


def merged(parts: Sequence[GroupPlaces]) -> Places:
    """The places of all groups together, in ascending order of users."""
    users, groups, ranks, values = merge_places([(part.participants, part.ranks, part.values) for part in parts])
    return Places(array("I", users), array("I", groups), array("I", ranks), array("q", values))
