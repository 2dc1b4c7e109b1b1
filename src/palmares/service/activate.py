"""Making the rankings of boards that are activated after their events came.

The log may be long, so this goes on in the background: until it is done nobody sees the board. Whoever asked waits a
moment, so that a board with little past is there at once. The catalog knows what is in the making (`Board.ready`), so
a restart goes on with it.

Of several workers, the one that leads goes on in the background, with its own boards and with those of the others: a
worker that does not gives a board up when its patience ends, or its life.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import structlog

from palmares.catalog.contract import Catalog
from palmares.domain.board import Board
from palmares.domain.errors import Invalid, Unavailable
from palmares.domain.local_time import SECOND
from palmares.ledger.contract import Ledger

logger = structlog.get_logger(__name__)
PATIENCE_SECONDS = 2.0
# Longer than another worker is patient with a board that it makes itself.
_GIVEN_UP_AFTER = 5 * SECOND
# A disk that is full stays so for a while.
SECONDS_BETWEEN_TRIES = 30.0

Patience = asyncio.Future[None]


class Activations:
    """The boards in the making, by number. Make one for the whole process.

    `sleep` waits for so many seconds, `take_note` lets announcements begin with a board that is seen, and `leads` tells
    whether what goes on in the background is for this process.
    """

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        sleep: Callable[[float], Awaitable[None]],
        take_note: Callable[[], Awaitable[None]],
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._sleep = sleep
        self._take_note = take_note
        self._leads = leads
        self._follows: dict[int, asyncio.Task[None]] = {}
        self._endings: dict[int, asyncio.Task[None]] = {}
        self._problems: dict[int, str] = {}
        self._unmade_since: dict[int, int] = {}

    @asynccontextmanager
    async def patience(self) -> AsyncIterator[Patience]:
        """How long somebody waits who asked, for all the boards of a request together."""
        waiting = asyncio.ensure_future(self._sleep(PATIENCE_SECONDS))
        try:
            yield waiting
        finally:
            waiting.cancel()

    async def begin(self, board: Board, patience: Patience) -> Board | None:
        """Begin to make the rankings of a board, and wait while there is patience; the board when they are complete.

        If not, None: the board is made ready in the catalog later. Raises what `Ledger.follow` raises.
        """
        self._problems.pop(board.number, None)
        following = self._follow(board)
        try:
            await asyncio.wait([following, patience], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            # Who asked has gone away; what they asked for is done all the same.
            self._go_on(board)
            raise
        if not following.done():
            self._go_on(board)
            return None
        del self._follows[board.number]
        following.result()
        return await self._complete(board)

    def resume(self) -> None:
        """Go on with what a restart interrupted."""
        for board in self._boards():
            if not board.ready:
                self.go_on(board)

    async def take_over(self, now: int) -> None:
        """Of what others began: go on with what they gave up, and give up what they changed their mind about.

        For the worker that leads, to be called again and again.
        """
        unmade = {board.number: board for board in self._boards() if not board.ready}
        for number in [*self._endings]:
            if number not in unmade:
                await self._leave_to_others(number)
        self._unmade_since = {
            number: self._unmade_since.get(number, now)
            for number in unmade
            if number not in self._endings and number not in self._follows
        }
        for number, since in self._unmade_since.items():
            if now - since >= _GIVEN_UP_AFTER:
                self.go_on(unmade[number])

    def go_on(self, board: Board) -> None:
        """Make a board in the background that the catalog has as one in the making."""
        self._go_on(replace(board, ready=True))

    async def stop(self, board_number: int) -> None:
        """Give up what is being made for a board, if anything."""
        self._problems.pop(board_number, None)
        for tasks in (self._endings, self._follows):
            task = tasks.pop(board_number, None)
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Give up everything; the next start goes on."""
        for number in {*self._endings, *self._follows}:
            await self.stop(number)

    def progress(self, board: Board) -> float | None:
        """How much is made of a board in the making, from 0 to 1; None for any other."""
        return None if board.ready else self._ledger.progress(board.number) or 0.0

    def problem(self, board: Board) -> str | None:
        """Why a board could not be made, or why it takes so long, until somebody asks for it again."""
        return self._problems.get(board.number)

    def _boards(self) -> list[Board]:
        return [board for scope in self._catalog.scopes() for board in self._catalog.definitions(scope).boards]

    async def _leave_to_others(self, number: int) -> None:
        """Stop making a board that is in the making no more, by what another worker has done with it."""
        await self.stop(number)
        if not any(board.number == number and board.asked_status != "inactive" for board in self._boards()):
            self._ledger.forget(number)

    def _follow(self, board: Board) -> asyncio.Task[None]:
        task = asyncio.create_task(self._ledger.follow(board), name="palmares-follow")
        self._follows[board.number] = task
        return task

    def _go_on(self, board: Board) -> None:
        if not self._leads():
            following = self._follows.pop(board.number, None)
            if following is not None:
                following.cancel()
            return
        self._endings[board.number] = asyncio.create_task(self._end(board), name="palmares-activation")

    async def _end(self, board: Board) -> None:
        """Make a board to the end. What cannot be written now is tried again; other faults wait for the next start."""
        try:
            while not await self._try(board):
                await self._sleep(SECONDS_BETWEEN_TRIES)
        except Exception as error:
            self._problems[board.number] = f"{type(error).__name__}: the server's log tells more"
            logger.exception("a leaderboard could not be made", leaderboard=board.key)
        finally:
            self._follows.pop(board.number, None)
            self._endings.pop(board.number, None)

    async def _try(self, board: Board) -> bool:
        """Wait for the rankings of a board, then let it be seen; whether that could be done."""
        try:
            await self._let_be_seen(board)
        except Unavailable as error:
            self._problems[board.number] = f"{error.message}; the server tries again"
            logger.error("a leaderboard has to wait", leaderboard=board.key, reason=error.message)
            return False
        return True

    async def _let_be_seen(self, board: Board) -> None:
        following = self._follows.get(board.number) or self._follow(board)
        try:
            await following
        except Invalid as error:
            logger.error("a leaderboard cannot be counted", leaderboard=board.key, reason=error.message)
            await self._change(board, inactive)
            self._problems[board.number] = error.message
        except Exception:
            del self._follows[board.number]
            raise
        else:
            position = (await self._complete(board)).finished_position
            await self._change(board, lambda present: replace(present, ready=True, finished_position=position))
            await self._take_note()
            self._problems.pop(board.number, None)

    async def _complete(self, board: Board) -> Board:
        """A board whose rankings were made, as it is from now on: a finished one counts nothing more."""
        if board.asked_status != "finished":
            return board
        return replace(board, finished_position=await self._ledger.freeze(board.number))

    async def _change(self, board: Board, change: Callable[[Board], Board]) -> None:
        """Change a board in the catalog as it is by now, if it is still in the making."""
        async with self._catalog.changing():
            present = self._catalog.definitions(board.scope).board_by_id.get(board.id)
            if present is not None and not present.ready:
                [saved] = await self._catalog.save_boards([change(present)])
                self._ledger.redefine(saved)


def inactive(board: Board) -> Board:
    """The board as one that nobody sees and that nothing is made of."""
    return replace(board, asked_status="inactive", ready=True)
