"""The composition root: what is served, in a data folder or as a worker of a cluster, and looked after meanwhile.

`embedded.py` and `cluster.py` pick ledger, catalog and clock; nothing else does.
"""

from __future__ import annotations

import asyncio
import contextlib
import zoneinfo
from collections.abc import Mapping

import structlog
from starlette.types import ASGIApp

from palmares.api.cors import BY_DEFAULT, Origins
from palmares.api.gate import Gate
from palmares.api.meter import Meter
from palmares.api.routes import build_app
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.config import Settings
from palmares.domain.errors import PalmaresError, Unavailable
from palmares.embedded import open_embedded
from palmares.machine import sleep, system_clock, timer
from palmares.parts import Clock, Parts
from palmares.service.rate_limit import RateLimiter, RouteClass


class Server:
    """The parts, open, and at work until `close`."""

    def __init__(self, parts: Parts, closing: contextlib.AsyncExitStack) -> None:
        self.context = parts.context
        self.clock_mover = parts.clock_mover
        self.first_key = parts.first_key
        self.promise = parts.promise
        self._parts = parts
        self._closing = closing
        # The looks that failed when they were last had, by their places.
        self._failing: set[int] = set()
        parts.timekeeper.start()
        self._looking = asyncio.create_task(self._look_again_and_again(), name="palmares-looks")

    @classmethod
    async def open(cls, settings: Settings, clock: Clock = system_clock) -> Server:
        """Open what the settings name, making it when missing, and do everything that fell due since it was last open.

        Raises `FolderInUse` when another process has the folder, `DatabaseInUse` when another server uses the
        database, `ClockAhead` when a test clock was ahead of this one, and `Unavailable` when something does not work.
        """
        # The zones of the tzdata package, so that every machine follows the same rules.
        zoneinfo.reset_tzpath(to=())
        async with contextlib.AsyncExitStack() as opened:
            if settings.valkey_url is None:
                parts = await open_embedded(settings, clock, opened)
            else:
                # Its client takes as long to load as all the rest, and is for clusters only.
                from palmares.cluster import open_cluster

                parts = await open_cluster(settings, settings.valkey_url, clock, opened)
            # Whatever fails before this line closes what is open; from here on, `close` does.
            closing = opened.pop_all()
        return cls(parts, closing)

    @property
    def multi_tenancy(self) -> bool:
        """Whether requests with the first key have to name a tenant."""
        return self.context.catalog.environment(DEFAULT_SCOPE).multi_tenancy

    def limiter(self, rates: Mapping[RouteClass, int]) -> RateLimiter | None:
        """What counts requests, by how many a second one key may send; None when it may send as many as it likes."""
        return self._parts.make_limiter(rates) if rates else None

    def app(
        self,
        max_body_bytes: int,
        limiter: RateLimiter | None = None,
        origins: Origins = BY_DEFAULT,
        gate: Gate | None = None,
    ) -> ASGIApp:
        """The HTTP application; another `gate` than the usual one decides who comes in."""
        return build_app(
            self.context,
            Meter(timer),
            max_body_bytes=max_body_bytes,
            readiness=self._parts.obstacle,
            ledger_figures=self._parts.figures,
            clock_mover=self.clock_mover,
            gate=gate or Gate(self.context, limiter),
            origins=origins,
        )

    async def close(self) -> None:
        """Flush, checkpoint, and let go of everything."""
        # All of it, whatever fails, from the last that is put in to the first.
        self._closing.push_async_callback(self._stop_looking)
        self._closing.push_async_callback(self._parts.timekeeper.close)
        await self._closing.aclose()

    async def _stop_looking(self) -> None:
        self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._looking

    async def _look_again_and_again(self) -> None:
        while True:
            await sleep(self._parts.seconds_between_looks)
            with contextlib.suppress(Unavailable):
                # It was logged.
                await self._look()

    async def _look(self) -> None:
        """Have all looks, also when one fails: what the claim lacks, the catalog may not need, and keys are revoked in
        time all the same. The first `Unavailable` is raised in the end."""
        unavailable: list[Unavailable] = []
        for place, look in enumerate(self._parts.looks):
            try:
                await look()
                self._failing.discard(place)
            except Exception as error:
                # It may stay so for hours: said once.
                if place not in self._failing:
                    self._failing.add(place)
                    _log_failed_look(error)
                if isinstance(error, Unavailable):
                    unavailable.append(error)
        if unavailable:
            raise unavailable[0]


def _log_failed_look(error: Exception) -> None:
    logger = structlog.get_logger(__name__)
    if isinstance(error, PalmaresError):
        logger.error("a look around failed; it is had again", reason=error.message)
    else:
        logger.error("a look around failed unexpectedly; it is had again", exc_info=error)
