"""Takes what is over out of the rankings and into the archive.

Taking happens at once, on the event loop, so that it is of one moment: a copy of everybody's place, or the orders of a
run that is final. Writing follows on a thread, in the same order. Until a final run is written it is read from the
orders that were taken; when the archive cannot be written, what was taken waits in memory and is tried again.

Days of a run that wait are written in one go: after an outage, or where the past is made anew, many end at once, and
with few users a transaction takes longer than what is in it.
"""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from palmares.domain.errors import NotFound, Unavailable
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DayEnd, DayStanding, Places, Rows
from palmares.ledger.embedded._index import Index, merge_places
from palmares.ledger.embedded.kept import Kept
from palmares.ledger.embedded.rankings import Rankings
from palmares.ledger.keeping import Archive

logger = structlog.get_logger(__name__)
_MOST_BYTES_WAITING = 64 << 20
_MOST_BYTES_TOGETHER = 1 << 20


class GroupPlaces(NamedTuple):
    """The places of one group: the bytes of participants, ranks and values, in ascending order of participants."""

    group: Group
    participants: bytes
    ranks: bytes
    values: bytes


class Day(NamedTuple):
    """The end of a day of a run that was taken."""

    rankings: Rankings
    run: Run
    day: int
    parts: Sequence[GroupPlaces]


@dataclass(slots=True)
class Job:
    """Something taken that is to be written, with the days in it; more may join those of a run. `done` is called on
    the event loop once it is durable."""

    write: Callable[[], None]
    size: int = 0
    days: list[Day] = field(default_factory=list)
    run: tuple[Rankings, int] | None = None
    done: Callable[[], None] = lambda: None


