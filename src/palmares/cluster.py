"""The parts of a worker: the ledger on Valkey and the databases in PostgreSQL, shared with workers that are all alike.

Nothing is kept here that another worker could miss: definitions are in the catalog, which every worker reads again and
again, boards in the shards of the ledger, and what only one may do is done by the one that leads (`lead.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import structlog

from palmares.archive.sql import SqlArchive
from palmares.catalog.contract import DEFAULT_SCOPE
from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.databases import OtherDatabase, open_outbox
from palmares.domain.errors import NotAllowed, PalmaresError, Unavailable
from palmares.domain.local_time import format_instant
from palmares.domain.streak_settings import StreakSettings
from palmares.lead import Lead
from palmares.ledger.valkey.keys import ShardKeys
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.lines import entries
from palmares.ledger.valkey.promise import sentence
from palmares.ledger.valkey.servers import Servers
from palmares.ledger.valkey.store import Glide, Store
from palmares.log_archive.sql import SqlLogArchive
from palmares.machine import new_id, new_secret, sleep, timer
from palmares.parts import Clock, HeldClaim, Parts, followed_boards, on_event_loop
from palmares.service.archive_log import LogArchiver, check_complete
from palmares.service.context import Context
from palmares.service.define_points import pay
from palmares.service.keys import ensure_key
from palmares.service.test_clock import ClockMover
from palmares.service.timekeeper import Timekeeper
from palmares.shared_buckets import SharedBuckets
from palmares.sql.claim import Claim, DatabaseInUse
from palmares.stored_clock import StoredClock, ValkeyNote
from palmares.timed_work import TimedWork

logger = structlog.get_logger(__name__)
# What one worker defines is in force on the others a second later at most.
_SECONDS_BETWEEN_LOOKS = 0.5
# Of counting requests and of looking whether Valkey is there: no script of these takes long.
_TIMEOUT_SECONDS = 2.0


async def open_cluster(settings: Settings, servers: Servers, clock: Clock, opened: AsyncExitStack) -> Parts:
    """Open a worker; what is open is closed by `opened`."""
    assert settings.database_url is not None
    member = await _claimed(settings, opened)
    store = await Glide.connect(servers, _TIMEOUT_SECONDS)
    opened.push_async_callback(store.close)
    stored = StoredClock(ValkeyNote(store, settings.valkey_name))
    standing = None if settings.test_clock is None else await stored.standing(settings.test_clock)
    if standing is None:
        await stored.leave(clock())
    clock = standing or clock
    catalog = await SqlCatalog.open(settings.database_url, clock, settings.multi_tenancy)
    opened.push_async_callback(catalog.close)
    await settle_catalog(store, settings.valkey_name, catalog)
    if standing is not None:
        # Only now is the ledger ours to write into, and nothing has happened there yet.
        await standing.stand_at(standing())
    log = await SqlLogArchive.open(settings.database_url)
    opened.push_async_callback(log.close)
    await check_complete(await _positions(settings, store), log)
    ledger = await _open_ledger(settings, servers, catalog, clock, member, log)
    opened.push_async_callback(ledger.close)
    if standing is not None:
        await standing.stand_at(max(standing(), ledger.now))
    archiver = LogArchiver(ledger.stream, log, settings.valkey_lines)
    # As long as the kept one is not enough: it has to be the same log.
    await archiver.check()
    outbox = await open_outbox(settings.data, settings.database_url)
    opened.push_async_callback(outbox.close)
    lead: Lead

    async def take_note() -> None:
        if isinstance(lead.duties, TimedWork):
            await lead.duties.take_note()

    def compact_soon() -> None:
        if isinstance(lead.duties, TimedWork):
            lead.duties.compact_soon()

    context = Context(
        ledger, catalog, clock, new_id, new_secret, sleep, outbox, settings.webhooks_allow_private,
        take_note, compact_soon, lambda: lead.is_mine,
    )  # fmt: skip
    lead = Lead(
        Claim(settings.database_url, "timed work"),
        lambda check: TimedWork.begin(settings, context, check, archiver),
    )
    opened.push_async_callback(lead.close)
    first_key = await _settle(settings, context)
    # Whoever is first leads at once: what happens before anybody does is news to nobody.
    try:
        await lead.look()
    except PalmaresError as error:
        if standing is not None:
            raise
        # As at any later look: events are taken all the same.
        logger.warning("the timed work cannot begin yet", reason=error.message)
    if standing is not None:
        _check_alone(lead)
        context.activations.resume()
    timekeeper = Timekeeper([ledger, lead.worker(0), lead.worker(1)], clock, timer, sleep)
    await timekeeper.keep_up()
    opened.push_async_callback(context.activations.close)
    pulse, held = Pulse(store, settings.valkey_name, settings.valkey_shards), HeldClaim(member)
    hearing = Hearing(context, catalog, ledger)
    opened.push_async_callback(hearing.close)
    return Parts(
        context=context,
        catalog=catalog,
        timekeeper=timekeeper,
        looks=[pulse.look, hearing.look, held.look, lead.look, archiver.look],
        seconds_between_looks=_SECONDS_BETWEEN_LOOKS,
        obstacle=lambda: pulse.obstacle or archiver.obstacle or timekeeper.obstacle or held.lost,
        figures=lambda: None,
        make_limiter=lambda rates: SharedBuckets(store, settings.valkey_name, rates),
        first_key=first_key,
        clock_mover=None if standing is None else ClockMover(standing, timekeeper, _settling(lead, ledger)),
        promise=sentence(ledger.promise, settings.valkey_replicas),
    )


async def _claimed(settings: Settings, opened: AsyncExitStack) -> Claim:
    """The claim to the database, which all workers have together; but who has a test clock is alone."""
    assert settings.database_url is not None
    alone = settings.test_clock is not None
    member = Claim(settings.database_url, shared=not alone)
    opened.push_async_callback(asyncio.to_thread, member.close)
    try:
        await asyncio.to_thread(member.keep)
    except DatabaseInUse as error:
        if not alone:
            raise
        raise DatabaseInUse(
            "another server uses the database; with test_clock, one worker has it for itself"
        ) from error
    return member


def _check_alone(lead: Lead) -> None:
    """With a test clock, nobody else may do the timed work, nor will."""
    if not lead.is_mine:
        raise DatabaseInUse("another worker does the timed work; with test_clock, there is no other")


def _settling(lead: Lead, ledger: ValkeyLedger) -> Callable[[], Awaitable[None]]:
    """What a test clock waits for at each instant. Without the lead, nothing was announced there."""

    async def settle() -> None:
        if not lead.is_mine:
            raise Unavailable("the timed work waits for the database at present")
        await ledger.settle()

    return settle


async def settle_catalog(store: Store, ledger: str, catalog: SqlCatalog) -> None:
    """A ledger stays with the catalog that it was begun with, because events refer to metrics by their numbers.

    A catalog is told by the instant at which it was made, so it may be moved and copied. Raises `OtherDatabase`.
    """
    key, made = catalog_key(ledger), catalog.environment(DEFAULT_SCOPE).created
    _, kept = await store.read([[b"SET", key, b"%d" % made, b"NX"], [b"GET", key]])
    if int(kept) != made:
        raise OtherDatabase(
            f"the ledger {ledger} in Valkey was begun with another catalog, made at {format_instant(int(kept))}; "
            f"give its database_url, or another valkey_name for a new ledger"
        )


async def _positions(settings: Settings, store: Store) -> list[int]:
    """The last line of each shard."""
    heads = [ShardKeys(settings.valkey_name, place).head for place in range(settings.valkey_shards)]
    found = await asyncio.gather(*(store.read([[b"HGET", head, b"position"]]) for head in heads))
    return [int(position or 0) for [position] in found]


async def _open_ledger(
    settings: Settings, servers: Servers, catalog: SqlCatalog, clock: Clock, member: Claim, log: SqlLogArchive
) -> ValkeyLedger:
    """The ledger with the boards of the catalog. Nobody changes any meanwhile: what is in the making of a change would
    be taken back."""
    database_url = settings.database_url
    assert database_url is not None
    async with catalog.changing():
        return await ValkeyLedger.open(
            servers,
            followed_boards(catalog),
            clock,
            # A name that no process has, and that none had before.
            new_id(),
            {scope: catalog.definitions(scope).streaks for scope in catalog.scopes()},
            name=settings.valkey_name,
            shards=settings.valkey_shards,
            replicas=settings.valkey_replicas,
            most_queued=settings.queue_limit,
            # What ends is kept by who has the ledger's own lease; what is read on the event loop waits for nobody.
            open_archive=lambda: SqlArchive.open(database_url, lambda: member.away and on_event_loop(), shared=True),
            kept_log=log,
            alone=settings.test_clock is not None,
        )


async def _settle(settings: Settings, context: Context) -> str | None:
    """Let the ledger hear of what a worker defined that died then, and see to it that there is a key; its text, if it
    was made now."""
    async with context.catalog.changing():
        for scope in context.catalog.scopes():
            try:
                await pay(context, scope)
            except NotAllowed as error:
                logger.error("no points are paid", scope=scope, reason=error.message)
        return await ensure_key(context, settings.admin_key)


class Hearing:
    """Has a worker follow what others define. Boards and points are with the ledger's shards; how streaks count, each
    worker has to know, and the one that leads makes the boards anew that rank by them, beside everything else."""

    def __init__(self, context: Context, catalog: SqlCatalog, ledger: ValkeyLedger) -> None:
        self._context = context
        self._catalog = catalog
        self._ledger = ledger
        # By which settings this worker has seen to the boards of a scope.
        self._seen_to: dict[int, StreakSettings] = {}
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> None:
        """Hear of what is new. What fails of the boards is tried again at the next look."""
        is_new = await self._catalog.refresh()
        for scope in self._catalog.scopes():
            self._ledger.note_streaks(scope, self._settings(scope))
        if self._context.leads() and self._open_scopes() and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._see_to_boards(), name="palmares-streaks")
        if is_new:
            await self._context.take_note()

    async def close(self) -> None:
        """Leave what is not done to the next one who leads."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _settings(self, scope: int) -> StreakSettings:
        return self._catalog.definitions(scope).streaks

    def _open_scopes(self) -> list[int]:
        return [scope for scope in self._catalog.scopes() if self._seen_to.get(scope) != self._settings(scope)]

    async def _see_to_boards(self) -> None:
        for scope in self._open_scopes():
            settings = self._settings(scope)
            try:
                await self._ledger.set_streaks(scope, settings)
            except PalmaresError as error:
                logger.warning("boards by streak are still to be made anew", scope=scope, reason=error.message)
            else:
                self._seen_to[scope] = settings


