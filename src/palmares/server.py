"""The composition root: picks the ledger, the catalog and the clock, and serves them over HTTP.

Nothing else in the package reads a clock or a random source, so everything else can be tested with time and chance
handed in.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import logging
import secrets
import signal
import socket
import string
import sys
import time
import uuid
import zoneinfo
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TextIO, cast

import structlog
import uvicorn
import uvloop
from starlette.types import ASGIApp

from palmares.api.cors import BY_DEFAULT, Origins
from palmares.api.gate import Gate
from palmares.api.health import BoardName, Distribution, LedgerFigures
from palmares.api.meter import Meter
from palmares.api.routes import build_app
from palmares.api.webhook_json import WebhookBodies
from palmares.archive.sql import SqlArchive
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.databases import address_of, check_folder, note_in_folder
from palmares.domain.board import Board
from palmares.domain.errors import Unavailable
from palmares.ledger.embedded.figures import Histogram
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from palmares.outbox.http import HttpSender
from palmares.outbox.sql import SqlOutbox
from palmares.service.announce import Announcer, Ways
from palmares.service.compact import Compactor
from palmares.service.context import Context
from palmares.service.define_points import pay
from palmares.service.deliver import Deliverer
from palmares.service.keys import ensure_key
from palmares.service.rate_limit import Buckets, RateLimiter, RouteClass
from palmares.service.test_clock import ClockMover
from palmares.service.timekeeper import Timekeeper, Worker
from palmares.sql.claim import Claim, DatabaseInUse
from palmares.stored_clock import StoredClock

Clock = Callable[[], int]
_SECRET_LETTERS = string.ascii_letters + string.digits
_REFRESH_SECONDS = 1.0
# A thread that comes back from the disk waits this long for the interpreter while the event loop is busy. The
# default, 5 ms, would be the largest part of the time to an answer.
_SWITCH_SECONDS = 0.0005


def system_clock() -> int:
    """The present instant."""
    return time.time_ns() // 1000


def new_id() -> str:
    """A random UUID."""
    return str(uuid.uuid4())


def new_secret(length: int) -> str:
    """Random letters and digits."""
    return "".join(secrets.choice(_SECRET_LETTERS) for _ in range(length))


class Server:
    """The parts on one data folder, open. `first_key` is the text of the admin key, if this start made one, and
    `clock_mover` is there when the clock is one for tests."""

    def __init__(
        self,
        context: Context,
        ledger: EmbeddedLedger,
        catalog: SqlCatalog,
        outbox: SqlOutbox,
        announcer: Announcer,
        deliverer: Deliverer,
        timekeeper: Timekeeper,
        compactor: Compactor,
        clock_mover: ClockMover | None,
        first_key: str | None,
        claim: Claim | None,
    ) -> None:
        self.context = context
        self.compactor = compactor
        self.clock_mover = clock_mover
        self.first_key = first_key
        self._ledger = ledger
        self._catalog = catalog
        self._outbox = outbox
        self._announcer = announcer
        self._deliverer = deliverer
        self._timekeeper = timekeeper
        self._claim = claim
        self._claim_lost: str | None = None
        self._timekeeper.start()
        self.context.activations.resume()
        # An erasure may not have come to its end before the last stop.
        self.compactor.look()
        self._refreshing = asyncio.create_task(self._refresh())

    @classmethod
    async def open(cls, settings: Settings, clock: Clock = system_clock) -> Server:
        """Open the data folder, making it when missing, and do everything that fell due since it was last open.

        Raises `FolderInUse` when another process has it, `DatabaseInUse` when another server uses the database, and
        `ClockAhead` when a test clock was ahead of this one.
        """
        # The zones of the tzdata package, so that every machine follows the same rules.
        zoneinfo.reset_tzpath(to=())
        stored = StoredClock(settings.data)
        standing = None if settings.test_clock is None else stored.standing(settings.test_clock)
        if standing is None:
            stored.leave(clock())
        clock = standing or clock
        async with contextlib.AsyncExitStack() as opened:
            claim = await _claimed(settings, opened)
            catalog = await open_catalog(settings.data, clock, settings.multi_tenancy, settings.database_url)
            opened.push_async_callback(catalog.close)
            ledger = await _open_ledger(settings, catalog, clock, claim)
            opened.push_async_callback(ledger.close)
            await asyncio.to_thread(note_in_folder, settings.data, settings.database_url)
            if standing is not None:
                # Only now is the folder ours to write into.
                await standing.stand_at(max(standing(), ledger.now))
            outbox = await open_outbox(settings.data, settings.database_url, _check_of(claim))
            opened.push_async_callback(outbox.close)
            announcer = await _open_announcer(settings, ledger, catalog, outbox)
            sender = HttpSender(settings.webhooks_allow_private)
            deliverer = Deliverer(outbox, catalog, sender, clock, patient=standing is not None)
            opened.push_async_callback(deliverer.close)
            compactor = Compactor(ledger, catalog, outbox, asyncio.sleep, time.perf_counter)
            context = Context(
                ledger, catalog, clock, new_id, new_secret, asyncio.sleep, outbox, settings.webhooks_allow_private,
                lambda: announcer.look(clock()), compactor.look,
            )  # fmt: skip
            for scope in catalog.scopes():
                # A server may have died before the ledger heard of a change.
                await pay(context, scope)
            first_key = await ensure_key(context, settings.admin_key)
            # Each finds done what those before it do.
            workers: list[Worker] = [ledger, announcer, deliverer]
            timekeeper = Timekeeper(workers, clock, time.perf_counter, asyncio.sleep)
            await timekeeper.keep_up()
            clock_mover = None if standing is None else ClockMover(standing, timekeeper, ledger.settle)
            # Whatever fails before this line closes what is open; from here on, `close` does.
            opened.pop_all()
        return cls(
            context, ledger, catalog, outbox, announcer, deliverer, timekeeper, compactor, clock_mover, first_key, claim
        )

    @property
    def multi_tenancy(self) -> bool:
        """Whether requests with the first key have to name a tenant."""
        return self._catalog.environment(DEFAULT_SCOPE).multi_tenancy

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
            Meter(time.perf_counter),
            max_body_bytes=max_body_bytes,
            readiness=self._obstacle,
            ledger_figures=self._figures,
            clock_mover=self.clock_mover,
            gate=gate or Gate(self.context, limiter),
            origins=origins,
        )

    async def close(self) -> None:
        """Flush, checkpoint, and let go of the folder."""
        # All of it, whatever fails, from the last that is put in to the first.
        async with contextlib.AsyncExitStack() as closing:
            if self._claim is not None:
                closing.push_async_callback(asyncio.to_thread, self._claim.close)
            for part in (self._catalog, self._ledger, self._outbox, self._deliverer):
                closing.push_async_callback(part.close)
            closing.push_async_callback(self._announce_the_last)
            closing.push_async_callback(self._stop_refreshing)
            for worker in (self.context.activations, self.compactor, self._timekeeper):
                closing.push_async_callback(worker.close)

    async def _stop_refreshing(self) -> None:
        self._refreshing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._refreshing

    async def _announce_the_last(self) -> None:
        try:
            await self._announcer.close(self.context.clock())
        except Exception:
            # What was not announced now is at the next start.
            structlog.get_logger(__name__).exception("the last changes could not be announced")

    async def _refresh(self) -> None:
        works = True
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await self._look_at_database()
                works = True
            except Unavailable as error:
                # It may stay away for hours: said once.
                if works:
                    structlog.get_logger(__name__).error("the catalog cannot be refreshed", reason=error.message)
                works = False
            except Exception:
                structlog.get_logger(__name__).exception("the catalog could not be refreshed")

    async def _look_at_database(self) -> None:
        try:
            await self._keep_claim()
        except Unavailable:
            # What the claim lacks, the catalog may not need: keys are revoked in time all the same.
            await self._refresh_catalog()
            raise
        await self._refresh_catalog()

    async def _refresh_catalog(self) -> None:
        if await self._catalog.refresh():
            await self.context.take_note()

    async def _keep_claim(self) -> None:
        if self._claim is not None:
            try:
                await asyncio.to_thread(self._claim.keep)
                self._claim_lost = None
            except DatabaseInUse as error:
                if self._claim_lost is None:
                    structlog.get_logger(__name__).error("two servers use one database", reason=error.message)
                self._claim_lost = error.message

    def _obstacle(self) -> str | None:
        return self._ledger.obstacle or self._timekeeper.obstacle or self._claim_lost

    def _figures(self) -> LedgerFigures:
        counted = self._ledger.figures
        return LedgerFigures(
            counted.events,
            counted.replays,
            counted.refused,
            counted.failed_flushes,
            self._ledger.queued_entries,
            _distribution(counted.flush_seconds),
            _distribution(counted.batch_entries),
            {self._name(board): size for board, size in self._ledger.sizes()},
        )

    def _name(self, board: Board) -> BoardName:
        tenant = self._catalog.tenant(board.scope)
        environment = self._catalog.environment(board.scope)
        return BoardName(environment.key, "" if tenant is None else tenant.customer_id, board.key)


async def compact(settings: Settings) -> None:
    """Remove from a data folder that no server has open what is left of erased users, all of it.

    Raises `FolderInUse`, `DatabaseInUse`, and what keeps it from being done.
    """
    async with contextlib.AsyncExitStack() as opened:
        claim = await _claimed(settings, opened)
        catalog = await open_catalog(settings.data, database_url=settings.database_url)
        opened.push_async_callback(catalog.close)
        ledger = await _open_ledger(settings, catalog, system_clock, claim)
        opened.push_async_callback(ledger.close)
        outbox = await open_outbox(settings.data, settings.database_url, _check_of(claim))
        opened.push_async_callback(outbox.close)
        await Compactor(ledger, catalog, outbox, asyncio.sleep, time.perf_counter).settle()


async def _claimed(settings: Settings, opened: contextlib.AsyncExitStack) -> Claim | None:
    """The claim to the database, if there is one; it is let go of with everything else that is open."""
    if settings.database_url is None:
        return None
    claim = Claim(settings.database_url)
    opened.push_async_callback(asyncio.to_thread, claim.close)
    await asyncio.to_thread(claim.keep)
    return claim


async def open_catalog(
    data: Path, clock: Clock = system_clock, multi_tenancy: bool = False, database_url: str | None = None
) -> SqlCatalog:
    """The catalog of a data folder, in it or in a database; what is missing is made.

    `multi_tenancy` is for its first environment. Raises `OtherDatabase` when the folder was begun with another catalog.
    """
    await asyncio.to_thread(check_folder, data, database_url)
    if database_url is None:
        await asyncio.to_thread(data.mkdir, parents=True, exist_ok=True)
    return await SqlCatalog.open(address_of("catalog", data, database_url), clock, multi_tenancy)


async def open_outbox(
    data: Path, database_url: str | None = None, check_claim: Callable[[], None] = lambda: None
) -> SqlOutbox:
    """The outbox of a data folder, which exists if the outbox is in it; `check_claim` may refuse what writes."""
    return await SqlOutbox.open(address_of("outbox", data, database_url), check_claim)


def _check_of(claim: Claim | None) -> Callable[[], None]:
    """What raises while another server may have the database."""
    return (lambda: None) if claim is None else claim.check


async def _open_ledger(settings: Settings, catalog: SqlCatalog, clock: Clock, claim: Claim | None) -> EmbeddedLedger:
    boards = [
        board
        for scope in catalog.scopes()
        for board in catalog.definitions(scope).boards
        if board.asked_status != "inactive" and board.ready
    ]
    limits = Limits(
        queued_entries=settings.queue_limit,
        cached_users=settings.user_cache,
        events_between_projections=settings.project_events,
        events_between_checkpoints=settings.checkpoint_events,
    )
    streaks = {scope: catalog.definitions(scope).streaks for scope in catalog.scopes()}
    return await EmbeddedLedger.open(
        settings.data,
        boards,
        clock,
        time.perf_counter,
        limits,
        streaks,
        open_archive=partial(
            open_archive,
            settings.data,
            settings.database_url,
            lambda: claim is not None and claim.away and _on_event_loop(),
            _check_of(claim),
        ),
    )


def _on_event_loop() -> bool:
    """Whether whoever waits here makes everybody wait."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def open_archive(
    data: Path,
    database_url: str | None = None,
    is_away: Callable[[], bool] = lambda: False,
    check_claim: Callable[[], None] = lambda: None,
) -> SqlArchive:
    """The archive of a data folder, in it or in a database that may be away or be another server's by now."""
    return SqlArchive.open(address_of("archive", data, database_url), is_away, check_claim)


