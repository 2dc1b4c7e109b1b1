"""Making the rankings of boards that become active after their events came.

The log may be long, so this goes on in the background: until it is done nobody sees the board. Whoever asked waits a
moment, so that a board with little past is there at once. The catalog knows what is in the making (`Board.ready`), so
a restart goes on with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import structlog

from palmares.catalog.contract import Catalog
from palmares.domain.board import Board
from palmares.domain.errors import Invalid
from palmares.ledger.contract import Ledger

logger = structlog.get_logger(__name__)
PATIENCE_SECONDS = 2.0


class Activations:
    """The boards in the making, by number. Make one for the whole process."""

    def __init__(self, ledger: Ledger, catalog: Catalog) -> None:
        self._ledger = ledger
        self._catalog = catalog
        self._follows: dict[int, asyncio.Task[None]] = {}
        self._endings: dict[int, asyncio.Task[None]] = {}
        self._problems: dict[int, str] = {}

    async def begin(self, board: Board) -> bool:
        """Begin to make the rankings of a board and wait a moment; whether they are complete.

        If not, the board is made ready in the catalog later. Raises `Invalid` when it cannot be counted.
        """
        self._problems.pop(board.number, None)
        task = self._follows[board.number] = asyncio.create_task(self._ledger.follow(board))
        await asyncio.wait([task], timeout=PATIENCE_SECONDS)
        if not task.done():
            self._go_on(board)
            return False
        del self._follows[board.number]
        task.result()
        return True

    def resume(self) -> None:
        """Go on with what a restart interrupted."""
        for scope in self._catalog.scopes():
            for board in self._catalog.definitions(scope).boards:
                if not board.ready:
                    self._follows[board.number] = asyncio.create_task(self._ledger.follow(replace(board, ready=True)))
                    self._go_on(board)

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
        for number in [*self._follows]:
            await self.stop(number)

    def progress(self, board: Board) -> float | None:
        """How much is made of a board in the making, from 0 to 1; None for any other."""
        return None if board.ready else self._ledger.progress(board.number) or 0.0

    def problem(self, board: Board) -> str | None:
        """Why a board could not be made, until somebody asks for it again."""
        return self._problems.get(board.number)

    def _go_on(self, board: Board) -> None:
        self._endings[board.number] = asyncio.create_task(self._end(board), name="palmares-activation")

    async def _end(self, board: Board) -> None:
        """Wait for the rankings of a board, then let it be seen."""
        try:
            await self._follows[board.number]
        except Invalid as error:
            self._problems[board.number] = error.message
            logger.error("a leaderboard cannot be counted", leaderboard=board.key, reason=error.message)
            await self._change(board, lambda present: replace(present, asked_status="inactive", ready=True))
        except Exception as error:
            # Whatever it was, the next start tries again.
            self._problems[board.number] = f"{type(error).__name__}: the server's log tells more"
            logger.exception("a leaderboard could not be made", leaderboard=board.key)
        else:
            await self._change(board, lambda present: replace(present, ready=True))
        finally:
            self._follows.pop(board.number, None)
            self._endings.pop(board.number, None)

    async def _change(self, board: Board, change: Callable[[Board], Board]) -> None:
        """Change a board in the catalog as it is by now, if it is still the one."""
        async with self._catalog.changing():
            present = self._catalog.definitions(board.scope).board_by_id.get(board.id)
            if present is not None and not present.ready:
                [saved] = await self._catalog.save_boards([change(present)])
                self._ledger.redefine(saved)
