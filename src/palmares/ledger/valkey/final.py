"""Reading runs that are final from the archive, where they lie.

The archive blocks, so it is asked on a thread; where it has to know somebody's id, which only parts those with equal
value and instant, the thread waits for the event loop.
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from palmares.domain.board import Board
from palmares.domain.group import Group
from palmares.domain.run import Run
from palmares.domain.snapshot import DayStanding, FinalRun
from palmares.domain.user import User
from palmares.ledger.contract import Place, Ranks, Row
from palmares.ledger.keeping import Archive, Order
from palmares.ledger.union import Union

T = TypeVar("T")
# The id and name of users by number.
Named = Callable[[Collection[int]], Awaitable[Mapping[int, tuple[str, str | None]]]]


class Finals:
    """The final runs of one ledger. Runs are named by board and run; each has to be in the archive."""

    def __init__(self, archive: Archive, named: Named) -> None:
        self._archive = archive
        self._named = named
        self._thread = ThreadPoolExecutor(1, "palmares-finals")
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Let go of the thread."""
        self._thread.shutdown()

    async def of(self, board_number: int, run: Run) -> FinalRun | None:
        """What the archive has of a run; None when it has nothing yet."""
        return await self._in_thread(lambda: self._archive.final_run(board_number, run.start))

    async def ranked_runs(self, board_number: int) -> set[int]:
        """The first days of the runs in which anybody is ranked."""

        def find() -> set[int]:
            found = {start: self._archive.final_run(board_number, start) for start in self._starts(board_number)}
            return {start for start, final in found.items() if final is not None and any(final.sizes.values())}

        return await self._in_thread(find)

    async def history(
        self, board_number: int, run: Run, user: User, first_day: int, last_day: int
    ) -> list[DayStanding]:
        """The days of a run that are kept, with where a user stood."""
        return await self._in_thread(
            lambda: self._archive.history(board_number, run.start, user.number, first_day, last_day)
        )

    async def group(self, board_number: int, run: Run, user: User) -> Group | None:
        """The group that a user stood in, in the end."""
        place = await self._in_thread(lambda: self._archive.place(board_number, run.start, user.number))
        return None if place is None else place.group

    async def page(self, board: Board, run: Run, groups: Collection[Group], start: int, stop: int) -> list[Row]:
        """Some rows of the union of the groups."""
        rows = await self._in_thread(lambda: self._union(board, run, groups).page(start, stop))
        names = await self._named([participant for _, _, participant, _ in rows])
        return [Row(row, rank, *names[participant], value) for row, rank, participant, value in rows]

    async def place(self, board: Board, run: Run, groups: Collection[Group], user: User) -> Place | None:
        """The place of a user in the union of the groups."""

        def find() -> Place | None:
            final = self._archive.place(board.number, run.start, user.number)
            if final is None or final.group not in groups:
                return None
            union = self._union(board, run, groups)
            row = final.row
            if len(groups) > 1:
                row = union.row(self._order(board, run, final.group).at(row))
            return Place(row, union.rank(row, final.value), final.value)

        return await self._in_thread(find)

    async def ranks(self, board: Board, run: Run, group: Group) -> Ranks:
        """Everybody's rank in a group."""

        def find() -> Ranks:
            union = self._union(board, run, [group])
            rows = sorted((participant, rank, value) for _, rank, participant, value in union.page(0, len(union)))
            participants, ranks, values = zip(*rows, strict=True) if rows else ((), (), ())
            return Ranks(array("I", participants), array("I", ranks), array("q", values))

        return await self._in_thread(find)

    def _starts(self, board_number: int) -> Sequence[int]:
        return self._archive.final_runs(board_number)

    def _union(self, board: Board, run: Run, groups: Collection[Group]) -> Union:
        final = self._archive.final_run(board.number, run.start)
        sizes = {} if final is None else final.sizes
        present = [group for group in dict.fromkeys(groups) if sizes.get(group)]
        orders = [self._order(board, run, group) for group in present]
        return Union(board, orders, [sizes[group] for group in present], self._id_of)

    def _order(self, board: Board, run: Run, group: Group) -> Order:
        return self._archive.order(
            board.number,
            run.start,
            group,
            descending=board.order == "desc",
            later_first=board.ties == "last",
            id_of=self._id_of,
        )

    def _id_of(self, number: int) -> bytes:
        """The id of a user; only on the thread."""
        named = asyncio.run_coroutine_threadsafe(_awaited(self._named([number])), self._loop)
        return named.result()[number][0].encode()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await self._loop.run_in_executor(self._thread, work)


async def _awaited(waited: Awaitable[T]) -> T:
    return await waited
