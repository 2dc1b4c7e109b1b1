"""Rebuilding a cluster from the log that is kept, and moving an installation between a data folder and a cluster.

Whatever serves is stopped meanwhile. Nothing of the source is changed. The target of a move has to be empty; a move
that was interrupted is begun again with an empty one. The log goes into the database as it is, and into Valkey by
recording it once more, as when a cluster is rebuilt.

Only a cluster with one shard has the same numbers of users and places in the log as a data folder: what refers to
them, ids of events and the archive of final runs, could not be taken along otherwise.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from palmares.archive import tables as archive_tables
from palmares.archive.sql import SqlArchive
from palmares.catalog import tables as catalog_tables
from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.databases import Part as PartName
from palmares.databases import address_of, check_folder, open_catalog
from palmares.domain.board import Board
from palmares.domain.errors import NotAllowed
from palmares.ledger.embedded.transfer import FolderLog
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.transfer import check_compacted, log_line, whole_line
from palmares.log_archive.sql import SqlLogArchive
from palmares.machine import new_id, system_clock
from palmares.outbox import tables as outbox_tables
from palmares.parts import followed_boards
from palmares.service.archive_log import Damaged, LogArchiver
from palmares.service.rebuild import rebuild
from palmares.sql.claim import Claim
from palmares.sql.copying import copy
from palmares.sql.database import Database, Part

# Hears how many lines were done by now, and how many there are.
Told = Callable[[int, int], None]
_LINES_PER_PIECE = 5_000


async def rebuild_cluster(settings: Settings, told: Told, lines_left: int | None = None) -> int:
    """Record in Valkey, which lost its data, what is kept in the database and was not lost; returns how many lines.

    Shards that lost nothing stay as they are. Raises `DatabaseInUse` while a server runs, `NotAllowed` when a shard has
    something else than what is kept.
    """
    assert settings.database_url is not None
    async with AsyncExitStack() as opened:
        await claim(settings.database_url, opened)
        catalog = await SqlCatalog.open(settings.database_url, system_clock)
        opened.push_async_callback(catalog.close)
        archive = await SqlLogArchive.open(settings.database_url)
        opened.push_async_callback(archive.close)
        first = await _first_recorded(archive)
        ledger = await opened.enter_async_context(open_ledger(settings, catalog, archive, lambda: first))
        with suppress(Damaged):
            # What a shard still has is kept first; what another one lost is what this is about.
            await LogArchiver(ledger.stream, archive).drain()
        return await _rebuild(ledger, archive, followed_boards(catalog), told, lines_left)


async def move_to_cluster(folder: Path, settings: Settings, told: Told) -> None:
    """Take an installation in a data folder over into an empty database and an empty Valkey.

    Raises `FolderInUse` and `DatabaseInUse` while a server runs, `OtherDatabase` when the folder's definitions are in a
    database, and `NotAllowed` when something is not empty, the folder still says who was erased, or the cluster cannot
    take it yet; then nothing is copied.
    """
    assert settings.database_url is not None
    if settings.valkey_shards != 1:
        raise NotAllowed("valkey_shards: a data folder can be moved to one shard only, and cannot be divided later")
    await asyncio.to_thread(check_folder, folder, None)
    async with AsyncExitStack() as opened:
        log = FolderLog(folder)
        opened.callback(log.close)
        await claim(settings.database_url, opened)
        catalog = await open_catalog(folder)
        opened.push_async_callback(catalog.close)
        archive = await SqlLogArchive.open(settings.database_url)
        opened.push_async_callback(archive.close)
        await _check_new(settings, catalog, archive)
        await asyncio.to_thread(_check, log)
        await asyncio.to_thread(_copy_parts, folder, None, folder, settings.database_url)
        after = 0
        for lines in log.pieces():
            await archive.add(0, 1, after, [log_line(line) for line in lines])
            after = lines[-1].position
        first = await asyncio.to_thread(_first_of, log)
        ledger = await opened.enter_async_context(open_ledger(settings, catalog, archive, lambda: first))
        await _rebuild(ledger, archive, followed_boards(catalog), told, None, archived=True)


async def move_to_folder(settings: Settings, folder: Path, told: Told) -> None:
    """Take an installation of a cluster over into a new data folder; a server makes the rankings when it starts.

    Raises `DatabaseInUse` while a worker runs, `NotAllowed` when the folder has something, there are several shards, or
    the log still says who was erased, and `Damaged` when the ledger is not the one whose log is kept.
    """
    assert settings.database_url is not None
    await asyncio.to_thread(_check_empty, folder)
    if settings.valkey_shards != 1:
        raise NotAllowed("valkey_shards: only a cluster of one shard can be moved to a data folder")
    async with AsyncExitStack() as opened:
        await claim(settings.database_url, opened)
        catalog = await SqlCatalog.open(settings.database_url, system_clock)
        opened.push_async_callback(catalog.close)
        archive = await SqlLogArchive.open(settings.database_url)
        opened.push_async_callback(archive.close)
        ledger = await opened.enter_async_context(open_ledger(settings, catalog, archive, system_clock))
        await LogArchiver(ledger.stream, archive).drain()
        check_compacted(await archive.erasures(0))
        log = FolderLog(folder)
        opened.callback(log.close)
        await asyncio.to_thread(_copy_parts, folder, settings.database_url, folder, None)
        last = await archive.last(0)
        while last is not None and log.position < last.position:
            lines = await archive.lines(0, log.position, _LINES_PER_PIECE)
            await asyncio.to_thread(log.append, [whole_line(line) for line in lines])
            told(log.position, last.position)


@asynccontextmanager
async def open_ledger(
    settings: Settings,
    catalog: SqlCatalog,
    archive: SqlLogArchive,
    clock: Callable[[], int],
    boards: Sequence[Board] = (),
    with_archive: bool = True,
) -> AsyncIterator[ValkeyLedger]:
    """The ledger of a cluster, with the settings of a catalog, and with the archive that it has."""
    assert settings.valkey_url is not None
    url = settings.database_url
    assert url is not None
    ledger = await ValkeyLedger.open(
        settings.valkey_url,
        boards,
        clock,
        new_id(),
        {scope: catalog.definitions(scope).streaks for scope in catalog.scopes()},
        name=settings.valkey_name,
        shards=settings.valkey_shards,
        open_archive=partial(SqlArchive.open, url, shared=True) if with_archive else None,
        kept_log=archive,
    )
    try:
        yield ledger
    finally:
        await ledger.close()


async def _rebuild(
    ledger: ValkeyLedger,
    archive: SqlLogArchive,
    boards: Sequence[Board],
    told: Told,
    lines_left: int | None,
    archived: bool = False,
) -> int:
    replay = ledger.replay()
    kept = [await archive.last(shard) for shard in range(replay.shards)]
    total = sum(line.position for line in kept if line is not None)
    done = sum([await replay.position(shard) for shard in range(replay.shards)])

    def count(lines: int) -> None:
        nonlocal done
        done += lines
        told(done, total)

    await ledger.begin_anew(boards, system_clock())
    recorded = await rebuild(replay, ledger.stream, archive, count, lines_left)
    await ledger.finish_anew(boards, archived)
    return recorded


async def claim(url: str, opened: AsyncExitStack) -> None:
    """No server uses the database meanwhile."""
    held = Claim(url)
    opened.push_async_callback(asyncio.to_thread, held.close)
    await asyncio.to_thread(held.keep)


async def _first_recorded(archive: SqlLogArchive) -> int:
    """When the first line of all was recorded."""
    first = [await archive.lines(shard, 0, 1) for shard in range(await archive.shards())]
    return min((line.recorded_at for lines in first for line in lines), default=system_clock())


async def _check_new(settings: Settings, catalog: SqlCatalog, archive: SqlLogArchive) -> None:
    """Raise `NotAllowed` when there is anything where a folder is to be moved to. The archive is not touched."""
    async with open_ledger(settings, catalog, archive, system_clock, with_archive=False) as ledger:
        if await archive.shards() or await ledger.replay().position(0):
            raise NotAllowed("the cluster has events already; a data folder can be moved into an empty one only")


def _first_of(log: FolderLog) -> int:
    return next((lines[0].recorded_at for lines in log.pieces()), system_clock())


def _check(log: FolderLog) -> None:
    """Raise `NotAllowed` for lines that the cluster cannot take, and users whose numbers it would not give."""
    users: set[int] = set()
    for lines in log.pieces():
        for line in lines:
            log_line(line)
            if line.user not in users:
                users.add(line.user)
                if line.user != len(users):
                    raise NotAllowed(f"line {line.position}: the users of the folder are not numbered one by one")


def _copy_parts(source: Path, source_url: str | None, target: Path, target_url: str | None) -> None:
    parts = {"catalog": catalog_tables, "archive": archive_tables, "outbox": outbox_tables}
    names: tuple[PartName, ...] = ("catalog", "archive", "outbox")
    for name in names:
        part = Part(name, f"palmares.{name}:migrations", parts[name].VERSION_TABLE)
        from_there = Database(address_of(name, source, source_url), part)
        to_here = Database(address_of(name, target, target_url), part)
        try:
            copy(from_there, to_here, parts[name].metadata, name)
        finally:
            from_there.close()
            to_here.close()


def _check_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise NotAllowed(f"the data folder {folder} is not empty")
