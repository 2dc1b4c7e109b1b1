"""What was asked for by methods that do not wait: done one after another, before anything else that is asked.

A chore belongs to nobody who waits: a waiter may go away without stopping it, and gets none of its errors. What Valkey
failed to do stays first in the queue and is tried again when somebody waits next; any other error would come again, so
it is told in the log.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from palmares.domain.errors import Unavailable

logger = structlog.get_logger(__name__)
Chore = Callable[[], Awaitable[None]]


class Chores:
    """A queue of chores, which may each be done twice."""

    def __init__(self) -> None:
        self._queue: deque[Chore] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, chore: Chore) -> None:
        """Do something after what was added before."""
        self._queue.append(chore)
        self._start()

    async def done(self) -> None:
        """All that was added has been done, or was tried and Valkey did not do it."""
        if self._queue:
            await asyncio.shield(self._start())

    def _start(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="palmares-chores")
        return self._task

    async def _work(self) -> None:
        while self._queue:
            try:
                await self._queue[0]()
            except Unavailable as error:
                logger.warning("a change of leaderboards failed; it will be tried again", reason=error.message)
                return
            except Exception:
                logger.exception("a change of leaderboards failed")
            self._queue.popleft()
