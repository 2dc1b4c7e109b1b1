"""Work that falls due: done in order, once, and also when the server was away while it fell due.

The end of a day, of a run, a webhook: each worker knows when it next has something to do, and the timekeeper calls it
then. Whatever happened in between, workers see the same sequence: at each instant at which anything is due, all of
them, in the order in which they were given, each finding done what those before it do. So a server that comes back
after three days does what it would have done, had it been up.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from palmares.domain.errors import Unavailable
from palmares.domain.local_time import SECOND, format_instant

logger = structlog.get_logger(__name__)
_LONGEST_WAIT_SECONDS = 1.0
# So that work which stays due does not take the whole processor.
_SHORTEST_WAIT_SECONDS = 0.01
_LONGEST_BACK_OFF_SECONDS = 60
_BEHIND = 60 * SECOND
_BEFORE_ALL = -(2**63)


class Worker(Protocol):
    """Somebody with work that falls due."""

    def next_due(self) -> int | None:
        """The instant at which `advance` has something to do again, maybe one that has passed; None for never."""

    async def advance(self, now: int) -> None:
        """Do what is due until an instant, in order and once, and return when that is durable.

        Called for ever later instants, again and again for one, and again after a failure. The other workers wait
        meanwhile, so nothing outside of the server may be waited for, but for a test clock.
        """


@dataclass(slots=True, eq=False)
class _Post:
    """A worker, how often it failed in a row, and before when, by the timer, it is left alone because of that."""

    worker: Worker
    failures: int = 0
    left_alone_until: float = 0.0

    def fail(self, now: float) -> None:
        back_off_seconds = min(2**self.failures, _LONGEST_BACK_OFF_SECONDS)
        self.failures = min(self.failures + 1, 16)
        self.left_alone_until = now + back_off_seconds


class Timekeeper:
    """Calls workers when their work is due.

    `clock` tells the present instant, `timer` counts seconds, and `sleep` waits for so many of them.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        clock: Callable[[], int],
        timer: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._posts = [_Post(worker) for worker in workers]
        self._clock = clock
        self._timer = timer
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._reached = _BEFORE_ALL
        self._overdue: int | None = None
        self._closing = False

    @property
    def obstacle(self) -> str | None:
        """What has been due for long and is being caught up on, in words; None when nothing is."""
        if self._overdue is None:
            return None
        return f"the server catches up on what was due at {format_instant(self._overdue)}"

    def next_due(self, after: int = _BEFORE_ALL) -> int | None:
        """The first instant behind another at which anything is due, but for workers that are left alone at present."""
        dues = [post.worker.next_due() for post in self._present()]
        return min((due for due in dues if due is not None and due > after), default=None)

    async def keep_up(self) -> None:
        """Do everything that is due until now, in order. A worker that fails does not keep others from working.

        Time never goes back for workers: one that failed makes up for all that it missed in one call.
        """
        async with self._turn:
            now = self._clock()
            try:
                while not self._closing and (due := self.next_due(self._reached)) is not None and due < now:
                    self._overdue = due if now - due > _BEHIND else None
                    await self._advance(due)
            finally:
                self._overdue = None
            if not self._closing:
                await self._advance(now)

    async def finish(self) -> None:
        """Do everything that is due until now; `Unavailable` when not all of it could be done."""
        for post in self._posts:
            post.left_alone_until = 0.0
        await self.keep_up()
        if self._closing or any(post.failures for post in self._posts):
            raise Unavailable("what was due until now could not be done; the server goes on trying")

    def start(self) -> None:
        """Go on doing what falls due, until `close`."""
        self._task = asyncio.create_task(self._run(), name="palmares-timekeeper")

    async def close(self) -> None:
        """Stop, when what is being done is done."""
        self._closing = True
        async with self._turn:
            if self._task is None:
                return
            # It waits, for its turn or for time to pass: nothing is interrupted.
            self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            await self._sleep(self._wait_seconds())
            try:
                await self.keep_up()
            except Exception:
                logger.exception("the timekeeper stumbled")

    def _wait_seconds(self) -> float:
        """Until something is due, but never long: work may fall due sooner than was known."""
        due = self.next_due()
        seconds = _LONGEST_WAIT_SECONDS if due is None else (due - self._clock()) / SECOND
        return min(max(seconds, _SHORTEST_WAIT_SECONDS), _LONGEST_WAIT_SECONDS)

    def _present(self) -> list[_Post]:
        now = self._timer()
        return [post for post in self._posts if post.left_alone_until <= now or not post.failures]

    async def _advance(self, instant: int) -> None:
        # A real clock may be set back.
        now = self._reached = max(instant, self._reached)
        for post in self._present():
            try:
                await post.worker.advance(now)
                post.failures = 0
            except Exception:
                post.fail(self._timer())
                logger.exception(
                    "timed work failed", worker=type(post.worker).__name__, due=format_instant(now), times=post.failures
                )