async def _open_announcer(
    settings: Settings, ledger: EmbeddedLedger, catalog: SqlCatalog, outbox: SqlOutbox
) -> Announcer:
    ways = Ways(
        throttle_seconds=settings.webhooks_throttle_seconds,
        timer=time.perf_counter,
        new_id=new_id,
        bodies=WebhookBodies(),
        patient=settings.test_clock is not None,
    )
    return await Announcer.open(ledger, catalog, outbox, ways)


def _distribution(histogram: Histogram) -> Distribution:
    return Distribution(histogram.bounds, histogram.counts, histogram.total)


def serve(settings: Settings, on_ready: Callable[[Server, str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; then take nothing new, answer what has come, flush and checkpoint.

    `on_ready` is given the server and its address once connections are accepted. Raises `OSError` when the address
    cannot be had, and what `Server.open` raises.
    """
    configure_logging(settings)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, on_ready))


async def _serve(settings: Settings, on_ready: Callable[[Server, str], None] | None) -> None:
    with _listen(settings.host, settings.port) as listener:
        server = await Server.open(settings)
        _calm_the_collector()
        try:
            address = f"http://{settings.host}:{listener.getsockname()[1]}"
            ready = (lambda: on_ready(server, address)) if on_ready else (lambda: None)
            await _Web(_app(server, settings), ready).serve(sockets=[listener])
        finally:
            await server.close()


def _app(server: Server, settings: Settings) -> ASGIApp:
    rates: dict[RouteClass, int | None] = {"events": settings.rate_limit_events, "reads": settings.rate_limit_reads}
    limits = {route_class: rate for route_class, rate in rates.items() if rate is not None}
    origins = Origins(settings.cors_application_origins, settings.cors_admin_origins)
    # By the real clock: with one that stands, buckets would never fill again.
    limiter = Buckets(limits, system_clock) if limits else None
    return server.app(settings.max_body_bytes, limiter, origins)


def _calm_the_collector() -> None:
    """Let the garbage collector come seldom: a batch makes thousands of short-lived tuples and nothing cyclic.

    Measured: with Python's defaults, every large batch has it look at all cached users again, which doubles its time.
    Looking at 50,000 young objects at once stops everybody for 35 ms, at 3,000 for 4 ms; old ones are left alone.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(3_000, 2, 1_000_000)


class _Web(uvicorn.Server):
    """Uvicorn that tells when it is ready, and that ends normally when it is asked to stop."""

    def __init__(self, app: ASGIApp, on_ready: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app, loop="none", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None,
                server_header=False, date_header=False, proxy_headers=False, timeout_graceful_shutdown=10,
            )
        )  # fmt: skip
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def configure_logging(settings: Settings) -> None:
    """Lines for people or JSON for machines, on stderr."""
    # Plain tracebacks: the pretty ones print local variables, which may be secrets.
    shown = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            *([structlog.processors.format_exc_info] if settings.log_format == "json" else []),
            shown,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Stderr())),
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


class _Stderr(io.TextIOBase):
    """Standard error, where a line that cannot be written is lost.

    It may be a file on the disk that is full: to say so must not be what stops the server.
    """

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.flush()
