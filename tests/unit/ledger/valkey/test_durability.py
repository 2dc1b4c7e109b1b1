"""A server that is killed in the middle of work, with `appendfsync always`."""

import asyncio
from collections import Counter

import pytest

from palmares.domain.errors import Unavailable
from palmares.domain.value import MICROS
from palmares.ledger.contract import Record
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.ledger_world import Clock, memory_folder, run_on, swim
from tests.valkey_servers import durable_server
from tests.world import LAPS, make_board

pytestmark = pytest.mark.anyio

BOARD = make_board()
WRITERS = [f"user-{number}" for number in range(8)]
ENOUGH = 60


class Writers:
    """Users who do one thing after another, each with a key of its own, until the server is gone."""

    def __init__(self, ledger: ValkeyLedger) -> None:
        self._ledger = ledger
        self.told: dict[tuple[str, str], str | None] = {}
        self.enough = asyncio.Event()

    async def write(self, user_id: str) -> None:
        for number in range(10_000):
            try:
                [outcome] = await self._ledger.record([swim(user_id, 1, key=str(number))])
            except Unavailable:
                return
            self.told[user_id, str(number)] = outcome.event_id
            if len(self.told) >= ENOUGH:
                self.enough.set()


async def test_a_killed_server_loses_and_doubles_nothing_that_was_answered() -> None:
    """What was answered is there after the restart, once, in the log, the totals and the rankings alike."""
    with memory_folder() as folder, durable_server(folder) as server:
        addresses = [(server.host, server.port)]
        first = await ValkeyLedger.open(addresses, [BOARD], Clock(), "first", timeout_seconds=1.0)
        writers = Writers(first)
        writing = asyncio.gather(*(writers.write(user_id) for user_id in WRITERS))
        await writers.enough.wait()
        server.terminate()
        await writing
        server.start()
        second = await ValkeyLedger.open(addresses, [BOARD], Clock(), "second")
        await check(second, writers)
        # The first one finds the server again by itself.
        [outcome] = await first.record([swim(WRITERS[0], 1, key="after")])
        assert not outcome.replayed
        await first.close()
        await second.close()


async def check(ledger: ValkeyLedger, writers: Writers) -> None:
    lines = [line for line in await ledger.records(0, 100_000) if line.kind == "event"]
    uses = Counter((line.user, line.idempotency_key) for line in lines)
    assert set(uses.values()) == {1}
    for (user_id, key), event_id in writers.told.items():
        [again] = await ledger.record([swim(user_id, 1, key=key)])
        assert (again.replayed, again.event_id) == (True, event_id)
    await check_sums(ledger, lines)


async def check_sums(ledger: ValkeyLedger, lines: list[Record]) -> None:
    rows = await ledger.page(1, run_on(BOARD, "2026-03-04"), [()], 0, 100)
    counted = Counter(line.user for line in lines)
    for row in rows:
        user = await ledger.user(1, row.user_id)
        assert user is not None
        assert row.value == await ledger.total(user, LAPS) == counted.pop(user.number) * MICROS
    assert not counted
