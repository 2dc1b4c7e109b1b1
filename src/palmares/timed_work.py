"""The duties of the worker that leads: what a server on a data folder does all the time, for a whole cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from palmares.config import Settings
from palmares.databases import open_outbox
from palmares.machine import sleep, timer
from palmares.outbox.http import HttpSender
from palmares.outbox.sql import SqlOutbox
from palmares.parts import ways_to_announce
from palmares.service.announce import Announcer
from palmares.service.archive_log import LogArchiver
from palmares.service.compact import Compactor
from palmares.service.context import Context
from palmares.service.deliver import Deliverer
from palmares.service.timekeeper import Worker

logger = structlog.get_logger(__name__)
# Users are erased by any worker, which tells nobody.
_SECONDS_BETWEEN_COMPACTIONS: Final = 10.0


class TimedWork:
    """Announcements, deliveries, compaction, the log in the database, and boards that others left in the making.
    Make it with `begin`."""

    def __init__(
        self,
        context: Context,
        outbox: SqlOutbox,
        announcer: Announcer,
        deliverer: Deliverer,
        compactor: Compactor,
        archiver: LogArchiver,
    ) -> None:
        self._context = context
        self._outbox = outbox
        self._announcer = announcer
        self._deliverer = deliverer
        self._compactor = compactor
        self._archiver = archiver
        self._compacted_at: float | None = None

    @classmethod
    async def begin(
        cls, settings: Settings, context: Context, check: Callable[[], None], archiver: LogArchiver
    ) -> TimedWork:
        """Go on where the last leader stopped; what is written is refused with what `check` raises.

        The outbox is read anew: it knows from memory who waits for what, and others have written since.
        """
        outbox = await open_outbox(settings.data, settings.database_url, check)
        try:
            announcer = await Announcer.open(context.ledger, context.catalog, outbox, ways_to_announce(settings))
        except BaseException:
            await outbox.close()
            raise
        sender = HttpSender(settings.webhooks_allow_private)
        deliverer = Deliverer(outbox, context.catalog, sender, context.clock, patient=settings.test_clock is not None)
        compactor = Compactor(context.ledger, context.catalog, outbox, sleep, timer, archiver.drain)
        archiver.start(sleep)
        return cls(context, outbox, announcer, deliverer, compactor, archiver)

    def workers(self) -> list[Worker]:
        """See `Duties`."""
        return [self._announcer, self._deliverer]

    async def look(self) -> None:
        """See `Duties`."""
        await self._context.activations.take_over(self._context.clock())
        # Not by the clock, which may be one that stands.
        now = timer()
        if self._compacted_at is None or now - self._compacted_at >= _SECONDS_BETWEEN_COMPACTIONS:
            self._compacted_at = now
            self._compactor.look()

    async def take_note(self) -> None:
        """Hear of definitions that have just changed."""
        await self._announcer.look(self._context.clock())

    def compact_soon(self) -> None:
        """Do not wait until the next time."""
        self._compactor.look()

    async def close(self, in_order: bool) -> None:
        """See `Duties`. Whatever fails, all of it is ended; the next leader goes on."""
        try:
            await self._archiver.close()
            await self._compactor.close()
            if in_order:
                await self._announcer.close(self._context.clock())
        except Exception:
            logger.exception("the last changes could not be announced")
        finally:
            await self._deliverer.close()
            await self._outbox.close()