class Archivist:
    """Writes to one archive, one job after the other."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.kept = Kept(archive)
        self._jobs: deque[Job] = deque()
        # Those that more days may join, by rankings and first day of the run.
        self._open: dict[tuple[Rankings, int], Job] = {}
        self._bytes_waiting = 0
        self._thread = ThreadPoolExecutor(1, "palmares-archive")
        self._writing = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def keep_day(self, rankings: Rankings, run: Run, day: int) -> None:
        """Keep where everybody of a run stands now, as the end of a day. The first day is one with anybody ranked."""
        parts = places_of(rankings, rankings.runs[run.start])
        if self._begins(rankings, run, bool(parts)):
            self._add_day(Day(rankings, run, day, parts))

    def skip_day(self, rankings: Rankings, run: Run) -> None:
        """Let a day pass that nobody can ask for any more. The days of the run may have begun with it all the same."""
        groups = rankings.runs[run.start]
        self._begins(rankings, run, any(group is not None and len(index) for group, index in groups.items()))

    def close(self, rankings: Rankings, run: Run, day: int) -> None:
        """Make a run final: it takes no events any more and is on its way to the archive."""
        orders = rankings.close(run.start)
        parts = places_of(rankings, orders)
        taken = Day(rankings, run, day, parts) if self._begins(rankings, run, bool(parts)) else None
        self._add(
            Job(
                lambda: self._write_run(rankings, run, taken, orders),
                days=[] if taken is None else [taken],
                done=lambda: rankings.let_go(run.start),
            )
        )

    @property
    def waiting(self) -> bool:
        """Whether anything that was taken is not written yet."""
        return bool(self._jobs)

    def waiting_days(self, rankings: Rankings, run: Run, user: int) -> Iterator[DayStanding]:
        """Where a user stood on the days of a run that are not written yet."""
        for job in self._jobs:
            for day in job.days:
                if day.rankings is rankings and day.run.start == run.start:
                    yield standing_on(day, user)

    def forget(self, board: int) -> None:
        """Let the archive forget a board, after what is to be written before."""
        self._add(Job(lambda: self.archive.forget(board)))

    async def relieve(self, in_build: bool) -> None:
        """Wait when too much is in memory for its writing.

        What cannot be written stays there, because events have to go on. Only a build, which could fill the memory
        with years, raises `Unavailable`.
        """
        if self._bytes_waiting > _MOST_BYTES_WAITING:
            await (self.drain() if in_build else self._drain_quietly())

    async def drain(self) -> None:
        """Wait until everything taken so far is durable. Raises `Unavailable` when it cannot be written."""
        async with self._writing:
            while self._jobs:
                job = self._jobs[0]
                self._take_no_more(job)
                try:
                    await self.write(job.write)
                except NotFound:
                    # The board was forgotten, or what was in the making was given up: nobody asks for it any more.
                    logger.info("what was kept is not wanted any more")
                self._jobs.popleft()
                self._bytes_waiting -= job.size
                job.done()

    async def write(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do work on the archive's thread that changes what can be read of it.

        What was remembered is forgotten when it is done, also when nobody waits for that any more, or it failed: then
        nobody can say what the archive has.
        """
        working = asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)
        working.add_done_callback(lambda _: self.kept.forget())
        return await asyncio.shield(working)

    async def in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        """Do slow work on the archive's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def close_down(self) -> None:
        """Write what can be written, and let go of the archive."""
        with suppress(Unavailable):
            await self.drain()
        self._thread.shutdown()
        self.archive.close()

    def _add_day(self, day: Day) -> None:
        size = sum(len(part.participants) * 4 for part in day.parts)
        run = (day.rankings, day.run.start)
        job = self._open.get(run)
        if job is None:
            days: list[Day] = []
            job = self._open[run] = Job(lambda: self._write_days(days), days=days, run=run)
            self._add(job)
        job.days.append(day)
        job.size += size
        self._bytes_waiting += size
        if job.size > _MOST_BYTES_TOGETHER:
            self._take_no_more(job)

    def _take_no_more(self, job: Job) -> None:
        if job.run is not None and self._open.get(job.run) is job:
            del self._open[job.run]

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
        except Exception:
            logger.exception("the archive cannot be written")

    def _begins(self, rankings: Rankings, run: Run, ranked: bool) -> bool:
        """Whether the days of a run have begun, if need be with this one, on which somebody is ranked or nobody."""
        if ranked:
            rankings.begun.add(run.start)
        return run.start in rankings.begun

    def _write_days(self, days: Sequence[Day]) -> None:
        """Write days of one run."""
        ends = [DayEnd(day.day, [part.group for part in day.parts], merged(day.parts)) for day in days]
        self.archive.keep_days(days[0].rankings.edition, days[0].run.start, ends)

    def _write_run(self, rankings: Rankings, run: Run, taken: Day | None, orders: dict[Group | None, Index]) -> None:
        if self._is_kept(rankings, run):
            return
        parts = [] if taken is None else taken.parts
        rows = [(part.group, rows_of(orders[part.group], rankings.ranked(orders[part.group]))) for part in parts]
        if taken is not None:
            self._write_days([taken])
        revision = int(run.start in rankings.revised)
        self.archive.keep_run(rankings.edition, run, rows, merged(parts), revision)

    def _is_kept(self, rankings: Rankings, run: Run) -> bool:
        """Whether a run was kept before a crash; it may have been revised since."""
        board = rankings.number
        return self.archive.edition(board) == rankings.edition and self.archive.final_run(board, run.start) is not None


def places_of(rankings: Rankings, orders: dict[Group | None, Index]) -> list[GroupPlaces]:
    """Where everybody stands who is ranked, group by group."""
    numbering = rankings.plan.board.numbering
    return [
        GroupPlaces(group, *index.places(rankings.ranked(index), numbering))
        for group, index in orders.items()
        if group is not None and len(index)
    ]


def standing_on(day: Day, user: int) -> DayStanding:
    """Where a user stood at the end of a day."""
    for part in day.parts:
        users = memoryview(part.participants).cast("I")
        place = bisect_left(users, user)
        if place < len(users) and users[place] == user:
            ranks, values = memoryview(part.ranks).cast("I"), memoryview(part.values).cast("q")
            return DayStanding(day.day, ranks[place], values[place])
    return DayStanding(day.day, None, None)


def rows_of(index: Index, count: int) -> Rows:
    """The first rows of an order."""
    values, reached, participants = index.dump_after(None, count)
    return Rows(array("I", participants), array("q", values), array("q", reached))


def merged(parts: Sequence[GroupPlaces]) -> Places:
    """The places of all groups together, in ascending order of users."""
    users, groups, ranks, values = merge_places([(part.participants, part.ranks, part.values) for part in parts])
    return Places(array("I", users), array("I", groups), array("I", ranks), array("q", values))
