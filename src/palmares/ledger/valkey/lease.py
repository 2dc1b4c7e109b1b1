"""Work that only one worker may do at a time belongs to who has the lease.

A lease runs out by itself when its worker does not prolong it, so nobody has to notice that a worker died. Who wakes up
after that must do no harm: every lease has a token, greater than that of any lease before, the scripts of such work
compare it with the greatest that their shard has seen, and before anything is written elsewhere the holder makes sure
of the lease once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.keys import LedgerKeys
from palmares.ledger.valkey.store import Store

logger = structlog.get_logger(__name__)
_SECONDS = 30.0
# While others have the lease, how long until it is asked for again.
_SECONDS_BETWEEN_TRIES = 0.05


class LeaseLost(Unavailable):
    """Somebody else may be at the work by now."""


class Lease:
    """The lease of one ledger, as one worker sees it. `seconds` is how long it lasts when it is not prolonged."""

    def __init__(self, store: Store, keys: LedgerKeys, seconds: float = _SECONDS) -> None:
        self._store = store
        self._keys = [keys.lease, keys.leases]
        self._seconds = seconds

    async def take(self) -> int | None:
        """A token, or None while somebody else has the lease."""
        return await self._ask(b"", self._seconds) or None

    async def check(self, token: int) -> None:
        """Prolong the lease; raises `LeaseLost` when it has run out."""
        if not await self._ask(b"%d" % token, self._seconds):
            raise LeaseLost("this worker was too slow with what is due; another one is at it")

    async def give_back(self, token: int) -> None:
        """Let others have it; nothing when it has run out."""
        await self._ask(b"%d" % token, 0)

    @asynccontextmanager
    async def held(self, token: int) -> AsyncIterator[None]:
        """Prolong the lease all the while, and give it back in the end."""
        prolonging = asyncio.create_task(self._prolong(token), name="palmares-lease")
        try:
            yield
        finally:
            prolonging.cancel()
            await asyncio.gather(prolonging, return_exceptions=True)
            try:
                await self.give_back(token)
            except Unavailable as error:
                logger.warning("a lease is not given back; it will run out", reason=error.message)

    async def break_off(self) -> None:
        """Take the lease away from whoever has it; for who knows that all others are dead. What they sent before is
        refused by its token as ever."""
        await self._store.read([[b"DEL", self._keys[0]]])

    async def wait(self) -> None:
        """A moment later it may be free."""
        await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _prolong(self, token: int) -> None:
        while True:
            await asyncio.sleep(self._seconds / 3)
            try:
                await self.check(token)
            except Unavailable as error:
                # Whoever works finds out at the next step.
                logger.warning("a lease is not prolonged", reason=error.message)

    async def _ask(self, token: bytes, seconds: float) -> int:
        return int(await self._store.script("lease", self._keys, [token, b"%d" % int(seconds * 1000)]))
