"""Rebuilding a cluster from the log that is kept, and moving an installation between a data folder and a cluster.

Whatever serves is stopped meanwhile. Nothing of the source is changed. The target of a move has to be empty; a move
that was interrupted is begun again with an empty one. The log goes into the database as it is, and into Valkey by
recording it once more, as when a cluster is rebuilt.

Users keep their numbers and lines their places in the log, so what refers to them stays as it is: ids of events, and
the archive of final runs. A cluster of several shards numbers otherwise; it goes on so behind what it has taken over
(`ledger/valkey/numbering.py`). The log of a folder is in the order of recording, so lines of several shards get other
places there; the folder notes of which the ids of events are made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from types import ModuleType

from sqlalchemy import select, update

from palmares.archive import tables as archive_tables
from palmares.archive.sql import SqlArchive
from palmares.catalog import tables as catalog_tables
from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.databases import Part as PartName
from palmares.databases import address_of, check_folder, open_catalog
from palmares.domain.board import Board
from palmares.domain.errors import NotAllowed
from palmares.domain.log_line import LogLine
from palmares.ledger.embedded.transfer import FolderLog
from palmares.ledger.valkey.keys import user_name
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.ledger.valkey.numbering import Inherited, Numbering
from palmares.ledger.valkey.store import Glide
from palmares.ledger.valkey.transfer import arrival, check_compacted, inherited_by, log_line
from palmares.log_archive.sql import SqlLogArchive
from palmares.machine import new_id, system_clock
from palmares.merging import put_together
from palmares.outbox import tables as outbox_tables
from palmares.parts import followed_boards
from palmares.service.archive_log import Damaged, LogArchiver
from palmares.service.rebuild import rebuild
from palmares.sql.claim import Claim
from palmares.sql.copying import copy
from palmares.sql.database import Database, Part
from palmares.stored_clock import FileNote, StoredClock, ValkeyNote

# Hears how many lines were done by now, and how many there are.
Told = Callable[[int, int], None]
# What is copied table by table.
_PARTS: dict[PartName, ModuleType] = {"catalog": catalog_tables, "archive": archive_tables, "outbox": outbox_tables}


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
        first, inherited = await _first_recorded(archive), inherited_by(await archive.arrival())
        ledger = await opened.enter_async_context(
            open_ledger(settings, catalog, archive, lambda: first, inherited=inherited)
        )
        with suppress(Damaged):
            # What a shard still has is kept first; what another one lost is what this is about.
            await LogArchiver(ledger.stream, archive).drain()
        recorded = await _rebuild(ledger, archive, followed_boards(catalog), told, lines_left)
        if ledger.now > system_clock():
            # Made with a test clock, of which the note may be lost.
            async with noted_on_valkey(settings) as there:
                await there.note(ledger.now)
        return recorded


async def move_to_cluster(folder: Path, settings: Settings, told: Told) -> None:
    """Take an installation in a data folder over into an empty database and an empty Valkey.

    Raises `FolderInUse` and `DatabaseInUse` while a server runs, `OtherDatabase` when the folder's definitions are in a
    database, and `NotAllowed` when something is not empty, the folder still says who was erased, or the cluster cannot
    take it yet; then nothing is copied.
    """
    assert settings.database_url is not None
    await asyncio.to_thread(check_folder, folder, None)
    async with AsyncExitStack() as opened:
        log = FolderLog(folder)
        opened.callback(log.close)
        if log.is_put_together:
            raise NotAllowed("the folder was put together from several shards, and cannot be moved to a cluster again")
        await claim(settings.database_url, opened)
        catalog = await open_catalog(folder)
        opened.push_async_callback(catalog.close)
        archive = await SqlLogArchive.open(settings.database_url)
        opened.push_async_callback(archive.close)
        await _check_new(settings, catalog, archive)
        inherited = await asyncio.to_thread(inherited_of, log, settings.valkey_shards)
        await asyncio.to_thread(_copy_parts, folder, None, folder, settings.database_url)
        await keep_log(log, archive, Numbering(settings.valkey_shards, inherited))
        async with noted_on_valkey(settings) as there:
            await _carry(StoredClock(FileNote(folder)), there)
        first = await asyncio.to_thread(_first_of, log)
        ledger = await opened.enter_async_context(
            open_ledger(settings, catalog, archive, lambda: first, inherited=inherited)
        )
        await _rebuild(ledger, archive, followed_boards(catalog), told, None, archived=True)


async def move_to_folder(settings: Settings, folder: Path, told: Told) -> None:
    """Take an installation of a cluster over into a new data folder; a server makes the rankings when it starts.

    Raises `DatabaseInUse` while a worker runs, `NotAllowed` when the folder has something or the log still says who was
    erased, and `Damaged` when the ledger is not the one whose log is kept.
    """
    assert settings.database_url is not None
    await asyncio.to_thread(_check_empty, folder)
    async with AsyncExitStack() as opened:
        await claim(settings.database_url, opened)
        catalog = await SqlCatalog.open(settings.database_url, system_clock)
        opened.push_async_callback(catalog.close)
        archive = await SqlLogArchive.open(settings.database_url)
        opened.push_async_callback(archive.close)
        ledger = await opened.enter_async_context(open_ledger(settings, catalog, archive, system_clock))
        await LogArchiver(ledger.stream, archive).drain()
        for shard in range(settings.valkey_shards):
            check_compacted(await archive.erasures(shard))
        log = FolderLog(folder)
        opened.callback(log.close)
        await asyncio.to_thread(_copy_parts, folder, settings.database_url, folder, None)
        async with noted_on_valkey(settings) as there:
            await _carry(there, StoredClock(FileNote(folder)))
        finished = [board for board in followed_boards(catalog) if board.finished_position is not None]
        cuts = [await ledger.cut(board.number, board.finished_position or 0) for board in finished]
        cuts.append(await ledger.ends_at(*await asyncio.to_thread(_noted, folder)))
        found = await put_together(archive, ledger.numbering, log, cuts, told)
        places = {board.number: place for board, place in zip(finished, found, strict=False)}
        await asyncio.to_thread(_translate, folder, places, found[-1])


@asynccontextmanager
async def noted_on_valkey(settings: Settings) -> AsyncIterator[StoredClock]:
    """Where the test clock of a cluster is noted, if there was one."""
    assert settings.valkey_url is not None
    store = await Glide.connect(settings.valkey_url)
    try:
        yield StoredClock(ValkeyNote(store, settings.valkey_name))
    finally:
        await store.close()


async def _carry(source: StoredClock, target: StoredClock) -> None:
    """Note at one place where a test clock stood at another."""
    stood = await source.stood()
    if stood is not None:
        await target.note(stood)


@asynccontextmanager
async def open_ledger(
    settings: Settings,
    catalog: SqlCatalog,
    archive: SqlLogArchive,
    clock: Callable[[], int],
    boards: Sequence[Board] = (),
    with_archive: bool = True,
    inherited: Inherited | None = None,
) -> AsyncIterator[ValkeyLedger]:
    """The ledger of a cluster, with the settings of a catalog, and with the archive that it has. What it has
    `inherited` is known to one that has something."""
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
        inherited=inherited,
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
    total = sum([await archive.count(shard, 0) for shard in range(replay.shards)])
    done = total - sum([await archive.count(shard, await replay.position(shard)) for shard in range(replay.shards)])

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
        replay = ledger.replay()
        if await archive.shards() or any([await replay.position(place) for place in range(replay.shards)]):
            raise NotAllowed("the cluster has events already; a data folder can be moved into an empty one only")


def _first_of(log: FolderLog) -> int:
    return next((lines[0].recorded_at for lines in log.pieces()), system_clock())


def inherited_of(log: FolderLog, shards: int) -> Inherited:
    """What the cluster will have inherited. Raises `NotAllowed` for lines that it cannot take, and users whose numbers
    it would not give: a single shard numbers as a folder does, and inherits nothing."""
    users: set[int] = set()
    for lines in log.pieces():
        for line in lines:
            log_line(line)
            # Of nobody are the lines that say how points are paid.
            if line.user and line.user not in users:
                users.add(line.user)
                if shards == 1 and line.user != len(users):
                    raise NotAllowed(f"line {line.position}: the users of the folder are not numbered one by one")
    # One line more, which says so.
    return Inherited() if shards == 1 or not log.position else Inherited(log.position + 1, max(users, default=0))


async def keep_log(log: FolderLog, archive: SqlLogArchive, numbering: Numbering) -> None:
    """Keep each line as one of the shard that its user will be in, and those that are of no user in every shard."""
    last = [0] * numbering.shards

    async def add(place: int, lines: list[LogLine]) -> None:
        await archive.add(place, numbering.shards, last[place], lines)
        last[place] = lines[-1].position

    recorded_at = 0
    for lines in log.pieces():
        by_shard: dict[int, list[LogLine]] = {}
        for line in lines:
            owner = numbering.shard_of(user_name(line.scope, line.user_id))
            for place in [owner] if line.user else range(numbering.shards):
                by_shard.setdefault(place, []).append(log_line(line))
        for place, some in by_shard.items():
            await add(place, some)
        recorded_at = lines[-1].recorded_at
    if numbering.inherited.lines:
        for place in range(numbering.shards):
            await add(place, [arrival(numbering.inherited, recorded_at)])


def _noted(folder: Path) -> tuple[int, int]:
    """Up to which position, and when, webhooks were told of changes of ranks, by the copy in a folder."""
    watch = outbox_tables.watch.c
    with closing(_part("outbox", folder, None)) as outbox, outbox.reading() as reader:
        row = reader.execute(select(watch.position, watch.at)).first()
    return (0, 0) if row is None else (row.position, row.at)


def _translate(folder: Path, finished: dict[int, int], noted: int) -> None:
    """Let the copies in a folder have its places: at which boards were finished, and up to which webhooks were told."""
    boards = catalog_tables.boards
    with closing(_part("catalog", folder, None)) as catalog, catalog.writing() as writer:
        for number, position in finished.items():
            writer.execute(update(boards).where(boards.c.number == number).values(finished_position=position))
    with closing(_part("outbox", folder, None)) as outbox, outbox.writing() as writer:
        writer.execute(update(outbox_tables.watch).values(position=noted))


def _part(name: PartName, folder: Path, url: str | None) -> Database:
    part = Part(name, f"palmares.{name}:migrations", _PARTS[name].VERSION_TABLE)
    return Database(address_of(name, folder, url), part)


def _copy_parts(source: Path, source_url: str | None, target: Path, target_url: str | None) -> None:
    for name in _PARTS:
        with closing(_part(name, source, source_url)) as there, closing(_part(name, target, target_url)) as here:
            copy(there, here, _PARTS[name].metadata, name)


def _check_empty(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise NotAllowed(f"the data folder {folder} is not empty")
