"""Short ways to ledgers on Valkey that live on the server of the session."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count

import pytest

from palmares.domain.board import Board
from palmares.ledger.keeping import Archive
from palmares.ledger.valkey.ledger import ValkeyLedger
from tests.ledger_world import Clock
from tests.valkey_servers import Address, fresh_name

Open = Callable[..., Awaitable[ValkeyLedger]]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def open_worker(valkey: list[Address], clock: Clock) -> AsyncIterator[Open]:
    """Opens one more worker of the test's ledger; all are closed in the end."""
    name, numbers = fresh_name(), count(1)
    async with AsyncExitStack() as stack:

        async def open_one(
            boards: Sequence[Board] = (), shards: int = 1, archive: Archive | None = None
        ) -> ValkeyLedger:
            worker = f"worker-{next(numbers)}"
            open_archive = None if archive is None else lambda: archive
            ledger = await ValkeyLedger.open(
                valkey, boards, clock, worker, name=name, shards=shards, open_archive=open_archive
            )
            stack.push_async_callback(ledger.close)
            return ledger

        yield open_one
