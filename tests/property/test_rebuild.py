"""Any life of a ledger on Valkey comes back from the log that is kept of it, to the last rank.

It is the life of `test_valkey.py`, by two workers. Numbers and positions are equal, too, and who was erased stays so.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from palmares.domain.board import Board
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
async def rebuilt(
    addresses: list[Address], shards: int, pair: Pair, archive: SqlLogArchive, *, with_past: bool
) -> AsyncIterator[Any]:
    """Another ledger, of what is kept of the first one, with its past or without."""
    past = pair.archive if with_past else PlainArchive()
    first = [line.recorded_at for shard in range(shards) for line in await archive.lines(shard, 0, 1)]
    ledger = await ValkeyLedger.open(
        addresses,
        [],
        lambda: min(first, default=pair.clock()),
        "rebuilder",
        name=fresh_name(),
        shards=shards,
        open_archive=lambda: past,
    )
    boards = list(pair.boards.values())
    try:
        await ledger.begin_anew(boards if with_past else [], pair.clock())
        await rebuild(ledger.replay(), ledger.stream, archive)
        await ledger.finish_anew(boards if with_past else [])
        for board in () if with_past else boards:
            await ledger.follow(board)
        yield ledger
    finally:
        await ledger.close()


async def live(addresses: list[Address], shards: int, made: list[Board], life: list[Action], with_past: bool) -> None:
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
            erasures = await first.unfinished_erasures()
            await first.compact([erasure.number for erasure in erasures])
            async with rebuilt(addresses, shards, pair, archive, with_past=with_past) as ledger:
                await ledger.advance(pair.clock())
                assert await ledger.records(0, 100_000) == await first.records(0, 100_000)
                assert await ledger.unfinished_erasures() == erasures
                assert await everything(ledger, boards, USERS, METRICS) == expected
                await LogArchiver(ledger.stream, archive).check()
    finally:
        await pair.close()


@pytest.mark.parametrize("shards", [1, 4])
@given(**lives, with_past=st.booleans())
@settings(max_examples=tries(6), phases=[Phase.generate])
async def test_any_life_is_the_same_after_it_was_rebuilt(
    valkey: list[Address], shards: int, made: list[Board], life: list[Action], with_past: bool
) -> None:
    """Every line, user, total, streak, rank and place; whether the archive is there or was lost, too."""
    await live(valkey, shards, made, life, with_past)
