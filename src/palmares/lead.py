"""Of the workers of a cluster, one does what only one may do: announce, deliver, compact, make boards to the end.

It is the one that has the claim to timed work. Every worker looks again and again whether the claim is to be had, so
another one takes over soon after the leader is gone. Whatever the leader writes is checked against the claim as it was
when it took over: one that was away for a while, and led again or not, has duties of a former life and writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from palmares.domain.errors import Unavailable
from palmares.service.timekeeper import Worker
from palmares.sql.claim import Claim, DatabaseInUse

logger = structlog.get_logger(__name__)


class Duties(Protocol):
    """What the leader does, from when it is open until it is closed."""

    def workers(self) -> list[Worker]:
        """Those of its parts who have timed work, in their order."""

    async def look(self) -> None:
        """Called again and again."""

    async def close(self, in_order: bool) -> None:
        """End it; `in_order` says that nobody else can have taken over yet."""


class Lead:
    """Whether this worker leads. `begin` opens its duties and is given the check for all that they write."""

    def __init__(self, claim: Claim, begin: Callable[[Callable[[], None]], Awaitable[Duties]]) -> None:
        self._claim = claim
        self._begin = begin
        self._duties: Duties | None = None
        self._taking = 0

    @property
    def is_mine(self) -> bool:
        """Whether this worker leads, as far as it knows."""
        return self._duties is not None

    @property
    def duties(self) -> Duties | None:
        """What it does, while it leads."""
        return self._duties

    async def look(self) -> None:
        """See whether the claim is held or to be had, and begin or end the duties accordingly."""
        try:
            await asyncio.to_thread(self._claim.keep)
        except DatabaseInUse:
            await self._step_down()
            return
        except Unavailable:
            await self._step_down()
            raise
        if self._claim.takings != self._taking:
            await self._step_down()
            self._taking = self._claim.takings
        if self._duties is None:
            self._duties = await self._begin(self._check_of(self._taking))
            logger.info("this worker does the timed work now")
        await self._duties.look()

    def worker(self, place: int) -> Worker:
        """For the timekeeper: who does a part of the duties, while there are any."""
        return _OnDuty(self, place)

    async def close(self) -> None:
        """End the duties in order, and let another worker have them."""
        duties, self._duties = self._duties, None
        if duties is not None:
            await duties.close(in_order=True)
        await asyncio.to_thread(self._claim.close)

    async def _step_down(self) -> None:
        duties, self._duties = self._duties, None
        if duties is not None:
            logger.warning("this worker does the timed work no more")
            await duties.close(in_order=False)

    def _check_of(self, taking: int) -> Callable[[], None]:
        def check() -> None:
            # Not taken again here: who lost it begins anew with what others have noted, at the next look.
            if not self._claim.still_held() or self._claim.takings != taking:
                raise Unavailable("another worker may do the timed work by now")

        return check


class _OnDuty:
    """A worker of the timekeeper's, who has something to do while there are duties."""

    def __init__(self, lead: Lead, place: int) -> None:
        self._lead = lead
        self._place = place

    def next_due(self) -> int | None:
        """See `Worker`."""
        worker = self._present()
        return None if worker is None else worker.next_due()

    async def advance(self, now: int) -> None:
        """See `Worker`."""
        worker = self._present()
        if worker is not None:
            await worker.advance(now)

    def _present(self) -> Worker | None:
        workers = [] if self._lead.duties is None else self._lead.duties.workers()
        return workers[self._place] if self._place < len(workers) else None
