"""What was asked for by methods that do not wait."""

import asyncio

import pytest

from palmares.domain.errors import Unavailable
from palmares.ledger.valkey.chores import Chore, Chores

pytestmark = pytest.mark.anyio


class Log:
    """Chores that say when they are done."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go_on = asyncio.Event()

    def chore(self, name: str, *errors: Exception, waits: bool = False) -> Chore:
        left = list(errors)

        async def do() -> None:
            if waits:
                await self.go_on.wait()
            if left:
                raise left.pop(0)
            self.done.append(name)

        return do


async def test_all_waiters_wait_for_all_chores_in_their_order() -> None:
    chores, log = Chores(), Log()
    chores.add(log.chore("first", waits=True))
    chores.add(log.chore("second"))
    waiters = [asyncio.ensure_future(chores.done()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not any(waiter.done() for waiter in waiters)
    log.go_on.set()
    await asyncio.gather(*waiters)
    assert log.done == ["first", "second"]


async def test_a_waiter_that_goes_away_stops_no_chore() -> None:
    chores, log = Chores(), Log()
    chores.add(log.chore("only", waits=True))
    waiter = asyncio.ensure_future(chores.done())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    log.go_on.set()
    await chores.done()
    assert log.done == ["only"]


async def test_a_chore_that_valkey_failed_is_tried_again_before_the_others() -> None:
    """And no waiter is told of it."""
    chores, log = Chores(), Log()
    chores.add(log.chore("first", Unavailable("broken")))
    chores.add(log.chore("second"))
    await chores.done()
    assert log.done == []
    await chores.done()
    assert log.done == ["first", "second"]


async def test_a_chore_that_fails_otherwise_is_not_tried_again() -> None:
    chores, log = Chores(), Log()
    chores.add(log.chore("first", ValueError("broken")))
    chores.add(log.chore("second"))
    await chores.done()
    assert log.done == ["second"]
