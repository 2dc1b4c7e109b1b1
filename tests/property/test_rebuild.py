"""Any life of a ledger on Valkey comes back from the log that is kept of it, to the last rank.

It is the life of `test_valkey.py`, by two workers. A board that is rebuilt was there from the start, so what came late
before it was made counts among the late events that were ignored; all else is equal, numbers and positions too.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import Phase, given, settings

from palmares.domain.board import Board
from palmares.ledger.contract import RunState
from palmares.ledger.valkey.ledger import ValkeyLedger
from palmares.log_archive.sql import SqlLogArchive
from palmares.service.archive_log import LogArchiver
from palmares.service.rebuild import rebuild
from tests.effort import tries
from tests.ledger_world import everything, memory_folder
from tests.plain_archive import PlainArchive
from tests.property.test_ledger import METRICS, USERS
from tests.property.test_valkey import Action, Pair, lives
from tests.valkey_servers import Address, fresh_name

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def kept_log() -> AsyncIterator[SqlLogArchive]:
    with memory_folder() as folder:
        archive = await SqlLogArchive.open(f"sqlite:///{folder / 'log.sqlite3'}")
        try:
            yield archive
        finally:
            await archive.close()


@asynccontextmanager
async def rebuilt(addresses: list[Address], shards: int, pair: Pair, archive: SqlLogArchive) -> AsyncIterator[Any]:
    """Another ledger, of what is kept of the first one."""
    ledger = await ValkeyLedger.open(
        addresses, [], pair.clock, "rebuilder", name=fresh_name(), shards=shards, open_archive=PlainArchive
    )
    try:
        await rebuild(ledger.replay(), ledger.stream, archive, ledger.advance)
        for board in pair.boards.values():
            await ledger.follow(board)
        yield ledger
    finally:
        await ledger.close()


def comparable(found: dict[Any, Any]) -> dict[Any, Any]:
    return {
        key: part._replace(ignored_late_events=0) if isinstance(part, RunState) else part for key, part in found.items()
    }


async def live(addresses: list[Address], shards: int, made: list[Board], life: list[Action]) -> None:
    pair = Pair(addresses, shards)
    await pair.open()
    try:
        for board in made:
            await pair.follow(0, board)
        for action in life:
            await action(pair)
        first = pair.workers[0]
        await first.advance(pair.clock())
        await first.settle()
        boards = list(pair.boards.values())
        expected = await everything(first, boards, USERS, METRICS)
        async with kept_log() as archive:
            await LogArchiver(first.stream, archive).drain()
            async with rebuilt(addresses, shards, pair, archive) as ledger:
                await ledger.advance(pair.clock())
                assert await ledger.records(0, 100_000) == await first.records(0, 100_000)
                found = await everything(ledger, boards, USERS, METRICS)
                assert comparable(found) == comparable(expected)
                await LogArchiver(ledger.stream, archive).check()
    finally:
        await pair.close()


@pytest.mark.parametrize("shards", [1, 4])
@given(**lives)
@settings(max_examples=tries(12), phases=[Phase.generate])
async def test_any_life_is_the_same_after_it_was_rebuilt(
    valkey: list[Address], shards: int, made: list[Board], life: list[Action]
) -> None:
    """Every line, user, total, streak, rank and place."""
    await live(valkey, shards, made, life)