def catalog_key(ledger: str) -> bytes:
    """When the catalog was made that a ledger goes with; there as long as the ledger is."""
    return f"{{{ledger}}}:catalog".encode()


class Pulse:
    """Whether Valkey answers, all shards of it, and has the ledger whole, as far as shows at once. `obstacle` says why
    not, in words."""

    def __init__(self, store: Store, ledger: str, shards: int) -> None:
        self._store = store
        self._catalog = catalog_key(ledger)
        self._shards = [ShardKeys(ledger, place) for place in range(shards)]
        self.obstacle: str | None = None

    async def look(self) -> None:
        """Ask each shard for something small; raises `Unavailable` when one does not answer, or the ledger is gone or
        has lost a part of a shard."""
        try:
            [made], *lines = await asyncio.gather(
                self._store.read([[b"EXISTS", self._catalog]]), *(self._last_lines(keys) for keys in self._shards)
            )
            if not made:
                raise Unavailable("the ledger is gone from Valkey; stop the workers, and run `palmares rebuild`")
            for place, (head, log) in enumerate(lines):
                if head != log:
                    raise Unavailable(
                        f"shard {place} has lost a part of its data in Valkey: its head is at line {head}, its log at "
                        f"{log}; stop the workers, and see docs/cluster.md"
                    )
        except Unavailable as error:
            self.obstacle = error.message
            raise
        self.obstacle = None

    async def _last_lines(self, keys: ShardKeys) -> tuple[int, int]:
        """The last line of a shard, by its head and by its log."""
        position, raw = await self._store.read(
            [[b"HGET", keys.head, b"position"], [b"XREVRANGE", keys.log, b"+", b"-", b"COUNT", b"1"]]
        )
        return int(position or 0), next((line for line, _ in entries(raw)), 0)
