"""Removing from all files what is left of erased users, in the background and by itself.

The ledger knows of whom anything is left, and their ids as long as others may need them: so it comes last. Whatever
fails, or dies, is begun again with the next look or the next start; every step may be done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import structlog

from palmares.catalog.contract import Catalog
from palmares.domain.erased import without_user
from palmares.domain.errors import PalmaresError
from palmares.ledger.contract import Erasure, Ledger
from palmares.outbox.contract import Outbox

logger = structlog.get_logger(__name__)
# Erasures tend to come in crowds, and cost a pass over the log together or each.
_LEAST_SECONDS = 1.0
_SECONDS_AFTER_A_FAILURE = 30.0


class Compactor:
    """Compacts the files of one server. `sleep` waits for so many seconds, `timer` counts them.

    `keep_log` sees to it that all of the log is where it is kept beside the ledger: only there nothing of it comes
    back that was removed.
    """

    def __init__(
        self,
        ledger: Ledger,
        catalog: Catalog,
        outbox: Outbox,
        sleep: Callable[[float], Awaitable[None]],
        timer: Callable[[], float],
        keep_log: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._keep_log = keep_log
        self._ledger = ledger
        self._catalog = catalog
        self._outbox = outbox
        self._sleep = sleep
        self._timer = timer
        self._turn = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self._wanted = False

    def look(self) -> None:
        """Begin in the background, in a moment."""
        self._wanted = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._compact_later(), name="palmares-compact")

    async def settle(self) -> None:
        """Return when no file holds anything of an erased user; raises what keeps that from being so."""
        async with self._turn:
            while erasures := await self._ledger.unfinished_erasures():
                await self._compact(erasures)

    async def close(self) -> None:
        """Stop; what is not done is taken up at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _compact_later(self) -> None:
        wait_seconds = _LEAST_SECONDS
        while self._wanted:
            await self._sleep(wait_seconds)
            self._wanted, began = False, self._timer()
            try:
                await self.settle()
            except Exception as error:
                reason = error.message if isinstance(error, PalmaresError) else repr(error)
                logger.error("files still hold something of erased users", reason=reason)
                self._wanted, wait_seconds = True, _SECONDS_AFTER_A_FAILURE
            else:
                wait_seconds = max(_LEAST_SECONDS, self._timer() - began)

    async def _compact(self, erasures: Sequence[Erasure]) -> None:
        named = [erasure for erasure in erasures if erasure.user_id is not None]
        for scope in sorted({erasure.scope for erasure in named}):
            some = [erasure for erasure in named if erasure.scope == scope]
            await self._delete_keys(scope, some)
            await self._outbox.rewrite(scope, partial(_without, some))
        if named:
            await self._catalog.compact()
            await self._outbox.compact()
        if self._keep_log is not None:
            await self._keep_log()
        await self._ledger.compact([erasure.number for erasure in erasures])
        logger.info("nothing is left of erased users", users=len(erasures))

    async def _delete_keys(self, scope: int, erasures: Sequence[Erasure]) -> None:
        """Not those of somebody new with an id that was free again."""
        erased_at = {erasure.user_id: erasure.erased_at for erasure in erasures}
        keys = await self._catalog.application_keys_of(scope, [user_id for user_id in erased_at if user_id])
        await self._catalog.delete_application_keys([key for key in keys if key.created <= erased_at[key.user_id]])


def _without(erasures: Sequence[Erasure], created: int, body: bytes) -> bytes | None:
    """A message that was written at an instant, without those who were erased since."""
    left: bytes | None = body
    for erasure in erasures:
        concerns = erasure.user_id is not None and created <= erasure.erased_at
        if left is not None and concerns and msgspec.json.encode(erasure.user_id) in left:
            left = without_user(left, erasure.user_id or "", erasure.number)
    return left
