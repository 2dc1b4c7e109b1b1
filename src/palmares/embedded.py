"""The parts on a data folder: the embedded ledger, with catalog, archive and outbox beside it or in a database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

import structlog

from palmares.api.health import BoardName, Distribution, LedgerFigures
from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.databases import note_in_folder, open_archive, open_catalog, open_outbox
from palmares.domain.board import Board
from palmares.ledger.embedded.figures import Histogram
from palmares.ledger.embedded.ledger import EmbeddedLedger, Limits
from palmares.machine import new_id, new_secret, sleep, system_clock, timer
from palmares.outbox.http import HttpSender
from palmares.parts import Clock, HeldClaim, Parts, followed_boards, on_event_loop, ways_to_announce
from palmares.service.announce import Announcer
from palmares.service.compact import Compactor
from palmares.service.context import Context
from palmares.service.define_points import pay
from palmares.service.deliver import Deliverer
from palmares.service.keys import ensure_key
from palmares.service.rate_limit import Buckets
from palmares.service.test_clock import ClockMover
from palmares.service.timekeeper import Timekeeper, Worker
from palmares.sql.claim import Claim
from palmares.stored_clock import FileNote, StoredClock

_SECONDS_BETWEEN_LOOKS = 1.0


async def open_embedded(settings: Settings, clock: Clock, opened: AsyncExitStack) -> Parts:
    """Open a data folder, making it when missing; what is open is closed by `opened`."""
    stored = StoredClock(FileNote(settings.data))
    standing = None if settings.test_clock is None else await stored.standing(settings.test_clock)
    if standing is None:
        await stored.leave(clock())
    clock = standing or clock
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
    announcer = await Announcer.open(ledger, catalog, outbox, ways_to_announce(settings))
    sender = HttpSender(settings.webhooks_allow_private)
    deliverer = Deliverer(outbox, catalog, sender, clock, patient=standing is not None)
    opened.push_async_callback(deliverer.close)
    compactor = Compactor(ledger, catalog, outbox, sleep, timer)
    context = Context(
        ledger, catalog, clock, new_id, new_secret, sleep, outbox, settings.webhooks_allow_private,
        lambda: announcer.look(clock()), compactor.look,
    )  # fmt: skip
    for scope in catalog.scopes():
        # A server may have died before the ledger heard of a change.
        await pay(context, scope)
    first_key = await ensure_key(context, settings.admin_key)
    # Each finds done what those before it do.
    workers: list[Worker] = [ledger, announcer, deliverer]
    timekeeper = Timekeeper(workers, clock, timer, sleep)
    await timekeeper.keep_up()
    opened.push_async_callback(_announce_the_last, announcer, clock)
    opened.push_async_callback(compactor.close)
    opened.push_async_callback(context.activations.close)
    context.activations.resume()
    # An erasure may not have come to its end before the last stop.
    compactor.look()
    held = None if claim is None else HeldClaim(claim)

    async def refresh() -> None:
        if await catalog.refresh():
            await context.take_note()

    return Parts(
        context=context,
        catalog=catalog,
        timekeeper=timekeeper,
        looks=[refresh] if held is None else [held.look, refresh],
        seconds_between_looks=_SECONDS_BETWEEN_LOOKS,
        obstacle=lambda: ledger.obstacle or timekeeper.obstacle or (None if held is None else held.lost),
        figures=lambda: _figures(ledger, catalog),
        # By the real clock: with one that stands, buckets would never fill again.
        make_limiter=lambda rates: Buckets(rates, system_clock),
        first_key=first_key,
        clock_mover=None if standing is None else ClockMover(standing, timekeeper, ledger.settle),
    )


async def compact(settings: Settings) -> None:
    """Remove from a data folder that no server has open what is left of erased users, all of it.

    Raises `FolderInUse`, `DatabaseInUse`, and what keeps it from being done.
    """
    async with AsyncExitStack() as opened:
        claim = await _claimed(settings, opened)
        catalog = await open_catalog(settings.data, database_url=settings.database_url)
        opened.push_async_callback(catalog.close)
        ledger = await _open_ledger(settings, catalog, system_clock, claim)
        opened.push_async_callback(ledger.close)
        outbox = await open_outbox(settings.data, settings.database_url, _check_of(claim))
        opened.push_async_callback(outbox.close)
        await Compactor(ledger, catalog, outbox, sleep, timer).settle()


async def _claimed(settings: Settings, opened: AsyncExitStack) -> Claim | None:
    """The claim to the database, if there is one; it is let go of with everything else that is open."""
    if settings.database_url is None:
        return None
    claim = Claim(settings.database_url)
    opened.push_async_callback(asyncio.to_thread, claim.close)
    await asyncio.to_thread(claim.keep)
    return claim


def _check_of(claim: Claim | None) -> Callable[[], None]:
    """What raises while another server may have the database."""
    return (lambda: None) if claim is None else claim.check


async def _open_ledger(settings: Settings, catalog: SqlCatalog, clock: Clock, claim: Claim | None) -> EmbeddedLedger:
    limits = Limits(
        queued_entries=settings.queue_limit,
        cached_users=settings.user_cache,
        events_between_projections=settings.project_events,
        events_between_checkpoints=settings.checkpoint_events,
    )
    return await EmbeddedLedger.open(
        settings.data,
        followed_boards(catalog),
        clock,
        timer,
        limits,
        {scope: catalog.definitions(scope).streaks for scope in catalog.scopes()},
        open_archive=partial(
            open_archive,
            settings.data,
            settings.database_url,
            lambda: claim is not None and claim.away and on_event_loop(),
            _check_of(claim),
        ),
    )


async def _announce_the_last(announcer: Announcer, clock: Clock) -> None:
    try:
        await announcer.close(clock())
    except Exception:
        # What was not announced now is at the next start.
        structlog.get_logger(__name__).exception("the last changes could not be announced")


def _figures(ledger: EmbeddedLedger, catalog: SqlCatalog) -> LedgerFigures:
    counted = ledger.figures
    return LedgerFigures(
        counted.events,
        counted.replays,
        counted.refused,
        counted.failed_flushes,
        ledger.queued_entries,
        _distribution(counted.flush_seconds),
        _distribution(counted.batch_entries),
        {_name(catalog, board): size for board, size in ledger.sizes()},
    )


def _name(catalog: SqlCatalog, board: Board) -> BoardName:
    tenant = catalog.tenant(board.scope)
    environment = catalog.environment(board.scope)
    return BoardName(environment.key, "" if tenant is None else tenant.customer_id, board.key)


def _distribution(histogram: Histogram) -> Distribution:
    return Distribution(histogram.bounds, histogram.counts, histogram.total)
