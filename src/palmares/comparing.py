"""Comparing an installation in a data folder with one in a cluster: whether a move has taken everything along."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from palmares.catalog.sql import SqlCatalog
from palmares.config import Settings
from palmares.databases import open_archive, open_catalog
from palmares.domain.board import Board
from palmares.ledger.embedded.ledger import EmbeddedLedger
from palmares.log_archive.sql import SqlLogArchive
from palmares.machine import system_clock, timer
from palmares.moving import claim, noted_on_valkey, open_ledger
from palmares.parts import followed_boards
from palmares.service.verify import Verification
from palmares.stored_clock import FileNote, StoredClock


async def differences(
    folder: Path, settings: Settings, told: Callable[[int], None] = lambda count: None
) -> AsyncIterator[str]:
    """What is different in a data folder and in the cluster of the settings, which nobody serves meanwhile.

    `told` hears how many things were compared, again and again. What became due is done in both, as when a server
    starts; where they were made with a test clock, up to where that stood. Raises `FolderInUse`, `DatabaseInUse`, and
    what opening them raises.
    """
    assert settings.database_url is not None
    async with AsyncExitStack() as opened:
        await claim(settings.database_url, opened)
        now = await _present(folder, settings)
        here = await open_catalog(folder)
        opened.push_async_callback(here.close)
        there = await SqlCatalog.open(settings.database_url, lambda: now)
        opened.push_async_callback(there.close)
        archive = await SqlLogArchive.open(settings.database_url)
        opened.push_async_callback(archive.close)
        boards = followed_boards(here)
        if [*map(_anywhere, boards)] != [*map(_anywhere, followed_boards(there))]:
            yield "the leaderboards of the two are defined differently"
        metrics = [metric for scope in here.scopes() for metric in here.definitions(scope).metrics]
        if metrics != [metric for scope in there.scopes() for metric in there.definitions(scope).metrics]:
            yield "the metrics of the two are defined differently"
        one = await _open_embedded(folder, here, lambda: now)
        opened.push_async_callback(one.close)
        other = await opened.enter_async_context(
            open_ledger(settings, there, archive, lambda: now, followed_boards(there))
        )
        for ledger in (one, other):
            await ledger.advance(now)
            await ledger.settle()
        verification = Verification(one, other, told, same_places=not one.is_put_together)
        async for found in verification.differences(boards, metrics):
            yield found


async def _present(folder: Path, settings: Settings) -> int:
    """The instant at which both are compared."""
    async with noted_on_valkey(settings) as there:
        stands = [await StoredClock(FileNote(folder)).stood(), await there.stood()]
    return max([stand for stand in stands if stand is not None], default=system_clock())


def _anywhere(board: Board) -> Board:
    """A board, wherever in a log it was finished."""
    return board if board.finished_position is None else replace(board, finished_position=1)


async def _open_embedded(folder: Path, catalog: SqlCatalog, clock: Callable[[], int]) -> EmbeddedLedger:
    streaks = {scope: catalog.definitions(scope).streaks for scope in catalog.scopes()}
    return await EmbeddedLedger.open(
        folder, followed_boards(catalog), clock, timer, None, streaks, open_archive=partial(open_archive, folder)
    )
