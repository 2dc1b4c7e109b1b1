"""Closing runs again that late events have changed, and making past days anew for what was imported as history.

The run is built from the log a second time, beside what is kept of it, and takes its place all at once with a higher
revision. Many late events that come together cost one such pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from palmares.domain.errors import Invalid, PalmaresError
from palmares.domain.run import Run
from palmares.ledger.embedded.followed import Followed
from palmares.ledger.embedded.rankings import Rankings

logger = structlog.get_logger(__name__)
# Late events tend to come in crowds; a pass waits for the crowd, and as long as the last one took.
_LEAST_SECONDS = 0.25
# What failed once would fail again at once, after a pass over the log.
_SECONDS_AFTER_A_FAILURE = 30.0

# Builds some runs of a board anew and installs them.
Rebuild = Callable[[Rankings, list[Run]], Awaitable[None]]


class Reviser:
    """Sees to the boards whose rankings say that something is to be revised."""

    def __init__(self, followed: Followed, rebuild: Rebuild, timer: Callable[[], float]) -> None:
        self._followed = followed
        self._rebuild = rebuild
        self._timer = timer
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._wait_seconds = _LEAST_SECONDS
        self._at: int | None = None

    def look(self) -> None:
        """Begin in the background when there is something to do."""
        if (self._task is None or self._task.done()) and self._due():
            self._task = asyncio.create_task(self._revise_later(), name="palmares-revise")

    def is_at(self, board_number: int) -> bool:
        """Whether a board has something that is to be revised, or is being revised."""
        return board_number == self._at or any(rankings.number == board_number for rankings in self._due())

    async def settle(self) -> None:
        """Return when nothing is left to be revised."""
        async with self._turn:
            while due := self._due():
                await self._revise(due[0])

    async def close(self) -> None:
        """Stop; what is not revised is told by the checkpoint."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _due(self) -> list[Rankings]:
        return [rankings for rankings in self._followed if rankings.revising]

    async def _revise_later(self) -> None:
        await asyncio.sleep(self._wait_seconds)
        began, self._wait_seconds = self._timer(), _SECONDS_AFTER_A_FAILURE
        try:
            await self.settle()
        except PalmaresError as error:
            logger.error("late events wait", reason=error.message)
        except Exception:
            logger.exception("late events wait")
        else:
            self._wait_seconds = max(_LEAST_SECONDS, self._timer() - began)

    async def _revise(self, rankings: Rankings) -> None:
        runs = sorted(rankings.revising)
        # Until it is done it stays noted, so that a checkpoint which is written meanwhile tells of it.
        rankings.revising_anew.clear()
        self._at = rankings.number
        try:
            await self._rebuild(rankings, runs)
        except Invalid as error:
            # Nobody could refuse the late event for a sum that nobody had; the run stays as it is.
            board = rankings.plan.board.key
            logger.error("a final run cannot take its late events", leaderboard=board, reason=error.message)
        finally:
            self._at = None
        rankings.revising.difference_update(set(runs) - rankings.revising_anew)
